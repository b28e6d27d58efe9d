"""What was trained in a workspace before, and how fast a run will probably be by that."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median

from autoseg.errors import AutosegError
from autoseg.jobs.machine import usable_cores
from autoseg.model.identity import ModelId, model_folders
from autoseg.planning.plan import Plan
from autoseg.runs.continuing import continued_state
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.halving import with_halved_batches
from autoseg.training.remaining import Costs, costs_of, planned_costs
from autoseg.training.resume import check_same_run
from autoseg.training.run_state import RunState, read_state


@dataclass(frozen=True)
class EarlierRun:
    """What was trained under the same plan.

    Attributes:
        id: what it is called.
        state: of the run.
        folder: where it lies.
    """

    id: ModelId
    state: RunState
    folder: Path


@dataclass(frozen=True)
class Pace:
    """How fast a run will probably be.

    Attributes:
        costs: how long its parts take.
        like: whose pace it is, in words.
        scoring_known: whether the time of scoring held-out cases is part of the costs.
    """

    costs: Costs
    like: str
    scoring_known: bool


def earlier_state(session: Session, target: Target) -> RunState | None:
    """What an earlier call left, if it can be continued as this run; of one that is to be trained further `continued_state`.

    Raises:
        WorkspaceError: it was begun differently, or cannot be parsed.
    """
    if target.further:
        return continued_state(session, target)
    folder = session.workspace.model(target.model)
    state = read_state(folder)
    if state is not None:
        check_same_run(
            state,
            plan=session.plan,
            config=session.config(target),
            keys=session.store.keys,
            members=target.members,
            folder=folder,
        )
    return state


def earlier_runs(session: Session) -> Iterator[EarlierRun]:
    """What was trained under the same plan, as far as it can be read."""
    for folder in sorted(model_folders(session.workspace.models)):
        with suppress(AutosegError):  # whoever needs that model is told why it cannot be read
            state = read_state(folder)
            if state is not None and state.epochs and session.plan.is_identified_by(state.plan_digest):
                yield EarlierRun(state.config.model, state, folder)


def expected_pace(session: Session, target: Target, earlier: Sequence[EarlierRun]) -> Pace | None:
    """How fast a run will be: as itself, the same network, or another one was on the same hardware before.

    Args:
        session: of the run, with the devices that it has here.
        target: the run.
        earlier: of the same plan.

    Returns:
        None where nothing was timed on this hardware, and the plan recorded no speed.
    """
    same = on_same_hardware(session, earlier)
    known = [(run, costs) for run in same if (costs := _costs(session.plan, run.state)) is not None]
    case_s = scored_case_s(same)
    if not known:
        planned = planned_costs(session.plan) if _planned_for(session) else None
        like = "by the speed that the plan recorded"
        return None if planned is None else _pace(session, planned, usable_cores(), like=like)

    def likeness(run: EarlierRun) -> tuple[bool, ...]:
        network = run.id.architecture == target.model.architecture
        return (run.id == target.model, network and run.id.view == target.model.view, network, run.state.finished)

    best, costs = max(known, key=lambda each: likeness(each[0]))
    return _pace(
        session,
        replace(costs, scoring_s=case_s * len(target.members.validation)),
        best.state.threads,
        like="as fast as before" if best.id == target.model else f"as fast as {best.id.title} was here",
        scoring_known=case_s > 0 or not target.members.validation,
    )


def _pace(session: Session, costs: Costs, threads: int | None, *, like: str, scoring_known: bool = False) -> Pace:
    """A pace that was measured on some threads (None: not known), on those that a run of the session has."""
    if threads is None or threads <= session.threads or session.compute.device.type != "cpu":
        return Pace(costs, like, scoring_known)
    fewer = f", on {session.threads} of {threads} threads"
    return Pace(costs.on_fewer_threads(session.threads, measured_on=threads), like + fewer, scoring_known)


def on_same_hardware(session: Session, earlier: Sequence[EarlierRun]) -> list[EarlierRun]:
    """Those of some runs that were computed by what the first device of a session is, in the same number format."""
    one = session.on(0)
    return [
        run
        for run in earlier
        if run.state.computed_on == one.computed_on and run.state.choices.precision == one.compute.precision
    ]


def scored_case_s(runs: Sequence[EarlierRun]) -> float:
    """How long scoring a held-out case took in some runs, in seconds; 0: not known."""
    times = [
        run.state.scoring_s / len(run.state.members.validation)
        for run in runs
        if run.state.scoring_s is not None and run.state.members.validation
    ]
    return median(times) if times else 0.0


def _planned_for(session: Session) -> bool:
    """Whether the plan was made for a machine of this kind."""
    return (session.plan.inputs.device == "cpu") == (session.compute.device.type == "cpu")


def _costs(plan: Plan, state: RunState) -> Costs | None:
    seen = with_halved_batches(plan.of_view(state.config.view), state.halvings)
    return costs_of(
        state.epochs,
        after=state.stretch.after_epochs,
        slices_per_step=fmean(view.batch_size for view in seen.views),
        steps_per_epoch=plan.training.steps_per_epoch,
        at_half=0 < state.steps_taken == state.half_resolution_steps,
    )
