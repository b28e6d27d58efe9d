"""A segmented scan at a glance: a slice in each plane, with the classes over it."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.data.display import colour, content_box, intensity_window, rgb
from autoseg.images.image import Image, LabelMap
from autoseg.images.pillow_pictures import png
from autoseg.preprocessing.case import canonical

_PLANES: Final = ("axial", "coronal", "sagittal")
"""By the axis of a volume (Z, Y, X) in canonical order that they cut."""

_OPACITY: Final = 0.4
_HEIGHT_PX: Final = 220
"""Of the tallest slice on the page."""

_MOST_PX: Final = 512
"""Along a side of a picture; of larger slices pixels are left out, so that a page stays small. Source: chosen."""


@dataclass(frozen=True, eq=False)
class Cut:
    """One slice.

    Attributes:
        plane: its name; empty for a 2D image.
        pixels: intensities, (rows, columns).
        labels: label values, (rows, columns).
        size_mm: its height and width.
    """

    plane: str
    pixels: NDArray[np.float32]
    labels: NDArray[np.uint16]
    size_mm: tuple[float, float]


def fullest_cuts(image: Image, labels: LabelMap) -> tuple[Cut, ...]:
    """Copies of the slices with the most foreground, a plane each; of a 2D image its only slice.

    Shown as in reports, with the patient's right on the left. Takes a pass over the labels, and holds on to no volume.
    """
    geometry, indices = image.geometry, _fullest(labels.array)
    flat = geometry.dimensions == 2
    cuts = {}
    for axis in range(3) if min(geometry.shape) > 1 else [int(np.argmin(geometry.shape))]:
        thin = (slice(None),) * axis + (slice(indices[axis], indices[axis] + 1),)
        pixels, spacing_mm = canonical(replace(image, array=image.array[:, *thin]).shown, geometry)
        values, _ = canonical(labels.array[thin], geometry)
        across = 0 if flat else 2 - geometry.anatomical_axes()[axis]  # of the canonical axes
        sides_mm = [side for other, side in enumerate(spacing_mm) if other != across]
        cuts[across] = _cut(
            "" if flat else _PLANES[across], np.squeeze(pixels, across), np.squeeze(values, across), sides_mm
        )
    return tuple(cuts[across] for across in sorted(cuts))


def _fullest(labels: NDArray[np.uint16]) -> tuple[int, ...]:
    """Along each axis the number of the slice with the most foreground; the middle where there is none."""
    counts = [np.zeros(length, dtype=np.int64) for length in labels.shape]
    for number, plane in enumerate(labels):  # plane by plane: a mask of all would take memory, and three passes
        mask = plane != 0
        rows = np.count_nonzero(mask, axis=1)
        counts[0][number] = rows.sum()
        counts[1] += rows
        counts[2] += np.count_nonzero(mask, axis=0)
    return tuple(int(count.argmax()) if count.any() else count.size // 2 for count in counts)


def html_pictures(cuts: Sequence[Cut], classes: Sequence[LabelClass]) -> str:
    """Slices side by side as HTML, in true proportions and with all that they need within.

    Args:
        cuts: the slices.
        classes: background first, which is not drawn; the others have the colours that they have in reports.
    """
    window = intensity_window([cut.pixels for cut in cuts])
    tallest_mm = max(cut.size_mm[0] for cut in cuts)
    return "".join(_html_picture(cut, classes, window=window, px_per_mm=_HEIGHT_PX / tallest_mm) for cut in cuts)


def html_swatch(index: int) -> str:
    """The colour of the index-th foreground class."""
    return f'<span style="background: {colour(index)}">&emsp;</span>'


def _cut(plane: str, pixels: NDArray[Any], labels: NDArray[Any], sides_mm: Sequence[float]) -> Cut:
    """A slice, cut to what there is to see, of few enough pixels; `sides_mm` are those of a pixel."""
    box = content_box(pixels, [labels])
    pixels, labels = pixels[box], labels[box]
    size_mm = (pixels.shape[0] * sides_mm[0], pixels.shape[1] * sides_mm[1])
    step = max(1, -(-max(pixels.shape) // _MOST_PX))
    return Cut(plane, pixels[::step, ::step].copy(), labels[::step, ::step].copy(), size_mm)


def _html_picture(cut: Cut, classes: Sequence[LabelClass], *, window: tuple[float, float], px_per_mm: float) -> str:
    height, width = (round(side * px_per_mm) for side in cut.size_mm)
    encoded = b64encode(png(_coloured(cut, classes, window=window))).decode()
    names = ", ".join(label.name for label in classes[1:])
    what = escape(f"{cut.plane or 'the'} slice with {names}", quote=True)
    style = f"display: inline-block; margin: 4px; height: {height}px; width: {width}px; max-width: none"
    return f'<img style="{style}" alt="{what}" title="{what}" src="data:image/png;base64,{encoded}">'


def _coloured(cut: Cut, classes: Sequence[LabelClass], *, window: tuple[float, float]) -> NDArray[np.uint8]:
    low, high = window
    grey = np.clip((cut.pixels - low) / max(high - low, 1e-12), 0, 1) * 255.0
    picture: NDArray[Any] = np.repeat(grey[..., np.newaxis], 3, axis=-1)  # (rows, columns, 3)
    for index, label in enumerate(classes[1:]):
        mask = cut.labels == label.value
        picture[mask] = (1 - _OPACITY) * picture[mask] + _OPACITY * np.array(rgb(colour(index)))
    levels: NDArray[np.uint8] = np.rint(picture).astype(np.uint8)
    return levels
