"""How scans and classes look wherever they are shown: in figures, on the report's page, in a tracker."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
"""Of the foreground classes, or whatever else is told apart; they repeat after seven.

Source: Okabe and Ito, Color Universal Design (2008), without its yellow, which white paper swallows, and its black, which
scans do; in their place the wine red of Tol, Colour Schemes (2021).
"""

UNLABELLED: Final = -1
"""Value, in what is drawn, of voxels without a label: neither a class nor background."""

UNLABELLED_NAME: Final = "not labelled"
UNLABELLED_COLOUR: Final = "#808080"

_WINDOW: Final = (0.005, 0.995)
"""Quantiles of the intensities shown as black and white. Source: ours; single bright voxels do not darken the rest."""

_MARGIN_PX: Final = 4
"""Voxels shown around what there is to see."""


def colour(index: int) -> str:
    """The index-th colour, as `#RRGGBB`."""
    return COLOURS[index % len(COLOURS)]


def rgb(name: str) -> tuple[int, int, int]:
    """Red, green and blue of a colour, 0 to 255.

    Args:
        name: the colour as `#RRGGBB`.
    """
    red, green, blue = bytes.fromhex(name.removeprefix("#"))
    return red, green, blue


def intensity_window(slices: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Which intensities are shown as black and as white, in all of several slices; NaN and infinities are left out."""
    seen = np.concatenate([pixels.ravel() for pixels in slices])
    seen = seen[np.isfinite(seen)]
    low, high = np.quantile(seen, _WINDOW) if seen.size else (0.0, 1.0)
    return float(low), float(high)


def grey_levels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Finite intensities of any shape as 256 grey levels, within their own window."""
    low, high = intensity_window([image])
    scaled = (image.astype(np.float32) - low) * (255.0 / max(high - low, 1e-12))
    grey: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    return grey


def shown_labels(labels: NDArray[np.uint16], *, ignore: int | None) -> NDArray[np.integer[Any]]:
    """A label map as it is drawn, of any shape: `UNLABELLED` in place of the value of voxels without a label."""
    if ignore is None or not (unlabelled := labels == ignore).any():
        return labels
    shown: NDArray[np.integer[Any]] = np.where(unlabelled, np.int32(UNLABELLED), labels.astype(np.int32))
    return shown


def content_box(image: NDArray[Any], label_maps: Iterable[NDArray[np.integer[Any]]]) -> tuple[slice, ...]:
    """The box around what there is to see, with a small margin: all that is brighter than the darkest, or labelled.

    Args:
        image: finite intensities, any number of axes.
        label_maps: label values of the same shape, 0 for background, less for voxels without a label.

    Returns:
        a slice per axis; all of them whole where there is nothing to see.
    """
    seen = np.logical_or.reduce([image > image.min(), *(labels > 0 for labels in label_maps)])
    box = []
    for axis, length in enumerate(seen.shape):
        others = tuple(other for other in range(seen.ndim) if other != axis)
        occupied = np.flatnonzero(seen.any(axis=others))
        first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, length - 1)
        box.append(slice(max(first - _MARGIN_PX, 0), min(last + 1 + _MARGIN_PX, length)))
    return tuple(box)
