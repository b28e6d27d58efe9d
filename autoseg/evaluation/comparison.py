"""Networks side by side: one number per case and network, as in the paper's tables 3 and 4.

Means are compared over the same classes alone. A case's mean is over every class that its reference contains, and over those
for which the metric is defined though it does not (Dice is 0 for what was found and is not there). Where the metric is
undefined for a class of the reference, as a distance is for a class that was not found, the mean is undefined, too: without
that class it would look better than a mean that has it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from autoseg.evaluation.cases import NOT_AT_THIS_TOLERANCE, NOT_THROUGHOUT, CaseMetrics, ClassMetrics
from autoseg.evaluation.statistics import MetricSummary, describe
from autoseg.metrics.table import METRICS
from autoseg.wording import counted, listing

ScoreTable = Mapping[tuple[str, int], ClassMetrics]
"""Scores by case and label value."""

NOTHING_THERE: Final = "nothing in the reference"
"""Why a case without any class in its reference has no mean; of distances, whether something was found or not."""


@dataclass(frozen=True)
class Cell:
    """One case under one network.

    Attributes:
        value: mean over the classes; NaN where the metric is undefined for a class that the reference contains, or for all.
        undefined: number of classes for which the metric is undefined.
        classes: names of those that the mean is over.
        reason: why the value is undefined, or which classes are neither in the reference nor in the mean, in words that fit
            into brackets behind the number; empty where the mean is over all classes.
        missed: whether the value is undefined because the prediction lacks a class of the reference, which is worse than any
            value; where it is undefined for another reason, that says nothing about the prediction.
    """

    value: float
    undefined: int
    classes: tuple[str, ...] = ()
    reason: str = ""
    missed: bool = False


@dataclass(frozen=True)
class Column:
    """One network.

    Attributes:
        network: its name for people.
        cells: by case; a case it was not scored on is missing.
    """

    network: str
    cells: Mapping[str, Cell]

    @property
    def mean(self) -> float:
        """Over the cases whose value is defined; NaN where there are none."""
        return self._summary.mean

    @property
    def sd(self) -> float:
        """Sample standard deviation (n - 1) over the same cases; NaN for fewer than two."""
        return self._summary.sd

    @property
    def _summary(self) -> MetricSummary:
        return describe([cell.value for cell in self.cells.values()])


@dataclass(frozen=True)
class Comparison:
    """One metric of several networks, case by case.

    Attributes:
        metric: its name in `METRICS`.
        cases: the rows, every case that any network was scored on, in order of their ids.
        columns: the networks.
    """

    metric: str
    cases: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def complete(self) -> bool:
        """Whether all networks have values for the same cases and classes, else their means cannot be compared."""
        scored = all(case in column.cells for column in self.columns for case in self.cases)
        return scored and all(len(set(self._classes(case))) == 1 for case in self.cases)

    def comparable(self, case: str) -> bool:
        """Whether all values of a case are over the same classes, else none of them is the best."""
        return len(set(filter(None, self._classes(case)))) <= 1

    def _classes(self, case: str) -> list[tuple[str, ...] | None]:
        """Of every network the classes that its value is over; None where it has no value."""
        cells = [column.cells.get(case) for column in self.columns]
        return [None if cell is None or math.isnan(cell.value) else cell.classes for cell in cells]


def compare(scores: Mapping[str, Sequence[CaseMetrics]], *, metric: str) -> Comparison:
    """Put networks side by side.

    Args:
        scores: name of a network to the scores of its cases, each case once.
        metric: which of the numbers to compare, by its name in `METRICS`.

    Raises:
        ValueError: a network has two scores for one case.

    Source: tables 3 and 4 of the paper, which average over the three tissues.
    """
    columns = []
    for network, cases in scores.items():
        cells = {case.id: class_mean(case, metric) for case in cases}
        if len(cells) < len(cases):
            msg = f"{network} has several scores for one case"
            raise ValueError(msg)
        columns.append(Column(network, cells))
    every = sorted({case for column in columns for case in column.cells})
    return Comparison(metric, tuple(every), tuple(columns))


def merit(cells: Sequence[Cell], *, metric: str) -> float:
    """What cases are sorted by, the worst first: the mean over networks, of distances its opposite.

    A case without a value comes first where a class was missed, else last: nothing was to be found.
    """
    known = [cell.value for cell in cells if not math.isnan(cell.value)]
    if not known:
        return -math.inf if any(cell.missed for cell in cells) else math.inf
    return -fmean(known) if METRICS[metric].better == "lower" else fmean(known)


def class_mean(case: CaseMetrics, metric: str) -> Cell:
    """The mean of a case over its classes: one number, or the reason why there is none."""
    known = [scores for scores in case.classes if not math.isnan(scores.number(metric))]
    others = [scores for scores in case.classes if math.isnan(scores.number(metric))]
    if lost := [scores for scores in others if in_reference(scores)]:
        reasons = {scores.name: why_undefined(scores, metric) for scores in lost}
        if set(reasons.values()) == {NOT_THROUGHOUT}:
            return Cell(math.nan, len(others), reason=NOT_THROUGHOUT)
        missed = not {NOT_THROUGHOUT, NOT_AT_THIS_TOLERANCE}.issuperset(reasons.values())
        in_words = listing([f"{name} {why}" for name, why in reasons.items()])
        return Cell(math.nan, len(others), reason=in_words, missed=missed)
    if not known:
        return Cell(math.nan, len(others), reason=NOTHING_THERE)
    without = f"without {listing([scores.name for scores in others])}" if others else ""
    mean = describe([scores.number(metric) for scores in known]).mean
    return Cell(mean, len(others), tuple(scores.name for scores in known), without)


def reasons_of(cells: Iterable[Cell]) -> str:
    """What is not in the means of several cases, with their numbers; empty where nothing is missing."""
    counts = Counter(cell.reason for cell in cells if cell.reason)
    return ", ".join(f"{reason} in {counted(count, 'case')}" for reason, count in sorted(counts.items()))


def in_reference(scores: ClassMetrics) -> bool:
    """Whether the reference contains a class; where its volume is unknown, as far as its Dice tells."""
    volume_ml = scores.number("reference_volume_ml")
    return not math.isnan(scores.dice) if math.isnan(volume_ml) else volume_ml > 0


def contains(tables: Sequence[ScoreTable], place: tuple[str, int]) -> bool:
    """Whether the reference of a case contains a class, by all scores against it, whichever is first.

    Its volume says so where any table has it; otherwise Dice, which is undefined on a side that rightly found nothing.

    Args:
        tables: scores by case and label value.
        place: the case and the label value.
    """
    known = [table[place] for table in tables if place in table]
    if measured := [scores for scores in known if not math.isnan(scores.number("reference_volume_ml"))]:
        return any(in_reference(scores) for scores in measured)
    return any(scores.dice > 0 for scores in known) or (bool(known) and all(in_reference(scores) for scores in known))


def found_alone(table: ScoreTable, other: ScoreTable) -> int:
    """In how many cases one table has a Dice of 0, and the other none, of a class that the reference does not have.

    There is no difference between the two, so that no mean of differences shows it.
    """
    apart = [place for place in table if place in other and table[place].dice == 0 and math.isnan(other[place].dice)]
    return len({place[0] for place in apart if not contains((table, other), place)})


def false_positive(scores: ClassMetrics) -> bool:
    """Whether a class was found that the reference does not have."""
    return scores.dice == 0 and not in_reference(scores)


def why_undefined(scores: ClassMetrics, metric: str) -> str:
    """Why a metric that is undefined for a class is so, in a few words."""
    if not in_reference(scores):
        return "not in the reference"
    # Where voxels have no label, no tolerance stands beside the scores, because none was applied.
    no_surfaces = math.isnan(scores.hausdorff_mm) and math.isnan(scores.number("nsd_tolerance_mm"))
    if metric == "nsd" and not no_surfaces:
        return NOT_AT_THIS_TOLERANCE
    if scores.number("volume_ml") == 0:
        return "not found"
    return NOT_THROUGHOUT if no_surfaces and scores.number("volume_ml") > 0 else "undefined"


def values_by_class(cases: Sequence[CaseMetrics], metric: str) -> dict[str, list[float]]:
    """A metric of every case, by class name; NaN where it is not defined."""
    values: dict[str, list[float]] = {}
    for case in cases:
        for scores in case.classes:
            values.setdefault(scores.name, []).append(scores.number(metric))
    return values
