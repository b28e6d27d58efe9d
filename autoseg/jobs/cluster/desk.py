"""What a command has given to a scheduler, and what it hears of that, one after the other."""

import itertools
import queue
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from distributed import Client, Future, KilledWorker

from autoseg.errors import AutosegError, SystemFailureError
from autoseg.events import Events
from autoseg.jobs.children import GRACE_S
from autoseg.jobs.cluster.session import Session
from autoseg.jobs.cluster.task import BEGAN, LEFT

_DONE: Final = "done"
_LOOK_S: Final = 1.0
"""Time between two looks at the scheduler. Source: ours."""
_WAITING_S: Final = 10.0
"""Time without a worker after which the user is told. Source: ours."""


@dataclass(frozen=True)
class Said:
    """Something a worker says about a task."""

    key: str
    what: str
    more: tuple[Any, ...]


@dataclass(frozen=True)
class Done:
    """A task is over, with its result."""

    key: str
    result: Any


@dataclass(frozen=True)
class Lost:
    """The workers that worked on a task were lost, as many as the scheduler allows."""

    key: str


Heard = Said | Done | Lost


class Supply:
    """Where workers come from: they are there, or others start them."""

    def want(self, tasks: int) -> None:
        """Have workers for so many tasks at a time, where they can be had."""

    def release(self, tasks: int) -> None:
        """Give up workers that have nothing to do, where there are more than so many tasks at a time need."""

    def check(self) -> None:
        """Look after workers; called about every second.

        Raises:
            SystemFailureError: none can be had.
        """


class Desk:
    """Gives tasks to a scheduler.

    Args:
        client: connected to it.
        session: what workers are told of the command.
        supply: where workers come from.
        events: told when there are none.
    """

    def __init__(self, client: Client, session: Session, supply: Supply, events: Events) -> None:
        self._client, self._session, self._supply, self._events = client, session, supply, events
        self._heard = queue.SimpleQueue[tuple[str, ...] | list[Any]]()
        self._numbers = itertools.count()
        self._open: dict[str, Future] = {}
        self._begun: dict[str, str] = {}  # tasks of which something may be left on a worker, with its address
        self._threads, self._looked, self._without_since = 0, -_LOOK_S, time.monotonic()
        self._told, self._tasks_on = False, Counter[str]()
        client.subscribe_topic(session.id, lambda event: self._heard.put(list(event[1])))

    @property
    def threads(self) -> int:
        """How many tasks the workers can work on at a time."""
        self._look()
        return self._threads

    def want(self, tasks: int) -> None:
        """Have workers for so many tasks at a time, where they can be had."""
        self._supply.want(tasks)

    def release(self, tasks: int) -> None:
        """Give up workers that have nothing to do, where there are more than so many tasks at a time need."""
        self._supply.release(tasks)

    def keep(self, value: bytes) -> Future:
        """Something that several tasks need, which travels to each worker once."""
        return self._client.submit(bytes, value, key=f"{self._session.id}-value-{next(self._numbers)}")

    def submit(
        self, function: Callable[..., Any], *args: Any, resources: dict[str, int] | None = None, **kwargs: Any
    ) -> str:
        """Have a worker call a function with the session, what machines do, and arguments; gives the name of the task."""
        self._look()
        key, on = f"{self._session.id}-{next(self._numbers)}", dict(self._tasks_on)
        future = self._client.submit(function, self._session, on, *args, key=key, resources=resources, pure=False, **kwargs)
        self._open[key] = future
        future.add_done_callback(lambda _: self._heard.put((_DONE, key)))
        return key

    def hear(self) -> Heard | None:
        """Something that happened; None where nothing did for about a second.

        Raises:
            AutosegError: a worker cannot work for the command, or the scheduler is lost.
            RuntimeError: a bug.
        """
        self._look()  # runs say something several times a second
        try:
            what, key, *more = self._heard.get(timeout=_LOOK_S)
        except queue.Empty:
            return None
        self._note(what, key, *more)
        if what == LEFT or key not in self._open:  # taken back meanwhile
            return None
        return self._ended(key) if what == _DONE else Said(key, what, tuple(more[1:]))

    @contextmanager
    def tidied(self) -> Generator[None, None, None]:
        """A context that takes everything back in the end, and waits until workers have ended what they started for it."""
        try:
            yield
        finally:
            if self._open and self._client.status == "running":
                self._client.cancel(list(self._open.values()), force=True)
            self._open.clear()
            self._await_goodbyes()

    def _await_goodbyes(self) -> None:
        deadline = time.monotonic() + GRACE_S + _LOOK_S
        while self._begun and time.monotonic() < deadline and self._client.status == "running":
            try:
                self._note(*self._heard.get(timeout=_LOOK_S))
            except queue.Empty:
                workers = self._client.nthreads()
                self._begun = {key: worker for key, worker in self._begun.items() if worker in workers}

    def _note(self, what: str, key: str, worker: str = "", *_: Any) -> None:
        """Keep in mind where something of a task may be left."""
        if what == LEFT:
            self._begun.pop(key, None)
        elif what == BEGAN:
            self._begun[key] = worker

    def _ended(self, key: str) -> Heard:
        future = self._open.pop(key)
        if future.status == "finished":
            return Done(key, future.result())
        if future.status == "cancelled" or self._client.status != "running":
            raise self._lost_scheduler()
        error = future.exception()
        if isinstance(error, KilledWorker):
            self._begun.pop(key, None)
            return Lost(key)
        if isinstance(error, AutosegError):
            raise error
        raise RuntimeError(f"a worker failed: {error!r}") from error

    def _look(self) -> None:
        """See how many workers there are, say where there are none, and where the scheduler is gone."""
        now = time.monotonic()
        if now < self._looked + _LOOK_S:
            return
        self._looked = now
        if self._client.status != "running":
            raise self._lost_scheduler()
        self._supply.check()
        threads = self._client.nthreads()
        self._threads, self._tasks_on = sum(threads.values()), Counter[str]()
        for address, number in threads.items():
            self._tasks_on[address.rpartition(":")[0]] += number
        if self._threads:
            self._without_since, self._told = now, False
        elif now > self._without_since + _WAITING_S and not self._told:
            self._told = True
            self._events.info("waiting for workers: the scheduler has none")

    def _lost_scheduler(self) -> AutosegError:
        return SystemFailureError(
            "the connection to the scheduler is lost",
            remedy="What is finished is kept: start the scheduler and its workers, and run the same command again.",
        )
