"""A segmented scan at a glance: a slice in each plane, with the classes over it."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.data.display import colour, intensity_window, rgb
from autoseg.images.image import Image, LabelMap
from autoseg.images.pillow_pictures import png
from autoseg.preprocessing.case import canonical

_PLANES: Final = ("axial", "coronal", "sagittal")
"""By the axis of a volume (Z, Y, X) in canonical order that they cut."""

_OPACITY: Final = 0.45
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
    pixels, spacing_mm = canonical(image.shown, image.geometry)
    values, _ = canonical(labels.array, labels.geometry)
    axes = range(3) if min(values.shape) > 1 else [int(np.argmin(values.shape))]
    flat = image.geometry.dimensions == 2
    cuts = []
    for axis in axes:
        across = [other for other in range(3) if other != axis]
        counts = np.count_nonzero(values, axis=tuple(across))
        index = int(counts.argmax()) if counts.any() else counts.size // 2
        height_mm, width_mm = (values.shape[other] * spacing_mm[other] for other in across)
        step = max(1, -(-max(values.shape[other] for other in across) // _MOST_PX))
        of_scan, of_labels = _cut(pixels, axis, index, step=step), _cut(values, axis, index, step=step)
        cuts.append(Cut("" if flat else _PLANES[axis], of_scan, of_labels, (height_mm, width_mm)))
    return tuple(cuts)


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


def _cut(volume: NDArray[Any], axis: int, index: int, *, step: int) -> NDArray[Any]:
    """A copy of a slice, of which every `step`-th pixel is kept."""
    pixels: NDArray[Any] = volume.take(index, axis=axis)
    return pixels[::step, ::step].copy()


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
