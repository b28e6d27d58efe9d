"""`autoseg train`: preprocess where needed, train, then predict and score the held-out cases."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autoseg import catalogue
from autoseg.events import Events
from autoseg.jobs.work import ExecutorName
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import DeviceOption, Jobs, OptionalPath, Options, option
from autoseg.options.shared import (
    DATA,
    DEVICE,
    EXECUTOR,
    JOBS,
    PRECISION,
    SCHEDULER,
    SEED,
    SLURM_SETTINGS,
    VERIFY,
    WORKSPACE,
)
from autoseg.results import Records, Result
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.commands.train_forecast import TrainForecast
    from autoseg.evaluation.score_table import ScoreTable
    from autoseg.evaluation.statistics import Interval
    from autoseg.evaluation.tables import Summary
    from autoseg.model.identity import ModelId
    from autoseg.runs.workspace import Workspace


class TrainOptions(Options):
    """Train what the plan says, then predict and score the held-out cases. Interrupted? The same command goes on.

    With several networks, folds or seeds, training goes fold by fold, `jobs` runs at a time, each with its part of the
    cores and a device of its own while there are enough; with `auto`, one on each GPU, or one after another. A single run on
    several devices, as in `cuda:0,1`, shares each batch out over them, and so do processes that torchrun starts.
    """

    architecture: catalogue.Architecture | Literal["all"] = option(
        "Network, or all of them.", "--arch", "-a", default="unet"
    )
    _: KW_ONLY
    fold: int | str = option("A number, all, official or full.", "--fold", "-f", default=0, metavar="FOLD", least=0)
    workspace: OptionalPath = option(WORKSPACE, default=None)
    data: OptionalPath = option(DATA, default=None)
    verify: bool = option(VERIFY, default=False)
    minutes: float | None = option(
        "Wall-clock budget of each run; its schedule anneals to it. That of a single run counts from the start of the "
        "command, preprocessing included. Default: the plan's, without preprocessing.",
        default=None,
        above=0,
        most=1_000_000,
    )
    epochs: int | None = option("Length of each run in epochs. Default: the plan's.", default=None, least=1, most=1_000_000)
    init: OptionalPath = option(
        "A model to start from instead of random weights: an exported file, or the folder of a trained model. Other classes "
        "and channels may be learnt; the network has to be of the same kind and sizes.",
        default=None,
        metavar="MODEL",
    )
    further: bool = option(
        "Train finished runs further, for --minutes or --epochs more, at lower rates, and on the data as they are now. Each "
        "model stays in use until its continuation is finished. Interrupted? The same command goes on; once it is done, it "
        "trains a further stretch.",
        "--continue",
        default=False,
    )
    restart: bool = option(
        "Discard an earlier run in the same place; with --continue, an interrupted continuation alone.", default=False
    )
    dry_run: bool = option(
        "Say what would be trained, how long that takes and what it needs; do and write nothing.", default=False
    )
    seed: int | Sequence[int] = option(
        "Seed of all randomness. Several, as in 1,2,3, give a model each, which stand beside one another and are averaged.",
        default=0,
        metavar="N[,N...]",
        least=SEED.least,
        most=SEED.most,
    )
    device: DeviceOption = option(DEVICE, default="auto")
    precision: catalogue.PrecisionChoice = option(PRECISION, default="auto")
    workers: int | None = option(
        "Processes that prepare batches; default: by number of cores.", default=None, least=0, most=1024
    )
    threads: int | None = option(
        "Processor threads of each run; default: all, or one where the minutes count and one is faster.",
        default=None,
        least=1,
        most=1024,
    )
    memory_format: catalogue.MemoryFormatChoice = option(
        "Order of values in memory; auto: channels_last with bfloat16; else contiguous, or the faster one where the minutes "
        "count on a CPU.",
        default="auto",
    )
    track: catalogue.Tracker | None = option(
        "Also send every epoch to TensorBoard or Weights & Biases, offline unless WANDB_MODE is set.", default=None
    )
    keep_probabilities: bool = option(
        "Keep the probabilities of held-out cases, which select needs; without them, the same command predicts them later.",
        default=True,
    )
    jobs: Jobs = option(JOBS, default=1)
    on_preemption: Literal["end", "requeue"] = option(
        "What becomes of the SLURM job it runs in when that gets SIGTERM or SIGUSR1; requeue: the job begins again later, "
        "and goes on after the last epoch that was stored.",
        default="end",
    )
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)


@dataclass(frozen=True, repr=False)
class TrainedModel(Result):
    """One finished run.

    Attributes:
        id: its network, its fold, and its seed where that is part of its place.
        seed: of its training.
        folder: where everything about it lies.
        epochs: epochs trained.
        minutes: minutes trained.
        trained_now: False where an earlier call had finished it.
        summary: scores on the held-out cases in their own grids; None where nothing is held out.
        dice: of each class, by its name, the mean over these cases with its interval.
        trained_times: how often it was trained, each time further than before.
    """

    id: "ModelId"
    seed: int
    folder: Path
    epochs: int
    minutes: float
    trained_now: bool
    summary: "Summary | None"
    dice: "Mapping[str, Interval]" = field(default_factory=dict)
    trained_times: int = 1

    def _in_short(self) -> str:
        from autoseg.evaluation.formatting import number

        dice = "" if self.summary is None else f", mean Dice {number(self.summary.mean['dice'], 4)}"
        return f"{self.id.title}, {counted(self.epochs, 'epoch')} in {self.minutes:.1f} min{dice}"

    def _tables(self) -> "Sequence[ScoreTable]":
        return _score_tables((self,))


@dataclass(frozen=True, repr=False)
class TrainResult(Records):
    """What training made.

    Attributes:
        workspace: where.
        models: every run that was asked for; none of a dry run.
        forecast: what was said beforehand; None where several processes train together.
    """

    workspace: "Workspace"
    models: tuple[TrainedModel, ...]
    forecast: "TrainForecast | None" = None

    def _in_short(self) -> str:
        from autoseg.commands.train_text import forecast_lines

        if self.forecast is not None and not self.models:
            return " ".join(line.strip() for line in forecast_lines(self.forecast))
        return f"{', '.join(model.id.title for model in self.models)}; {self.workspace.root}"

    def _tables(self) -> "Sequence[ScoreTable]":
        return _score_tables(self.models)

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per model and class, with the mean of every metric over the cases that the model has not seen."""
        return [
            {
                "network": model.id.architecture,
                "fold": model.id.fold,
                "seed": model.seed,
                "view": model.id.view,
                "epochs": model.epochs,
                "minutes": model.minutes,
                "class": label.name,
                **{name: metric.mean for name, metric in label.metrics.items()},
            }
            for model in self.models
            for label in (() if model.summary is None else model.summary.classes)
        ]


def _score_tables(models: Sequence[TrainedModel]) -> "Sequence[ScoreTable]":
    from autoseg.evaluation.score_table import score_table

    return [
        score_table(model.summary, title=f"{model.id.title}, on the cases it has not seen")
        for model in models
        if model.summary is not None
    ]


def run(options: TrainOptions, events: Events) -> TrainResult:
    """Train what was asked for: one run, or several, fold by fold, with an overview.

    Raises:
        CasesFailedError: some of several runs failed; the others are done.
        UsageError: preprocessing took more than half of the `minutes` of a single run; the next call has all of them.
    """
    started = time.monotonic()  # the --minutes of a single run count from here, loading torch included

    from autoseg.jobs.torchrun import launched
    from autoseg.runs.found import workspace_folder

    at = launched()
    if at is None and options.track is None:
        workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

    if options.dry_run:
        from autoseg.commands.train_status import dry_run

        return TrainResult(*dry_run(options, events))

    from autoseg.commands.train_runs import foresee, make_ready_for_ranks, train_all, train_one
    from autoseg.commands.train_start import with_start
    from autoseg.jobs.executors import open_executor
    from autoseg.model.compute import choose_computes
    from autoseg.runs.minutes import clock_start, preprocess_missing
    from autoseg.runs.moved_data import with_data_in
    from autoseg.runs.preparing import prepare
    from autoseg.runs.ranks import as_one_of_ranks
    from autoseg.runs.restarting import LEAVE_OUT, advising, restart_advice
    from autoseg.runs.workspace import find_workspace
    from autoseg.training.monitor import check_installed

    check_installed(options.track)
    if at is not None:
        discarded = options.restart and at.restarts > 0
        if discarded:  # this goes on with what was trained since
            options = replace(options, restart=False)
        with advising(lambda: LEAVE_OUT if discarded else ""):
            return TrainResult(
                *as_one_of_ranks(
                    options,
                    at,
                    begin=partial(with_start, model=options.init),
                    check=partial(make_ready_for_ranks, rank=at.rank, events=events),
                    work=train_one,
                    events=events,
                    started=started,
                )
            )
    workspace = with_data_in(find_workspace(options.workspace, verify=options.verify), options.data, events)
    with open_executor(options, folder=workspace.root, events=events) as executor:
        computes = choose_computes(options.device, options.precision) if executor.is_local else ()
        prepared = prepare(workspace, options, computes=computes, events=events)
        prepared = replace(prepared, session=with_start(prepared.session, prepared.targets, options.init, events=events))
        session, forecast = foresee(prepared, executor, name=options.executor, events=events)
        preprocess_missing(session, prepared.targets, readers=executor, events=events)
        started = clock_start(session, prepared.targets, command=started)
        jobs = prepared.jobs if executor.is_local else executor
        with advising(partial(restart_advice, session, prepared.targets)):
            models = train_all(session, prepared.targets, jobs, events=events, started=started)
    return TrainResult(workspace, tuple(models), forecast)


def describe(result: TrainResult) -> Output:
    """Each model with its Dice on the cases it has not seen, a single one with all its scores; of a dry run the forecast."""
    from autoseg.commands.train_text import finished_line, forecast_document, forecast_lines, forecast_table, model_document

    foreseen = None if result.forecast is None else forecast_document(result.forecast)
    models = [model_document(model) for model in result.models]
    document = {"workspace": str(result.workspace.root), "models": models, "forecast": foreseen}
    if result.forecast is not None and not result.models:
        tables = [forecast_table(result.forecast)] if len(result.forecast.runs) > 1 else []
        return Output("\n".join(forecast_lines(result.forecast)), document, tables=tables)
    lines = [finished_line(model) for model in result.models]
    scored = _score_tables(result.models) if len(result.models) == 1 else ()
    tables = [Table(table.title, table.columns, table.rows) for table in scored]
    return Output("\n".join(lines), document, tables=tables)


train = function(TrainOptions, run)
COMMAND = Command(
    TrainOptions,
    run,
    describe,
    example="autoseg train --arch sepres --fold 0 --minutes 30",
    requeued=lambda options: options.on_preemption == "requeue",
)
