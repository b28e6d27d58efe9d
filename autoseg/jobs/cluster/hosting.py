"""What a worker of a cluster does: it starts processes, listens to them, and ends them when nobody wants their results."""

import asyncio
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection
from typing import Any, Final

from distributed import Reschedule

from autoseg.errors import AutosegError, InterruptedRunError
from autoseg.jobs.children import GRACE_S, Child, stop
from autoseg.jobs.cluster.hosted import do_pickled_run, start_hosted
from autoseg.jobs.cluster.session import Session
from autoseg.jobs.cluster.task import BEGAN, LEFT, SAID, Task, UnwantedError
from autoseg.jobs.run_process import free_slot
from autoseg.jobs.server import TRIES, Outcome, Server, Start, died

_POLL_S: Final = 0.2
"""Time between two looks at whether a task is still wanted. Source: ours."""
_IDLE_S: Final = 60.0
"""Time after which a process for items that nobody asks for any ends. Source: ours; its start takes one or two seconds."""
_STOPPED_S: Final = 120.0
"""Time in which a worker ends whose processes were told to stop. Source: ours; SLURM waits 30 s, unless told otherwise."""


@dataclass(frozen=True)
class Worker:
    """A worker, as it introduces itself.

    Attributes:
        host: its machine.
        problem: why it cannot work for the command.
    """

    host: str
    problem: AutosegError | None


def introduce(session: Session) -> Worker:
    """What a command asks every worker that is there when it begins."""
    host = socket.gethostname()
    return Worker(host, session.problem(version=version("autoseg"), host=host))


_introduced: set[str] = set()


def _check(session: Session) -> None:
    """Find out whether this worker, which may have come late, can work for the command."""
    if session.id not in _introduced:
        if (problem := introduce(session).problem) is not None:
            raise problem
        _introduced.add(session.id)


@dataclass(frozen=True)
class LostOver:
    """What comes of a task over which workers were lost, as many as there may be.

    Attributes:
        items: numbers of the items that these had begun last, one for each worker.
    """

    items: tuple[int, ...]


@dataclass
class _Seat:
    """The process that works on the items of one thread, and the work that it knows."""

    work_key: str = ""
    work: Callable[[Any], Any] | None = None
    server: Server | None = field(default=None)

    def end(self) -> int | None:
        """End the process; how it ended."""
        server, self.server = self.server, None
        if server is None:
            return None
        server.pipe.close()
        stop([server.process])
        return server.process.exitcode


_seats: dict[tuple[str, int], _Seat] = {}


def work_on_items(
    session: Session, tasks_on: Mapping[str, int], work_key: str, work: bytes, first: int, items: bytes
) -> tuple[float, bytes] | LostOver:
    """Work on some items, one after the other, in the process of this thread.

    Args:
        session: the command.
        tasks_on: how much is done at a time on each machine, by the beginning of its workers' addresses.
        work_key: tells the work from others of the command.
        work: the function, pickled.
        first: number of the first item.
        items: the items, pickled.

    Returns:
        seconds taken, and the outcomes, pickled.
    """
    began, task = time.monotonic(), Task(session)
    with _working(session, task):
        lost_over = task.lost_over()
        if len(lost_over) >= TRIES:
            return LostOver(tuple(lost_over))
        seat = _seats.setdefault((session.id, threading.get_ident()), _Seat())
        if seat.work_key != work_key:
            seat.work_key, seat.work = work_key, pickle.loads(work)  # noqa: S301 - from whoever may run anything here
        start = partial(start_hosted, folder=session.folder, cores=task.cores(tasks_on))
        outcomes = []
        for number, item in enumerate(pickle.loads(items), first):  # noqa: S301 - likewise
            task.begin(number, lost_over=lost_over)
            outcomes.append(_outcome(seat, item, task, start))
        return time.monotonic() - began, pickle.dumps(outcomes)


def _outcome(seat: _Seat, item: Any, task: Task, start: Start) -> Outcome:
    exit_code = None
    for _ in range(TRIES):
        try:
            return _tried(seat, item, task, start)
        except EOFError:
            exit_code = seat.end()
        except UnwantedError:
            seat.end()
            raise
    return died(exit_code)


def _tried(seat: _Seat, item: Any, task: Task, start: Start) -> Outcome:
    if seat.work is None:
        msg = "nobody said what the work is"
        raise ValueError(msg)
    while seat.server is None or not seat.server.send(seat.work, item):
        seat.end()  # one that had nothing to do for long, or was killed meanwhile
        seat.server = Server(start, idle_s=_IDLE_S)
    while True:
        if seat.server.pipe.poll(_POLL_S):
            outcome = seat.server.receive()
            if outcome is not None:
                return outcome
        elif not task.is_wanted:
            raise UnwantedError


def host_run(session: Session, tasks_on: Mapping[str, int], run: bytes, *, whole_worker: bool) -> tuple[bytes, int | None]:
    """Do a run in a process of its own, and pass on what it says.

    Args:
        session: the command.
        tasks_on: as above.
        run: the work and what is called first, pickled.
        whole_worker: whether nothing else is done meanwhile, so that the run may use all its cores.

    Returns:
        the last message of the process, a pickled list that ends with how the run ended if the process came to that, and its
        exit code.
    """
    task = Task(session)
    with _working(session, task):
        with _slot_taken() as slot:
            target = partial(do_pickled_run, run, time.monotonic(), slot)
            cores = task.threads if whole_worker else task.cores(tasks_on)
            process, pipe = start_hosted(target, folder=session.folder, cores=cores)
            last = _pass_on(process, pipe, task)
        if process.exitcode == InterruptedRunError.exit_code:
            _await_end(task)
        return last, process.exitcode


def _pass_on(process: Child, pipe: Connection, task: Task) -> bytes:
    """Pass on what a process says until it ends, or is not wanted any more; gives its last message."""
    last = b""
    try:
        while task.is_wanted:
            if pipe.poll(_POLL_S):
                last = pipe.recv_bytes()
                task.tell(SAID, last)
        raise UnwantedError
    except (EOFError, OSError):
        process.join()
        return last
    finally:
        pipe.close()
        stop([process])


@contextmanager
def _working(session: Session, task: Task) -> Iterator[None]:
    """While something is started for a command, which is told of it, and has not ended."""
    task.tell(BEGAN)
    with _change:
        _at_work[session.id] += 1
    try:
        _check(session)
        if session.id in _ended:
            raise UnwantedError
        yield
    finally:
        with _change:
            _at_work[session.id] -= 1
        task.tell(LEFT)


_at_work: Counter[str] = Counter()
_ended: set[str] = set()
_change = threading.Lock()


@contextmanager
def _slot_taken() -> Iterator[int]:
    """A slot that no other run of this worker has."""
    with _change:
        slot = free_slot(_run_slots)
        _run_slots.add(slot)
    try:
        yield slot
    finally:
        _run_slots.discard(slot)


_run_slots: set[int] = set()


def _await_end(task: Task) -> None:
    """Somebody asked all processes here to stop: the worker ends, too, and the run goes on elsewhere."""
    deadline = time.monotonic() + _STOPPED_S
    while task.is_wanted and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    raise Reschedule


async def end_session(session_id: str) -> None:
    """End the processes that wait for items of a command which wants no more, once nothing else is done for it here."""
    _ended.add(session_id)
    deadline = time.monotonic() + GRACE_S + _POLL_S
    while _at_work[session_id] and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_S)  # whoever works sees soon that nobody wants the result
    await asyncio.to_thread(_end_seats, session_id)
    _introduced.discard(session_id)


def _end_seats(session_id: str) -> None:
    for key in [key for key in _seats if key[0] == session_id]:
        _seats.pop(key).end()
