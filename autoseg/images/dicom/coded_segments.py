"""What a DICOM segmentation says of its segments and of itself."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.images.dicom.concepts import Property

_BYTES_OF_A_FRAME: Final = 40_000
"""What says of one frame where it lies and what it was made from. Source: measured with highdicom 0.28, rounded up."""


@dataclass(frozen=True)
class CodedSegment:
    """One segment.

    Attributes:
        name: what it is called.
        values: label values of voxels that belong to it.
        rgb: its colour, each 0 to 255.
        property: what it is.
    """

    name: str
    values: tuple[int, ...]
    rgb: tuple[int, int, int]
    property: Property

    def mask(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Where it lies in a label map of any shape."""
        found: NDArray[np.bool_] = np.isin(labels, self.values)
        return found


@dataclass(frozen=True)
class Maker:
    """What made a segmentation.

    Attributes:
        model: digest of networks and settings.
        title: of the model, for people.
        content: digest of everything that decides what the segmentation holds: its identifiers are made of it.
    """

    model: str
    title: str
    content: str


def overlap(segments: Sequence[CodedSegment]) -> bool:
    """Whether a voxel may lie in several."""
    return len({value for segment in segments for value in segment.values}) < sum(len(one.values) for one in segments)


def bytes_of_segmentation(shape: tuple[int, int, int], segments: Sequence[CodedSegment]) -> float:
    """What making a segmentation takes at most, beside the label map.

    Args:
        shape: of the label map, (Z, Y, X).
        segments: of the segmentation.

    Source: measured. A byte per voxel where segments exclude one another; where they overlap one per voxel and segment, and
    while highdicom adds these up nine more. Then a bit per voxel of each frame, three times, and what is said of the frame.
    """
    voxels, frames = float(math.prod(shape)), shape[0] * len(segments)
    stacked = voxels * (len(segments) + 9) if overlap(segments) else 2 * voxels
    return stacked + frames * (3 * shape[1] * shape[2] / 8 + _BYTES_OF_A_FRAME)
