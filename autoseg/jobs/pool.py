"""The same work on many items, in this process or side by side in several.

Processes are spoken to through pipes alone: unlike queues and semaphores, these need no shared memory, which containers may
lack, and they end when whoever holds the other end does.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol, TypeVar

from autoseg.errors import AutosegError, SystemFailureError
from autoseg.jobs.children import SPAWN, stop, stopping_held_back, work_as_child
from autoseg.jobs.interruption import Interruption

Item = TypeVar("Item")
Result = TypeVar("Result")


class Apply(Protocol):
    """Applies a function to every item; results come one by one, in the order of the items."""

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterable[Result]:
        """`work` of every item; all results are taken before the next round of work."""


@contextmanager
def ordered_map(work: Callable[[Item], Result], items: Sequence[Item], *, jobs: int) -> Iterator[Iterable[Result]]:
    """Apply `work` to every item; results come one by one, in the order of the items.

    Args:
        work: a function other processes can import, or a `functools.partial` of one.
        items: what to work on.
        jobs: processes, >= 1; 1: this process does the work itself. The results do not depend on it.

    Raises:
        SystemFailureError: a process died.
    """
    with workers(min(jobs, len(items))) as apply:
        yield apply(work, items)


@contextmanager
def workers(jobs: int) -> Iterator[Apply]:
    """Processes for several rounds of work, started once.

    Args:
        jobs: how many; 1 or fewer: this process does the work itself.

    Raises:
        SystemFailureError: a process died.
    """
    with EXECUTORS["here" if jobs <= 1 else "processes"](jobs) as apply:
        yield apply


@contextmanager
def _here(jobs: int) -> Iterator[Apply]:  # noqa: ARG001 - every executor is told
    yield map


@contextmanager
def _processes(jobs: int) -> Iterator[Apply]:
    crew = list[_Worker]()
    try:
        for _ in range(jobs):
            with stopping_held_back():  # a process that was started is known, and can be stopped
                crew.append(_Worker())
        yield partial(_apply, crew)
    finally:
        for worker in crew:
            worker.pipe.close()
        stop([worker.process for worker in crew])


@dataclass(frozen=True)
class _Returned:
    value: Any


@dataclass(frozen=True)
class _Raised:
    error: Exception


class _Worker:
    """A process that works on one item at a time, as seen by the one that started it."""

    def __init__(self) -> None:
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # the process holds the only other one: the pipe ends when it does

    def send(self, work: Callable[[Any], Any], item: Any) -> None:
        try:
            self.pipe.send((work, item))
        except OSError:
            raise _death() from None

    def receive(self) -> _Returned | _Raised:
        try:
            outcome: _Returned | _Raised = self.pipe.recv()
        except (EOFError, OSError):  # ended before an answer, or was killed in the midst of one
            raise _death() from None
        return outcome


def _death() -> SystemFailureError:
    return SystemFailureError(
        "a process that read scans died", remedy="It may have run out of memory: try again with --jobs 1."
    )


def _apply(crew: Sequence[_Worker], work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    """Give every process an item, and the next one when it has answered."""
    idle, busy = list(crew), dict[Connection, tuple[_Worker, int]]()
    outcomes = dict[int, _Returned | _Raised]()
    begun = 0
    for wanted in range(len(items)):
        while wanted not in outcomes:
            while idle and begun < len(items):
                worker = idle.pop()
                worker.send(work, items[begun])
                busy[worker.pipe] = worker, begun
                begun += 1
            for pipe in wait(list(busy)):
                worker, number = busy.pop(pipe)  # type: ignore[call-overload]  # what `wait` was given
                outcomes[number] = worker.receive()
                idle.append(worker)
        outcome = outcomes.pop(wanted)
        if isinstance(outcome, _Raised):
            raise outcome.error
        yield outcome.value


def _serve(pipe: Connection) -> None:
    """What a process does: one item after the other, until nobody asks any more."""
    work_as_child(partial(_answer, pipe))


def _answer(pipe: Connection, _: Interruption) -> None:
    while True:
        try:
            work, item = pipe.recv()
        except (EOFError, OSError):
            return
        outcome: _Returned | _Raised
        try:
            outcome = _Returned(work(item))
        except Exception as error:  # noqa: BLE001 - it is raised where the result is awaited
            if not isinstance(error, AutosegError):
                error.add_note(f"In a process of its own:\n{traceback.format_exc()}")
            outcome = _Raised(error)
        pipe.send(outcome)


EXECUTORS: Final[Mapping[str, Callable[[int], AbstractContextManager[Apply]]]] = {"here": _here, "processes": _processes}
"""Where work is done: each is told how many jobs at a time, and gives what applies a function to items."""
