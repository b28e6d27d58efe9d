"""The same work on many items, given to a scheduler in chunks: large enough to cost little, small enough to share out."""

import pickle
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from distributed import Future

from autoseg.errors import SystemFailureError
from autoseg.jobs.cluster.desk import Desk, Done, Heard, Lost
from autoseg.jobs.cluster.hosting import LostOver, work_on_items
from autoseg.jobs.server import TRIES, Died, Outcome, value_of

_CHUNK_S: Final = 1.0
"""Time that a chunk should take. Source: ours; a task costs the scheduler and both ends a few milliseconds."""
_LARGEST: Final = 64
"""Items in a chunk, at most. Source: ours; so many are done again where a worker is lost."""
_WINDOW: Final = 4
"""Chunks per task at a time that may be begun before the next result is there. Source: ours; bounds what waits for one."""


class Rounds:
    """Applies functions to items.

    Args:
        desk: where chunks go.
        most: chunks at a time; None: as many as keep all workers busy.
    """

    def __init__(self, desk: Desk, *, most: int | None) -> None:
        self._desk, self._most = desk, most

    def __call__(
        self,
        work: Callable[[Any], Any],
        items: Sequence[Any],
        /,
        *,
        on_death: Callable[[Any, SystemFailureError], Any] | None = None,
    ) -> Iterator[Any]:
        """`work` of every item, in order."""
        with self._desk.tidied():
            chunks = _Round(self._desk, self._desk.keep(pickle.dumps(work)), items, most=self._most)
            for wanted, item in enumerate(items):
                yield value_of(chunks.outcome(wanted), item, on_death)


@dataclass
class _Round:
    """One function, and what has come of its items so far."""

    desk: Desk
    work: Future
    items: Sequence[Any]
    most: int | None
    work_key: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self._next = 0  # the first item that was never given to anybody
        self._again = deque[range]()
        self._chunks: dict[str, range] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._lost_over = Counter[int]()
        self._seconds = self._done = 0.0

    def outcome(self, wanted: int) -> Outcome:
        """The outcome of an item, whose predecessors were asked for before."""
        while wanted not in self._outcomes:
            self._submit(wanted)
            heard = self.desk.hear()
            if heard is not None and heard.key in self._chunks:
                self._take(heard)
        return self._outcomes.pop(wanted)

    def _submit(self, wanted: int) -> None:
        """Give out chunks, as long as the workers can take some and they do not run too far ahead."""
        at_a_time = self.most or 2 * max(1, self.desk.threads)  # one to work on, one at hand
        while len(self._chunks) < at_a_time and (numbers := self._chunk(wanted, at_a_time)):
            items = pickle.dumps([self.items[number] for number in numbers])
            key = self.desk.submit(work_on_items, self.work_key, self.work, numbers.start, items)
            self._chunks[key] = numbers

    def _chunk(self, wanted: int, at_a_time: int) -> range:
        if self._again:
            return self._again.popleft()
        size = max(1, min(_LARGEST, int(_CHUNK_S * self._done / self._seconds))) if self._seconds else 1
        left = len(self.items) - self._next
        size = min(size, -(-left // at_a_time))  # at the end, all have something to do
        if self._next + size > wanted + size * _WINDOW * at_a_time:
            return range(0)
        numbers = range(self._next, self._next + size)
        self._next = numbers.stop
        return numbers

    def _take(self, heard: Heard) -> None:
        match heard:
            case Done(key, LostOver(items)):
                self._divide(self._chunks.pop(key), items)
            case Lost(key):  # more workers than one of them would have counted
                numbers = self._chunks.pop(key)
                self._divide(numbers, [numbers.start] * TRIES if len(numbers) == 1 else [numbers.start])
            case Done(key, (seconds, outcomes)):
                numbers = self._chunks.pop(key)
                self._seconds, self._done = self._seconds + seconds, self._done + len(numbers)
                self._outcomes |= dict(zip(numbers, pickle.loads(outcomes), strict=True))  # noqa: S301 - our own workers

    def _divide(self, numbers: range, lost_over: Sequence[int]) -> None:
        """Have a chunk done again, divided where workers were lost; give items up over which enough of them were."""
        self._lost_over.update(lost_over)
        last = lost_over[-1]
        alone = range(last, last + 1)
        if self._lost_over[last] >= TRIES:
            self._outcomes[last], alone = _lost(), range(0)
        parts = (range(numbers.start, last), alone, range(last + 1, numbers.stop))
        self._again.extend(part for part in parts if part)


def _lost() -> Died:
    return Died(
        SystemFailureError(
            f"{TRIES} workers or more were lost while they worked on it",
            remedy="It may need more memory than a worker has: give workers more, or leave it out.",
        )
    )
