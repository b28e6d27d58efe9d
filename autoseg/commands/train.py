"""`autoseg train`: preprocess where needed, train, then predict and score the held-out cases."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from autoseg import catalogue
from autoseg.catalogue import NETWORKS, NameIn
from autoseg.commands.choices import Choices, Processes
from autoseg.data.splits import Splits
from autoseg.errors import AutosegError
from autoseg.evaluation.tables import Summary
from autoseg.events import Events
from autoseg.jobs.machine import usable_cores
from autoseg.jobs.run import Run
from autoseg.jobs.series import run_series
from autoseg.model.compute import choose_compute
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Epochs, Minutes, Plan
from autoseg.postprocessing.held_out import is_scored
from autoseg.postprocessing.held_out.predicting import score_held_out
from autoseg.reporting.case_image import draw_case
from autoseg.reporting.figures import draw_curves
from autoseg.runs import run as runs
from autoseg.runs.preprocessing import preprocess
from autoseg.runs.workspace import Workspace, find_workspace
from autoseg.training.clock import Stopwatch
from autoseg.training.config import Seed
from autoseg.training.monitor import check_installed


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

    architecture: Annotated[str, NameIn(NETWORKS, besides=("all",))]
    fold: str = "0"
    workspace: Path | None = None
    epochs: Epochs | None = None
    minutes: Minutes | None = None
    seed: Seed = 0
    device: catalogue.DeviceChoice = "auto"
    precision: catalogue.PrecisionChoice = "auto"
    workers: Annotated[int, Field(ge=0, le=1024)] | None = None
    jobs: Processes = 1
    readers: Processes = 1
    restart: bool = False
    track: catalogue.Tracker | None = None


@dataclass(frozen=True)
class TrainedModel:
    """One finished run.

    Attributes:
        id: its network and fold.
        folder: where everything about it lies.
        epochs: epochs trained.
        minutes: minutes trained.
        trained_now: False where an earlier call had finished it.
        summary: scores on the held-out cases in their own grids; None where nothing is held out.
    """

    id: ModelId
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


def run(command: TrainCommand, events: Events, *, stopwatch: Stopwatch | None = None) -> TrainResult:
    """Train what was asked for: one run, or several, fold by fold, with an overview.

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
    networks = tuple(NETWORKS) if command.architecture == "all" else (command.architecture,)
    targets = runs.targets_of(networks, command.fold, dataset=dataset, splits=splits)
    compute = choose_compute(command.device, command.precision)
    _announce(plan, splits, command, events)
    events.info(f"training on {compute.device.type} in {compute.precision}")
    jobs = min(command.jobs, len(targets))
    session = runs.Session(
        workspace=workspace,
        plan=plan,
        cases={case.id: case for case in dataset.labelled},
        store=preprocess(workspace, plan, dataset.labelled, jobs=command.readers, events=events),
        compute=compute,
        cores=max(1, usable_cores() // jobs),
        seed=command.seed,
        epochs=command.epochs,
        minutes=command.minutes,
        workers=command.workers,
        restart=command.restart,
        track=command.track,
    )
    if len(targets) == 1:
        return TrainResult(workspace, (_train_one(session, targets[0], events=events, started=stopwatch.started),))
    work = [
        Run(target.model.title, partial(_train_one, session, target), already_done=_already_done(session, target))
        for target in targets
    ]
    models = run_series(work, jobs=jobs, initialise=partial(runs.limit_threads, session.cores), events=events)
    return TrainResult(workspace, tuple(models))


def _announce(plan: Plan, splits: Splits, command: TrainCommand, events: Events) -> None:
    if plan.edited:
        events.info("using a plan that was edited by hand")
    if splits.edited:
        events.info("using folds that were edited by hand")
    if command.minutes is None and command.epochs is None and plan.training.minutes is not None:
        events.info(f"each run takes {plan.training.minutes:g} minutes (the plan's; choose another with --minutes)")


def _already_done(session: runs.Session, target: runs.Target) -> bool:
    """Whether a run ends at once: it is finished and scored, or may not go on."""
    if session.restart:
        return False
    try:
        state = runs.earlier_state(session, target)
    except AutosegError:
        return True
    scored = not target.members.validation or is_scored(session.workspace.model(target.model))
    return state is not None and state.finished and scored


def _train_one(session: runs.Session, target: runs.Target, *, events: Events, started: float) -> TrainedModel:
    """Train one network on one fold where that is not done, and score its held-out cases."""
    folder = session.workspace.model(target.model)
    with runs.working_on(session, target):
        state, trained_now = runs.train_where_needed(session, target, draw=draw_curves, events=events, started=started)
        held_out = [session.cases[case] for case in target.members.validation]
        summary = score_held_out(
            folder, held_out, store=session.store, compute=session.compute, draw=draw_case, events=events
        )
    return TrainedModel(target.model, folder, len(state.epochs), state.elapsed_s / 60, trained_now, summary)
