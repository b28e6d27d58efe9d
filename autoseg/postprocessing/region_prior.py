"""The prior of regions put right: a shift of the log-odds of each, for itself, because regions do not exclude one another.

How large a shift puts a voxel into a region is counted once; every shift of a grid is then scored by adding up. A voxel of a
region inside another is in both, so that it counts with the larger of their probabilities. That a region which is written
later may take voxels of one beside it is left out: whether a shift is kept is judged on label maps as they are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding, encoding_of
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, mean_probabilities
from autoseg.postprocessing.undecided import LARGEST, STEP
from autoseg.preprocessing.footprint import kept_part, on_own_grid

_GRID: Final[NDArray[np.int64]] = np.arange(-round(LARGEST / STEP), round(LARGEST / STEP) + 1)
"""The shifts that are tried, rising, in units of `STEP`: (G,)."""

_THRESHOLDS: Final[NDArray[np.float64]] = 1 / (1 + np.exp(STEP * _GRID[::-1]))
"""The probability above which a voxel is in a region under each of them, rising and so from the last shift to the first."""


@dataclass(frozen=True, eq=False)
class RegionVoxels:
    """Voxels of one case on its own grid, by region and by the first shift of the grid that puts them into it.

    Attributes:
        inside: those that the reference has in the region, (K - 1, G + 1), int64; at the last place those of no shift.
        outside: those that it has elsewhere, alike.
        wanted: all that the reference has in the region, those among them that were cut away, (K - 1,), int64.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    wanted: NDArray[np.int64]

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice of each region under each shift, (K - 1, G); NaN where nothing is there and nothing was to be found."""
        right = self.inside.cumsum(axis=1)[:, :-1]
        predicted = right + self.outside.cumsum(axis=1)[:, :-1]
        with np.errstate(invalid="ignore"):
            dice: NDArray[np.float64] = 2 * right / (predicted + self.wanted[:, np.newaxis])
        return dice


def region_voxels(case: HeldOutCase, *, choice: Choice) -> RegionVoxels:
    """Look through the probabilities of a case.

    Args:
        case: a held-out case whose classes are regions.
        choice: whose probabilities; without a shift.
    """
    encoding, grid = encoding_of(case.classes, ignore=case.ignore), case.grid(choice.views)
    targets = encoding.targets(case.read_reference().array)
    reference, members = kept_part(targets, grid), encoding.members
    counts = np.zeros((2, encoding.logits, len(_GRID) + 1), dtype=np.int64)
    for first, part in mean_probabilities(case, choice):
        for window, block in on_own_grid(part, grid, first=first):
            _count(block.reshape(encoding.channels, -1), reference[window].ravel(), encoding, counts)
    wanted = np.bincount(targets.ravel(), minlength=len(members)) @ members.astype(np.int64)
    return RegionVoxels(counts[1], counts[0], wanted[1:])


def best_region_shift(cases: Sequence[RegionVoxels]) -> tuple[float, ...]:
    """For each region the shift with the highest mean Dice over cases, the smallest of equals, background 0.

    Returns:
        one number per class, a multiple of `STEP`; empty where no shift is better than none.
    """
    dice = np.stack([case.dice for case in cases])  # (n, K - 1, G)
    defined = ~np.isnan(dice)
    means = np.where(defined, dice, 0).sum(axis=0) / np.maximum(defined.sum(axis=0), 1)  # (K - 1, G)
    best = []
    for of_region in means:
        equal = _GRID[of_region >= of_region.max() - 1e-12]
        best.append(int(equal[np.abs(equal).argmin()]))
    return (0.0, *(round(units * STEP, 2) for units in best)) if any(best) else ()


def _count(
    probabilities: NDArray[np.float32],
    reference: NDArray[np.integer[Any]],
    encoding: LabelEncoding,
    counts: NDArray[np.int64],
) -> None:
    """Add voxels, (K, n) probabilities and (n,) targets, to counts (2, K - 1, G + 1) of those outside and inside."""
    labelled = reference != encoding.ignored
    members = encoding.members
    for index, region in enumerate(encoding.regions, start=1):
        within = [other for other, values in enumerate(encoding.regions, start=1) if set(values) <= set(region)]
        likeliest = probabilities[within].max(axis=0)[labelled]
        places = len(_GRID) - np.searchsorted(_THRESHOLDS, likeliest, side="left")
        inside = members[reference[labelled], index].astype(np.int64)
        found = np.bincount(inside * counts.shape[2] + places, minlength=2 * counts.shape[2])
        counts[:, index - 1] += found.reshape(2, -1)
