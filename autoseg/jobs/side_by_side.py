"""Runs in processes of their own, side by side, whose events are shown in this one.

A run that fails or dies leaves the others alone, and no process outlives the one that started it.
"""

import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.connection import Connection, wait
from typing import Any, Generic

from autoseg.errors import AutosegError, InterruptedRunError, TrainingError
from autoseg.events import Events
from autoseg.jobs.children import SPAWN, stop, stopping_held_back, work_as_child
from autoseg.jobs.interruption import Interruptible, Interruption
from autoseg.jobs.relay import Event, Outbox, Shown
from autoseg.jobs.work import Outcomes, Result, Run


def side_by_side(
    runs: Sequence[Run[Result]],
    *,
    jobs: int,
    initialise: Callable[[], None],
    events_of: Callable[[str], Events],
) -> Outcomes[Result]:
    """Do several runs, each in a process of its own, and give each with its result or failure when it ends.

    Closing the iterator, or an interruption, stops what is still running.

    Args:
        runs: in the order in which they are begun.
        jobs: how many at a time, >= 1; each is told which of so many slots it has, the lowest that is free.
        initialise: called in each process before its run; other processes can import it.
        events_of: where the events of the run of that name go.

    Raises:
        RuntimeError: a run failed with something other than an `AutosegError`.
    """
    waiting, running = deque(runs), dict[Connection, _Child[Result]]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                with stopping_held_back():  # a process that was started is known, and can be stopped
                    slot = _free_slot(running.values())
                    child = _Child(waiting[0], initialise=initialise, events=events_of(waiting[0].name), slot=slot)
                    running[child.receiver] = child
                waiting.popleft()
            for child in [running[ready] for ready in wait(list(running)) if isinstance(ready, Connection)]:
                if not child.listen():
                    del running[child.receiver]
                    yield child.run, child.end()
    finally:
        for child in running.values():
            child.abandon()
        stop([child.process for child in running.values()])


@dataclass(frozen=True)
class _Returned(Generic[Result]):
    result: Result


@dataclass(frozen=True)
class _Failed:
    error: AutosegError


@dataclass(frozen=True)
class _Crashed:
    traceback: str


_Outcome = _Returned[Result] | _Failed | _Crashed


class _Child(Generic[Result]):
    """A process, as seen by the one that started it."""

    def __init__(self, run: Run[Result], *, initialise: Callable[[], None], events: Events, slot: int) -> None:
        self.run, self.slot = run, slot
        self.receiver, sender = SPAWN.Pipe(duplex=False)
        work = partial(run.work, started=time.monotonic(), slot=slot)
        self.process = SPAWN.Process(target=_run_here, args=(work, initialise, sender), name=run.name)
        self.process.start()
        sender.close()  # the process holds the only other one: the pipe ends when it does
        self._shown = Shown(events)
        self._outcome: _Outcome[Result] | None = None

    def listen(self) -> bool:
        """Show what the process has said; False where it said nothing more and has ended."""
        try:
            messages: list[Event | _Outcome[Result]] = self.receiver.recv()
        except (EOFError, OSError):  # ended between two messages, or was killed in the midst of one
            return False
        for message in messages:
            if isinstance(message, _Returned | _Failed | _Crashed):
                self._outcome = message
            else:
                self._shown.take(message)
        return True

    def end(self) -> Result | AutosegError:
        """What became of a run whose process has ended."""
        self.process.join()
        self.receiver.close()
        self._shown.abandon()
        match self._outcome:
            case _Returned(result):
                return result
            case _Failed(error):
                return error
            case _Crashed(where):
                raise RuntimeError(f"{self.run.name}, in a process of its own:\n{where}")
        return _death(self.process.exitcode)

    def abandon(self) -> None:
        """Listen no more to a process that will be stopped."""
        self.receiver.close()
        self._shown.abandon()


def _death(exit_code: int | None) -> TrainingError:
    """Why a process ended without a word."""
    again = "The same command continues from the last epoch."
    if exit_code == InterruptedRunError.exit_code:
        return TrainingError("its process was told to stop", remedy=again)
    if exit_code is not None and exit_code < 0:
        return TrainingError(
            f"its process was killed ({signal.Signals(-exit_code).name})",
            remedy=f"Often the machine ran out of memory: close other programs, or choose fewer --jobs. {again}",
        )
    return TrainingError(
        f"its process ended with exit code {exit_code} before the run did",
        remedy="The reason stands above. A script of your own that trains side by side must be guarded by "
        "`if __name__ == '__main__':`.",
    )


def _free_slot(running: Iterable[_Child[Any]]) -> int:
    """The lowest slot that none of the runs under way has."""
    taken = {child.slot for child in running}
    return next(slot for slot in count() if slot not in taken)


def _run_here(work: Callable[..., Result], initialise: Callable[[], None], sender: Connection) -> None:
    """What a process does: the run, then a last message that says how it ended."""
    work_as_child(partial(_report, work, initialise, Outbox(sender)))


def _report(work: Callable[..., Result], initialise: Callable[[], None], outbox: Outbox, interruption: Interruption) -> None:
    outbox.close(_attempt(work, initialise, events=Interruptible(outbox, interruption)))


def _attempt(work: Callable[..., Result], initialise: Callable[[], None], *, events: Events) -> _Outcome[Result]:
    try:
        initialise()
        return _Returned(work(events=events))
    except AutosegError as error:
        return _Failed(error)
    except Exception:  # noqa: BLE001 - a bug, which the parent shows and ends with
        return _Crashed(traceback.format_exc())
