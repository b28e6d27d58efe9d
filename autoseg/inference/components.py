"""Connected components of masks: the only module that knows cc3d.

Source: cc3d labels a mask of 256 x 256 x 128 voxels three times as fast as scipy (.06 against .19 s).
"""

from dataclasses import dataclass
from typing import Any, Final

import cc3d
import numpy as np
from numpy.typing import NDArray

Slices = tuple[slice, slice, slice]

_FOREGROUND: Final = 26
_BACKGROUND: Final = 6
"""Foreground voxels touch by faces, edges and corners, background voxels by faces: no line crosses both."""


@dataclass(frozen=True)
class Components:
    """Connected components of a mask.

    Attributes:
        labels: number of the component each voxel belongs to, (Z, Y, X), from 1 in the order of first voxels; 0 outside
            the mask.
        voxels: size of component 1, 2, ...
        boxes: where they lie.
    """

    labels: NDArray[np.integer[Any]]
    voxels: NDArray[np.int64]
    boxes: tuple[Slices, ...]

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


def neighbour_counts(labels: NDArray[np.uint16], component: NDArray[np.bool_]) -> dict[int, int]:
    """How often each label value lies behind a face of a component.

    Args:
        labels: label values, (Z, Y, X).
        component: the component, of the same shape.

    Returns:
        value to number of faces between the component and voxels of that value outside it.
    """
    faces = []
    for axis in range(labels.ndim):
        for first, second in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
            inside: list[slice] = [slice(None)] * labels.ndim
            outside = list(inside)
            inside[axis], outside[axis] = first, second
            faces.append(labels[tuple(outside)][component[tuple(inside)] & ~component[tuple(outside)]])
    values, numbers = np.unique(np.concatenate(faces), return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def _components(mask: NDArray[np.bool_], *, connectivity: int) -> Components:
    if 0 in mask.shape or not mask.any():
        return Components(np.zeros(mask.shape, np.uint32), np.zeros(0, np.int64), ())
    # cc3d numbers components in the order of memory. In small or thin volumes it expects fewer of them than there can be,
    # and fails: a frame of background gives it room.
    frame: NDArray[np.bool_] = np.zeros([side + 2 for side in mask.shape], dtype=bool)
    frame[1:-1, 1:-1, 1:-1] = mask
    framed = cc3d.connected_components(frame, connectivity=connectivity)
    found = cc3d.statistics(framed, no_slice_conversion=False)
    return Components(
        labels=framed[1:-1, 1:-1, 1:-1],
        voxels=found["voxel_counts"][1:].astype(np.int64),
        boxes=tuple(_unframed(box) for box in found["bounding_boxes"][1:]),
    )


def _unframed(box: Slices) -> Slices:
    first, second, third = (slice(side.start - 1, side.stop - 1) for side in box)
    return first, second, third
