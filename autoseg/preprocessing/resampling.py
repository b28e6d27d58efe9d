"""Slices on another pixel grid."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Label = TypeVar("_Label", bound=np.generic)
_Window = tuple[slice, slice]
"""Rows and columns."""


def resample_slices(
    slices: NDArray[np.float32], size_px: tuple[int, int], *, rows: slice = slice(None), columns: slice = slice(None)
) -> NDArray[np.float32]:
    """Resample slices to another number of pixels over the same field of view.

    Linear interpolation between pixel centres; where the new pixels are larger, each averages the old ones it covers
    with a triangular weight, so that fine detail does not fold into false structure. A constant stays the constant, and
    the same size gives the same values.

    Args:
        slices: (..., H, W), float32.
        size_px: new rows and columns.
        rows: which of the new rows are wanted.
        columns: which of the new columns are.

    Returns:
        (..., H', W'), float32, within the range of the input.

    Source: the triangular kernel of image pyramids (as in torch's and Pillow's antialiased bilinear interpolation); linear
    because it cannot overshoot, which at the skull's edge of a normalised scan would invent intensities.
    """
    down = _weights(slices.shape[-2], size_px[0])[rows]
    along = _weights(slices.shape[-1], size_px[1])[columns]
    # In one order of memory, so that the way a scan is stored decides no rounding.
    resampled: NDArray[np.float32] = down @ np.ascontiguousarray(slices) @ along.T  # (..., H', W')
    return resampled


def resample_labels(labels: NDArray[_Label], size_px: tuple[int, int]) -> NDArray[_Label]:
    """Resample class indices: each new pixel takes the class with the largest fraction.

    Args:
        labels: class indices, (S, H, W), integer.
        size_px: new rows and columns.

    Returns:
        (S, H', W') of the same type; of equal shares, the lowest class wins.
    """
    if labels.shape[-2:] == size_px:
        return labels
    best = np.zeros((labels.shape[0], *size_px), dtype=labels.dtype)
    for before, after in zip(labels, best, strict=True):
        _resample_slice(before, after)
    return best


def _resample_slice(labels: NDArray[Any], best: NDArray[Any]) -> None:
    """Resample the class indices of one slice, (H, W), into zeros, (H', W').

    Classes so far apart that no new pixel has a weight of two of them are resampled together. No bit of their fractions
    changes by that, while it would if each were resampled in its part of the slice: the rounding of a matrix product depends
    on its size.
    """
    largest = np.zeros(best.shape, dtype=np.float32)
    windows = {index: _window(labels == index, best.shape) for index in np.unique(labels)}
    for group in _apart(windows):
        fractions = resample_slices(np.isin(labels, group).astype(np.float32), (best.shape[0], best.shape[1]))
        for index in group:
            window = windows[index]
            fraction, so_far, taken = fractions[window], largest[window], best[window]
            wins = (fraction > so_far) | ((fraction == so_far) & (index < taken))
            taken[wins] = index
            so_far[wins] = fraction[wins]


def _window(mask: NDArray[np.bool_], size_px: tuple[int, ...]) -> _Window:
    """The new rows and columns that have weights of the bounding box of a mask, (H, W)."""
    rows, columns = (_reach(*sizes) for sizes in zip(mask.shape, size_px, strict=True))
    down, along = rows[:, mask.any(axis=1)], columns[:, mask.any(axis=0)]
    return slice(down[0].min(), down[1].max()), slice(along[0].min(), along[1].max())


def _apart(windows: Mapping[Any, _Window]) -> list[list[Any]]:
    """Classes in groups whose windows do not overlap."""
    groups = list[list[Any]]()
    for index, window in windows.items():
        fitting = (group for group in groups if not any(_overlap(window, windows[other]) for other in group))
        group = next(fitting, None)
        if group is None:
            groups.append([index])
        else:
            group.append(index)
    return groups


def _overlap(one: _Window, other: _Window) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


@lru_cache(maxsize=32)
def _weights(old: int, new: int) -> NDArray[np.float32]:
    """Matrix (new, old) whose rows hold the weights of old pixels in each new one; every row sums to 1."""
    if old == new:
        return np.eye(old, dtype=np.float32)
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale - 0.5
    reach = max(scale, 1.0)
    distance = np.abs(centres[:, np.newaxis] - np.arange(old)[np.newaxis, :]) / reach
    weights: NDArray[Any] = np.maximum(1.0 - distance, 0.0)
    result: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


@lru_cache(maxsize=32)
def _reach(old: int, new: int) -> NDArray[np.intp]:
    """The first new pixel with a weight of each old one, and that after the last, (2, old)."""
    weighed = _weights(old, new) > 0
    return np.stack([weighed.argmax(axis=0), new - weighed[::-1].argmax(axis=0)])
