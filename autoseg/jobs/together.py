"""Processes that need one another: they do one piece of work together, and where one fails all end."""

import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Final

from autoseg.errors import AutosegError, LostRankError
from autoseg.events import Events, Silent
from autoseg.jobs.children import stop, stopping_held_back
from autoseg.jobs.side_by_side import Child
from autoseg.jobs.work import Result, Run

_SAYING_WHY_S: Final = 20.0
"""How long to wait for the process that failed first, once another has lost it. Source: ours; it ends within seconds."""


def together(parts: Sequence[Run[Result]], *, initialise: Callable[[], None], events: Events) -> Result:
    """Do all parts at a time, each in a process of its own.

    Args:
        parts: of the work; each is told its place among them as its slot.
        initialise: called in each process before its part; other processes can import it.
        events: where those of the first part go; what the others say is what the first says.

    Returns:
        the result of the first part, when all have ended.

    Raises:
        AutosegError: a part failed; the others were ended.
        RuntimeError: a part failed with something else.
    """
    running: dict[Connection, Child[Result]] = {}
    try:
        for slot, part in enumerate(parts):
            with stopping_held_back():  # a process that was started is known, and can be stopped
                child = Child(part, initialise=initialise, events=Silent() if slot else events, slot=slot)
                running[child.receiver] = child
        ended = list(_ended(running))
    finally:
        for child in running.values():
            child.abandon()
        stop([child.process for child in running.values()])
    for _, outcome in ended:
        if isinstance(outcome, AutosegError):
            raise outcome
    result: Result = next(outcome for child, outcome in ended if child.slot == 0)
    return result


def _ended(running: dict[Connection, Child[Any]]) -> Iterator[tuple[Child[Any], Any]]:
    """Children that end, each taken from those that run, with its result, or with the loss of another that will say why.

    Raises:
        AutosegError: why one ended.
    """
    until = None
    while running:
        left_s = None if until is None else max(0.0, until - time.monotonic())
        ready = wait(list(running), timeout=left_s)
        if not ready:
            return
        for child in [running[each] for each in ready if isinstance(each, Connection)]:
            if child.listen():
                continue
            del running[child.receiver]
            outcome = child.end()
            if isinstance(outcome, LostRankError):
                until = until or time.monotonic() + _SAYING_WHY_S
            elif isinstance(outcome, AutosegError):
                outcome.where = outcome.where or child.run.name
                raise outcome
            yield child, outcome
