"""The same work on many items, given to a scheduler in chunks: large enough to cost little, small enough to share out."""

import pickle
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from distributed import Future

from autoseg.errors import SystemFailureError
from autoseg.jobs.cluster.desk import Desk, Done, Heard, Lost, Said
from autoseg.jobs.cluster.hosting import BEGAN, work_on_items
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
class _Chunk:
    numbers: range
    last_begun: int | None = None


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
        self._chunks: dict[str, _Chunk] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._begun = Counter[int]()
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
            self._chunks[key] = _Chunk(numbers)

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
        chunk = self._chunks[heard.key]
        match heard:
            case Said(key, what, (number,)) if what == BEGAN:
                chunk.last_begun = number
                self._begun[number] += 1
            case Done(key, None) | Lost(key):
                del self._chunks[key]
                self._divide(chunk)
            case Done(key, (seconds, outcomes)):
                del self._chunks[key]
                self._seconds, self._done = self._seconds + seconds, self._done + len(chunk.numbers)
                self._outcomes |= dict(zip(chunk.numbers, pickle.loads(outcomes), strict=True))  # noqa: S301 - our own workers

    def _divide(self, chunk: _Chunk) -> None:
        """Have a chunk done again, divided where workers were lost; give an item up over which enough of them were."""
        number = chunk.numbers.start if chunk.last_begun is None else chunk.last_begun
        alone = range(number, number + 1)
        if self._begun[number] >= TRIES:
            self._outcomes[number], alone = _lost(), range(0)
        parts = (range(chunk.numbers.start, number), alone, range(number + 1, chunk.numbers.stop))
        self._again.extend(numbers for numbers in parts if numbers)


def _lost() -> Died:
    return Died(
        SystemFailureError(
            f"{TRIES} workers or more were lost while they worked on it",
            remedy="It may need more memory than a worker has: give workers more, or leave it out.",
        )
    )
