"""Where a patch may begin in a larger slice."""

import numpy as np
from numpy.typing import NDArray


def starts(box: NDArray[np.int64], *, sides: NDArray[np.int64], surplus: NDArray[np.int64]) -> NDArray[np.int64]:
    """Between which places a patch may begin, so that it holds all of a box, or lies within it.

    A box as large as the slice leaves every place, from 0 to its surplus over the patch.

    Args:
        box: (..., 2): the first pixel and the one after the last.
        sides: of the patch, (...).
        surplus: by how much slices are larger, (...), >= 0.

    Returns:
        the first place and the last, (..., 2), int64.
    """
    ends = np.stack([box[..., 0], box[..., 1] - sides], axis=-1)
    ordered: NDArray[np.int64] = np.clip(np.sort(ends, axis=-1), 0, surplus[..., np.newaxis])
    return ordered
