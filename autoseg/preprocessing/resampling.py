"""Slices on another pixel grid."""

from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_Label = TypeVar("_Label", bound=np.generic)


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
    largest = np.zeros(best.shape, dtype=np.float32)
    for index in np.unique(labels):
        fraction = resample_slices((labels == index).astype(np.float32), size_px)
        wins = fraction > largest
        best[wins] = index
        largest[wins] = fraction[wins]
    return best


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
