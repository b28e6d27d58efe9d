"""The prior put right after the fact: one log-prior shift per class of the averaged probabilities, where it helps.

Class weights and small training sets leave networks that find some classes too often. Which shift of the logarithms (of
regions, of each one's log-odds) gives the highest mean Dice is learnt from held-out cases; whether it is kept is judged on
cases of folds that had no part in it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import encoding_of
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import false_positive, in_reference
from autoseg.events import Events
from autoseg.inference.shift import describe
from autoseg.jobs.work import Apply
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, score_choices
from autoseg.postprocessing.region_prior import best_region_shift, region_voxels
from autoseg.postprocessing.scoring import score_of
from autoseg.postprocessing.selection import TriedShift
from autoseg.postprocessing.undecided import NEVER, STEP, UNITS, Undecided, largest_shift, undecided

T = TypeVar("T")

_ROUNDS: Final = 10
"""Rounds over all classes, at most. Source: ours; two or three settle on IBSR18 and the hippocampus."""

_MOST_ROWS: Final = 1 << 20
"""Rows of all cases together. Source: chosen; their search takes some 100 MiB."""


_MOST_GROUPS: Final = 50
"""Groups of cases, where one fold alone is there, that a shift is learnt without. Source: chosen; one for each case would
take hours for thousands, and a fiftieth hardly changes what the others teach."""


@dataclass(frozen=True)
class FoundShift:
    """What came of the search.

    Attributes:
        choice: with the shift where it helps.
        scores: of every case under that choice.
        tried: the shift and its scores; None: there are too few cases to judge any.
    """

    choice: Choice
    scores: tuple[CaseMetrics, ...]
    tried: TriedShift | None


def find_shift(
    cases: Sequence[HeldOutCase], *, choice: Choice, before: Sequence[CaseMetrics], apply: Apply, events: Events
) -> FoundShift:
    """Learn a shift, and keep it where cases of folds left out gain by it.

    Each fold's cases are scored with the shift that the cases of the other folds teach; where there is one fold alone, each
    case with that of the others, or each of `_MOST_GROUPS` groups where there are more cases. It is kept if their Dice rises
    by more than one standard error of the mean difference (`shift_helps`).

    Args:
        cases: held-out cases.
        choice: whose probabilities, without a shift.
        before: the cases' scores without any.
        apply: processes to work with.
        events: notified of progress.
    """
    groups = [case.fold for case in cases]
    if len(set(groups)) == 1:
        groups = [str(number % _MOST_GROUPS) for number in range(len(cases))]
    if len(set(groups)) < 2:
        return FoundShift(choice, tuple(before), None)
    names = [label.name for label in cases[0].classes]
    with events.track("learning the prior", total=3, unit="steps") as progress:
        if encoding_of(cases[0].classes).exclusive:
            look = partial(undecided, choice=choice, most_rows=max(_MOST_ROWS // len(cases), 1))
            learnt, together = _learn(list(apply(look, cases)), groups, best_shift)
        else:
            learnt, together = _learn(list(apply(partial(region_voxels, choice=choice), cases)), groups, best_region_shift)
        progress.advance()
        after = _scores(cases, [replace(choice, log_shift=learnt[group]) for group in groups], before, apply)
        progress.advance()
        kept, reason = shift_helps(before, after) if together else (False, "no shift raises the Dice of the held-out cases")
        scores = _scores(cases, [replace(choice, log_shift=together)] * len(cases), before, apply) if kept else tuple(before)
        progress.advance()
    tried = TriedShift(
        log_shift=together,
        phrase=describe(together, names),
        kept=kept,
        reason=reason,
        before=score_of(before),
        after=score_of(after),
    )
    return FoundShift(replace(choice, log_shift=together) if kept else choice, scores, tried)


def _learn(
    tables: Sequence[T], groups: Sequence[str], best: Callable[[Sequence[T]], tuple[float, ...]]
) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...]]:
    """The best shift of the cases outside each group, and that of all cases."""
    without = {
        group: best([table for table, other in zip(tables, groups, strict=True) if other != group])
        for group in dict.fromkeys(groups)
    }
    return without, best(tables)


def shift_helps(before: Sequence[CaseMetrics], after: Sequence[CaseMetrics]) -> tuple[bool, str]:
    """Whether a shift is worth keeping, by the scores of cases that had no part in it, and why.

    What it does where a case does not have a class counts, too: a false positive that appears there is the loss of a whole
    Dice, one that goes the gain of it. Where nothing of such a class is found before or after, nothing is judged.
    """
    found = [_gain(old, new) for old, new in zip(before, after, strict=True)]
    gains = np.array([gain for gain in found if not math.isnan(gain)])
    if len(gains) < 2:
        return False, "too few cases have a Dice"
    mean, error = float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(len(gains))
    measured = f"{mean:+.5f}, standard error {error:.5f}"
    if mean > error:
        return True, f"Dice of cases left out rises by more than one standard error ({measured})"
    return False, f"Dice of cases left out does not rise by more than one standard error ({measured})"


def _gain(before: CaseMetrics, after: CaseMetrics) -> float:
    """What a case gains in Dice, on average over the classes that are in its reference or were found; NaN without any."""
    gains = [
        new.dice - old.dice if in_reference(old) else false_positive(old) - false_positive(new)
        for old, new in zip(before.classes, after.classes, strict=True)
        if in_reference(old) or not (math.isnan(old.dice) and math.isnan(new.dice))
    ]
    return math.fsum(gains) / len(gains) if gains else math.nan


def best_shift(tables: Sequence[Undecided]) -> tuple[float, ...]:
    """The shift of the classes with the highest mean Dice over cases, background 0, one class after the other.

    Returns:
        one number per class, a multiple of `STEP`; empty where no shift is better than none.
    """
    search = _Search(tables)
    found = search.found()
    return tuple(round(value / UNITS * STEP, 2) for value in found.tolist()) if found.any() else ()


class _Search:
    """Rows of all cases together."""

    def __init__(self, tables: Sequence[Undecided]) -> None:
        self._decided = np.stack([table.decided for table in tables]).astype(np.float64)  # (cases, 3, K)
        self._cases, _, self._count = self._decided.shape
        self._case = np.repeat(np.arange(self._cases), [len(table.voxels) for table in tables])  # (N,)
        self._classes = np.concatenate([table.classes for table in tables]).astype(np.int64)  # (N, T)
        self._levels = np.concatenate([table.levels for table in tables]).astype(np.int32)
        self._reference = np.concatenate([table.reference for table in tables]).astype(np.int64)
        self._voxels = np.concatenate([table.voxels for table in tables])
        steps = round(largest_shift(self._count) / STEP)
        self._grid = UNITS * np.arange(-steps, steps + 1)

    def found(self) -> NDArray[np.int64]:
        """The best shift, in units."""
        shift = np.zeros(self._count, dtype=np.int64)
        for _ in range(_ROUNDS):
            before = shift.copy()
            for index in range(1, self._count):
                shift[index] = self._best(shift, index)
            if np.array_equal(shift, before):
                break
        return shift

    def _best(self, shift: NDArray[np.int64], index: int) -> int:
        """The shift of one class with the highest score, the smallest of equals, where the others keep theirs.

        Where a shift leaves no Dice, no case has any class: all others find what is not there, and none is better.
        """
        scores = self._scores(shift, index)
        if np.isnan(scores).any():
            return int(shift[index])
        equal = self._grid[scores >= scores.max() - 1e-12]
        return int(equal[np.abs(equal).argmin()])

    def _scores(self, shift: NDArray[np.int64], index: int) -> NDArray[np.float64]:
        """Mean Dice under every shift of one class, (G,): what it wins, it takes from the best of the others."""
        own = (self._classes == index) & (self._levels > NEVER)  # (N, T)
        others = np.where(own | (self._levels == NEVER), NEVER, self._levels + shift[self._classes])
        column = others.argmax(axis=1)[:, np.newaxis]
        holder = np.take_along_axis(self._classes, column, axis=1)[:, 0]  # (N,)
        right, predicted, wanted = (self._decided[:, number, :, np.newaxis] for number in range(3))  # (cases, K, 1)
        rows = np.ones(len(self._case), dtype=np.bool_)
        right = right + self._sums(rows & (holder == self._reference), holder)[..., np.newaxis]
        predicted = predicted + self._sums(rows, holder)[..., np.newaxis]
        rows = own.any(axis=1)
        needed = np.take_along_axis(others, column, axis=1)[:, 0] - np.where(own, self._levels, NEVER).max(axis=1)
        wins = np.searchsorted(self._grid, needed, side="right")  # first place of the grid at which it wins
        winner = np.full_like(holder, index)
        predicted = predicted + self._moved(rows, winner, wins) - self._moved(rows, holder, wins)
        right = right + self._moved(rows & (self._reference == index), winner, wins)
        right = right - self._moved(rows & (self._reference == holder), holder, wins)
        with np.errstate(invalid="ignore"):
            dice = (2 * right / (predicted + wanted))[:, 1:]  # (cases, K - 1, G)
        return _mean_of_defined(_mean_of_defined(dice, axis=1), axis=0)

    def _sums(self, rows: NDArray[np.bool_], classes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Voxels by case and class, (cases, K)."""
        places = self._case[rows] * self._count + classes[rows]
        sums: NDArray[np.float64] = np.bincount(
            places, weights=self._voxels[rows], minlength=self._cases * self._count
        ).astype(np.float64)
        return sums.reshape(self._cases, self._count)

    def _moved(self, rows: NDArray[np.bool_], classes: NDArray[np.int64], wins: NDArray[np.intp]) -> NDArray[np.float64]:
        """Voxels by case, class and place of the grid from which they count, added up along it: (cases, K, G)."""
        size = len(self._grid) + 1
        places = (self._case[rows] * self._count + classes[rows]) * size + wins[rows]
        sums = np.bincount(places, weights=self._voxels[rows], minlength=self._cases * self._count * size)
        return sums.reshape(self._cases, self._count, size).cumsum(axis=2)[..., :-1]


def _mean_of_defined(values: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(defined, values, 0).sum(axis=axis) / defined.sum(axis=axis)
    return mean


def _scores(
    cases: Sequence[HeldOutCase], choices: Sequence[Choice], before: Sequence[CaseMetrics], apply: Apply
) -> tuple[CaseMetrics, ...]:
    """Scores of each case under a choice of its own; without a shift they are known."""
    changed = [(case, choice) for case, choice in zip(cases, choices, strict=True) if choice.log_shift]
    scores = iter(list(apply(_score, changed)))
    return tuple(next(scores) if choice.log_shift else old for choice, old in zip(choices, before, strict=True))


def _score(chosen: tuple[HeldOutCase, Choice]) -> CaseMetrics:
    case, choice = chosen
    (scores,) = score_choices(case, choices=[choice])
    return scores
