"""Whether a postprocessing step is worth keeping: by what it changes in each case, and what chance would change, too."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.comparison import false_positive, in_reference
from autoseg.evaluation.statistics import LEVEL
from autoseg.metrics.table import METRICS
from autoseg.wording import counted, listing


@dataclass(frozen=True)
class _Measure:
    """What a step is judged by.

    Attributes:
        name: for people.
        of: from a class's scores to a number; NaN where it is undefined.
        sign: 1 where more is better, -1 where less is.
        negligible: changes up to this count as none. Source: half of the last decimal that is published, which is one less
            than tables show, as where combinations are ranked (`TIE_DICE`).
        digits: that are shown.
        unit: of the number.
    """

    name: str
    of: Callable[[ClassMetrics], float]
    sign: int
    negligible: float
    digits: int
    unit: str = ""


def _metric(key: str, name: str) -> _Measure:
    metric = METRICS[key]
    return _Measure(
        name=name,
        of=lambda scores: scores.number(key),
        sign=1 if metric.better == "higher" else -1,
        negligible=0.5 / 10 ** (metric.decimals - 1),
        digits=metric.decimals + 1,
        unit=f" {metric.unit}" if metric.unit else "",
    )


_FALSE_POSITIVES: Final = _Measure(
    "false positives per case", lambda scores: float(false_positive(scores)), -1, 0.0, digits=2
)
"""Classes that the reference does not have: their Dice, 0 until they are gone and undefined then, has no difference."""

_MEASURES: Final = (_metric("dice", "Dice"), _metric("hausdorff_mm", "Hausdorff distance"), _FALSE_POSITIVES)


@dataclass(frozen=True)
class _Change:
    """How a number changes over the cases for which it is defined before and after."""

    measure: _Measure
    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        return math.fsum(self.differences) / len(self.differences) if self.differences else 0.0

    @property
    def error(self) -> float:
        """Standard error of the mean; infinite of a single case, which says nothing of others."""
        count = len(self.differences)
        return float(np.std(self.differences, ddof=1)) / math.sqrt(count) if count > 1 else math.inf

    @property
    def counts(self) -> int:
        """1 for a change to the better, -1 to the worse, 0 where it is negligible or no more than chance explains."""
        if abs(self.mean) <= max(self.measure.negligible, self._by_chance):
            return 0
        return self.measure.sign if self.mean > 0 else -self.measure.sign

    @property
    def _by_chance(self) -> float:
        """How far the mean goes by chance, in each direction in one of twenty sets of cases."""
        count = len(self.differences)
        return float(special.stdtrit(count - 1, LEVEL)) * self.error if count > 1 else math.inf

    def __str__(self) -> str:
        digits = self.measure.digits
        error = f"standard error {self.error:.{digits}f}" if math.isfinite(self.error) else "one case"
        return f"{self.mean:+.{digits}f}{self.measure.unit}, {error}"


def step_helps(before: Sequence[CaseMetrics], after: Sequence[CaseMetrics], *, value: int | None) -> tuple[bool, str]:
    """Whether a step is worth keeping, and why.

    It is kept where Dice or the Hausdorff distance of its classes improves, or false positives become fewer, and nothing
    gets worse for any class. A change counts where its mean over cases is more than half of the last published decimal and
    more than chance explains: Student's t of the cases' differences, 95 % to each side.

    Args:
        before: scores of the cases without the step.
        after: with it.
        value: label value of the class it is meant for; None: all classes.
    """
    if all(_same(old, new) for old, new in zip(before, after, strict=True)):
        return False, "it changes nothing"
    for index, scores in enumerate(before[0].classes):
        if emptied := sum(_emptied(old.classes[index], new.classes[index]) for old, new in zip(before, after, strict=True)):
            return False, f"nothing of {scores.name} is left in {counted(emptied, 'case')} that have it"
        for change in _changes(before, after, [index]):
            if change.counts < 0:
                return False, f"{change.measure.name} of {scores.name} gets worse ({change})"
    concerned = [index for index, scores in enumerate(before[0].classes) if value in {None, scores.value}]
    changes = _changes(before, after, concerned)
    if gains := [change for change in changes if change.counts > 0]:
        improved = listing([f"{change.measure.name} ({change})" for change in gains])
        return True, f"better: {improved}; nothing gets worse by more than chance explains"
    told = listing([f"{change.measure.name} ({change})" for change in changes[:2] if change.differences], last="nor")
    return False, f"no change by more than chance explains: neither {told}"


def _changes(before: Sequence[CaseMetrics], after: Sequence[CaseMetrics], classes: Sequence[int]) -> list[_Change]:
    """What changes in each case on average over some of the classes, by their places."""
    changes = []
    for measure in _MEASURES:
        pairs = [
            [measure.of(new.classes[index]) - measure.of(old.classes[index]) for index in classes]
            for old, new in zip(before, after, strict=True)
        ]
        known = [[difference for difference in of_case if not math.isnan(difference)] for of_case in pairs]
        changes.append(_Change(measure, tuple(math.fsum(of_case) / len(of_case) for of_case in known if of_case)))
    return changes


def _emptied(old: ClassMetrics, new: ClassMetrics) -> bool:
    """Whether nothing of a class of the reference is left."""
    lost_distance = math.isnan(new.hausdorff_mm) and not math.isnan(old.hausdorff_mm)
    return in_reference(new) and (lost_distance or new.number("volume_ml") == 0 < old.number("volume_ml"))


def _same(old: CaseMetrics, new: CaseMetrics) -> bool:
    numbers = [
        (first.number(metric), second.number(metric))
        for first, second in zip(old.classes, new.classes, strict=True)
        for metric in METRICS
    ]
    return all(first == second or (math.isnan(first) and math.isnan(second)) for first, second in numbers)
