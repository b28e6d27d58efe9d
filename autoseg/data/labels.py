"""The one place that knows how label values become what networks are trained on, and how probabilities become labels again.

Classes exclude one another: every voxel has one. A target is the place of its value among the classes, and the class of the
highest probability wins. Whoever trains or predicts asks the encoding for targets, masks and labels and never looks inside:
classes that contain one another, or voxels without a class, would be another encoding and no other code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass


@dataclass(frozen=True)
class LabelEncoding:
    """Label values, targets and probabilities of classes that exclude one another.

    Attributes:
        values: label values of the K classes, rising, background first.
    """

    values: tuple[int, ...]

    @property
    def channels(self) -> int:
        """Numbers a network gives per pixel: K."""
        return len(self.values)

    @property
    def background(self) -> int:
        """Label value where nothing was predicted."""
        return self.values[0]

    @property
    def nothing(self) -> tuple[float, ...]:
        """Probabilities where nothing was predicted, one per channel: sure to be background."""
        return (1.0, *[0.0] * (self.channels - 1))

    def targets(self, labels: NDArray[np.uint16]) -> NDArray[np.integer[Any]]:
        """What networks are trained on: class indices in place of label values, which may have gaps.

        Args:
            labels: label values of the classes and no others, any shape.

        Returns:
            class indices of the same shape, uint8, or uint16 for more than 256 classes.
        """
        dtype = np.uint8 if self.channels <= np.iinfo(np.uint8).max + 1 else np.uint16
        table: NDArray[np.integer[Any]] = np.zeros(max(self.values) + 1, dtype=dtype)
        table[list(self.values)] = np.arange(self.channels)
        return table[labels]

    def labels(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Label values that probabilities speak for.

        Args:
            probabilities: (K, ...), float32.

        Returns:
            (...), uint16: the value of the most probable class, the first of equals.
        """
        values: NDArray[np.uint16] = np.array(self.values, dtype=np.uint16)
        labels: NDArray[np.uint16] = values[probabilities.argmax(axis=0)]
        return labels

    def masks(self, probabilities: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
        """Where each class, background first, is what the probabilities (K, ...) speak for: K masks (...), one at a time."""
        classes = probabilities.argmax(axis=0)
        return (classes == index for index in range(self.channels))


def encoding_of(classes: Sequence[LabelClass]) -> LabelEncoding:
    """The encoding of the classes of a data set, by rising value."""
    return LabelEncoding(tuple(label.value for label in classes))
