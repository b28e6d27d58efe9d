"""Scores in lines of text, as commands show them."""

from typing import Final

from autoseg.evaluation.formatting import number, spread
from autoseg.evaluation.statistics import MetricSummary
from autoseg.evaluation.tables import Summary
from autoseg.metrics.table import METRICS, shown_metrics

_NOT_A_NUMBER: Final = "nan"
"""What these lines say where a mean is undefined."""


def score_lines(summary: Summary) -> list[str]:
    """The metrics that are shown, of every class and on average, a line each."""
    lines = []
    for label in summary.classes:
        scores = ", ".join(_scores(name, label.metrics[name]) for name in shown_metrics())
        lines.append(f"  {label.name}: {scores}")
    means = ", ".join(_mean(name, summary.mean[name]) for name in shown_metrics())
    return [*lines, f"  mean: {means}"]


def _scores(name: str, metric: MetricSummary) -> str:
    entry = METRICS[name]
    undefined = f" ({metric.undefined} undefined)" if metric.undefined and not entry.unit else ""
    mean = spread(metric.mean, metric.sd, entry.decimals - 1, undefined=_NOT_A_NUMBER)
    return f"{entry.title} {mean}{undefined} {entry.unit}".rstrip()


def _mean(name: str, mean: float) -> str:
    entry = METRICS[name]
    return f"{entry.title} {number(mean, entry.decimals - 1, undefined=_NOT_A_NUMBER)} {entry.unit}".rstrip()
