"""The processes that train one network together, and the device of each."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from autoseg.errors import UsageError
from autoseg.events import Events, Silent
from autoseg.jobs.executors import Choices, open_executor
from autoseg.jobs.together import together
from autoseg.jobs.torchrun import Launched
from autoseg.jobs.work import Result, Run
from autoseg.model.compute import Compute, choose_computes
from autoseg.runs.minutes import clock_start, preprocess_missing
from autoseg.runs.moved_data import with_data_in
from autoseg.runs.preparing import Prepared, TrainChoices, prepare
from autoseg.runs.restarting import advising, restart_advice
from autoseg.runs.run import limit_threads
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.runs.workspace import Workspace, find_workspace
from autoseg.storage.owner import Owner, parse_owner, written
from autoseg.training.process_group import joined_ranks
from autoseg.training.ranks import Ranks
from autoseg.training.rendezvous import Meeting, hosted_store

Result_co = TypeVar("Result_co", covariant=True)


class RankChoices(TrainChoices, Choices, Protocol):
    """What the user chose for processes that are started together."""

    @property
    def workspace(self) -> Path | None:
        """Folder of plan, arrays and models; None: the only one."""

    @property
    def data(self) -> Path | None:
        """Folder that holds the data set now; None: where it was."""

    @property
    def verify(self) -> bool:
        """Whether all scans are hashed."""


class Begin(Protocol):
    """What is found out before the first of several runs begins."""

    def __call__(self, session: Session, targets: Sequence[Target], *, events: Events) -> Session:
        """The session with it."""


class WorkOnTarget(Protocol[Result_co]):
    """What ranks do together with each of several runs."""

    def __call__(self, session: Session, target: Target, /, *, events: Events, started: float, ranks: Ranks) -> Result_co:
        """Do it; see `WorkOfRanks`."""


class WorkOfRanks(Protocol[Result_co]):
    """What ranks do together; another process can import it."""

    def __call__(self, session: Session, /, *, events: Events, started: float, ranks: Ranks) -> Result_co:
        """Do it.

        Args:
            session: with the device of this rank alone.
            events: where progress and messages go.
            started: when the run began, on `time.monotonic`.
            ranks: all of them.
        """


def device_of_rank(computes: Sequence[Compute], rank: Launched) -> Compute:
    """The device of a process that was started beside others: each has one of the GPUs, and processors are shared.

    Raises:
        UsageError: there are more processes than GPUs.
    """
    if computes[0].device.type == "cpu":
        return computes[rank.local_rank % len(computes)]
    if rank.local_size > len(computes):
        raise UsageError(
            "more processes than devices",
            found=f"{rank.local_size} processes on this machine, and {', '.join(str(each.device) for each in computes)}",
            remedy="Start one process for each, with torchrun's --nproc-per-node, or name as many with --device.",
        )
    return computes[rank.local_rank]


def as_one_of_ranks(
    choices: RankChoices,
    at: Launched,
    *,
    begin: Begin,
    check: Callable[[Session, Sequence[Target]], object],
    work: WorkOnTarget[Result],
    events: Events,
    started: float,
) -> tuple[Workspace, tuple[Result, ...]]:
    """What each of the processes does that were started together: one run after the other, all of them in each.

    A run that fails ends them all.

    Args:
        choices: what the user chose.
        at: which of them this is.
        begin: adds to the session what runs start from.
        check: raises what keeps runs from being done.
        work: what to do.
        events: where those of the first go.
        started: when the command began, on `time.monotonic`.

    Returns:
        the workspace, and the results.

    Raises:
        LostRankError: another of the processes failed.
        UsageError: there are more processes than GPUs, work is to be done elsewhere, or preprocessing left too few minutes.
    """
    if choices.executor != "local":
        raise UsageError(
            f"processes that were started together are no work for the executor {choices.executor}",
            remedy="Start the command itself, without torchrun, or leave out --executor.",
        )
    compute = device_of_rank(choose_computes(choices.device, choices.precision), at)
    with joined_ranks(compute.device, at=at) as ranks:
        events, results = events if ranks.is_first else Silent(), list[Result]()
        with _first_goes_ahead(ranks):
            prepared = _prepare(choices, at, compute, events=events)
            targets = prepared.targets
            session = begin(prepared.session, targets, events=events)
            check(session, targets)
        session = replace(session, command=_of_first(session.command, ranks))
        limit_threads(session.cores)
        started = clock_start(session, targets, command=started)
        with advising(partial(restart_advice, session, targets)):
            for target in targets:
                results.append(work(session, target, events=events, started=started, ranks=ranks))
                started = time.monotonic()
    return session.workspace, tuple(results)


def _prepare(choices: RankChoices, at: Launched, compute: Compute, *, events: Events) -> Prepared:
    workspace = with_data_in(find_workspace(choices.workspace, verify=choices.verify), choices.data, events)
    with open_executor(choices, folder=workspace.root, events=events) as executor:
        prepared = prepare(workspace, choices, computes=(compute,), events=events, processes_here=at.local_size)
        preprocess_missing(prepared.session, prepared.targets, readers=executor, events=events)
    return prepared


def _of_first(command: Owner, ranks: Ranks) -> Owner:
    """The process that is said to have begun what all of them do."""
    return parse_owner(ranks.from_first(written(command).decode()).encode()) or command


@contextmanager
def _first_goes_ahead(ranks: Ranks) -> Iterator[None]:
    """Context that rank 0 enters first, and the others when it has left: they find what it has made."""
    if not ranks.is_first:
        ranks.barrier()
    yield
    if ranks.is_first:
        ranks.barrier()


def on_every_device(session: Session, work: WorkOfRanks[Result], *, title: str, events: Events, started: float) -> Result:
    """Do work on all devices of a session, with a process for each; gives the result of rank 0.

    Args:
        session: says which devices; its cores are those of each process.
        work: what to do.
        title: of the work.
        events: where those of rank 0 go.
        started: when the run began, on `time.monotonic`.

    Raises:
        AutosegError: a rank failed, and all were ended.
    """
    with hosted_store() as port:
        size = len(session.computes)
        parts = [
            Run(
                f"{title}, rank {rank} on {compute.device}",
                partial(_as_rank, replace(session, computes=(compute,)), work, Meeting(port, rank, size), began=started),
            )
            for rank, compute in enumerate(session.computes)
        ]
        return together(parts, initialise=partial(limit_threads, session.cores), events=events)


def _as_rank(
    session: Session,
    work: WorkOfRanks[Result],
    at: Meeting,
    *,
    began: float,
    events: Events,
    started: float,  # noqa: ARG001 - of this process; the run began with the command
    slot: int,  # noqa: ARG001 - the same as the rank
) -> Result:
    with joined_ranks(session.compute.device, at=at) as ranks:
        return work(session, events=events, started=began, ranks=ranks)
