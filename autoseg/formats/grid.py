"""Whether two statements about where an image lies put its voxels in the same places."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
"""(3, 4): voxel indices (X, Y, Z, 1) to a position in mm."""

TOLERANCE_VOXELS: Final = 0.1
"""Two grids are one where no corner lies further apart along any axis, in voxels.

Source: ours; what tools round in headers to single precision or four decimals stays far below, and no label moves to
another voxel.
"""


_RIGHT_ANGLES: Final = 1e-3
"""Cosine of the angle between axes that still counts as none. Source: ours; headers are rounded to three decimals."""


def sheared(axes: Sequence[Sequence[float]]) -> bool:
    """Whether axes of any length are not at right angles to each other."""
    return any(
        abs(sum(a * b for a, b in zip(one, other, strict=False))) > _RIGHT_ANGLES * math.hypot(*one) * math.hypot(*other)
        for one, other in combinations(axes, 2)
    )


def agree(one: Affine, other: Affine, *, shape: tuple[int, int, int]) -> bool:
    """Whether two grids of one shape (X, Y, Z) are the same, within `TOLERANCE_VOXELS`."""
    return bool((voxels_apart(one, other, shape=shape) <= TOLERANCE_VOXELS).all())


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what no number holds is infinitely far apart
def voxels_apart(one: Affine, other: Affine, *, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """How far apart two affines put the same corner of a grid at the most.

    Args:
        one: the affine whose voxels are the unit.
        other: what it is compared with.
        shape: voxels along (X, Y, Z).

    Returns:
        distances along X, Y and Z in voxels, (3,).
    """
    extent = np.array(shape, dtype=np.float64)[:, np.newaxis]
    # The outer corners, half a voxel beyond the centres: a single slice has a thickness and a direction, too.
    corners = np.indices((2, 2, 2)).reshape(3, 8) * extent - 0.5
    apart_mm = (one[:, :3] - other[:, :3]) @ corners + (one[:, 3:] - other[:, 3:])  # (3, 8)
    lengths_mm = np.linalg.norm(one[:, :3], axis=0)
    along_axes_mm = (one[:, :3] / lengths_mm).T @ apart_mm
    apart = np.abs(along_axes_mm) / lengths_mm[:, np.newaxis]
    furthest: NDArray[np.float64] = np.nan_to_num(apart, nan=np.inf).max(axis=1)
    return furthest
