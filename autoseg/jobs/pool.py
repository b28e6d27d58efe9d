"""The same work on many items, in this process or side by side in several."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol, TypeVar

from autoseg.errors import SystemFailureError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Apply(Protocol):
    """Applies a function to every item; results come one by one, in the order of the items."""

    def __call__(self, work: Callable[[Item], Result], items: Sequence[Item], /) -> Iterable[Result]:
        """`work` of every item."""


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
    # Fresh processes instead of forks: a fork of a process that runs threads may hang.
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool.map
    except (BrokenProcessPool, OSError):
        if not _is_broken(pool):
            raise
        # The pool stops its processes, but for one that was just being started; for that it would wait for ever.
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise SystemFailureError(
            "a process that read scans died", remedy="It may have run out of memory: try again with --jobs 1."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _is_broken(pool: ProcessPoolExecutor) -> bool:
    """Whether a process of the pool died; starting another one then fails in several ways."""
    try:
        pool.submit(bool)
    except BrokenProcessPool:
        return True
    return False


EXECUTORS: Final[Mapping[str, Callable[[int], AbstractContextManager[Apply]]]] = {"here": _here, "processes": _processes}
"""Where work is done: each is told how many jobs at a time, and gives what applies a function to items."""
