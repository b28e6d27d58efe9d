"""Several scans in work at a time: while a device computes one, others are read, and results return to the scans' grids.

What comes of them is taken, said and written in the order of the scans, as if there had been one at a time.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

from autoseg.events import Events, Silent
from autoseg.jobs.machine import usable_cores
from autoseg.model.compute import Compute

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

MOST_SCANS: Final = 6
"""Scans in work at a time, at most. Source: ours; a GPU predicts a scan in less than a tenth of what surrounds it takes."""

_CORES_PER_SCAN: Final = 2
"""Source: ours; what surrounds the prediction of a scan seldom keeps more than one core busy."""


def scans_at_once(computes: Sequence[Compute]) -> int:
    """How many scans to have in work at a time on some devices of one kind, each of which has at least one.

    One for each device where the processor itself predicts, and has nothing to wait for.
    """
    devices = len(computes)
    if computes[0].device.type != "cuda":
        return devices
    return max(devices, min(MOST_SCANS * devices, usable_cores() // _CORES_PER_SCAN))


class Lanes(Generic[_Item, _Result]):
    """Does the same with one item after the other, or with several at a time.

    Args:
        work: what to do with an item, in a lane of a number from 0; with more than one lane, in threads. No two items are in
            work in one lane.
        lanes: items in work, or done and not taken yet, at most.
    """

    def __init__(self, work: Callable[[_Item, int], _Result], *, lanes: int) -> None:
        self._work, self._lanes = work, lanes
        self._free: SimpleQueue[int] = SimpleQueue()
        for lane in range(lanes):
            self._free.put(lane)
        self._waiting: deque[Future[_Result]] = deque()

    def outcomes(self, items: Sequence[_Item]) -> Iterator[Callable[[], _Result]]:
        """For each item, in order, what returns its result or raises what went wrong."""
        if self._lanes == 1:
            yield from (partial(self._work, item, 0) for item in items)
            return
        with ThreadPoolExecutor(self._lanes, thread_name_prefix="scans") as pool:
            try:
                coming = iter(items)
                for item in coming:
                    self._waiting.append(pool.submit(self._in_a_free_lane, item))
                    if len(self._waiting) == self._lanes:
                        yield self._waiting.popleft().result
                while self._waiting:
                    yield self._waiting.popleft().result
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _in_a_free_lane(self, item: _Item) -> _Result:
        lane = self._free.get()  # there is one: no more items are in work than there are lanes
        try:
            return self._work(item, lane)
        finally:
            self._free.put(lane)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nothing else is in work: for an item that needs what all share."""
        wait(self._waiting)
        yield


class Messages(Silent):
    """Keeps what is said until somebody passes it on."""

    def __init__(self) -> None:
        self._said: list[tuple[bool, str]] = []

    def info(self, message: str) -> None:
        """Keep it."""
        self._said.append((False, message))

    def warn(self, message: str) -> None:
        """Keep it."""
        self._said.append((True, message))

    def pass_on(self, events: Events) -> None:
        """Say all of it, in order, once."""
        said, self._said = self._said, []
        for is_warning, message in said:
            (events.warn if is_warning else events.info)(message)
