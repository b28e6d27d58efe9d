"""Runs in processes of their own, side by side, whose events are shown in this one.

A run that fails or dies leaves the others alone, and no process outlives the one that started it.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Generic

from autoseg.errors import AutosegError
from autoseg.events import Events
from autoseg.jobs.children import SPAWN, stop, stopping_held_back
from autoseg.jobs.relay import Event, Shown
from autoseg.jobs.run_process import Crashed, End, Failed, Returned, death, do_run, free_slot, outcome_of
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
    waiting, running = deque(runs), dict[Connection, Child[Result]]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                with stopping_held_back():  # a process that was started is known, and can be stopped
                    slot = free_slot(child.slot for child in running.values())
                    child = Child(waiting[0], initialise=initialise, events=events_of(waiting[0].name), slot=slot)
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


class Child(Generic[Result]):
    """A process, as seen by the one that started it.

    Args:
        run: what it does.
        initialise: called in the process before that.
        events: where what it says goes.
        slot: its number among those at a time.
    """

    def __init__(self, run: Run[Result], *, initialise: Callable[[], None], events: Events, slot: int) -> None:
        self.run, self.slot = run, slot
        self.receiver, sender = SPAWN.Pipe(duplex=False)
        work = partial(run.work, started=time.monotonic(), slot=slot)
        self.process = SPAWN.Process(target=do_run, args=(work, initialise, sender), name=run.name)
        self.process.start()
        sender.close()  # the process holds the only other one: the pipe ends when it does
        self._shown = Shown(events)
        self._outcome: End[Result] | None = None

    def listen(self) -> bool:
        """Show what the process has said; False where it said nothing more and has ended."""
        try:
            messages: list[Event | End[Result]] = self.receiver.recv()
        except (EOFError, OSError):  # ended between two messages, or was killed in the midst of one
            return False
        for message in messages:
            if isinstance(message, Returned | Failed | Crashed):
                self._outcome = message
            else:
                self._shown.take(message)
        return True

    def end(self) -> Result | AutosegError:
        """What became of a run whose process has ended."""
        self.process.join()
        self.receiver.close()
        self._shown.abandon()
        return outcome_of(self.run.name, self._outcome or death(self.process.exitcode))

    def abandon(self) -> None:
        """Listen no more to a process that will be stopped."""
        self.receiver.close()
        self._shown.abandon()
