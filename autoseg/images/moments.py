"""Mean and standard deviation of many voxels, without copies of them as 64-bit numbers."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_WHOLE: Final = 1 << 24
"""Voxels that numpy itself takes the standard deviation of. Source: chosen; its copies of more would take over 128 MiB."""


def mean_and_std(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Mean and standard deviation, computed in 64 bits.

    Args:
        values: any number but none, in one axis.

    Source: the bits are those of numpy's own `std`, whose pairwise sum halves longer arrays in the same places.
    """
    mean = values.mean(dtype=np.float64)
    if values.size <= _WHOLE:
        return float(mean), float(values.std(dtype=np.float64))
    return float(mean), float(np.sqrt(_squares(values, mean) / values.size))


def _squares(values: NDArray[np.floating[Any]], mean: np.float64) -> np.float64:
    """Sum of the squared distances from the mean."""
    if values.size > _WHOLE:
        half = values.size // 2
        half -= half % 8
        return np.float64(_squares(values[:half], mean) + _squares(values[half:], mean))
    distances = values - mean
    distances *= distances
    return np.float64(distances.sum())
