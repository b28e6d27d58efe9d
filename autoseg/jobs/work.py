"""What work is, and what carries it out: the same on many items, or several runs that have names of their own."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from autoseg.errors import AutosegError, SystemFailureError
from autoseg.events import Events

Item = TypeVar("Item")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Work(Protocol[Result_co]):
    """What a run does; another process can import it."""

    def __call__(self, *, events: Events, started: float, slot: int) -> Result_co:
        """Do it.

        Args:
            events: where progress and messages go.
            started: when the run began, on `time.monotonic`.
            slot: a number below that of the runs at a time in one place; no two of them have the same.
        """


@dataclass(frozen=True)
class Run(Generic[Result]):
    """One of several runs.

    Attributes:
        name: what users call it; no two runs share it.
        work: what it does.
        already_done: whether it ends at once, having been finished earlier for example; needs no process of its own.
    """

    name: str
    work: Work[Result]
    already_done: bool = False


Outcomes = Generator[tuple[Run[Result], Result | AutosegError], None, None]
"""Runs in the order in which they end, each with its result or failure."""


class Apply(Protocol):
    """Applies a function to every item; results come one by one, in the order of the items."""

    def __call__(
        self,
        work: Callable[[Item], Result],
        items: Sequence[Item],
        /,
        *,
        on_death: Callable[[Item, SystemFailureError], Result] | None = None,
    ) -> Iterable[Result]:
        """`work` of every item; all results are taken before the next round of work.

        Args:
            work: a function other processes can import, or a `functools.partial` of one.
            items: what to work on.
            on_death: what stands for the result of an item that ends every process that works on it; None: the error is
                raised.

        Raises:
            SystemFailureError: processes died, and nothing stands for their results.
        """


class Executor(Protocol):
    """Carries out work, here or elsewhere."""

    @property
    def is_local(self) -> bool:
        """Whether work is done on this machine, by processes that end with this one."""

    @property
    def tasks(self) -> int:
        """How much is done at a time."""

    def workers(self, *, most: int) -> AbstractContextManager[Apply]:
        """What applies functions to items, for several rounds of work, on `most` items at a time or fewer."""

    def outcomes(
        self, runs: Sequence[Run[Any]], *, initialise: Callable[[], None], events_of: Callable[[str], Events]
    ) -> Outcomes[Any]:
        """Do several runs, and give each with its result or failure when it ends; closing the iterator stops the others.

        Args:
            runs: in the order in which they are begun.
            initialise: called first in every process that a run has for itself.
            events_of: where the events of the run of that name go.

        Raises:
            RuntimeError: a run failed with something other than an `AutosegError`.
        """


ExecutorName = Literal["local", "dask", "slurm"]
"""What users call executors; `autoseg.jobs.executors` holds their table."""

Jobs = int | Executor
"""What carries out work: so many processes on this machine (1: this process itself), or an executor."""
