"""`autoseg train`: preprocess where needed, train, then predict and score the held-out cases."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal

import torch
from pydantic import Field

from autoseg import catalogue
from autoseg.commands.choices import Choices, Processes
from autoseg.commands.preprocess import preprocess
from autoseg.data.dataset import Case, Dataset
from autoseg.data.splits import Fold, Splits
from autoseg.errors import AutosegError, TrainingError
from autoseg.evaluation.tables import Summary
from autoseg.events import Events
from autoseg.jobs.machine import usable_cores
from autoseg.jobs.series import run_series
from autoseg.jobs.side_by_side import Run
from autoseg.model.compute import Compute, DeviceChoice, PrecisionChoice, choose_compute
from autoseg.networks import ARCHITECTURES
from autoseg.planning.plan import Epochs, Minutes, Plan
from autoseg.postprocessing.held_out import is_scored
from autoseg.postprocessing.held_out.predicting import score_held_out
from autoseg.preprocessing.store import Store
from autoseg.reporting.case_picture import draw_case
from autoseg.reporting.figures import draw_curves
from autoseg.runs.workspace import Workspace, find_workspace, fold_of
from autoseg.storage import files
from autoseg.training.checkpoint import RunState, read_state
from autoseg.training.clock import Stopwatch
from autoseg.training.config import Seed, TrainConfig
from autoseg.training.history import EpochRecord
from autoseg.training.loop import FoldData, Surroundings, check_same_run, train
from autoseg.training.monitor import TrackedRun, check_installed, tracking

CURVES_FILE: Final = "curves.png"
DRAWING_SHARE: Final = 0.03
"""Largest share of a run that goes into drawing its curves. Source: ours; epochs of small data sets last seconds."""


class TrainCommand(Choices):
    """What the user chose for training.

    Attributes:
        architecture: a network, or `all`.
        fold: a number, `all`, `official` or `full`.
        workspace: the workspace; None: the only one under `runs/`.
        epochs: length in epochs; None: the plan's.
        minutes: wall-clock budget of each run; None: the plan's.
        seed: of all randomness.
        device: where to train.
        precision: number format of the convolutions; `auto`: what is fast on the device.
        workers: processes that prepare batches; None: by number of cores.
        jobs: runs at a time; more than one: each in a process of its own, with its share of the cores.
        readers: processes that preprocess scans.
        restart: discard what an earlier run left.
        track: who else is told about every epoch; None: nobody but `history.csv` and the curves.
    """

    architecture: Literal[catalogue.Architecture, "all"]
    fold: str = "0"
    workspace: Path | None = None
    epochs: Epochs | None = None
    minutes: Minutes | None = None
    seed: Seed = 0
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    jobs: Processes = 1
    readers: Processes = 1
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
    cores: int
    command: TrainCommand


@dataclass(frozen=True)
class _Target:
    """What one run trains."""

    architecture: catalogue.Architecture
    fold: str
    members: Fold

    @property
    def name(self) -> str:
        return f"{self.architecture}, fold {self.fold}"


def run(command: TrainCommand, events: Events, *, stopwatch: Stopwatch | None = None) -> TrainResult:
    """Train what was asked for: one run, or several with an overview.

    Several go fold by fold, so that an interrupted series leaves networks that can be compared.

    Args:
        command: what the user chose.
        events: told of everything.
        stopwatch: counts from the start of the command, for the budget of a single run; in a series, each counts from its
            own start.

    Raises:
        CasesFailedError: some of several runs failed; the others are done.
    """
    stopwatch = stopwatch or Stopwatch()
    check_installed(command.track)
    workspace = find_workspace(command.workspace)
    plan, dataset = workspace.plan(), workspace.dataset()
    splits = workspace.splits()
    targets = _targets(command, dataset, splits)
    compute = choose_compute(command.device, command.precision)
    _announce(plan, splits, command, compute, events)
    store = preprocess(workspace, plan, dataset.labelled, jobs=command.readers, events=events)
    jobs = min(command.jobs, len(targets))
    cases = {case.id: case for case in dataset.labelled}
    session = _Session(workspace, plan, cases, store, compute, max(1, usable_cores() // jobs), command)
    if len(targets) == 1:
        return TrainResult(workspace, (_train_one(session, targets[0], events=events, started=stopwatch.started),))
    runs = [Run(target.name, partial(_train_one, session, target), brief=_is_brief(session, target)) for target in targets]
    models = run_series(runs, jobs=jobs, initialise=partial(_limit_threads, session.cores), events=events)
    return TrainResult(workspace, tuple(models))


def _targets(command: TrainCommand, dataset: Dataset, splits: Splits) -> list[_Target]:
    """The runs asked for, fold by fold."""
    names = tuple(ARCHITECTURES) if command.architecture == "all" else (command.architecture,)
    numbers = [str(number) for number in range(len(splits.folds))] if command.fold == "all" else [command.fold]
    if not numbers:
        fold_of(splits, dataset, "0")  # says why there are no folds
    return [_Target(name, fold, fold_of(splits, dataset, fold)) for fold in numbers for name in names]


def _limit_threads(cores: int) -> None:
    """Compute on no more cores than this process has a share of."""
    torch.set_num_threads(min(torch.get_num_threads(), cores))


def _is_brief(session: _Session, target: _Target) -> bool:
    """Whether a run ends at once: it is finished and scored, or may not go on."""
    folder = session.workspace.model(target.architecture, target.fold)
    if session.command.restart:
        return False
    try:
        state = _earlier_state(session, target, folder)
    except AutosegError:
        return True
    return state is not None and state.finished and (not target.members.validation or is_scored(folder))


def _announce(plan: Plan, splits: Splits, command: TrainCommand, compute: Compute, events: Events) -> None:
    if plan.edited:
        events.info("using a plan that was edited by hand")
    if splits.edited:
        events.info("using folds that were edited by hand")
    if command.minutes is None and command.epochs is None and plan.training.minutes is not None:
        events.info(f"each run takes {plan.training.minutes:g} minutes (the plan's; choose another with --minutes)")
    events.info(f"training on {compute.device.type} in {compute.precision}")


def _train_one(session: _Session, target: _Target, *, events: Events, started: float) -> TrainedModel:
    """Train one network on one fold where that is not done, and score its held-out cases."""
    folder = session.workspace.model(target.architecture, target.fold)
    with files.lock(folder / ".lock"), _explain_full_gpu(target.name):
        if session.command.restart:
            _discard(folder)
        state = _earlier_state(session, target, folder)
        trained_now = state is None or not state.finished
        if state is None or not state.finished:
            state = _train_on(session, target, state, events=events, started=started)
        else:
            events.info(f"{target.name}: finished earlier; --restart trains it anew")
        summary = score_held_out(
            folder,
            [session.cases[case] for case in target.members.validation],
            store=session.store,
            compute=session.compute,
            draw=draw_case,
            events=events,
        )
    return TrainedModel(
        architecture=target.architecture,
        fold=target.fold,
        folder=folder,
        epochs=len(state.epochs),
        minutes=state.elapsed_s / 60,
        trained_now=trained_now,
        summary=summary,
    )


def _config(session: _Session, target: _Target) -> TrainConfig:
    return TrainConfig(
        architecture=target.architecture,
        fold=target.fold,
        seed=session.command.seed,
        epochs=session.command.epochs,
        minutes=session.command.minutes,
        precision=session.compute.precision,
    )


def _earlier_state(session: _Session, target: _Target, folder: Path) -> RunState | None:
    """What an earlier call left, if it can be continued as this run."""
    state = read_state(folder)
    if state is not None:
        check_same_run(
            state,
            plan=session.plan,
            config=_config(session, target),
            data_key=session.store.key,
            members=target.members,
            folder=folder,
        )
    return state


def _train_on(session: _Session, target: _Target, state: RunState | None, *, events: Events, started: float) -> RunState:
    """Train to the end, from the beginning or from where an earlier call stopped."""
    folder = session.workspace.model(target.architecture, target.fold)
    config, command = _config(session, target), session.command
    data = _fold_data(session.store, target.members)
    tracked = _tracked_run(session.plan, config, folder, cases=target.members.validation, state=state)
    with tracking(command.track, tracked, events=events) as tracker:
        around = Surroundings(
            folder=folder,
            compute=session.compute,
            workers=_default_workers(session) if command.workers is None else command.workers,
            events=events,
            stopwatch=Stopwatch(started=started),
            on_epoch=_Curves(folder),
            tracker=tracker,
        )
        trained = train(session.plan, config, data, around=around)
    _Curves(folder)(trained.epochs)  # the last one may have been passed over
    return trained


@contextmanager
def _explain_full_gpu(name: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise TrainingError(
            "the GPU has too little memory left",
            where=name,
            remedy="Choose fewer --jobs, end other programs that use it, or plan with less --memory. "
            "The same command continues from the last epoch.",
        ) from None


def _discard(folder: Path) -> None:
    """Remove an earlier run, its checkpoint first, so that no half of it can be continued."""
    for pattern in ("checkpoint.json", "bundle.json", "*"):
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != ".lock":
                path.unlink(missing_ok=True)


def _fold_data(store: Store, members: Fold) -> FoldData:
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


def _default_workers(session: _Session) -> int:
    """Processes that prepare batches: many beside a GPU, none where they would only take cores from the training."""
    return min(8, session.cores - 1) if session.compute.device.type == "cuda" else 0
