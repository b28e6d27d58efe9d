"""How commands say how good label maps are."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.evaluation.statistics import MetricSummary
    from autoseg.evaluation.tables import Summary


def score_lines(summary: "Summary") -> list[str]:
    """The metrics that are shown, of every class and on average, a line each."""
    from autoseg.metrics.table import shown_metrics

    lines = []
    for label in summary.classes:
        scores = ", ".join(_scores(name, label.metrics[name]) for name in shown_metrics())
        lines.append(f"  {label.name}: {scores}")
    means = ", ".join(_mean(name, summary.mean[name]) for name in shown_metrics())
    return [*lines, f"  mean: {means}"]


def _scores(name: str, metric: "MetricSummary") -> str:
    from autoseg.metrics.table import METRICS

    entry = METRICS[name]
    undefined = f" ({metric.undefined} undefined)" if metric.undefined and not entry.unit else ""
    return f"{entry.title} {_spread(metric, f'.{entry.decimals - 1}f')}{undefined} {entry.unit}".rstrip()


def _mean(name: str, mean: float) -> str:
    from autoseg.metrics.table import METRICS

    entry = METRICS[name]
    return f"{entry.title} {mean:.{entry.decimals - 1}f} {entry.unit}".rstrip()


def _spread(metric: "MetricSummary", form: str) -> str:
    """Mean and standard deviation, where there are enough cases for one."""
    return f"{metric.mean:{form}}" if math.isnan(metric.sd) else f"{metric.mean:{form}} +- {metric.sd:{form}}"
