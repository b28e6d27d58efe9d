"""How far a run has come, by epochs or by the clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from autoseg.planning.sections import TrainingSection

_SAFETY = 1.25
"""The end of the last epoch may take this much longer than the longest so far. Source: ours, from the spread of timings."""


@dataclass(frozen=True)
class Budget:
    """Says how much of a run is done and when it ends.

    Attributes:
        steps: optimiser steps of the whole run; None: the clock alone decides.
        seconds: time within which the run must be done, last validation included; None: no limit.
    """

    steps: int | None
    seconds: float | None

    @property
    def unit(self) -> str:
        """What a progress bar should count."""
        return "s" if self.steps is None else "steps"

    @property
    def length(self) -> float | None:
        """The whole run in that unit."""
        return self.seconds if self.steps is None else self.steps

    def done(self, *, step: int, elapsed_s: float) -> float:
        """How much of the run is done, in that unit."""
        return elapsed_s if self.steps is None else step

    def progress(self, *, step: int, elapsed_s: float, closing_s: float) -> float:
        """Share of the run that is done, in [0, 1]; 1 means: take no further step.

        Where a number of steps is set, the fraction is that of the steps, and the clock only cuts the run short.

        Args:
            step: optimiser steps taken since the run was begun.
            elapsed_s: seconds since the run was begun, interruptions not counted.
            closing_s: longest time from an epoch's last step to its stored model so far, kept free at the end.
        """
        by_clock = self._share_of_time(elapsed_s, closing_s)
        if self.steps is None:
            return by_clock
        return 1.0 if by_clock >= 1.0 else min(step / self.steps, 1.0)

    def _share_of_time(self, elapsed_s: float, closing_s: float) -> float:
        if self.seconds is None:
            return 0.0
        available = self.seconds - _SAFETY * closing_s
        return min(elapsed_s / available, 1.0) if available > 0 else 1.0


class Length(Protocol):
    """How long a run shall be."""

    @property
    def epochs(self) -> int | None:
        """Length in epochs; None: the plan's."""

    @property
    def minutes(self) -> float | None:
        """Wall-clock budget; None: the plan's."""


def build_budget(section: TrainingSection, config: Length) -> Budget:
    """The length the user chose, else the plan's.

    A schedule that anneals follows the user's minutes; one that waits for a plateau keeps the plan's epochs and is only
    cut short by them.
    """
    chosen = config.epochs is not None or config.minutes is not None
    epochs = config.epochs if chosen else section.epochs
    minutes = config.minutes if chosen else section.minutes
    if epochs is None and section.schedule == "plateau":
        epochs = section.epochs
    return Budget(
        steps=None if epochs is None else epochs * section.steps_per_epoch,
        seconds=None if minutes is None else minutes * 60.0,
    )


@dataclass
class Stopwatch:
    """Seconds since the run was begun: those before the last interruption, and those since its clock started."""

    before_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    now: Callable[[], float] = time.monotonic

    @property
    def elapsed_s(self) -> float:
        """Seconds so far."""
        return self.before_s + self.now() - self.started
