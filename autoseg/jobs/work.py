"""What a run is, and what becomes of it: different work, each piece with a name of its own."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from autoseg.errors import AutosegError
from autoseg.events import Events

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Work(Protocol[Result_co]):
    """What a run does; another process can import it."""

    def __call__(self, *, events: Events, started: float, slot: int) -> Result_co:
        """Do it.

        Args:
            events: where progress and messages go.
            started: when the run began, on `time.monotonic`.
            slot: a number below that of the runs at a time; no two of them have the same.
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
