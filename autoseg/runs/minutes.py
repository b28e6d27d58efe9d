"""When the clock of a run starts, and what preprocessing takes of its minutes.

Minutes that the user gives to a single run count from the start of the command, so that whoever plans with the wall clock
knows when the training ends. All other clocks start when the run does: cases are preprocessed by then.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from autoseg.errors import AutosegError, UsageError
from autoseg.events import Events
from autoseg.jobs.work import Jobs
from autoseg.preprocessing.store import fill_store
from autoseg.runs.earlier import earlier_state
from autoseg.runs.restarting import is_to_restart
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.wording import duration

_WARNED: Final = 0.1
"""A larger fraction of a run's minutes that preprocessing takes is worth a warning. Source: chosen; the warm-up is half."""

_REFUSED: Final = 0.5
"""Beyond this fraction the run is not begun. Source: chosen; the cosine is down to half of its rate by then."""


def counts_preprocessing(session: Session, targets: Sequence[Target]) -> bool:
    """Whether preprocessing counts for the minutes of the runs: those that the user gave to a single run on this machine."""
    return session.choices.minutes is not None and len(targets) == 1 and bool(session.computes)


def clock_start(session: Session, targets: Sequence[Target], *, command: float) -> float:
    """When the clock of the first run starts, on `time.monotonic`; asked for when preprocessing is done.

    Args:
        session: what the runs share.
        targets: the runs.
        command: when the command began.
    """
    return command if counts_preprocessing(session, targets) else time.monotonic()


def preprocess_missing(
    session: Session,
    targets: Sequence[Target],
    *,
    readers: Jobs,
    events: Events,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Preprocess the labelled cases whose arrays are missing; warn where that took much of a run's minutes.

    Args:
        session: says which, and where their arrays go.
        targets: the runs that come next.
        readers: preprocesses scans.
        events: notified of progress.
        now: monotonic clock, in seconds.

    Raises:
        CasesFailedError: some cases cannot be read; the others are stored.
        SystemFailureError: the disk is full, or the folder may not be written.
        UsageError: more than half of a run's minutes are gone. The arrays are stored: the next call has all of them.
    """
    began_s = now()
    made = fill_store(session.store, tuple(session.cases.values()), plan=session.plan, jobs=readers, events=events)
    if made and counts_preprocessing(session, targets):
        _compare(now() - began_s, _time_left_s(session, targets[0]), title=targets[0].model.title, events=events)


def _time_left_s(session: Session, target: Target) -> float | None:
    """Seconds of its minutes that a run had at the start of the command; None: it is trained, or may not go on."""
    whole_s = (session.choices.minutes or 0.0) * 60
    if is_to_restart(session, target):
        return whole_s
    try:
        state = earlier_state(session, target)
    except AutosegError:  # which the run itself tells
        return None
    if state is None:
        return whole_s
    return None if state.finished else whole_s - (state.elapsed_s - state.stretch.after_s)


def _compare(taken_s: float, left_s: float | None, *, title: str, events: Events) -> None:
    if left_s is None or taken_s <= _WARNED * left_s:
        return
    what = f"preprocessing took {duration(taken_s)}, and the run had {duration(left_s)} from the start of the command"
    if taken_s > _REFUSED * left_s:
        raise UsageError(
            f"{title}: {what}: too little is left to train well",
            where="--minutes",
            remedy="The arrays are kept: the same command now has all the time. `autoseg preprocess` makes them beforehand.",
        )
    events.warn(f"{title}: {what}; `autoseg preprocess` beforehand leaves all of it to the training")
