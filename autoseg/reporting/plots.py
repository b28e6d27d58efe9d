"""The plots of the report's page: every case as a dot, curves of training, Dice predicted against Dice reached."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np

from autoseg.evaluation.formatting import number
from autoseg.metrics.table import METRICS, Metric
from autoseg.reporting.palette import CLASSES, NETWORKS
from autoseg.reporting.svg import (
    WIDTH,
    Curve,
    Frame,
    Markup,
    Scale,
    curves_plot,
    drawing,
    element,
    marker,
    markup,
    plain,
    scale_of,
    shortened,
    text_width,
)
from autoseg.wording import counted

Row = Mapping[str, float]
"""One epoch of a training's history."""

MOST_DOTS: Final = 150
"""More cases than this are shown as the range of their middle, and the worst as dots. Source: chosen; more would overlap."""

MOST_LINES: Final = 40
"""Classes times networks of a plot; those that are left out are in the tables. Source: chosen, to fit a screen."""

_WORST_DOTS: Final = 20
_LINE: Final = 17.0
_GROUP: Final = 12.0
_TOP: Final = 4.0


@dataclass(frozen=True)
class Named:
    """Values of cases.

    Attributes:
        cases: their ids.
        values: one each; NaN where it is undefined.
    """

    cases: Sequence[str]
    values: Sequence[float]

    @property
    def defined(self) -> list[tuple[float, str]]:
        """The values that are, lowest first, each with its case."""
        pairs = zip(self.values, self.cases, strict=True)
        return sorted((value, case) for value, case in pairs if math.isfinite(value))


def dots_plot(scores: Mapping[str, Mapping[str, Named]], networks: Sequence[str], *, metric: str) -> Markup:
    """A metric of every case as a dot: a group of lines for each class, and in it a line for each network, with its mean.

    Args:
        scores: by class, then by network.
        networks: all networks, in the order of their colours.
        metric: name of the metric in `METRICS`.
    """
    known = METRICS[metric]
    titles = list(dict.fromkeys(name for of_class in scores.values() for name in of_class))
    shown = list(scores)[: max(MOST_LINES // max(len(titles), 1), 1)]
    left = min(max(text_width(shown), 24.0), 130.0) + 16
    height = len(shown) * (len(titles) * _LINE + _GROUP) + 44
    root = drawing(height, label=f"{known.label} of every case, by class and network")
    every = [value for of_class in scores.values() for named in of_class.values() for value in named.values]
    across = _scale(every, known, start=left, end=WIDTH - (54 if all(map(math.isfinite, every)) else 88))
    _draw_axis(root, across, height - 40, label=known.label)
    y = _TOP
    for name in shown:
        middle = y + _GROUP / 2 + len(titles) * _LINE / 2
        written = element(root, "text", shortened(name, left - 16), class_="name end", x=left - 8, y=middle + 4)
        element(written, "title", name)
        if y > _TOP:
            element(root, "path", class_="grid", d=f"M8 {y:.1f}H{WIDTH - 8:.0f}")
        for line, title in enumerate(titles):
            if title in scores[name]:
                place, index = y + _GROUP / 2 + (line + 0.5) * _LINE, networks.index(title)
                _draw_line(root, scores[name][title], across, place, index=index, metric=known, network=title)
        y += len(titles) * _LINE + _GROUP
    return markup(root)


def training_plots(runs: Mapping[str, Sequence[Row]], networks: Sequence[str]) -> list[tuple[str, Markup]]:
    """Dice and loss over the epochs of some runs, held out and in training; of a single run each class's Dice, too.

    Args:
        runs: by the title of their network.
        networks: all networks, in the order of their colours.

    Returns:
        titles and plots.
    """
    made = []
    for key, title, ceiling in (("dice", "Dice", 1.0), ("loss", "Loss", None)):
        curves = []
        for name, rows in runs.items():
            for part, soft in (("training", True), ("validation", False)):
                words = "in training" if soft else "held out"
                curves.append(
                    Curve(f"{name}, {words}", _points(rows, f"{part}_{key}"), NETWORKS, networks.index(name), soft)
                )
        made.append((title, curves_plot(curves, label=f"{title} over the epochs of {', '.join(runs)}", ceiling=ceiling)))
    if len(runs) == 1:
        ((name, rows),) = runs.items()
        prefix = "validation_dice_"
        classes = list(dict.fromkeys(key.removeprefix(prefix) for row in rows for key in row if key.startswith(prefix)))
        if 1 < len(classes) <= len(CLASSES.light):
            curves = [
                Curve(each, _points(rows, prefix + each), CLASSES, index) for index, each in enumerate(classes)
            ]  # fmt: skip
            label = f"held-out Dice of each class over the epochs of {name}"
            made.append(("Dice of each class, held out", curves_plot(curves, label=label, ceiling=1.0)))
    return made


def agreement_plot(points: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """Predicted against reached Dice, a dot for each case, and the line on which both are equal.

    Args:
        points: every class's name to its pairs (predicted, reached), in the order of their colours.
    """
    width, height = 400.0, 360.0
    root = drawing(height, width=width, label="Dice predicted without each case against the Dice it reached")
    values = [value for pairs in points.values() for pair in pairs for value in pair]
    up = scale_of(values, height - 42, 10, floor=0.0, ceiling=1.0)
    across = Scale(up.low, up.high, 46, width - 12)
    Frame(root, across, up).draw(across_label="Dice predicted without the case")
    element(root, "path", class_="guide", d=f"M{across.start:.0f} {up.start:.0f}L{across.end:.0f} {up.end:.0f}")
    for index, (name, pairs) in enumerate(points.items()):
        group = element(root, "g", style=f"--c: {CLASSES.variable(index)}")
        for predicted, reached in _farthest(pairs):
            title = f"{name}: predicted {predicted:.3f}, reached {reached:.3f}"
            marker(group, index, (across.at(predicted), up.at(reached)), title=title)
    element(root, "text", "reached", class_="label", x=across.start + 6, y=22)
    return markup(root)


def _points(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row.get(key, math.nan)) for row in rows]


def _farthest(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """All pairs where there are few, else those that are farthest from being equal, and others evenly between."""
    ranking = sorted(pairs, key=lambda pair: -abs(pair[0] - pair[1]))
    step = -(-len(ranking) // MOST_DOTS)
    return ranking if step <= 1 else [*ranking[:_WORST_DOTS], *ranking[_WORST_DOTS::step]]


def _scale(values: Sequence[float], metric: Metric, *, start: float, end: float) -> Scale:
    ratio = not metric.unit and metric.better == "higher"
    return scale_of(values, start, end, floor=0.0, ceiling=1.0 if ratio else None)


def _draw_axis(root: ET.Element, across: Scale, bottom: float, *, label: str) -> None:
    for value in across.ticks():
        x = across.at(value)
        element(root, "path", class_="grid", d=f"M{x:.1f} 4V{bottom:.1f}")
        element(root, "text", plain(value), class_="tick middle", x=x, y=bottom + 15)
    element(root, "text", label, class_="label middle", x=(across.start + across.end) / 2, y=bottom + 33)


def _draw_line(root: ET.Element, named: Named, across: Scale, y: float, *, index: int, metric: Metric, network: str) -> None:
    """One network's cases of one class, their mean as a stroke, and what is undefined as a number."""
    group = element(root, "g", style=f"--c: {NETWORKS.variable(index)}")
    defined = named.defined
    drawn = defined
    if len(defined) > MOST_DOTS:
        low, lower, upper, high = np.quantile([value for value, _ in defined], (0.05, 0.25, 0.75, 0.95))
        for begin, end, look in ((low, high, "range"), (lower, upper, "box")):
            element(group, "path", class_=look, d=f"M{across.at(begin):.1f} {y:.1f}H{across.at(end):.1f}")
        drawn = defined[:_WORST_DOTS] if metric.better == "higher" else defined[-_WORST_DOTS:]
    for rank, (value, case) in enumerate(drawn):
        place = (across.at(value), y + (rank % 3 - 1) * 2.6)  # spread by order, so that equal cases are seen
        marker(group, index, place, title=f"{case}: {number(value, metric.decimals)}")
    if defined:
        mean = math.fsum(value for value, _ in defined) / len(defined)
        where = f"M{across.at(mean):.1f} {y - 8:.1f}V{y + 8:.1f}"
        element(group, "path", class_="halo", d=where)
        stroke = element(group, "path", class_="mean", d=where)
        element(stroke, "title", f"{network}: mean {number(mean, metric.decimals)} of {counted(len(defined), 'case')}")
        element(group, "text", number(mean, min(metric.decimals, 3)), class_="value end", x=WIDTH - 4, y=y + 4)
    if undefined := len(named.values) - len(defined):
        element(group, "text", f"{undefined} n/a", class_="note", x=across.end + 8, y=y + 4)
