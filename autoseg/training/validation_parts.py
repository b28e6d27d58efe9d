"""Which slices of the held-out cases are looked at after an epoch, and how many at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.model.padding import Padding
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.planning.slicing import WHOLE_SLICE_PATCHES
from autoseg.preprocessing.stored import SliceStack, StoredCase

VALIDATION_FRACTION: Final = 0.04
"""Slices looked at after an epoch, as a fraction of those it trained on, where nothing depends on what is seen.

Source: ours; predicting a slice takes about a third of training on it, so this is a hundredth of the time."""

FEWEST_SLICES: Final = 32
"""Slices looked at, at least. Source: ours; fewer would tell little."""


@dataclass(frozen=True, eq=False)
class ValidationPart:
    """What is looked at of one case in one view.

    Attributes:
        number: of the case, in the order given.
        view: how its slices are shown.
        stack: its preprocessed arrays, as this view shows them.
        slices: numbers of its slices, rising, (N,), int64, N >= 1.
        padding: what they are extended with.
    """

    number: int
    view: View
    stack: SliceStack
    slices: NDArray[np.int64]
    padding: Padding

    @property
    def rows_at_once(self) -> int:
        """Rows that are scored together: at least all of a slice that is seen whole, of larger ones as many pixels."""
        return max(1, WHOLE_SLICE_PATCHES * math.prod(self.view.patch_px) // self.stack.shape[2])

    def batches(self, size: int) -> list[NDArray[np.int64]]:
        """Its slices, as many at once, or as few as take no more memory than a step of training.

        Source: without gradients a slice takes less than a quarter of the memory it takes in training, as in `seen_at_once`.
        """
        rows, columns = self.stack.shape[1:]
        most = WHOLE_SLICE_PATCHES * self.view.batch_size * math.prod(self.view.patch_px) // (rows * columns)
        size = max(1, min(size, most))
        return [self.slices[start : start + size] for start in range(0, len(self.slices), size)]


def whole(cases: Sequence[StoredCase], plan: Plan) -> list[ValidationPart]:
    """Every slice of some cases that has a labelled pixel, case by case, in every view."""
    parts = [
        ValidationPart(
            number, view, stack, np.flatnonzero(stack.labelled(plan)), Padding.of(plan, stack.footprint.pad_value)
        )
        for number, case in enumerate(cases)
        for view, stack in zip(plan.views, case.stacks, strict=True)
    ]
    return [part for part in parts if len(part.slices)]


def chosen_part(cases: Sequence[StoredCase], *, plan: Plan, seed: int) -> list[ValidationPart]:
    """The slices that are looked at after every epoch of a run, always the same ones.

    Args:
        cases: held-out cases.
        plan: says how slices are shown, and whether the run depends on its validation; then it looks at every slice.
        seed: of the choice, where there are more slices than are needed.
    """
    parts = whole(cases, plan)
    total = sum(len(part.slices) for part in parts)
    most = max(round(VALIDATION_FRACTION * plan.slices_per_epoch), FEWEST_SLICES)
    if plan.training.follows_validation or total <= most:
        return parts
    chosen = np.zeros(total, dtype=np.bool_)
    chosen[np.random.default_rng(seed).choice(total, size=most, replace=False)] = True
    borders = np.cumsum([len(part.slices) for part in parts])[:-1]
    kept = [replace(part, slices=part.slices[mine]) for part, mine in zip(parts, np.split(chosen, borders), strict=True)]
    return [part for part in kept if len(part.slices)]
