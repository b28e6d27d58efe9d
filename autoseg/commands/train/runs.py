"""The runs of `autoseg train`: which are done, and each of the others in this process or elsewhere."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from autoseg.commands.train.forecast import TrainForecast, forecast_of
from autoseg.commands.train.forecast_text import forecast_lines, shortage
from autoseg.commands.train.result import TrainedModel, finished_line
from autoseg.commands.train.status import which_are_done
from autoseg.evaluation.statistics import Interval, mean_interval
from autoseg.events import Events
from autoseg.jobs.series import run_series
from autoseg.jobs.work import Executor, Run
from autoseg.postprocessing.held_out import read_scores
from autoseg.postprocessing.held_out.files import is_done
from autoseg.postprocessing.held_out.predicting import score_held_out
from autoseg.reporting.case_image import draw_case
from autoseg.reporting.figures import draw_curves
from autoseg.runs import run as runs
from autoseg.runs.preparing import Prepared
from autoseg.runs.ranks import on_every_device
from autoseg.runs.run import limit_threads
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.run_state import note_scoring


def foresee(prepared: Prepared, executor: Executor, *, name: str, events: Events) -> tuple[Session, TrainForecast]:
    """Say what a training will take before it begins.

    Args:
        prepared: what there is to do.
        executor: where it is done.
        name: of the executor.
        events: told.

    Returns:
        the session, which knows how long scoring took before, and what was said.
    """
    session, here = prepared.session, executor.is_local
    forecast = forecast_of(
        session,
        prepared.targets,
        side_by_side=prepared.jobs if here else max(1, min(executor.tasks, len(prepared.targets))),
        elsewhere=None if here else name,
    )
    for line in forecast_lines(forecast) if forecast.to_do else ():
        events.info(line)
    if (warning := shortage(forecast)) is not None:
        events.warn(warning)
    return replace(session, scored_case_s=forecast.scored_case_s), forecast


def make_ready_for_ranks(session: Session, targets: Sequence[Target], *, rank: int, events: Events) -> None:
    """Find out what cannot be trained, on every rank, and discard what a restart discards, on the first.

    Raises:
        AutosegError: one of the runs cannot be done, or another process works on its model.
    """
    which_are_done(session, targets)
    if rank == 0:
        runs.discard_before(session, targets, events=events)


def train_all(
    session: Session, targets: Sequence[Target], jobs: Executor | int, *, events: Events, started: float
) -> list[TrainedModel]:
    """Train what is not trained yet: a single run in this process or with one for each device, several as `jobs` says."""
    done, here = which_are_done(session, targets), isinstance(jobs, int)
    if here and len(targets) == 1:
        one = targets[0]
        if len(session.computes) == 1 or done[0]:
            return [train_one(session, one, events=events, started=started)]
        together = partial(_train_on_rank, one)
        return [on_every_device(session, together, title=one.model.title, events=events, started=started)]
    work = [
        Run(target.model.title, partial(train_one if here else _train_elsewhere, session, target), already_done=finished)
        for target, finished in zip(targets, done, strict=True)
    ]
    initialise = partial(limit_threads, session.cores if here else None)
    return run_series(work, jobs=jobs, initialise=initialise, events=events, said=finished_line)


def _train_elsewhere(session: Session, target: Target, *, events: Events, started: float, slot: int) -> TrainedModel:
    """Train one network on one fold on the machine of a worker, whose devices it takes."""
    session = session.here(events)
    return train_one(session, target, events=events, started=started, slot=slot)


def _train_on_rank(target: Target, session: Session, /, *, events: Events, started: float, ranks: Ranks) -> TrainedModel:
    """Train one network on one fold together with other processes."""
    return train_one(session, target, events=events, started=started, ranks=ranks)


def train_one(
    session: Session,
    target: Target,
    /,
    *,
    events: Events,
    started: float,
    slot: int = 0,
    ranks: Ranks | None = None,
) -> TrainedModel:
    """Train one network on one fold where that is not done, and score its held-out cases; of ranks the first does."""
    ranks = ranks or ALONE
    session = session.on(slot)
    folder, summary = session.workspace.model(target.model), None
    with runs.working_on(session, target, events=events, ranks=ranks):
        state, trained_now = runs.train_where_needed(
            session, target, draw=draw_curves, events=events, started=started, ranks=ranks
        )
        if ranks.is_first:
            held_out, keep = [session.cases[case] for case in target.members.validation], session.choices.keep_probabilities
            to_score, began_s = bool(held_out) and not is_done(folder, keep=keep), time.monotonic()
            summary = score_held_out(
                folder,
                held_out,
                store=session.store,
                compute=session.compute,
                draw=draw_case,
                tolerances_mm=session.plan.tolerances_mm,
                events=events,
                keep=keep,
            )
            if to_score:
                note_scoring(folder, time.monotonic() - began_s)
    return TrainedModel(
        id=target.model,
        seed=target.seed,
        folder=folder,
        epochs=len(state.epochs),
        minutes=state.elapsed_s / 60,
        trained_now=trained_now,
        summary=summary,
        dice={} if summary is None else _dice(folder),
        trained_times=state.trained_times,
    )


def _dice(folder: Path) -> dict[str, Interval]:
    """Of each class, by its name, the mean Dice of a model's held-out cases with its interval."""
    values: dict[str, list[float]] = {}
    for case in read_scores(folder):
        for scores in case.classes:
            values.setdefault(scores.name, []).append(scores.dice)
    return {name: mean_interval(found, metric="dice") for name, found in values.items()}
