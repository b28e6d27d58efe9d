"""On how many processor threads a run computes, and how fast that is.

Threads that compute one step together wait for the slowest of them. Where other programs use the machine, a run on all
cores is therefore often several times slower than one on a single core.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final

import torch

MEASURED_STEPS: Final = 10
"""Steps that are timed. Source: ours; single steps differ by half, ten of them by a tenth."""

DECISIVE: Final = 1.5
"""A difference by this factor is believed after one step each. Source: ours; a slow step may take seconds."""

STEPS_EACH: Final = 4
"""Steps timed with each number of threads where they differ by less. Source: ours."""


class FirstSteps:
    """Times the first steps of a run, and chooses the faster one where it may compute on one thread or on all.

    The steps are real ones: nothing is computed only to be timed. The first does not count: memory is reserved in it.

    Args:
        choices: numbers of threads, one or two, rising.
    """

    def __init__(self, choices: Sequence[int]) -> None:
        self._seconds: dict[int, list[float]] = {threads: [] for threads in choices}
        self._steps = 0

    @property
    def threads(self) -> int | None:
        """The number of threads to stay with; None: not known yet."""
        few, many = min(self._seconds), max(self._seconds)
        if few == many:
            return few
        if not all(self._seconds.values()):
            return None
        ratio = self._median(few) / self._median(many)
        if max(ratio, 1 / ratio) >= DECISIVE or min(map(len, self._seconds.values())) >= STEPS_EACH:
            return few if ratio <= 1.0 else many
        return None

    @property
    def next(self) -> int:
        """Threads for the next step: those chosen, else those timed less often."""
        return self.threads or min(self._seconds, key=lambda threads: (len(self._seconds[threads]), threads))

    @property
    def complete(self) -> bool:
        """Whether as many steps have been timed as are needed."""
        return self._steps >= MEASURED_STEPS and self.threads is not None

    @property
    def step_s(self) -> float:
        """Time of a step on the threads that were chosen, in seconds."""
        return self._median(self.next)

    def step_ended(self, seconds: float) -> None:
        """Update with the time that a step on `next` threads took, in seconds > 0."""
        self._steps += 1
        if self._steps > 1:
            self._seconds[self.next].append(seconds)

    def __str__(self) -> str:
        """`1 thread (all 2: 5.1 times slower)`."""
        chosen = self.next
        text = f"{chosen} thread" + ("s" if chosen > 1 else "")
        others = [threads for threads, seconds in self._seconds.items() if threads != chosen and seconds]
        return text + "".join(f" ({self._median(other) / self.step_s:.1f} times as fast as {other})" for other in others)

    def _median(self, threads: int) -> float:
        return median(self._seconds[threads])


def thread_choices(fixed: int | None, *, adapts: bool) -> tuple[int, ...]:
    """Numbers of threads to choose among, rising.

    Args:
        fixed: the number that was decided already; None: none.
        adapts: whether a run may choose: only where the clock ends it is its result one of many already.
    """
    if fixed is not None:
        return (fixed,)
    most = torch.get_num_threads()
    return (1, most) if adapts and most > 1 else (most,)


def use_threads(threads: int) -> None:
    """Compute on this many threads from now on."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
