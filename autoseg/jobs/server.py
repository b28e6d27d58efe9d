"""A process that works on one item at a time, as seen by the one that started it.

Processes are spoken to through pipes alone: unlike queues and semaphores, these need no shared memory, which containers may
lack, and they end when whoever holds the other end does.
"""

import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from autoseg.errors import AutosegError, SystemFailureError
from autoseg.jobs.children import SPAWN, Child, work_as_child
from autoseg.jobs.interruption import Interruption

TRIES: Final = 2
"""Processes that may end over an item before it is given up. Source: ours; a machine out of memory often recovers once."""


@dataclass(frozen=True)
class Returned:
    """What came of an item."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """What went wrong with an item."""

    error: Exception


@dataclass(frozen=True)
class Died:
    """An item over which every process ended that worked on it."""

    error: SystemFailureError


Outcome = Returned | Raised | Died


@dataclass(frozen=True)
class _Ready:
    """A process has begun, and may be given an item."""


class Target(Protocol):
    """What a process does."""

    def __call__(self, pipe: Connection, /, *, parent: int | None = None) -> None:
        """Do it, as `work_as_child`, with one end of a pipe."""


Start = Callable[[Target], tuple[Child, Connection]]
"""Starts a process that does something; gives it, and the other end of its pipe."""


class Server:
    """A process that works on one item at a time.

    Args:
        start: starts the process.
        idle_s: time after which the process ends by itself where nobody gives it an item; None: never.
    """

    def __init__(self, start: Start, *, idle_s: float | None = None) -> None:
        self.process, self.pipe = start(partial(serve, idle_s=idle_s))
        self._work: Callable[[Any], Any] | None = None
        self._ready = False

    def send(self, work: Callable[[Any], Any], item: Any) -> bool:
        """Give the process an item; False where it has ended.

        Raises:
            SystemFailureError: it ended before it had begun.
        """
        try:
            self.pipe.send((None if work is self._work else work, item))  # the work may be large, and is sent once
        except OSError:
            self._require_begun()
            return False
        self._work = work
        return True

    def receive(self) -> Outcome | None:
        """What the process says next: the outcome of its item, or None where it has only begun.

        Raises:
            EOFError: it ended, over the item.
            SystemFailureError: it ended before it had begun.
        """
        try:
            said: Outcome | _Ready = self.pipe.recv()
        except (EOFError, OSError):  # ended before an answer, or was killed in the midst of one
            self._require_begun()
            raise EOFError from None
        if isinstance(said, _Ready):
            self._ready = True
            return None
        return said

    def _require_begun(self) -> None:
        if not self._ready:
            self.process.join()
            raise SystemFailureError(
                f"a process died before it began to work ({how_it_ended(self.process.exitcode)})",
                remedy="The reason stands above. A script of your own that asks for processes must be guarded by "
                "`if __name__ == '__main__':`.",
            )


def died(exit_code: int | None) -> Died:
    """The outcome of an item that was given up."""
    return Died(
        SystemFailureError(
            f"{TRIES} processes died that worked on it, the last one so: {how_it_ended(exit_code)}",
            remedy="It may need more memory than there is: try again with fewer --jobs, or leave it out.",
        )
    )


def how_it_ended(exit_code: int | None) -> str:
    """The end of a process in words."""
    if exit_code is not None and exit_code < 0:
        return f"killed, {signal.Signals(-exit_code).name}"
    return f"exit code {exit_code}"


def value_of(outcome: Outcome, item: Any, on_death: Callable[[Any, SystemFailureError], Any] | None) -> Any:
    """The result of an item, or what stands for it; what went wrong is raised."""
    match outcome:
        case Returned(value):
            return value
        case Died(error) if on_death is not None:
            return on_death(item, error)
    raise outcome.error


def start_here(target: Target) -> tuple[Child, Connection]:
    """Start a process on this machine that ends with this one."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=target, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # the process holds the only other one: the pipe ends when it does
    return process, ours


def serve(pipe: Connection, /, *, idle_s: float | None, parent: int | None = None) -> None:
    """What the process does: one item after the other, until nobody asks any more."""
    work_as_child(partial(_serve, pipe, idle_s), parent=parent)


def _serve(pipe: Connection, idle_s: float | None, _: Interruption) -> None:
    pipe.send(_Ready())
    work: Callable[[Any], Any] | None = None
    while pipe.poll(idle_s):
        try:
            new_work, item = pipe.recv()
        except (EOFError, OSError):
            return
        work = new_work or work
        pipe.send(_outcome(work, item))


def _outcome(work: Callable[[Any], Any] | None, item: Any) -> Returned | Raised:
    if work is None:
        msg = "no work was named for the first item"
        raise ValueError(msg)
    try:
        return Returned(work(item))
    except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
        if not isinstance(error, AutosegError):
            error.add_note(f"In a process of its own:\n{traceback.format_exc()}")
        return Raised(error)
