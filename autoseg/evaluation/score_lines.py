"""Scores in lines of text, as commands show them."""

import math

from autoseg.evaluation.formatting import UNDEFINED, spread
from autoseg.evaluation.tables import ClassSummary, Summary, mean_over_classes
from autoseg.metrics.table import METRICS, plot_metrics


def score_lines(summary: Summary) -> list[str]:
    """The metrics that are drawn, of every class and on average, a line each."""
    lines = []
    for label in summary.classes:
        scores = ", ".join(_of_class(label, metric) for metric in plot_metrics())
        lines.append(f"  {label.name}: {scores}")
    means = ", ".join(_of_all(summary, metric) for metric in plot_metrics())
    return [*lines, f"  mean: {means}"]


def _of_class(label: ClassSummary, metric: str) -> str:
    found = label.metrics[metric]
    return _score(metric, spread(found.mean, found.sd, METRICS[metric].decimals - 1), label.why_undefined(metric))


def _of_all(summary: Summary, metric: str) -> str:
    cell = mean_over_classes(summary.classes, metric)
    return _score(metric, spread(cell.value, math.nan, METRICS[metric].decimals - 1), cell.reason)


def _score(metric: str, mean: str, reason: str) -> str:
    """A mean with its unit, and what is not in it."""
    entry = METRICS[metric]
    unit = f" {entry.unit}" if entry.unit and mean != UNDEFINED else ""
    return f"{entry.short or entry.title} {mean}{unit}" + (f" ({reason})" if reason else "")
