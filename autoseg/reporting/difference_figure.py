"""Plot of a paired comparison: every case's difference as a dot, and their mean with its interval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from autoseg.evaluation.paired import PairedComparison, PairedMetric
from autoseg.evaluation.paired_tables import MEAN
from autoseg.metrics.table import METRICS, plot_metrics
from autoseg.reporting.canvas import GREY, MANY_DOTS, WIDTH_IN, Axes, Look, dot_look, line_legend, new_figure
from autoseg.wording import counted_of

_BESIDE_IN: Final = 0.3
"""Width that a class takes for each compared side. Source: chosen; below it, dots of one class run into the next."""

_WIDEST_IN: Final = 14.0


def draw_differences(comparison: PairedComparison, path: Path) -> None:
    """Draw the differences of the metrics that are drawn, below one another, by class and for the mean over classes.

    Args:
        comparison: of two or more sides.
        path: a `.png` or `.svg` file.
    """
    found = {metric: [result for result in comparison.results if result.metric == metric] for metric in plot_metrics()}
    drawn = {metric: results for metric, results in found.items() if results}
    labels = list(dict.fromkeys(result.label or MEAN for results in drawn.values() for result in results))
    looks: list[Look] = [{**dot_look(index), "linestyle": ""} for index in range(len(comparison.compared))]
    width_in = float(np.clip(1.5 + _BESIDE_IN * len(labels) * len(looks), WIDTH_IN, _WIDEST_IN))
    with new_figure(path, width_in=width_in, height_in=0.6 + 2.1 * max(len(drawn), 1)) as figure:
        figure.set_layout_engine("constrained")
        figure.suptitle(
            f"Difference to {comparison.baseline}, {counted_of(len(comparison.cases), comparison.total, 'case')}"
        )
        panels = figure.subplots(max(len(drawn), 1), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (metric, results) in zip(panels, drawn.items(), strict=False):
            panel.axhline(0, color=GREY, linewidth=0.8)
            panel.set_ylabel(f"{METRICS[metric].heading}\n{METRICS[metric].better or 'neither'} is better")
            _draw_results(panel, results, labels=labels, compared=comparison.compared, looks=looks)
        aslant = len(labels) > 10
        panels[-1].set_xticks(range(len(labels)), labels, rotation=40 if aslant else 0, ha="right" if aslant else "center")
        line_legend(figure, comparison.compared, looks, loc="outside lower center", ncols=4)


def _draw_results(
    panel: Axes, results: Sequence[PairedMetric], *, labels: Sequence[str], compared: Sequence[str], looks: Sequence[Look]
) -> None:
    step = 0.8 / len(compared)
    for result in results:
        other = compared.index(result.compared)
        centre = labels.index(result.label or MEAN) + (other - (len(compared) - 1) / 2) * step
        differences = np.array([case.difference for case in result.cases])
        known = differences[np.isfinite(differences)]
        # Spread by order, not by chance: the same cases give the same picture.
        spread = np.linspace(-0.3, 0.3, known.size) if known.size > 1 else np.zeros(known.size)
        many = known.size * len(results) > MANY_DOTS
        panel.plot(centre + step * spread, known, markersize=3, alpha=0.7, rasterized=many, **looks[other])
        _draw_mean(panel, result, centre=centre, width=step)


def _draw_mean(panel: Axes, result: PairedMetric, *, centre: float, width: float) -> None:
    mean = result.test.difference
    if np.isfinite(mean.mean):
        panel.plot([centre - 0.35 * width, centre + 0.35 * width], [mean.mean] * 2, color="black", linewidth=1.4)
    if np.isfinite(mean.low):
        panel.plot([centre, centre], [mean.low, mean.high], color="black", linewidth=0.9)
