"""How commands say how good label maps are."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoseg.evaluation.tables import MetricSummary, Summary


def score_lines(summary: "Summary") -> list[str]:
    """Dice and Hausdorff distance of every class and on average, a line each."""
    lines = []
    for label in summary.classes:
        dice, distance = label.metrics["dice"], label.metrics["hausdorff_mm"]
        undefined = f" ({dice.undefined} undefined)" if dice.undefined else ""
        lines.append(
            f"  {label.name}: Dice {_spread(dice, '.3f')}{undefined}, Hausdorff distance {_spread(distance, '.1f')} mm"
        )
    return [*lines, f"  mean: Dice {summary.mean['dice']:.3f}, {summary.mean['hausdorff_mm']:.1f} mm"]


def _spread(metric: "MetricSummary", form: str) -> str:
    """Mean and standard deviation, where there are enough cases for one."""
    return f"{metric.mean:{form}}" if math.isnan(metric.sd) else f"{metric.mean:{form}} +- {metric.sd:{form}}"
