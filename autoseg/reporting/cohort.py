"""A data set at a glance: one slice of every scan, with its reference."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.data.display import UNLABELLED, UNLABELLED_NAME, intensity_window
from autoseg.reporting.canvas import (
    WIDTH_IN,
    Axes,
    draw_labels,
    fill_look,
    hide_axes,
    new_figure,
    patch_legend,
    show_slice,
    unlabelled_look,
)

COLUMNS: Final = 5
_TITLE_IN: Final = 0.36
_GAP_IN: Final = 0.08
_LEGEND_IN: Final = 0.35
_TALLEST_IN: Final = 2.0


@dataclass(frozen=True)
class CohortSlice:
    """One scan's part of the figure.

    Attributes:
        title: above the slice; may have two lines.
        pixels: intensities, (rows, columns).
        labels: label values, (rows, columns); None where there is no reference.
        spacing_mm: pixel spacing (rows, columns), in mm.
    """

    title: str
    pixels: NDArray[np.number[Any]]
    labels: NDArray[np.integer[Any]] | None
    spacing_mm: tuple[float, float]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width, in mm."""
        rows, columns = self.pixels.shape
        return rows * self.spacing_mm[0], columns * self.spacing_mm[1]


def draw_cohort(slices: Sequence[CohortSlice], path: Path, *, classes: Sequence[LabelClass]) -> None:
    """Draw slices side by side, all at one scale and in true proportions, each in its own grey window.

    Args:
        slices: at least one.
        path: a `.png` or `.svg` file.
        classes: the classes, background first.

    Raises:
        ValueError: there are no slices.

    Source: figure 1 of the paper; the contours of the reference are ours.
    """
    if not slices:
        msg = "a cohort has at least one slice"
        raise ValueError(msg)
    values = [label.value for label in classes[1:]]
    columns = min(COLUMNS, len(slices))
    lines = -(-len(slices) // columns)
    cell_in = (WIDTH_IN - _GAP_IN * (columns + 1)) / columns
    tallest_mm, widest_mm = (max(sides) for sides in zip(*(one.size_mm for one in slices), strict=True))
    in_per_mm = min(cell_in / widest_mm, _TALLEST_IN / tallest_mm)
    line_in = tallest_mm * in_per_mm + _TITLE_IN + _GAP_IN
    height_in = lines * line_in + _LEGEND_IN
    with new_figure(path, height_in=height_in) as figure:
        for number, one in enumerate(slices):
            line, column = divmod(number, columns)
            rows_in, columns_in = (side * in_per_mm for side in one.size_mm)
            left_in = _GAP_IN + column * (cell_in + _GAP_IN) + (cell_in - columns_in) / 2
            bottom_in = height_in - line * line_in - _TITLE_IN - rows_in
            box = (left_in / WIDTH_IN, bottom_in / height_in, columns_in / WIDTH_IN, rows_in / height_in)
            _draw_slice(figure.add_axes(box), one, values=values)
        names, looks = [label.name for label in classes[1:]], [fill_look(index) for index in range(len(values))]
        if any(one.labels is not None and (one.labels == UNLABELLED).any() for one in slices):
            names, looks = [*names, UNLABELLED_NAME], [*looks, unlabelled_look()]
        patch_legend(figure, names, looks, loc="lower center", ncols=6)


def _draw_slice(panel: Axes, one: CohortSlice, *, values: Sequence[int]) -> None:
    show_slice(panel, one.pixels, window=intensity_window([one.pixels]))
    if one.labels is not None:
        draw_labels(panel, one.labels, values)
    panel.set_title(one.title, loc="center", fontsize=8, linespacing=1.1)
    hide_axes(panel)
