"""Scores of many cases as a selection holds them: means with how sure they are."""

from collections.abc import Iterator, Sequence
from typing import Final

from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import compare
from autoseg.evaluation.statistics import Interval, defined, mean_interval
from autoseg.metrics.table import METRICS
from autoseg.postprocessing.selection import ClassScore, Estimate, Score
from autoseg.wording import listing

_METRICS: Final = tuple(name for name in METRICS if name in Score.model_fields)
"""What a selection holds of the metrics, by name."""


def score_of(cases: Sequence[CaseMetrics]) -> Score:
    """Means over cases of every metric of a selection, of the classes' mean and class by class."""
    names = [scores.name for scores in cases[0].classes]
    return Score(
        **{metric: estimate(case_means(cases, metric), metric) for metric in _METRICS},
        classes=tuple(
            ClassScore(
                name=name,
                **{metric: estimate([case.classes[index].number(metric) for case in cases], metric) for metric in _METRICS},
            )
            for index, name in enumerate(names)
        ),
    )


def with_undefined(distances: Sequence[str], scores: Sequence[Score]) -> list[str]:
    """Mean distances as text, with the classes that have a Dice and no distance, in some cases or in all.

    These were not found, are not in the reference, or are not labelled throughout.
    """
    lacking = ["; ".join(_undefined(score)) for score in scores]
    return [f"{text} ({undefined})" if undefined else text for text, undefined in zip(distances, lacking, strict=True)]


def _undefined(score: Score) -> Iterator[str]:
    """In words, which classes have a distance in no case, and which in fewer than have a Dice."""
    fewer = [label for label in score.classes if label.hausdorff_mm.cases < label.dice.cases]
    if never := [label.name for label in fewer if not label.hausdorff_mm.cases]:
        yield f"{listing(never)} undefined"
    if partly := [label.name for label in fewer if label.hausdorff_mm.cases]:
        yield f"{listing(partly)} partly undefined"


def case_means(cases: Sequence[CaseMetrics], metric: str) -> list[float]:
    """Each case's mean over the classes; NaN where it is undefined for one that the reference contains, or for all."""
    (column,) = compare({"": cases}, metric=metric).columns
    return [column.cells[case.id].value for case in cases]


def estimate(values: Sequence[float], metric: str) -> Estimate:
    """The mean of a metric over cases with its interval."""
    return as_estimate(mean_interval(values, metric=metric))


def as_estimate(interval: Interval) -> Estimate:
    """An interval with null for NaN."""
    low, high = defined(interval.low), defined(interval.high)
    return Estimate(mean=defined(interval.mean), low=low, high=high, cases=interval.cases)
