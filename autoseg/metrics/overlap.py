"""Overlap and size of masks."""

import math

import numpy as np
from numpy.typing import NDArray


def dice(prediction: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Dice similarity coefficient of two masks.

    Args:
        prediction: mask, any shape, bool.
        reference: mask of the same shape, bool.

    Returns:
        2 |P & R| / (|P| + |R|), in [0, 1]; 0 where one is empty; NaN where both are, because then nothing was asked.

    Raises:
        ValueError: the shapes differ.

    Source: eq. 3 of the paper; the empty cases are ours (docs/reference/metrics.md).
    """
    if prediction.shape != reference.shape:
        msg = f"masks of different shapes: {prediction.shape} and {reference.shape}"
        raise ValueError(msg)
    voxels = np.count_nonzero(prediction) + np.count_nonzero(reference)
    if voxels == 0:
        return math.nan
    return 2 * np.count_nonzero(prediction & reference) / voxels


def volume_ml(mask: NDArray[np.bool_], *, spacing_mm: tuple[float, float, float]) -> float:
    """Volume of a mask.

    Args:
        mask: (Z, Y, X), bool.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm.

    Returns:
        number of voxels times the volume of one, in ml.
    """
    return np.count_nonzero(mask) * math.prod(spacing_mm) / 1000
