"""A scheduler of Dask, and the executor that gives work to it."""

import logging
import pickle
import secrets
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import distributed
from distributed import Client
from distributed.comm.addressing import parse_host_port

from autoseg.errors import ProcessEndedError, SystemFailureError, UsageError
from autoseg.events import Events
from autoseg.jobs.cluster.desk import Desk, Done, Heard, Lost, Said, Supply
from autoseg.jobs.cluster.hosting import end_session, host_run, introduce
from autoseg.jobs.cluster.rounds import Rounds
from autoseg.jobs.cluster.session import Session, seen
from autoseg.jobs.cluster.task import BEGAN, SAID
from autoseg.jobs.relay import Shown
from autoseg.jobs.run_process import Crashed, Failed, Returned, death, outcome_of
from autoseg.jobs.work import Apply, Outcomes, Run
from autoseg.wording import counted

CONNECTING_S: Final = 10.0
"""Longest wait for a scheduler. Source: ours; one that is there answers within a second."""


class ClusterExecutor:
    """Work on the workers of a scheduler.

    Args:
        desk: where work is given to the scheduler.
        jobs: tasks at a time; None: as many as there are workers for.
        run_resources: what a run takes of a worker, which has as much; None: one of its threads.
    """

    is_local: Final = False

    def __init__(self, desk: Desk, *, jobs: int | None, run_resources: dict[str, int] | None = None) -> None:
        self._desk, self._jobs, self._run_resources = desk, jobs, run_resources

    @property
    def tasks(self) -> int:
        """How much is done at a time."""
        return self._jobs or max(1, self._desk.threads)

    @contextmanager
    def workers(self, *, most: int) -> Iterator[Apply]:
        """What applies functions to items."""
        self._desk.want(min(self._jobs or most, most))
        yield Rounds(self._desk, most=self._jobs)

    def outcomes(
        self, runs: Sequence[Run[Any]], *, initialise: Callable[[], None], events_of: Callable[[str], Events]
    ) -> Outcomes[Any]:
        """Do several runs, each in a process of its own on a worker."""
        waiting, running = deque(runs), dict[str, _RunElsewhere]()
        self._desk.want(min(self._jobs or len(runs), len(runs)))
        with self._desk.tidied():
            try:
                while waiting or running:
                    self._desk.release(len(waiting) + len(running))  # runs take hours, in which others may use what is left
                    while waiting and len(running) < (self._jobs or len(runs)):
                        run = waiting.popleft()
                        pickled = pickle.dumps((run.work, initialise))
                        whole = self._run_resources is not None
                        key = self._desk.submit(host_run, pickled, whole_worker=whole, resources=self._run_resources)
                        running[key] = _RunElsewhere(run, events_of(run.name))
                    heard = self._desk.hear()
                    if heard is not None and running[heard.key].has_ended(heard):
                        ended = running.pop(heard.key)
                        yield ended.run, ended.outcome(heard)
            finally:
                for each in running.values():
                    each.shown.abandon()


class _RunElsewhere:
    """A run, as seen by the command."""

    def __init__(self, run: Run[Any], events: Events) -> None:
        self.run, self.shown = run, Shown(events)

    def has_ended(self, heard: Heard) -> bool:
        """Show what is said of a run; True where that was its end."""
        match heard:
            case Said(_, what, _) if what == BEGAN:
                self.shown.abandon()  # of a worker that was lost
            case Said(_, what, (message,)) if what == SAID:
                for event in pickle.loads(message):  # noqa: S301 - our own workers
                    if not isinstance(event, Returned | Failed | Crashed):
                        self.shown.take(event)
        return isinstance(heard, Done | Lost)

    def outcome(self, heard: Heard) -> Any:
        """What became of it, when it has ended."""
        self.shown.abandon()
        if not isinstance(heard, Done):
            remedy = "Give workers more memory or time; the same command continues from the last epoch."
            return ProcessEndedError("the workers that worked on it were lost, one after the other", remedy=remedy)
        last, exit_code = heard.result
        messages = pickle.loads(last) if last else []  # noqa: S301 - our own workers
        end = messages[-1] if messages and isinstance(messages[-1], Returned | Failed | Crashed) else death(exit_code)
        return outcome_of(self.run.name, end)


@contextmanager
def on_scheduler(address: str, *, jobs: int | None, folder: Path, write: bool, events: Events) -> Iterator[ClusterExecutor]:
    """Work on the workers of a scheduler that is there.

    Args:
        address: of the scheduler, as in tcp://10.0.0.1:8786.
        jobs: tasks at a time; None: as many as there are workers for.
        folder: one that workers must see, too.
        write: whether a file may be written into it for the while.
        events: told what workers there are.

    Raises:
        SystemFailureError: there is no scheduler, or a worker cannot work for this command.
        UsageError: the address is none.
    """
    _require_listener(address)
    with quiet(), connected(address) as client, working(client, folder=folder, write=write) as session:
        desk = Desk(client, session, Supply(), events)
        threads = desk.threads
        events.info(f"{counted(len(client.nthreads()), 'worker')} at {address} can do {counted(threads, 'task')} at a time")
        yield ClusterExecutor(desk, jobs=jobs)


@contextmanager
def connected(to: Any) -> Iterator[Client]:
    """A connection to a scheduler, by its address or its cluster."""
    try:
        client = Client(to, timeout=CONNECTING_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise _no_scheduler(str(to), f"none that speaks as Dask {distributed.__version__} does ({error})") from None
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            client.close(timeout=CONNECTING_S)


@contextmanager
def working(client: Client, *, folder: Path, write: bool) -> Iterator[Session]:
    """A session with workers that can work for this command.

    Raises:
        SystemFailureError: one of them cannot.
    """
    with seen(folder, write=write) as marked:
        session = Session(f"autoseg-{secrets.token_hex(8)}", version("autoseg"), Path.cwd(), marked)
        for worker, answer in client.run(introduce, session, on_error="return").items():
            if isinstance(answer, BaseException):
                raise SystemFailureError(
                    "a worker cannot load this version of autoseg",
                    where=worker,
                    found=answer,
                    remedy="Install the same version of autoseg where the workers run.",
                )
            if answer.problem is not None:
                raise answer.problem
        try:
            yield session
        finally:
            if client.status == "running":
                with suppress(OSError, TimeoutError):
                    client.run(end_session, session.id, on_error="ignore")
                    client.set_metadata([session.id], {})


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Dask logs about lost connections to itself: commands say it in their own words."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _require_listener(address: str) -> None:
    """Find out soon whether anything listens at an address, which Dask tries for long."""
    try:
        host, port = parse_host_port(address.partition("://")[2] or address)
    except ValueError:
        host, port = "", None
    if not port:
        raise UsageError(
            "is no address of a scheduler", where=address, expected="as in tcp://10.0.0.1:8786", remedy=_START
        ) from None
    try:
        socket.create_connection((host, port), timeout=CONNECTING_S).close()
    except OSError as error:
        raise _no_scheduler(address, str(error.strerror or error)) from None


_START: Final = "Start one with `dask scheduler`, and workers with `dask worker ADDRESS`, and give the address that it says."


def _no_scheduler(address: str, found: str) -> SystemFailureError:
    return SystemFailureError("no scheduler answers", where=address, found=found, remedy=_START)
