"""Connected components of masks: the only module that knows cc3d.

Source: cc3d labels a mask of 256 x 256 x 128 voxels three times as fast as scipy (.06 against .19 s).
"""

from dataclasses import dataclass
from typing import Any, Final

import cc3d
import numpy as np
from numpy.typing import NDArray

_FOREGROUND: Final = 26
_BACKGROUND: Final = 6
"""Foreground voxels touch by faces, edges and corners, background voxels by faces: no line crosses both."""

_VALUE_BITS: Final = 16
"""Of a label value."""


@dataclass(frozen=True)
class Components:
    """Connected components of a mask.

    Attributes:
        labels: number of the component each voxel belongs to, (Z, Y, X), from 1 in the order of first voxels; 0 outside
            the mask.
        voxels: size of component 1, 2, ...
    """

    labels: NDArray[np.integer[Any]]
    voxels: NDArray[np.int64]

    @property
    def largest(self) -> int | None:
        """Number of the largest component; of several, the one whose first voxel comes first; None where there is none."""
        return int(self.voxels.argmax()) + 1 if self.voxels.size else None


def foreground_components(mask: NDArray[np.bool_]) -> Components:
    """Components of a mask, (Z, Y, X), connected by faces, edges or corners."""
    return _components(mask, connectivity=_FOREGROUND)


def background_components(mask: NDArray[np.bool_]) -> Components:
    """Components of a mask, (Z, Y, X), connected by faces."""
    return _components(mask, connectivity=_BACKGROUND)


@dataclass(frozen=True)
class Surroundings:
    """What lies behind the faces of components.

    Attributes:
        most: the label value behind most faces of component 0 (which does not exist), 1, 2, ...; the lower of two equally
            frequent ones; 0 for a component that fills the volume.
        only: whether it is behind all of them.
    """

    most: NDArray[np.uint16]
    only: NDArray[np.bool_]


def surroundings(components: Components, labels: NDArray[np.uint16]) -> Surroundings:
    """What lies around every component, all of them at once.

    Args:
        components: of a mask.
        labels: label values, (Z, Y, X), uint16.
    """
    seen = []
    for axis in range(labels.ndim):
        parts, values = np.moveaxis(components.labels, axis, 0), np.moveaxis(labels, axis, 0)
        for inside, outside in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            faces = (parts[inside] != 0) & (parts[outside] == 0)  # no two components touch by a face
            seen.append(parts[inside][faces].astype(np.int64) << _VALUE_BITS | values[outside][faces])
    pairs, faces_of = np.unique(np.concatenate(seen), return_counts=True)
    owners, values_of = pairs >> _VALUE_BITS, (pairs & ((1 << _VALUE_BITS) - 1)).astype(np.uint16)
    order = np.lexsort((values_of, -faces_of, owners))
    first = order[np.unique(owners[order], return_index=True)[1]]
    most = np.zeros(len(components.voxels) + 1, np.uint16)
    only = np.zeros(len(components.voxels) + 1, np.bool_)
    most[owners[first]] = values_of[first]
    only[:] = np.bincount(owners, minlength=len(only)) == 1
    return Surroundings(most, only)


def _components(mask: NDArray[np.bool_], *, connectivity: int) -> Components:
    if 0 in mask.shape or not mask.any():
        return Components(np.zeros(mask.shape, np.uint32), np.zeros(0, np.int64))
    # cc3d numbers components in the order of memory. In small or thin volumes it expects fewer of them than there can be,
    # and fails: a frame of background gives it room.
    frame: NDArray[np.bool_] = np.zeros([side + 2 for side in mask.shape], dtype=bool)
    frame[1:-1, 1:-1, 1:-1] = mask
    framed = cc3d.connected_components(frame, connectivity=connectivity)
    counts = cc3d.statistics(framed, no_slice_conversion=True)["voxel_counts"]
    return Components(labels=framed[1:-1, 1:-1, 1:-1], voxels=counts[1:].astype(np.int64))
