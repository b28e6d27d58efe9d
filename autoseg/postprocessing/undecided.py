"""Voxels of held-out cases whose class a log-prior shift can change, counted by what they look like.

A shift of at most `limit` per class changes a voxel only where another class comes near the most probable one. Those voxels
are sorted by their most probable classes, how far these lie below the first, and the class of the reference: a scan of eight
million voxels becomes some ten thousand rows, on which many shifts are tried in the time of one look at the scan.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import encoding_of
from autoseg.inference.probabilities import SMALLEST
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, mean_probabilities
from autoseg.preprocessing.footprint import kept_part, on_own_grid

STEP: Final = 0.05
"""Shifts are multiples of this. Source: ours; finer ones change no fourth digit of the Dice."""

LARGEST: Final = 1.5
"""Shift of a class, at most. Source: ours; a factor of 4.5, more than class weights to the power a half make on IBSR18."""

UNITS: Final = 2
"""In which levels are counted, per step: those of the most probable class and all shifts are even, all others odd, so that
rounding makes no two classes equal."""

NEVER: Final = -30_000
"""Level of what is no candidate."""

_MOST_CANDIDATES: Final = 4
"""Classes of a voxel that may win. Source: ours; more than two hardly ever come near one another."""


@dataclass(frozen=True, eq=False)
class Undecided:
    """Voxels of one case on its own grid.

    Attributes:
        decided: of the voxels that no shift changes: by class those that are right, and those that are predicted; of all
            voxels those of the reference. (3, K), int64.
        classes: of each row, candidates, the most probable first, (N, T), int16.
        levels: how far each lies below the first, in `UNITS` per `STEP`; `NEVER`: no candidate, (N, T), int16.
        reference: class of the reference, (N,), int16.
        voxels: that a row stands for, (N,), float64.
    """

    decided: NDArray[np.int64]
    classes: NDArray[np.int16]
    levels: NDArray[np.int16]
    reference: NDArray[np.int16]
    voxels: NDArray[np.float64]


def largest_shift(classes: int) -> float:
    """The largest shift of one class among so many that may be tried, a multiple of `STEP`.

    What is stored as 0 may have been just below `SMALLEST`, and is not to win by that: the most probable of K classes has at
    least 1 / K, and two shifts bring classes together by no more than twice the largest.
    """
    limit = min(LARGEST, math.log(1 / (classes * SMALLEST)) / 2)
    return max(math.floor(limit / STEP), 0) * STEP


def undecided(case: HeldOutCase, *, choice: Choice, most_rows: int) -> Undecided:
    """Look through the probabilities of a case.

    Args:
        case: a held-out case.
        choice: whose probabilities; without a shift.
        most_rows: where there are more rows, evenly spaced ones stand for all.
    """
    encoding, grid = encoding_of(case.classes, ignore=case.ignore), case.grid(choice.views)
    count = encoding.channels
    code = _Code(count)
    targets = encoding.targets(case.read_reference().array)
    reference = kept_part(targets, grid)
    decided = np.zeros((3, count), dtype=np.int64)
    decided[2] = np.bincount(targets.ravel(), minlength=count)[:count]
    keys, voxels = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for first, part in mean_probabilities(case, choice):
        for window, block in on_own_grid(part, grid, first=first):
            shown, wanted = block.reshape(count, -1), reference[window].ravel()
            if case.ignore is not None:
                labelled = wanted != encoding.ignored
                shown, wanted = shown[:, labelled], wanted[labelled]
            found = _looked_at(shown, wanted, decided, code)
            keys, voxels = _merged(keys, voxels, found)
    total = voxels.sum()
    stride = -(-len(keys) // most_rows)
    if stride > 1:
        keys, voxels = keys[::stride], voxels[::stride]
    scale = float(total) / max(float(voxels.sum()), 1.0)
    return Undecided(decided, *code.decoded(keys), np.asarray(voxels * scale, dtype=np.float64))


def _looked_at(
    probabilities: NDArray[np.float32], reference: NDArray[np.integer[Any]], decided: NDArray[np.int64], code: "_Code"
) -> NDArray[np.int64]:
    """Keys of the undecided voxels of (K, n) probabilities; the others are added to what is decided."""
    count = len(probabilities)
    winner = probabilities.argmax(axis=0)
    best = probabilities.max(axis=0)
    near = probabilities.sum(axis=0) - best >= best * math.exp(-code.reach)
    chosen = np.flatnonzero(near)
    keys = code.keys(probabilities[:, chosen].T, reference[chosen])
    near[chosen[keys < 0]] = False
    right = winner[~near] == reference[~near]
    decided[0] += np.bincount(winner[~near][right], minlength=count)
    decided[1] += np.bincount(winner[~near], minlength=count)
    return keys[keys >= 0]


def _merged(
    keys: NDArray[np.int64], voxels: NDArray[np.int64], found: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    new, counts = np.unique(found, return_counts=True)
    together, places = np.unique(np.concatenate([keys, new]), return_inverse=True)
    summed = np.bincount(places, weights=np.concatenate([voxels, counts]), minlength=len(together))
    return together, summed.astype(np.int64)


class _Code:
    """A whole number for every look a voxel may have."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._levels = round(2 * largest_shift(classes) / STEP) + 1  # the last one: no candidate
        self.reach = (self._levels - 1) * STEP
        candidates = min(classes, _MOST_CANDIDATES)
        while candidates > 2 and self._size(candidates) >= 1 << 62:
            candidates -= 1
        self._candidates = candidates

    def keys(self, probabilities: NDArray[np.float32], reference: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Keys of voxels, (n, K) probabilities; -1 where no second class comes near."""
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self._candidates]
        values = np.take_along_axis(probabilities, order, axis=1).astype(np.float64)
        below = np.log(values[:, :1]) - np.log(np.maximum(values, SMALLEST / 2))
        level = np.floor(below / STEP).astype(np.int64)
        none = (level >= self._levels - 1) | (values < SMALLEST)
        level[none], order[none] = self._levels - 1, 0
        found = reference.astype(np.int64) * self._classes + order[:, 0]
        for column in range(1, self._candidates):
            found = (found * self._classes + order[:, column]) * self._levels + level[:, column]
        found[none[:, 1]] = -1
        return found

    def decoded(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
        """Candidates, their levels and the reference of each key."""
        classes = np.zeros((len(keys), self._candidates), dtype=np.int16)
        levels = np.zeros_like(classes)
        for column in range(self._candidates - 1, 0, -1):
            keys, level = np.divmod(keys, self._levels)
            keys, classes[:, column] = np.divmod(keys, self._classes)
            levels[:, column] = np.where(level == self._levels - 1, NEVER, -(UNITS * level + 1))
        reference, classes[:, 0] = np.divmod(keys, self._classes)
        return classes, levels, reference.astype(np.int16)

    def _size(self, candidates: int) -> int:
        size: int = self._classes ** (candidates + 1) * self._levels ** (candidates - 1)
        return size
