"""The runs of `autoseg train`: which are done, and each of the others in this process or elsewhere."""

from collections.abc import Sequence
from functools import partial

from autoseg.commands.train import TrainedModel
from autoseg.errors import AutosegError
from autoseg.events import Events
from autoseg.jobs.series import run_series
from autoseg.jobs.work import Executor, Run
from autoseg.postprocessing.held_out.predicting import is_done, score_held_out
from autoseg.postprocessing.held_out.space import tell_needed
from autoseg.reporting.case_image import draw_case
from autoseg.reporting.figures import draw_curves
from autoseg.runs import run as runs
from autoseg.runs.moved_data import require_files
from autoseg.runs.ranks import on_every_device
from autoseg.runs.run import earlier_state, limit_threads
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.ranks import ALONE, Ranks


def train_all(
    session: Session, targets: Sequence[Target], jobs: Executor | int, *, events: Events, started: float
) -> list[TrainedModel]:
    """Train what is not trained yet: a single run in this process or with one for each device, several as `jobs` says."""
    done, here = which_are_done(session, targets), isinstance(jobs, int)
    if session.choices.keep_probabilities:
        tell_needed(session, [target for target, finished in zip(targets, done, strict=True) if not finished], events)
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
    return run_series(work, jobs=jobs, initialise=partial(limit_threads, session.cores if here else None), events=events)


def which_are_done(session: Session, targets: Sequence[Target]) -> list[bool]:
    """Which runs end at once; scans that the others will be scored on have to be there.

    Raises:
        DatasetError: some are not.
    """
    done = [_already_done(session, target) for target in targets]
    to_score = {
        case for target, finished in zip(targets, done, strict=True) if not finished for case in target.members.validation
    }
    require_files([session.cases[case] for case in sorted(to_score)], session.workspace)
    return done


def _already_done(session: Session, target: Target) -> bool:
    """Whether a run ends at once: it is finished and scored, or may not go on."""
    if session.choices.restart or not session.computes:  # a worker finds out, which knows the device
        return False
    folder, keep = session.workspace.model(target.model), session.choices.keep_probabilities
    try:
        state = earlier_state(session, target)
        scored = not target.members.validation or is_done(folder, keep=keep)
    except AutosegError:
        return True
    return state is not None and state.finished and scored


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
            held_out = [session.cases[case] for case in target.members.validation]
            summary = score_held_out(
                folder,
                held_out,
                store=session.store,
                compute=session.compute,
                draw=draw_case,
                events=events,
                keep=session.choices.keep_probabilities,
            )
    return TrainedModel(target.model, target.seed, folder, len(state.epochs), state.elapsed_s / 60, trained_now, summary)
