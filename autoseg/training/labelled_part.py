"""Where patches are cut from slices of which only a part is labelled, so that they show as much of that part as they can."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def labelled_box(label: NDArray[np.integer[Any]], *, ignored: int) -> NDArray[np.int64]:
    """The smallest box around the labelled pixels of a slice; all of it where there are none.

    Args:
        label: class indices, (H, W).
        ignored: target of a pixel without a label.

    Returns:
        along rows and along columns the first pixel and the one after the last, (2, 2), int64.
    """
    inside = label != ignored
    return np.array([_extent(inside.any(axis=1)), _extent(inside.any(axis=0))], dtype=np.int64)


def _extent(occupied: NDArray[np.bool_]) -> tuple[int, int]:
    places = np.flatnonzero(occupied)
    return (int(places[0]), int(places[-1]) + 1) if places.size else (0, len(occupied))


def starts(box: NDArray[np.int64], *, sides: NDArray[np.int64], surplus: NDArray[np.int64]) -> NDArray[np.int64]:
    """Between which places a patch may begin, so that it holds all of a box, or lies within it.

    A slice that is labelled throughout leaves every place, from 0 to its surplus over the patch.

    Args:
        box: of the labelled pixels, (..., 2): the first and the one after the last.
        sides: of the patch, (...).
        surplus: by how much slices are larger, (...), >= 0.

    Returns:
        the first place and the last, (..., 2), int64.
    """
    ends = np.stack([box[..., 0], box[..., 1] - sides], axis=-1)
    ordered: NDArray[np.int64] = np.clip(np.sort(ends, axis=-1), 0, surplus[..., np.newaxis])
    return ordered
