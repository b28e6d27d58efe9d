"""What the runs of `autoseg train` will take: known before the first of them begins."""

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from autoseg.catalogue import NETWORKS
from autoseg.errors import AutosegError
from autoseg.evaluation.tables import summarise
from autoseg.jobs.series import left_of_all
from autoseg.model.description import Origin
from autoseg.model.identity import ModelId
from autoseg.planning.sections import TrainingSection
from autoseg.postprocessing.held_out import is_scored, read_scores
from autoseg.postprocessing.held_out.files import is_done
from autoseg.postprocessing.held_out.space import COMPRESSED, most_bytes
from autoseg.preprocessing.size import arrays_bytes
from autoseg.runs.earlier import (
    EarlierRun,
    Pace,
    earlier_runs,
    earlier_state,
    expected_pace,
    on_same_hardware,
    scored_case_s,
)
from autoseg.runs.minutes import counts_preprocessing
from autoseg.runs.restarting import is_to_restart
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.clock import Budget, build_budget
from autoseg.training.remaining import Costs, Remaining, remaining
from autoseg.training.run_state import RunState, read_state
from autoseg.training.size import stored_bytes
from autoseg.training.stretches import read_further, section_of

Status = Literal["new", "goes on", "goes further", "to be scored", "done", "refused"]


@dataclass(frozen=True)
class Reached:
    """What a finished run came to.

    Attributes:
        id: what it is called.
        dice: of its held-out cases, mean over cases and classes; NaN where there are none.
        minutes: that it took.
        epochs: likewise.
    """

    id: ModelId
    dice: float
    minutes: float
    epochs: int


@dataclass(frozen=True)
class RunForecast:
    """What one run will take.

    Attributes:
        id: what it is called.
        status: where it stands.
        training_cases: to learn from.
        held_out: cases that it is judged on.
        epochs_done: of an earlier call.
        epochs: of the whole run, or of what is trained further; None: the clock ends it.
        minutes: after which the clock ends it; None: it does not.
        left: what is left of it; None: its pace is not known.
        pace: where that follows from.
        step_gb: memory of a training step.
        disk_bytes: what it adds to the disk: model, checkpoint and, usually, the probabilities of held-out cases.
        problem: why it cannot be done.
        origin: the model that it starts from; None: it starts from nothing.
        after_epochs: epochs of earlier calls, after which it is trained further.
        preprocessing_counts: whether cases are still to be preprocessed, and its minutes go on meanwhile.
    """

    id: ModelId
    status: Status
    training_cases: int
    held_out: int
    epochs_done: int
    epochs: int | None
    minutes: float | None
    left: Remaining | None
    pace: Pace | None
    step_gb: float
    disk_bytes: int
    problem: AutosegError | None = None
    origin: Origin | None = None
    after_epochs: int = 0
    preprocessing_counts: bool = False


@dataclass(frozen=True)
class TrainForecast:
    """What all runs of a command will take.

    Attributes:
        runs: each of them.
        side_by_side: how many are in work at a time.
        elsewhere: who does the work where that is not this machine, whose pace and memory are not known here.
        missing_arrays: cases that are still to be preprocessed.
        arrays_bytes: what their arrays will take on the disk.
        free_bytes: that the disk has.
        reached: what finished runs of the same plan came to, the best first.
        made_at: when this was told, in seconds since 1970.
        scored_case_s: how long scoring a held-out case took in earlier runs here, in seconds; 0: not known.
    """

    runs: tuple[RunForecast, ...]
    side_by_side: int
    elsewhere: str | None
    missing_arrays: int
    arrays_bytes: int
    free_bytes: int
    reached: tuple[Reached, ...]
    made_at: float
    scored_case_s: float = 0.0

    @property
    def to_do(self) -> tuple[RunForecast, ...]:
        """Runs that are not done."""
        return tuple(run for run in self.runs if run.status not in {"done", "refused"})

    @property
    def disk_bytes(self) -> int:
        """What all of it adds to the disk."""
        return self.arrays_bytes + sum(run.disk_bytes for run in self.to_do)

    @property
    def left_s(self) -> float | None:
        """Seconds until everything is done, preprocessing only as far as minutes count it; None: some pace is not known."""
        left = [run.left for run in self.to_do]
        known = [each.seconds for each in left if each is not None]
        if len(known) < len(left):
            return None
        return left_of_all([], waiting=known, side_by_side=self.side_by_side)


def forecast_of(
    session: Session, targets: Sequence[Target], *, side_by_side: int, elsewhere: str | None = None
) -> TrainForecast:
    """What some runs will take. Nothing is written, and no lock is taken.

    Args:
        session: what they share; its arrays may be missing.
        targets: the runs.
        side_by_side: how many are in work at a time.
        elsewhere: who does the work where that is not this machine.
    """
    earlier, plan = tuple(earlier_runs(session)), session.plan
    networks = {(target.model.architecture, target.model.view) for target in targets}
    sizes = {(name, view): stored_bytes(plan.of_view(view), name) for name, view in networks}
    missing = {case.id for case in session.store.missing(tuple(session.cases.values()))}
    fingerprints = session.workspace.fingerprint().cases if missing else ()
    counts = bool(missing) and counts_preprocessing(session, targets)
    return TrainForecast(
        runs=tuple(
            _run(
                session,
                target,
                earlier,
                stored_bytes=sizes[target.model.architecture, target.model.view],
                preprocessing_counts=counts,
            )
            for target in targets
        ),
        side_by_side=side_by_side,
        elsewhere=elsewhere,
        missing_arrays=len(missing),
        arrays_bytes=sum(arrays_bytes(case, plan) for case in fingerprints if case.id in missing),
        free_bytes=shutil.disk_usage(session.workspace.root).free,
        reached=tuple(sorted(_reached(earlier), key=lambda run: -math.inf if math.isnan(run.dice) else -run.dice)),
        made_at=time.time(),
        scored_case_s=scored_case_s(on_same_hardware(session, earlier)) if session.computes else 0.0,
    )


def _run(
    session: Session, target: Target, earlier: Sequence[EarlierRun], *, stored_bytes: int, preprocessing_counts: bool
) -> RunForecast:
    plan, budget = session.plan, build_budget(session.plan.training, session.choices)
    status, state, problem = _status(session, target)
    after = 0 if state is None else state.stretch.after_epochs
    pace = expected_pace(session, target, earlier) if session.computes else None
    left = None
    if status == "to be scored":
        left = None if pace is None else Remaining(0.0, 0.0, pace.costs.scoring_s)
    elif status != "done" and pace is not None:
        left = _left(plan.training, state, budget, pace.costs)
    return RunForecast(
        id=target.model,
        status=status,
        training_cases=len(target.members.training),
        held_out=len(target.members.validation),
        epochs_done=0 if state is None else len(state.epochs),
        epochs=None if budget.steps is None else budget.steps // plan.training.steps_per_epoch,
        minutes=None if budget.seconds is None else budget.seconds / 60,
        left=left,
        pace=pace,
        step_gb=plan.of_view(target.model.view).training_step_gb(NETWORKS[target.model.architecture]),
        disk_bytes=most_bytes(target, session) // COMPRESSED + (stored_bytes if status in {"new", "goes further"} else 0),
        problem=problem,
        origin=session.origin(target.model),
        after_epochs=after,
        preprocessing_counts=preprocessing_counts and status in {"new", "goes on", "goes further"},
    )


def _left(section: TrainingSection, state: RunState | None, budget: Budget, costs: Costs) -> Remaining:
    """What is left of a run, or of what is trained further of it, of which the budget is."""
    if state is None:
        return remaining(budget, section, costs)
    stretch = state.stretch
    steps, elapsed_s = state.steps_taken - stretch.after_steps, state.elapsed_s - stretch.after_s
    return remaining(budget, section_of(section, state), costs, steps_done=steps, elapsed_s=elapsed_s)


def _status(session: Session, target: Target) -> tuple[Status, RunState | None, AutosegError | None]:
    """Where a run stands, its state, and why it cannot be done."""
    folder = session.workspace.model(target.model)
    restarts = is_to_restart(session, target)
    if restarts and not target.further:
        return "new", None, None
    try:  # where it takes place elsewhere, a worker finds out whether the run is the same
        state = earlier_state(session, target) if session.computes or target.further else read_state(folder)
        if target.further and (state is None or (restarts and not state.finished)):
            return "goes further", read_further(folder), None
        if state is None:
            return "new", None, None
        if not state.finished:
            return "goes on", state, None
        scored = not target.members.validation or is_done(folder, keep=session.choices.keep_probabilities)
    except AutosegError as problem:
        return "refused", None, problem
    return ("done" if scored else "to be scored"), state, None


def _reached(earlier: Sequence[EarlierRun]) -> Iterator[Reached]:
    for run in earlier:
        if run.state.finished and is_scored(run.folder):
            with suppress(AutosegError):
                dice = summarise(read_scores(run.folder)).mean["dice"]
                yield Reached(run.id, dice, run.state.elapsed_s / 60, len(run.state.epochs))
