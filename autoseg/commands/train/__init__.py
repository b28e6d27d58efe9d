"""`autoseg train`: preprocess where needed, train, then predict and score the held-out cases."""

import time
from dataclasses import replace
from functools import partial

from autoseg.commands.train.options import TrainOptions
from autoseg.commands.train.result import TrainResult, finished_line, model_document, score_tables
from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function

__all__ = ["COMMAND", "TrainOptions", "TrainResult", "describe", "run", "train"]


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
        from autoseg.commands.train.status import dry_run

        return TrainResult(*dry_run(options, events))

    from autoseg.commands.train.runs import foresee, make_ready_for_ranks, train_all, train_one
    from autoseg.commands.train.start import with_start
    from autoseg.jobs.executors import check_choices, open_executor
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
    check_choices(options)  # before scans are compared with those that were planned
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
    from autoseg.commands.train.forecast_text import forecast_document, forecast_lines, forecast_table

    foreseen = None if result.forecast is None else forecast_document(result.forecast)
    models = [model_document(model) for model in result.models]
    document = {"workspace": str(result.workspace.root), "models": models, "forecast": foreseen}
    if result.forecast is not None and not result.models:
        tables = [forecast_table(result.forecast)] if len(result.forecast.runs) > 1 else []
        return Output("\n".join(forecast_lines(result.forecast)), document, tables=tables)
    lines = [finished_line(model) for model in result.models]
    scored = score_tables(result.models) if len(result.models) == 1 else ()
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
