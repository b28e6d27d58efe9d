"""Work on this machine: in this process, or in others that end with it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from autoseg.errors import AutosegError, SystemFailureError
from autoseg.events import Events
from autoseg.jobs.crew import crew
from autoseg.jobs.side_by_side import side_by_side
from autoseg.jobs.work import Apply, Executor, Item, Jobs, Outcomes, Result, Run


@dataclass(frozen=True)
class Local:
    """Processes of this machine.

    Attributes:
        jobs: how many at a time; 1: this process does the work itself.
    """

    jobs: int
    is_local: Final = True

    @property
    def tasks(self) -> int:
        """How much is done at a time."""
        return self.jobs

    def workers(self, *, most: int) -> AbstractContextManager[Apply]:
        """What applies functions to items, with `most` processes or fewer."""
        jobs = min(self.jobs, most)
        return _this_process() if jobs <= 1 else crew(jobs)

    def outcomes(
        self, runs: Sequence[Run[Any]], *, initialise: Callable[[], None], events_of: Callable[[str], Events]
    ) -> Outcomes[Any]:
        """Do several runs: one after the other in this process, or each in one of its own."""
        if self.jobs == 1:
            return here(runs, events_of=events_of)
        return side_by_side(runs, jobs=self.jobs, initialise=initialise, events_of=events_of)


def executor_of(jobs: Jobs) -> Executor:
    """An executor, where a number of processes may stand for one."""
    return Local(jobs) if isinstance(jobs, int) else jobs


def here(runs: Sequence[Run[Any]], *, events_of: Callable[[str], Events]) -> Outcomes[Any]:
    """Do runs in this process, one after the other."""
    for run in runs:
        outcome: Any
        try:
            outcome = run.work(events=events_of(run.name), started=time.monotonic(), slot=0)
        except AutosegError as error:
            outcome = error
        yield run, outcome


@contextmanager
def _this_process() -> Iterator[Apply]:
    yield _map


def _map(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    /,
    *,
    on_death: Callable[[Item, SystemFailureError], Result] | None = None,  # noqa: ARG001 - this process does not outlive itself
) -> Iterable[Result]:
    return map(work, items)
