"""How many pixels of each class every slice of a label map has, along each of its axes: counted once, when it is stored.

Which slices a run draws from depends on it; without it, a run would begin by reading all label maps.
"""

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.preprocessing.footprint import Triple

_DTYPE = np.dtype("<u4")


@dataclass(frozen=True, eq=False)
class ClassPixels:
    """Pixels of each class in each slice of a volume.

    Attributes:
        axes: for each of the volume's axes the counts of the slices across it, (S, K), uint32, for classes up to the last
            one that occurs; None where they were not counted.
    """

    axes: tuple[NDArray[np.uint32] | None, NDArray[np.uint32] | None, NDArray[np.uint32] | None]

    @classmethod
    def of(cls, label: NDArray[np.integer[Any]], *, axes: Sequence[int]) -> "ClassPixels":
        """Count the classes of a label map, (S, H, W), class indices, in the slices across some of its axes."""
        classes = int(label.max()) + 1
        first, second, third = (_counted(label, axis, classes) if axis in axes else None for axis in range(3))
        return cls((first, second, third))

    def along(self, axis: int, *, classes: int) -> NDArray[np.int64]:
        """Counts of the slices across an axis, (S, K), int64, for so many classes.

        Raises:
            ValueError: they were not counted.
        """
        counts = self.axes[axis]
        if counts is None:
            msg = f"slices across axis {axis} were not counted"
            raise ValueError(msg)
        wanted = np.zeros((len(counts), max(classes, counts.shape[1])), dtype=np.int64)
        wanted[:, : counts.shape[1]] = counts
        return wanted[:, :classes]

    def turned(self, order: Triple) -> "ClassPixels":
        """The same with the volume's axes in another order."""
        return ClassPixels((self.axes[order[0]], self.axes[order[1]], self.axes[order[2]]))

    def text(self) -> str:
        """As documents hold it: the counts of one axis after the other as little-endian uint32, zlib's and base64."""
        content = b"".join(counts.astype(_DTYPE).tobytes() for counts in self.axes if counts is not None)
        return base64.b64encode(zlib.compress(content)).decode("ascii")

    @classmethod
    def parse(cls, text: str, shape: Triple) -> "ClassPixels":
        """Read what `text` gave.

        Args:
            text: of all axes, or of the first alone.
            shape: of the volume, (S, H, W).

        Raises:
            ValueError: it is damaged, or of another volume.
        """
        try:
            content = zlib.decompress(base64.b64decode(text, validate=True))
        except (ValueError, zlib.error) as cause:
            msg = f"cannot be read ({cause})"
            raise ValueError(msg) from None
        voxels = math.prod(shape)
        counts = np.frombuffer(content, dtype=_DTYPE) if len(content) % _DTYPE.itemsize == 0 else np.zeros(0, _DTYPE)
        lengths = shape[:1] if counts.sum(dtype=np.int64) == voxels else shape  # each axis counts every voxel once
        if len(counts) == 0 or len(counts) % sum(lengths):
            msg = "not those of this volume"
            raise ValueError(msg)
        parts = np.split(counts.reshape(sum(lengths), -1), np.cumsum(lengths)[:-1])
        if any(part.sum(dtype=np.int64) != voxels for part in parts):
            msg = "not those of this volume"
            raise ValueError(msg)
        first, second, third = (parts[axis] if axis < len(parts) else None for axis in range(3))
        return cls((first, second, third))


def _counted(label: NDArray[np.integer[Any]], axis: int, classes: int) -> NDArray[np.uint32]:
    slices = np.moveaxis(label, axis, 0)
    return np.stack([np.bincount(part.ravel(), minlength=classes) for part in slices]).astype(np.uint32)
