"""Scores by class: of what predicts, of single networks for comparison, and how these differ from it case by case."""

import math
from collections.abc import Iterator, Mapping, Sequence

from autoseg.errors import UsageError
from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.comparison import class_mean, reasons_of
from autoseg.evaluation.formatting import bounds, number, volume
from autoseg.evaluation.paired import PairedMetric, Side, compare_sides
from autoseg.evaluation.statistics import MIN_CASES, describe, mean_interval
from autoseg.evaluation.tables import why_not_all
from autoseg.metrics.table import METRICS
from autoseg.reporting.blocks import Table
from autoseg.reporting.figure_blocks import scored_metrics
from autoseg.reporting.tables import MISSING, decimals
from autoseg.wording import counted

_HOW = f"means over cases ± standard deviation, with 95 % intervals from {MIN_CASES} cases on"
_VOLUMES = ("volume_ml", "reference_volume_ml")
_MEAN = "mean of the classes"


def subject_table(cases: Sequence[CaseMetrics], *, title: str) -> Table:
    """Every metric of every class and of the classes' mean, over all cases.

    Args:
        cases: the scores.
        title: what they are of.
    """
    metrics = scored_metrics(cases)
    rows = [[name, *texts] for name, texts in _rows(cases, metrics)]
    columns = ["class", *(METRICS[metric].heading for metric in metrics)]
    return Table(f"By class, {title}, {counted(len(cases), 'held-out case')}: {_HOW}", columns, rows)


def volumes_table(cases: Sequence[CaseMetrics], *, title: str) -> Table:
    """The volumes of every class in ml, predicted and in the reference, over all cases; folded.

    Args:
        cases: the scores.
        title: what they are of.
    """
    rows = [
        [label.name, *(_volume([case.classes[index] for case in cases], name) for name in _VOLUMES)]
        for index, label in enumerate(cases[0].classes if cases else ())
    ]
    columns = ["class", *(METRICS[name].heading for name in _VOLUMES)]
    caption = f"Volumes by class, {title}, {counted(len(cases), 'held-out case')}: means over cases ± standard deviation"
    return Table(caption, columns, rows, folded=True)


def networks_table(scores: Mapping[str, Sequence[CaseMetrics]], *, titles: str) -> Table:
    """The metrics of every class and of the classes' mean, by network.

    Args:
        scores: by network.
        titles: what they are of, in full.
    """
    metrics = scored_metrics([case for cases in scores.values() for case in cases])
    rows = [
        [f"{network}: {name}", *texts, str(len(cases))]
        for network, cases in scores.items()
        for name, texts in _rows(cases, metrics)
    ]
    columns = ["network and class", *(METRICS[metric].heading for metric in metrics), "cases"]
    return Table(f"For comparison, single networks by class ({titles}): {_HOW}", columns, rows)


def differences_table(
    name: str, cases: Sequence[CaseMetrics], others: Mapping[str, Sequence[CaseMetrics]], *, title: str
) -> Table | None:
    """How single networks differ from what predicts, case by case, in the mean over the classes.

    Args:
        name: of what predicts.
        cases: its scores.
        others: scores by network.
        title: what predicts, as part of a sentence.

    Returns:
        the table; None where no network was scored on one of the cases, against the same reference.
    """
    found: dict[str, dict[str, PairedMetric]] = {}
    for network, scores in others.items():
        try:
            compared = compare_sides([Side(name, tuple(cases)), Side(network, tuple(scores))])
        except UsageError:  # nothing to compare: no case in common, or label maps were corrected in between
            continue
        found[network] = {result.metric: result for result in compared.results if result.label is None}
    metrics = [metric for metric in METRICS if any(metric in results for results in found.values())]
    if not metrics:
        return None
    rows = []
    for network, results in found.items():
        texts = [_difference(results[metric]) if metric in results else MISSING for metric in metrics]
        rows.append([network, *texts, str(max((len(result.cases) for result in results.values()), default=0))])
    return Table(
        f"Single networks minus {title}, case by case, in the mean over the classes, with 95 % intervals from {MIN_CASES} "
        "cases on; cases that both were scored on",
        ["network", *(METRICS[metric].heading for metric in metrics), "cases"],
        rows,
    )


def _difference(result: PairedMetric) -> str:
    """A mean difference, below it its interval, and below that of how many cases it is where that is not all."""
    difference, digits = result.test.difference, min(decimals(result.metric), 3)
    between = bounds(difference, digits) if difference.cases >= MIN_CASES else ""
    text = f"{difference.mean:+.{digits}f}" if difference.cases else number(difference.mean, digits)
    fewer = counted(difference.cases, "case") if 0 < difference.cases < len(result.cases) else ""
    return _lines(text, between, fewer)


def _rows(cases: Sequence[CaseMetrics], metrics: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each class and, of several, their mean: its name and its metrics."""
    for index, label in enumerate(cases[0].classes if cases else ()):
        of_class = [case.classes[index] for case in cases]
        undefined = {metric: why_not_all(of_class, metric) for metric in metrics}
        yield (
            label.name,
            [_mean([each.number(metric) for each in of_class], metric, why) for metric, why in undefined.items()],
        )
    if cases and len(cases[0].classes) > 1:
        means = {metric: [class_mean(case, metric) for case in cases] for metric in metrics}
        yield _MEAN, [_mean([cell.value for cell in cells], metric, reasons_of(cells)) for metric, cells in means.items()]


def _mean(values: Sequence[float], metric: str, reason: str) -> str:
    """A mean with its standard deviation, below it its interval, and below that what is not in it, of how many cases."""
    mean, digits = mean_interval(values, metric=metric), min(decimals(metric), 3)
    sd = describe(values).sd
    between = bounds(mean, digits) if mean.cases >= MIN_CASES else ""
    text = number(mean.mean, digits) + ("" if math.isnan(sd) else f" ± {number(sd, digits)}")
    return _lines(text, between, reason)


def _lines(text: str, *more: str) -> str:
    """A cell whose further lines are in brackets: in one line, five metrics with their intervals do not fit a page."""
    return "\n".join([text, *(f"({each})" for each in more if each)])


def _volume(of_class: Sequence[ClassMetrics], name: str) -> str:
    found = describe([each.number(name) for each in of_class])
    return volume(found.mean) + ("" if math.isnan(found.sd) else f" ± {volume(found.sd)}")
