"""The image of a case: label maps over their scan, in three planes, cut to what there is to see."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.data.display import UNLABELLED, UNLABELLED_NAME, content_box, intensity_window
from autoseg.images.image import Image
from autoseg.preprocessing.case import canonical
from autoseg.reporting.canvas import (
    WIDTH_IN,
    Axes,
    Figure,
    draw_labels,
    fill_look,
    hide_axes,
    new_figure,
    outlined_text,
    patch_legend,
    show_slice,
    unlabelled_look,
)

_Number = TypeVar("_Number", int, float)

_MARGIN_IN: Final = 0.35
_LINE_IN: Final = 0.2
_GAP_IN: Final = 0.06
_TALLEST_IN: Final = 3.2
"""Highest a row may be: two of them with titles and legend fit on a page."""

_LEGEND_COLUMNS: Final = 4


@dataclass(frozen=True)
class Plane:
    """One way to cut a volume (Z, Y, X); `left` and `right` are the patient's sides at the image's edges.

    Of a 2D image nobody knows plane and sides: all three are empty.
    """

    name: str
    axis: int
    left: str
    right: str

    def sides(self, sizes: Sequence[_Number]) -> tuple[_Number, _Number]:
        """Of three numbers (Z, Y, X), those of the image's rows and columns."""
        rows, columns = (size for axis, size in enumerate(sizes) if axis != self.axis)
        return rows, columns

    def cut(self, volume: NDArray[Any], indices: Sequence[int]) -> NDArray[Any]:
        """The image (rows, columns) at this plane's index."""
        pixels: NDArray[Any] = volume.take(indices[self.axis], axis=self.axis)
        return pixels


PLANES: Final = (Plane("axial", 0, "R", "L"), Plane("coronal", 1, "R", "L"), Plane("sagittal", 2, "A", "P"))
_IMAGE: Final = Plane("", 0, "", "")
"""The only cut through a 2D image."""


def planes_of(shape: Sequence[int], *, flat: bool) -> list[Plane]:
    """The planes in which a volume (Z, Y, X) is more than a line; of a single slice that one.

    Args:
        shape: voxels (Z, Y, X).
        flat: whether it is a 2D image.
    """
    if flat:
        return [_IMAGE]
    return [plane for plane in PLANES if min(plane.sides(shape)) > 1] or list(PLANES[:1])


def draw_case(
    path: Path, image: Image, overlays: Mapping[str, NDArray[np.integer[Any]]], *, classes: Sequence[LabelClass]
) -> None:
    """Draw label maps over the first channel of their scan, in three planes.

    Args:
        path: a `.png` or `.svg` file.
        image: the scan, (C, Z, Y, X).
        overlays: name of a label map to its values, (Z, Y, X), on the scan's grid.
        classes: the classes, background first.
    """
    scan, spacing_mm = canonical(image.shown, image.geometry)
    oriented = {name: canonical(labels, image.geometry)[0] for name, labels in overlays.items()}
    box = content_box(scan, oriented.values())
    draw_planes(
        scan[box],
        {name: labels[box] for name, labels in oriented.items()},
        spacing_mm,
        path,
        class_names={label.value: label.name for label in classes[1:]},
        flat=image.geometry.dimensions == 2,
    )


def draw_planes(
    image: NDArray[np.number[Any]],
    overlays: Mapping[str, NDArray[np.integer[Any]]],
    spacing_mm: tuple[float, float, float],
    path: Path,
    *,
    class_names: Mapping[int, str],
    flat: bool = False,
) -> None:
    """Draw label maps over a scan: one row each; axial, coronal and sagittal, in true proportions.

    Along each axis all rows show the same slice, the one in which the label maps hold most foreground. An image of a
    single slice shows only that.

    Args:
        image: intensities, (Z, Y, X), index growing towards inferior, posterior and left; shown with the patient's
            right on the left.
        overlays: name of a label map to its voxels, (Z, Y, X), values as in `class_names`, 0 for background,
            `UNLABELLED` for voxels without a label, which are greyed out.
        spacing_mm: voxel spacing (Z, Y, X), in mm.
        path: a `.png` or `.svg` file.
        class_names: label value to name; other values are drawn as `label <value>`.
        flat: whether it is a 2D image, of which neither the plane nor the patient's sides are known, so that none is named.

    Raises:
        ValueError: no label map is given, or one has another shape than the image.

    Source: figure 4 of the paper.
    """
    if not overlays or any(labels.shape != image.shape for labels in overlays.values()):
        found = {name: labels.shape for name, labels in overlays.items()}
        msg = f"label maps need the image's shape {image.shape}, not {found}"
        raise ValueError(msg)
    indices = fullest_slices(overlays.values())
    planes = planes_of(image.shape, flat=flat)
    slices = [plane.cut(image, indices) for plane in planes]
    maps = {name: [plane.cut(labels, indices) for plane in planes] for name, labels in overlays.items()}
    names = _all_names(class_names, maps.values())
    looks = [fill_look(index) for index in range(len(names))]
    legend = list(names.values())
    if any((labels == UNLABELLED).any() for row in maps.values() for labels in row):
        legend, looks = [*legend, UNLABELLED_NAME], [*looks, unlabelled_look()]
    window = intensity_window(slices)
    extent_mm = [size * spacing for size, spacing in zip(image.shape, spacing_mm, strict=True)]
    layout = _Layout([plane.sides(extent_mm) for plane in planes], rows=len(maps), names=len(legend))
    with new_figure(path, height_in=layout.height_in) as figure:
        grid = layout.panels(figure)
        for panels, (title, row) in zip(grid, maps.items(), strict=True):
            panels[0].set_ylabel(title, fontsize=9)
            for panel, plane, pixels, labels in zip(panels, planes, slices, row, strict=True):
                rows_mm, columns_mm = plane.sides(spacing_mm)
                show_slice(panel, pixels, window=window, aspect=rows_mm / columns_mm)
                draw_labels(panel, labels, tuple(names))
                _letter(panel, plane)
        for panel, plane in zip(grid[0], planes, strict=True):
            panel.set_title(plane.name, loc="center")
        patch_legend(figure, legend, looks, loc="lower center", ncols=_LEGEND_COLUMNS)


class _Layout:
    """Panels that all show a millimetre at the same length.

    Args:
        sides_mm: height and width of each column's picture.
        rows: rows of images.
        names: entries of the legend below them.
    """

    def __init__(self, sides_mm: Sequence[tuple[float, float]], *, rows: int, names: int) -> None:
        self._widths_mm = [width for _, width in sides_mm]
        self._rows = rows
        tallest_mm = max(height for height, _ in sides_mm)
        gaps_in = _GAP_IN * (len(sides_mm) - 1)
        in_per_mm = min(
            (WIDTH_IN - 2 * _MARGIN_IN - gaps_in) / sum(self._widths_mm),
            _TALLEST_IN / tallest_mm,
        )
        self._row_in = tallest_mm * in_per_mm
        self._content_in = sum(self._widths_mm) * in_per_mm + gaps_in
        self._column_in = sum(self._widths_mm) * in_per_mm / len(sides_mm)
        self._legend_in = _LINE_IN * -(-names // _LEGEND_COLUMNS) + 0.15
        self.height_in = 0.3 + rows * self._row_in + (rows - 1) * _GAP_IN + self._legend_in

    def panels(self, figure: Figure) -> NDArray[np.object_]:
        """Empty panels (rows, columns), in the middle of the page."""
        left_in = (WIDTH_IN - self._content_in) / 2
        grid = figure.subplots(
            self._rows,
            len(self._widths_mm),
            squeeze=False,
            width_ratios=self._widths_mm,
            gridspec_kw={
                "left": left_in / WIDTH_IN,
                "right": 1 - left_in / WIDTH_IN,
                "top": 1 - 0.3 / self.height_in,
                "bottom": self._legend_in / self.height_in,
                "wspace": _GAP_IN / self._column_in,
                "hspace": _GAP_IN / self._row_in,
            },
        )
        for panel in grid.flat:
            hide_axes(panel)
        return grid


def fullest_slices(maps: Iterable[NDArray[np.integer[Any]]]) -> tuple[int, ...]:
    """Per axis the slice with the most foreground of all label maps together; the middle where there is none.

    Only voxels count that have a label in all of them.
    """
    maps = list(maps)
    without = [labels == UNLABELLED for labels in maps if labels.dtype.kind == "i"]
    labelled = ~np.logical_or.reduce(without) if without else np.True_
    counts: list[NDArray[np.int64]] = [
        np.sum([np.count_nonzero((labels > 0) & labelled, axis=axes) for labels in maps], axis=0)
        for axes in ((1, 2), (0, 2), (0, 1))
    ]
    return tuple(int(count.argmax()) if count.any() else count.size // 2 for count in counts)


def _all_names(class_names: Mapping[int, str], rows: Iterable[Sequence[NDArray[np.integer[Any]]]]) -> Mapping[int, str]:
    """The names given, without the background's, and one for every other value in sight."""
    seen = {int(value) for row in rows for labels in row for value in np.unique(labels)}
    unknown = {value: f"label {value}" for value in sorted(seen - class_names.keys())}
    return {value: name for value, name in {**class_names, **unknown}.items() if value > 0}


def _letter(panel: Axes, plane: Plane) -> None:
    """The patient's sides at the edges."""
    for place, letter, side in ((0.02, plane.left, "left"), (0.98, plane.right, "right")):
        outlined_text(panel, (place, 0.5), letter, ha=side, va="center")
