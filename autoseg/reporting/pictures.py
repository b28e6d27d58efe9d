"""Slices with label maps over them, as pictures of the page: one class is filled or outlined in its colour, on black."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.data.dataset import LabelClass
from autoseg.data.display import UNLABELLED, UNLABELLED_COLOUR, colour, content_box, intensity_window, rgb
from autoseg.images.pillow_pictures import jpeg
from autoseg.reporting.attention import MAP, OPACITY
from autoseg.reporting.canvas import map_colours
from autoseg.reporting.case_image import fullest_slices, planes_of
from autoseg.wording import listing

_SIDE_PX: Final = 420
"""Longest side of a plane: a third of a wide page, twice as sharp."""

_QUALITY: Final = 82
_FILL: Final = 0.4
"""Opacity of filled classes: dark enough to see, light enough to see through."""

_GREYED: Final = 0.6
"""Of the grey over what has no label."""


@dataclass(frozen=True)
class Picture:
    """A picture of a slice.

    Attributes:
        image: a JPEG file.
        size_px: width and height.
        alt: what it shows, for those who cannot see it.
        caption: stands below it; empty for none.
        width: as a fraction of the widest beside it, so that all have one scale.
        sides: the patient's sides at the left and right edges; empty where nobody knows them.
    """

    image: bytes
    size_px: tuple[int, int]
    alt: str
    caption: str = ""
    width: float = 1.0
    sides: tuple[str, str] = ("", "")


def paint(
    pixels: NDArray[np.number[Any]],
    *,
    spacing_mm: tuple[float, float],
    window: tuple[float, float],
    side_px: int,
    fill: NDArray[np.integer[Any]] | None = None,
    outline: NDArray[np.integer[Any]] | None = None,
    values: Sequence[int],
) -> NDArray[np.uint8]:
    """A slice in grey with classes over it.

    Args:
        pixels: intensities, (rows, columns).
        spacing_mm: pixel spacing (rows, columns), in mm.
        window: intensities shown as black and as white.
        side_px: length of the longer side of what is painted.
        fill: label values to fill, (rows, columns).
        outline: label values to outline, (rows, columns); where it has no label the slice is greyed out.
        values: label values in the order of their colours.

    Returns:
        red, green and blue, (height, width, 3), in true proportions.
    """
    rows_mm, columns_mm = (count * step for count, step in zip(pixels.shape, spacing_mm, strict=True))
    px_per_mm = side_px / max(rows_mm, columns_mm)
    height, width = (max(round(side * px_per_mm), 1) for side in (rows_mm, columns_mm))
    low, high = window
    scaled = np.clip((pixels.astype(np.float32) - low) / max(high - low, 1e-12), 0, 1)
    smooth = ndimage.zoom(
        scaled, (height / pixels.shape[0], width / pixels.shape[1]), order=1, grid_mode=True, mode="nearest"
    )
    painted = np.repeat(smooth[:height, :width, np.newaxis] * 255, 3, axis=-1)
    for shown in (fill, outline):
        if shown is not None and (shown == UNLABELLED).any():
            inside = _stretched(shown == UNLABELLED, height, width)
            painted[inside] = (1 - _GREYED) * painted[inside] + _GREYED * np.array(rgb(UNLABELLED_COLOUR), np.float32)
    for index, value in enumerate(values):
        shade = np.array(rgb(colour(index)), np.float32)
        if fill is not None:
            inside = _stretched(fill == value, height, width)
            painted[inside] = (1 - _FILL) * painted[inside] + _FILL * shade
        if outline is not None:
            painted[_edge(_stretched(outline == value, height, width))] = shade
    finished: NDArray[np.uint8] = np.clip(np.rint(painted), 0, 255).astype(np.uint8)
    return finished


def picture(pixels: NDArray[np.number[Any]], *, alt: str, side_px: int, **how: Any) -> Picture:
    """The same as a picture of the page.

    Args:
        pixels: intensities, (rows, columns).
        alt: what it shows.
        side_px: length of its longer side.
        **how: as for `paint`; the window is the slice's own unless one is given.
    """
    how.setdefault("window", intensity_window([pixels]))
    painted = paint(pixels, side_px=side_px, **how)
    height, width = painted.shape[:2]
    return Picture(jpeg(painted, quality=_QUALITY), (width, height), alt)


def map_picture(
    pixels: NDArray[np.number[Any]],
    coefficients: NDArray[np.floating[Any]],
    *,
    spacing_mm: tuple[float, float],
    side_px: int,
    alt: str,
    caption: str,
) -> Picture:
    """A map of values from 0 to 1, stretched over a slice.

    Args:
        pixels: intensities, (rows, columns).
        coefficients: of any size.
        spacing_mm: pixel spacing (rows, columns), in mm.
        side_px: length of the longer side of the picture.
        alt: what it shows.
        caption: stands below it.
    """
    grey = paint(pixels, spacing_mm=spacing_mm, window=intensity_window([pixels]), side_px=side_px, values=())
    height, width = grey.shape[:2]
    rows, columns = _places(coefficients.shape, height, width)
    colours = map_colours(coefficients[rows, columns], MAP)
    blended = np.rint((1 - OPACITY) * grey + OPACITY * colours).astype(np.uint8)
    return Picture(jpeg(blended, quality=_QUALITY), (width, height), alt, caption)


def planes_pictures(
    scan: NDArray[np.number[Any]],
    overlays: Mapping[str, NDArray[np.integer[Any]]],
    *,
    spacing_mm: tuple[float, float, float],
    classes: Sequence[LabelClass],
    name: str,
    placed_by: Sequence[NDArray[np.integer[Any]]] = (),
) -> list[Picture]:
    """A scan in three planes, the first label map filled and the second outlined, where they hold most foreground.

    Of a single slice neither the plane nor the patient's sides are named: 2D images have none that are known.

    Args:
        scan: intensities, (Z, Y, X), indices growing towards inferior, posterior and left.
        overlays: one or two label maps by their names, of the same shape.
        spacing_mm: along (Z, Y, X), in mm.
        classes: background first.
        name: of the case.
        placed_by: label maps whose foreground decides which slices are shown; empty: these.
    """
    flat = scan.shape[0] == 1
    box = content_box(scan, placed_by or overlays.values())
    scan, maps = scan[box], [labels[box] for labels in overlays.values()]
    indices = fullest_slices([labels[box] for labels in placed_by] or maps)
    values = [label.value for label in classes[1:]]
    planes = planes_of(scan.shape, flat=flat)
    window = intensity_window([plane.cut(scan, indices) for plane in planes])
    longest_mm = max(count * step for count, step in zip(scan.shape, spacing_mm, strict=True))
    made = []
    for plane in planes:
        rows_mm, columns_mm = plane.sides([count * step for count, step in zip(scan.shape, spacing_mm, strict=True)])
        painted = paint(
            plane.cut(scan, indices),
            spacing_mm=plane.sides(spacing_mm),
            window=window,
            side_px=round(_SIDE_PX * max(rows_mm, columns_mm) / longest_mm),
            fill=plane.cut(maps[0], indices),
            outline=plane.cut(maps[1], indices) if len(maps) > 1 else None,
            values=values,
        )
        height, width = painted.shape[:2]
        alt = f"{name}, {plane.name or 'the'} slice with {listing(list(overlays))}"
        content, sides = jpeg(painted, quality=_QUALITY), (plane.left, plane.right)
        made.append(Picture(content, (width, height), alt, plane.name, width / _SIDE_PX, sides))
    return made


def _stretched(mask: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """A mask as large as what is painted, its edges where those of its pixels are."""
    rows, columns = _places(mask.shape, height, width)
    stretched: NDArray[np.bool_] = mask[rows, columns]
    return stretched


def _places(shape: tuple[int, ...], height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For every pixel of a picture, the row and the column that it shows of something of another size."""
    rows, columns = np.arange(height) * shape[0] // height, np.arange(width) * shape[1] // width
    return rows[:, np.newaxis], columns[np.newaxis]


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask that touch what is outside it."""
    edge: NDArray[np.bool_] = mask & ~ndimage.binary_erosion(mask, border_value=0)
    return edge
