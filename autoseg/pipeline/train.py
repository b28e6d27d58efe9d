"""`autoseg train`: preprocess where needed, train, then predict and score the held-out cases."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from autoseg import catalogue, files
from autoseg.data.dataset import Case
from autoseg.data.splits import Fold
from autoseg.errors import AutosegError, CasesFailedError
from autoseg.evaluation.tables import Summary
from autoseg.events import Events
from autoseg.machine import usable_cores
from autoseg.model.compute import Compute, DeviceChoice, PrecisionChoice, choose_compute
from autoseg.networks import ARCHITECTURES
from autoseg.pipeline.held_out import score_held_out
from autoseg.pipeline.preprocess import preprocess
from autoseg.planning.plan import Plan
from autoseg.preprocessing.store import Store
from autoseg.reporting.figures import draw_curves
from autoseg.training.checkpoint import RunState, read_state
from autoseg.training.clock import Stopwatch
from autoseg.training.config import TrainConfig
from autoseg.training.history import EpochRecord
from autoseg.training.loop import FoldData, Surroundings, check_same_run, train
from autoseg.training.monitor import TrackedRun, Tracker, check_installed, tracking
from autoseg.workspace import Workspace, find_workspace, fold_of

CURVES_FILE: Final = "curves.png"
DRAWING_SHARE: Final = 0.03
"""Largest share of a run that goes into drawing its curves. Source: ours; epochs of small data sets last seconds."""


@dataclass(frozen=True)
class TrainCommand:
    """What the user chose for training.

    Attributes:
        architecture: a network, or `all`, one after the other.
        fold: a number, `all`, `official` or `full`.
        workspace: the workspace; None: the only one under `runs/`.
        epochs: length in epochs; None: the plan's.
        minutes: wall-clock budget of each run; None: the plan's.
        seed: of all randomness.
        device: where to train.
        precision: number format of the convolutions; `auto`: what is fast on the device.
        workers: processes that prepare batches; None: by number of cores.
        jobs: processes that preprocess scans.
        restart: discard what an earlier run left.
        track: who else is told about every epoch; None: nobody but `history.csv` and the curves.
    """

    architecture: catalogue.Architecture | Literal["all"]
    fold: str = "0"
    workspace: Path | None = None
    epochs: int | None = None
    minutes: float | None = None
    seed: int = 0
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    workers: int | None = None
    jobs: int = 1
    restart: bool = False
    track: catalogue.Tracker | None = None


@dataclass(frozen=True)
class TrainedModel:
    """One finished run.

    Attributes:
        architecture: the network.
        fold: the fold.
        folder: where everything about it lies.
        epochs: epochs trained.
        minutes: minutes trained.
        trained_now: False where an earlier call had finished it.
        summary: scores on the held-out cases in their own grids; None where nothing is held out.
    """

    architecture: catalogue.Architecture
    fold: str
    folder: Path
    epochs: int
    minutes: float
    trained_now: bool
    summary: Summary | None


@dataclass(frozen=True)
class TrainResult:
    """What training made."""

    workspace: Workspace
    models: tuple[TrainedModel, ...]


@dataclass(frozen=True)
class _Session:
    """What all runs of one command share."""

    workspace: Workspace
    plan: Plan
    cases: Mapping[str, Case]
    store: Store
    compute: Compute
    command: TrainCommand
    events: Events
    stopwatch: Stopwatch = field(default_factory=Stopwatch)


def run(command: TrainCommand, events: Events, *, stopwatch: Stopwatch | None = None) -> TrainResult:
    """Train what was asked for, one run after the other.

    Raises:
        CasesFailedError: some of several runs failed; the others are done.
    """
    check_installed(command.track)
    stopwatch = stopwatch or Stopwatch()
    workspace = find_workspace(command.workspace)
    plan, dataset, splits = workspace.plan(), workspace.dataset(), workspace.splits()
    names = tuple(ARCHITECTURES) if command.architecture == "all" else (command.architecture,)
    numbers = [str(number) for number in range(len(splits.folds))] if command.fold == "all" else [command.fold]
    if not numbers:
        fold_of(splits, dataset, "0")  # says why there are no folds
    pairs = [(name, fold, fold_of(splits, dataset, fold)) for name in names for fold in numbers]
    compute = choose_compute(command.device, command.precision)
    _announce(plan, command, compute, events)
    store = preprocess(workspace, plan, dataset.labelled, jobs=command.jobs, events=events)
    cases = {case.id: case for case in dataset.labelled}
    models, failures = [], []
    for name, fold, members in pairs:
        session = _Session(workspace, plan, cases, store, compute, command, events, stopwatch)
        try:
            models.append(_train_one(session, name, fold, members))
        except AutosegError as error:
            if len(pairs) == 1:
                raise
            events.warn(f"{name}, fold {fold}: {error}")
            failures.append((f"{name}, fold {fold}", error))
        stopwatch = Stopwatch()  # every further run has its own budget
    if failures:
        raise CasesFailedError(failures, done=len(models))
    return TrainResult(workspace, tuple(models))


def _announce(plan: Plan, command: TrainCommand, compute: Compute, events: Events) -> None:
    if plan.edited:
        events.note("using a plan that was edited by hand")
    if command.minutes is None and command.epochs is None and plan.training.minutes is not None:
        events.note(f"each run takes {plan.training.minutes:g} minutes (the plan's; choose another with --minutes)")
    events.note(f"training on {compute.device.type} in {compute.precision}")


def _train_one(session: _Session, name: catalogue.Architecture, fold: str, members: Fold) -> TrainedModel:
    command, plan = session.command, session.plan
    folder = session.workspace.model(name, fold)
    config = TrainConfig(
        architecture=name,
        fold=fold,
        seed=command.seed,
        epochs=command.epochs,
        minutes=command.minutes,
        precision=session.compute.precision,
    )
    with files.lock(folder / ".lock"):
        if command.restart:
            _discard(folder)
        state = read_state(folder)
        if state is not None:
            check_same_run(state, plan=plan, config=config, data_key=session.store.key, folder=folder)
        trained_now = state is None or not state.finished
        if trained_now:
            data = _fold_data(session, members)
            tracked = _tracked_run(plan, config, folder, cases=members.validation, state=state)
            with tracking(command.track, tracked, events=session.events) as tracker:
                state = train(plan, config, data, around=_surroundings(session, folder, tracker=tracker))
            _Curves(folder)(state.epochs)  # the last one may have been passed over
        else:
            session.events.note(f"{name}, fold {fold}: finished earlier; --restart trains it anew")
        summary = score_held_out(
            folder,
            [session.cases[case] for case in members.validation],
            store=session.store,
            compute=session.compute,
            events=session.events,
        )
    if state is None:
        msg = "a trained model has a state"
        raise RuntimeError(msg)
    return TrainedModel(
        architecture=name,
        fold=fold,
        folder=folder,
        epochs=len(state.epochs),
        minutes=state.elapsed_s / 60,
        trained_now=trained_now,
        summary=summary,
    )


def _discard(folder: Path) -> None:
    """Remove an earlier run, its checkpoint first, so that no half of it can be continued."""
    for pattern in ("checkpoint.json", "bundle.json", "*"):
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink(missing_ok=True)


def _fold_data(session: _Session, members: Fold) -> FoldData:
    store = session.store
    for case in (*members.training, *members.validation):
        store.verify(case)
    return FoldData(
        key=store.key,
        training=[(case, store.load(case)) for case in members.training],
        validation=[(case, store.load(case)) for case in members.validation],
    )


def _tracked_run(
    plan: Plan, config: TrainConfig, folder: Path, *, cases: Sequence[str], state: RunState | None
) -> TrackedRun:
    return TrackedRun(
        folder=folder,
        name=f"{config.architecture}, fold {config.fold}",
        settings={"run": config.model_dump(), "plan": plan.model_dump(mode="json", exclude={"decisions"})},
        cases=cases,
        epochs=len(state.epochs) if state is not None else 0,
    )


def _surroundings(session: _Session, folder: Path, *, tracker: Tracker) -> Surroundings:
    workers = session.command.workers
    return Surroundings(
        folder=folder,
        compute=session.compute,
        workers=_default_workers(session.compute) if workers is None else workers,
        events=session.events,
        stopwatch=session.stopwatch,
        on_epoch=_Curves(folder),
        tracker=tracker,
    )


class _Curves:
    """Draws the learning curves after every epoch, unless epochs are so short that drawing would cost too much of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rest_until_s = 0.0

    def __call__(self, epochs: Sequence[EpochRecord]) -> None:
        started = time.monotonic()
        if started < self._rest_until_s:
            return
        draw_curves({self._folder.parent.name: [epoch.row() for epoch in epochs]}, self._folder / CURVES_FILE)
        took_s = time.monotonic() - started
        self._rest_until_s = started + took_s / DRAWING_SHARE


def _default_workers(compute: Compute) -> int:
    """Processes that prepare batches: many beside a GPU, none where they would only take cores from the training."""
    return min(8, usable_cores() - 1) if compute.device.type == "cuda" else 0
