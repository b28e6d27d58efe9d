"""How a run computes: on how many processor threads, and in which order a batch's values lie in memory.

Threads that compute one step together wait for the slowest of them. Where other programs use the machine, a run on all
cores is therefore often several times slower than one on a single core. Which memory format is faster depends on processor
and network (docs/explanation/decisions.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import torch

from autoseg.catalogue import MemoryFormat
from autoseg.model.compute import Compute
from autoseg.wording import counted

MEASURED_STEPS: Final = 10
"""Steps that are timed, at least. Source: ours; single steps differ by half, ten of them by a tenth."""

DECISIVE: Final = 1.5
"""A difference by this factor is believed after one step each. Source: ours; a slow step may take seconds."""

STEPS_EACH: Final = 4
"""Steps timed with each setting where they differ by less. Source: ours."""


@dataclass(frozen=True)
class Setting:
    """One way to compute.

    Attributes:
        threads: processor threads.
        memory_format: order of a batch's values in memory.
    """

    threads: int
    memory_format: MemoryFormat


class FirstSteps:
    """Times the first steps of a run, and chooses the fastest setting where there are several.

    The steps are real ones: nothing is computed only to be timed. The first in each memory format does not count: memory is
    reserved and code is made ready in it. A setting is given up as soon as another one is decisively faster.

    Args:
        settings: to choose among; of equally fast ones the first is taken.
    """

    def __init__(self, settings: Sequence[Setting]) -> None:
        self._seconds: dict[Setting, list[float]] = {setting: [] for setting in settings}
        self._begun: set[MemoryFormat] = set()
        self._steps = 0

    @property
    def chosen(self) -> Setting | None:
        """The setting to stay with; None: not known yet."""
        left = self._left
        if len(left) == 1 or min(len(self._seconds[setting]) for setting in left) >= STEPS_EACH:
            return min(left, key=self._median) if len(left) > 1 else left[0]
        return None

    @property
    def next(self) -> Setting:
        """For the next step: the chosen setting, else the one timed least often of those that may be the fastest."""
        return self.chosen or min(self._left, key=lambda setting: len(self._seconds[setting]))

    @property
    def complete(self) -> bool:
        """Whether as many steps have been timed as are needed."""
        return self._steps >= MEASURED_STEPS and self.chosen is not None

    @property
    def step_s(self) -> float:
        """Time of a step with the setting that was chosen, in seconds."""
        return self._median(self.next)

    def step_ended(self, seconds: float) -> None:
        """Update with the time that a step with the `next` setting took, in seconds > 0."""
        setting = self.next
        self._steps += 1
        if setting.memory_format in self._begun:
            self._seconds[setting].append(seconds)
        self._begun.add(setting.memory_format)

    def __str__(self) -> str:
        """`1 thread (5.1 times as fast as 2 threads)`; the memory format too, where it was chosen."""
        chosen = self.next
        others = [setting for setting, seconds in self._seconds.items() if setting != chosen and seconds]
        return self._name(chosen) + "".join(
            f" ({self._median(other) / self.step_s:.1f} times as fast as {self._name(other)})" for other in others
        )

    @property
    def _left(self) -> list[Setting]:
        """Settings than which no other one was decisively faster."""
        timed = {setting: self._median(setting) for setting, seconds in self._seconds.items() if seconds}
        best = min(timed.values(), default=0.0)
        return [setting for setting in self._seconds if timed.get(setting, best) < DECISIVE * best or not timed]

    def _median(self, setting: Setting) -> float:
        return median(self._seconds[setting])

    def _name(self, setting: Setting) -> str:
        name = counted(setting.threads, "thread")
        several = len({each.memory_format for each in self._seconds}) > 1
        return f"{name}, {setting.memory_format.replace('_', ' ')}" if several else name


def settings_to_try(
    *, threads: int | None, memory_format: MemoryFormat | None, compute: Compute, by_the_clock: bool
) -> list[Setting]:
    """The settings that a run chooses among: only where the clock ends it is its result one of many already.

    Args:
        threads: number of threads that was decided already; None: none.
        memory_format: likewise.
        compute: device and number format. Only on a CPU, and only in float32, is there a memory format to choose.
        by_the_clock: whether the run's length is in minutes.
    """
    adapts = by_the_clock and compute.device.type == "cpu"
    most = torch.get_num_threads()
    numbers = (threads,) if threads is not None else (1, most) if adapts and most > 1 else (most,)
    formats: tuple[MemoryFormat, ...] = (memory_format or compute.memory_format,)
    if memory_format is None and compute.layout is None and adapts and not compute.bfloat16:
        formats = ("contiguous", "channels_last")
    return [Setting(number, chosen) for number in numbers for chosen in formats]


def use_threads(threads: int) -> None:
    """Compute on this many threads from now on."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
