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

_VOXELS_AT_ONCE: Final = 1 << 20
"""Whose faces are counted together. Source: chosen; 30 MB at most."""


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
class Neighbours:
    """What lies behind the faces of components.

    Attributes:
        most: the label value behind most faces of component 0 (which does not exist), 1, 2, ...; the lower of two equally
            frequent ones; 0 for a component that fills the volume.
        only: whether it is behind all of them.
    """

    most: NDArray[np.uint16]
    only: NDArray[np.bool_]


def neighbours_of(components: Components, labels: NDArray[np.uint16]) -> Neighbours:
    """What lies around every component, all of them at once.

    Args:
        components: of a mask.
        labels: label values, (Z, Y, X), uint16.
    """
    step = max(_VOXELS_AT_ONCE * len(labels) // max(labels.size, 1), 1)
    seen = []
    for first in range(0, max(len(labels), 1), step):  # all faces take more memory than the volume
        within = slice(first, min(first + step, len(labels)))
        seen.append(np.unique(_faces(components.labels, labels, within), return_counts=True))
    pairs, places = np.unique(np.concatenate([keys for keys, _ in seen]), return_inverse=True)
    faces_of = np.bincount(places, weights=np.concatenate([numbers for _, numbers in seen]), minlength=len(pairs))
    owners, values_of = pairs >> _VALUE_BITS, (pairs & ((1 << _VALUE_BITS) - 1)).astype(np.uint16)
    order = np.lexsort((values_of, -faces_of, owners))
    leading = order[np.unique(owners[order], return_index=True)[1]]
    most = np.zeros(len(components.voxels) + 1, np.uint16)
    only = np.zeros(len(components.voxels) + 1, np.bool_)
    most[owners[leading]] = values_of[leading]
    only[:] = np.bincount(owners, minlength=len(only)) == 1
    return Neighbours(most, only)


def _faces(parts: NDArray[np.integer[Any]], labels: NDArray[np.uint16], within: slice) -> NDArray[np.int64]:
    """For each face between a component and what is outside, its component and the value behind it as one number.

    Args:
        parts: numbers of components, (Z, Y, X).
        labels: label values of the same shape.
        within: slices whose faces are sought: those in them, and those to the slice behind the last.
    """
    found = []
    for axis in range(labels.ndim):
        region = slice(within.start, within.stop + 1) if axis == 0 else within
        numbers, values = np.moveaxis(parts[region], axis, 0), np.moveaxis(labels[region], axis, 0)
        for inside, outside in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            faces = (numbers[inside] != 0) & (numbers[outside] == 0)  # no two components touch by a face
            found.append(numbers[inside][faces].astype(np.int64) << _VALUE_BITS | values[outside][faces])
    return np.concatenate(found)


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
