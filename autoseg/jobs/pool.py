"""The same work on many items, in this process, side by side in several, or on the machines of a cluster."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from autoseg.errors import SystemFailureError
from autoseg.jobs.local import executor_of
from autoseg.jobs.work import Apply, Item, Jobs, Result


@contextmanager
def ordered_map(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    jobs: Jobs,
    on_death: Callable[[Item, SystemFailureError], Result] | None = None,
) -> Iterator[Iterable[Result]]:
    """Apply `work` to every item; results come one by one, in the order of the items.

    Args:
        work: a function other processes can import, or a `functools.partial` of one.
        items: what to work on.
        jobs: processes, >= 1, or an executor; 1: this process does the work itself. The results do not depend on it.
        on_death: what stands for the result of an item that ends every process that works on it; None: the error is raised.

    Raises:
        SystemFailureError: processes died, and nothing stands for their results.
    """
    with workers(jobs, most=len(items)) as apply:
        yield apply(work, items, on_death=on_death)


def workers(jobs: Jobs, *, most: int) -> AbstractContextManager[Apply]:
    """What does several rounds of work, started once.

    Args:
        jobs: processes, or an executor; 1 or fewer: this process does the work itself.
        most: items that a round has at most; no more processes are started.
    """
    return executor_of(jobs).workers(most=most)


def given_up(_item: object, error: SystemFailureError) -> SystemFailureError:
    """The error itself stands for the result of an item: for work that returns what went wrong."""
    return error
