"""What stands beside the bar of a run: how good it is by now, then how it learns."""

import math
from collections.abc import Mapping
from typing import Final

from autoseg.training.history import EpochRecord

_FEW_CHARACTERS: Final = 48
"""Classes are named one by one where that is not longer. Source: chosen; with it a line of 80 columns holds the Dice."""


class Standing:
    """The Dice of a run, and the best one so far.

    Args:
        held_out: whether the run has held-out cases; else the Dice is that of its training.
    """

    def __init__(self, *, held_out: bool) -> None:
        self._name = "validation_Dice" if held_out else "training_Dice"
        self._held_out = held_out
        self._latest: EpochRecord | None = None
        self._best, self._best_epoch = -math.inf, 0

    def update(self, record: EpochRecord, *, competes: bool = True) -> None:
        """Update with an epoch, which may be the best one if it was judged on the data that later ones are judged on."""
        self._latest, dice = record, self._dice(record)
        if competes and dice > self._best:
            self._best, self._best_epoch = dice, record.epoch

    @property
    def fields(self) -> dict[str, str]:
        """For `Progress.advance`; the same keys from the beginning, so that these stay in front."""
        if self._latest is None:
            return {self._name: "after the first epoch", "best": "", "epoch": ""}
        classes = _of_classes(self._latest.class_dice) if self._held_out else ""
        best = f"{self._best:.3f} (epoch {self._best_epoch})" if self._best_epoch else ""
        return {self._name: f"{_shown(self._dice(self._latest))}{classes}", "best": best, "epoch": str(self._latest.epoch)}

    def _dice(self, record: EpochRecord) -> float:
        return record.validation_dice if self._held_out else record.training_dice


def _of_classes(dice: Mapping[str, float]) -> str:
    """Each class where there are few, the worst one of many; nothing where there is one alone."""
    if len(dice) < 2:
        return ""
    listed = ", ".join(f"{name} {_shown(value)}" for name, value in dice.items())
    if len(listed) <= _FEW_CHARACTERS:
        return f" ({listed})"
    found = {name: value for name, value in dice.items() if not math.isnan(value)}
    if not found:
        return ""
    worst = min(found, key=lambda name: found[name])
    return f" (lowest: {worst} {_shown(found[worst])})"


def _shown(dice: float) -> str:
    return "n/a" if math.isnan(dice) else f"{dice:.3f}"
