"""A task of a worker, as the worker's thread sees it: what it says, and whether its result is still wanted."""

from collections.abc import Mapping, Sequence
from typing import Final

from distributed import get_worker
from distributed.core import Status
from distributed.utils import sync

from autoseg.jobs.cluster.session import Session
from autoseg.jobs.machine import usable_cores

BEGAN: Final = "began"
"""What is said when a task is begun."""
SAID: Final = "said"
"""What is said with events of a run."""
LEFT: Final = "left"
"""What is said when nothing is left of a task on this worker but its result."""


class UnwantedError(Exception):
    """The command that asked for a task has gone, or does not want it any more."""


class Task:
    """The task that this thread works on.

    Args:
        session: the command that it is a part of.
    """

    def __init__(self, session: Session) -> None:
        self._worker = get_worker()
        self._key, self._session = self._worker.get_current_task(), session

    def tell(self, what: str, *more: int | bytes) -> None:
        """Say something to the command, sooner or later."""
        self._worker.log_event(self._session.id, [what, self._key, self._worker.address, *more])

    @property
    def is_wanted(self) -> bool:
        """Whether its result is still wanted: not where the command took it back, or is no more, or the worker ends."""
        state = self._worker.state.tasks.get(self._key)
        goes_on = self._worker.status in {Status.running, Status.paused}
        return goes_on and state is not None and state.state not in {"cancelled", "released", "forgotten"}

    def lost_over(self) -> list[int]:
        """The items over which workers were lost that tried this task before, one for each."""
        found = sync(self._worker.loop, self._worker.scheduler.get_metadata, keys=self._place, default=[])
        return [int(number) for number in found]

    def begin(self, number: int, *, lost_over: Sequence[int]) -> None:
        """Have the scheduler know which item this attempt is about to work on, for the case that it ends the worker."""
        value = [*lost_over, number]
        sync(self._worker.loop, self._worker.scheduler.set_metadata, keys=self._place, value=value)

    @property
    def _place(self) -> list[str]:
        return [self._session.id, self._key]

    def cores(self, tasks_on: Mapping[str, int]) -> int:
        """Cores for what it starts: a fair share of those of the machine."""
        tasks: int = tasks_on.get(self._worker.address.rpartition(":")[0], self._worker.state.nthreads)
        return max(1, usable_cores() // tasks)

    @property
    def threads(self) -> int:
        """How much the worker does at a time."""
        return int(self._worker.state.nthreads)
