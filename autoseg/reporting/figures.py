"""Plots of numbers: learning curves, and bars of a metric by class."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import values_by_class
from autoseg.evaluation.tables import plot_file
from autoseg.metrics.table import METRICS, plot_metrics
from autoseg.reporting.canvas import (
    CLASSES,
    GREY,
    MANY_DOTS,
    Axes,
    bar_look,
    dot_look,
    line_legend,
    line_look,
    logarithmic,
    new_figure,
    patch_legend,
    whole_numbers,
)
from autoseg.reporting.svg import LOG_SPAN
from autoseg.storage import files
from autoseg.training.history import STRETCH
from autoseg.wording import counted_of

Row = Mapping[str, float]
"""One epoch: `epoch`, the keys of `_CURVES`, `learning_rate`, `validation_dice_<class>`. NaN or missing: undefined."""

_CURVES: Final = {
    "training_dice": "Training Dice",
    "training_loss": "Training loss",
    "validation_dice": "Validation Dice",
    "validation_loss": "Validation loss",
}
_CROWDED: Final = 10
"""More classes than this, or longer names, are written aslant."""

_LETTERS_IN: Final = 13
"""Letters of a legend per inch. Source: measured, with space for the key before them."""

_LINE_IN: Final = 0.15
"""Height of a legend's line. Source: 8 pt with what is between lines."""


def draw_curves(runs: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw learning curves: Dice and loss, in training and validation, over epochs.

    A single run also shows each class's validation Dice and the learning rate, and lines where it was trained further.
    Undefined values leave gaps.

    Args:
        runs: name of a run to its epochs.
        path: a `.png` or `.svg` file.

    Source: figure 3 of the paper; classes and learning rate are ours.
    """
    with new_figure(path, height_in=5.2) as figure:
        figure.set_layout_engine("constrained")
        panels = dict(zip(_CURVES, figure.subplots(2, 2, sharex=True, sharey="col").flat, strict=True))
        for letter, (key, panel) in zip("abcd", panels.items(), strict=True):
            panel.set_title(f"({letter}) {_CURVES[key]}")
            for index, rows in enumerate(runs.values()):
                _draw_line(panel, rows, key, **line_look(index))
            if not panel.lines:
                _say_nothing(panel)
        for key in ("validation_dice", "validation_loss"):
            panels[key].set_xlabel("Epoch")
            whole_numbers(panels[key])
        _scale_losses(panels["training_loss"], panels["validation_loss"])
        if len(runs) == 1:
            ((name, rows),) = runs.items()
            figure.suptitle(name)
            if entries := _draw_classes(panels["validation_dice"], rows):
                line_legend(figure, entries, entries.values(), loc="outside lower center", ncols=5)
            _draw_learning_rate(panels["training_loss"], rows)
            for panel in panels.values():
                _draw_stretches(panel, rows)
        elif runs:
            line_legend(figure, runs, map(line_look, range(len(runs))), loc="outside lower center", ncols=4)


def draw_bars(tables: Mapping[str, Mapping[str, Sequence[float]]], path: Path, *, label: str, named: bool = False) -> None:
    """Draw a metric by class: the mean as bar, the standard deviation as whisker, every case as a dot.

    Undefined values (NaN) are left out; their number stands under the bar.

    Args:
        tables: name of a set of predictions to class name to one value per case.
        path: a `.png` or `.svg` file.
        label: what the values are, with their unit.
        named: whether names are shown, a line each; otherwise side by side, and only where there are several.

    Source: figure 2 of the paper; dots and whiskers (sample standard deviation) are ours.
    """
    classes = list(dict.fromkeys(name for table in tables.values() for name in table))
    step = 0.8 / max(len(tables), 1)
    width_in = float(np.clip(1.5 + 0.45 * len(classes) * len(tables), 3.6, 14.0))
    names = [textwrap.fill(name, round(_LETTERS_IN * width_in)) for name in tables] if named else list(tables)
    lines = sum(name.count("\n") + 1 for name in names) if named else 0
    with new_figure(path, width_in=width_in, height_in=3.2 + _LINE_IN * lines) as figure:
        figure.set_layout_engine("constrained")
        panel = figure.subplots()
        undefined = 0
        for index, table in enumerate(tables.values()):
            for position, name in enumerate(classes):
                values = np.asarray(table.get(name, ()), dtype=np.float64)
                centre = position + (index - (len(tables) - 1) / 2) * step
                undefined += _draw_bar(panel, values, centre=centre, width=0.9 * step, look=bar_look(index))
        _name_classes(panel, classes, undefined=undefined)
        panel.set_ylabel(label)
        if not any(value < 0 for table in tables.values() for values in table.values() for value in values):
            panel.set_ylim(bottom=0)  # a whisker must not suggest a negative distance
        if named or len(names) > 1:
            columns = 1 if named else 4
            patch_legend(figure, names, map(bar_look, range(len(names))), loc="outside upper center", ncols=columns)


def draw_evaluation(cases: Sequence[CaseMetrics], folder: Path, *, references: int) -> tuple[Path, ...]:
    """Every metric that is shown, by class, in a file each; where there are no cases, the files of earlier ones are removed.

    Args:
        cases: what was scored.
        folder: where the files go.
        references: of how many cases there are references; where some were not scored, the plots say so.

    Returns:
        the files that were drawn.

    Raises:
        SystemFailureError: a file cannot be written or removed.

    Source: figure 2 of the paper.
    """
    if not cases:
        files.remove(plot_file(folder, metric) for metric in plot_metrics())
        return ()
    part = f"\n{counted_of(len(cases), references, 'case')}" if len(cases) < references else ""
    for metric in plot_metrics():
        label = METRICS[metric].label + part
        draw_bars({"predictions": values_by_class(cases, metric)}, plot_file(folder, metric), label=label)
    return tuple(plot_file(folder, metric) for metric in plot_metrics())


def draw_agreement(points: Mapping[str, Sequence[tuple[float, float]]], path: Path) -> None:
    """Draw predicted against reached Dice, a dot for each case, and the line on which both are equal.

    Args:
        points: class name to pairs (predicted, reached).
        path: a `.png` or `.svg` file.
    """
    values = [value for pairs in points.values() for pair in pairs for value in pair]
    low = max(min(values, default=0.0) - 0.02, 0.0)
    with new_figure(path, width_in=4.2, height_in=3.8) as figure:
        figure.set_layout_engine("constrained")
        panel = figure.subplots()
        panel.plot([low, 1], [low, 1], color=GREY, linewidth=0.8)
        for index, pairs in enumerate(points.values()):
            predicted, reached = zip(*pairs, strict=True) if pairs else ((), ())
            panel.scatter(predicted, reached, s=22, rasterized=len(pairs) > MANY_DOTS, **dot_look(index, CLASSES))
        panel.set(
            xlabel="Dice predicted without the case", ylabel="Dice reached", xlim=(low, 1), ylim=(low, 1), aspect="equal"
        )
        looks = [{**dot_look(index, CLASSES), "linestyle": ""} for index in range(len(points))]
        line_legend(figure, points, looks, loc="outside upper center", ncols=4)


def _say_nothing(panel: Axes) -> None:
    panel.text(0.5, 0.5, "nothing measured", transform=panel.transAxes, ha="center", va="center", color=GREY)


def _draw_line(panel: Axes, rows: Sequence[Row], key: str, **look: Any) -> bool:
    """One curve, a dot where a value has no neighbour to be joined with; False where none is defined."""
    values = np.array([row.get(key, np.nan) for row in rows], dtype=np.float64)
    defined = np.isfinite(values)
    if not defined.any():
        return False
    padded = np.pad(defined, 1)
    alone = defined & ~padded[:-2] & ~padded[2:]
    epochs = [row["epoch"] for row in rows]
    panel.plot(epochs, np.where(defined, values, np.nan), marker="o", markersize=3, markevery=alone, **look)
    return True


def _draw_classes(panel: Axes, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The classes' Dice beside their mean, which is there already; returns what a legend explains, if anything."""
    prefix = "validation_dice_"
    names = list(dict.fromkeys(key.removeprefix(prefix) for row in rows for key in row if key.startswith(prefix)))
    entries: dict[str, dict[str, Any]] = {"mean": line_look(0)}
    for index, name in enumerate(names):
        if len(names) <= len(CLASSES.light):
            look = {"linewidth": 0.9, **line_look(index, CLASSES)}
            entries[name] = look
        else:  # more than can be told apart
            look = {"linewidth": 0.6, "color": GREY, "alpha": 0.5}
            entries["single classes"] = look
        _draw_line(panel, rows, prefix + name, zorder=1.9, **look)  # below the mean
    return entries if names and panel.lines else {}


def _draw_learning_rate(panel: Axes, rows: Sequence[Row]) -> None:
    right = panel.twinx()
    right.grid(visible=False)
    if not _draw_line(right, rows, "learning_rate", color=GREY, linestyle=":", linewidth=1.0):
        right.set_axis_off()
        return
    right.set_ylabel("Learning rate (dotted)", color=GREY)
    right.set_ylim(bottom=0)
    right.yaxis.set_major_formatter("{x:.3g}")
    right.tick_params(axis="y", colors=GREY)


def _draw_stretches(panel: Axes, rows: Sequence[Row]) -> None:
    """A line before the first epoch of each stretch but the first."""
    for before, after in pairwise(rows):
        if after.get(STRETCH, 0) > before.get(STRETCH, 0):
            panel.axvline(after["epoch"] - 0.5, color=GREY, linewidth=0.8)


def _scale_losses(panel: Axes, other: Axes) -> None:
    """A logarithmic axis for two panels that share it, where the losses ask for one."""
    values = np.concatenate([np.zeros(0), *_drawn_values(panel), *_drawn_values(other)])
    if values.size and values.min() > 0 and values.max() > LOG_SPAN * values.min():
        logarithmic(panel, other)


def _drawn_values(panel: Axes) -> list[NDArray[np.float64]]:
    """The defined values of every line in a panel."""
    lines = [np.asarray(line.get_ydata(), dtype=np.float64) for line in panel.lines]
    return [values[np.isfinite(values)] for values in lines]


def _draw_bar(panel: Axes, values: NDArray[np.float64], *, centre: float, width: float, look: Mapping[str, Any]) -> int:
    """One bar with whisker and dots; returns how many values are undefined."""
    defined = values[np.isfinite(values)]
    if defined.size:
        panel.bar(centre, defined.mean(), width, **look)
        # Spread by order, not by chance: the same cases give the same picture.
        spread = np.linspace(-0.3, 0.3, defined.size) if defined.size > 1 else np.zeros(1)
        panel.plot(
            centre + width * spread,
            defined,
            "o",
            color="black",
            markersize=2.5,
            alpha=0.6,
            rasterized=defined.size > MANY_DOTS,
        )
    if defined.size > 1:
        panel.errorbar(centre, defined.mean(), yerr=defined.std(ddof=1), fmt="none", ecolor="black", capsize=3)
    undefined = values.size - defined.size
    if undefined:
        panel.annotate(
            f"{undefined} n/a",
            (centre, 0),
            xycoords=("data", "axes fraction"),
            xytext=(0, -3),
            textcoords="offset points",
            ha="center",
            va="top",
            color=GREY,
        )
    return undefined


def _name_classes(panel: Axes, classes: Sequence[str], *, undefined: int) -> None:
    """The axis under the bars."""
    panel.grid(visible=False, axis="x")
    panel.set_xlim(-0.6, max(len(classes), 1) - 0.4)
    panel.set_xticks(range(len(classes)), classes)
    if len(classes) > _CROWDED or any(len(name) > _CROWDED for name in classes):
        panel.tick_params(axis="x", labelrotation=30)
        for text in panel.get_xticklabels():
            text.set_horizontalalignment("right")
    panel.tick_params(axis="x", length=0, pad=14 if undefined else 4)
    if not classes:
        _say_nothing(panel)
    elif undefined:
        panel.set_xlabel("n/a: undefined, left out", color=GREY)
