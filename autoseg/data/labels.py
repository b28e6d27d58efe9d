"""The one place that knows how label values become what networks are trained on, and how probabilities become labels again.

Classes exclude one another, so that every voxel has one; or they are regions, which contain one another, so that a voxel
has one innermost. A target is the place of that class among the classes, or one beyond the last for a voxel that nobody
labelled. Whoever trains or predicts asks the encoding for targets, masks and labels and never looks inside.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass

REGION_THRESHOLD: Final = 0.5
"""Probability above which a voxel lies in a region. Source: nnU-Net v2."""


@dataclass(frozen=True)
class LabelEncoding:
    """Label values, targets and probabilities of classes.

    Attributes:
        values: label values that the K classes are written with, rising, background first.
        regions: of each class but the background all label values that belong to it; empty: classes exclude one another.
        written: indices of the regions in the order in which they are written; empty: classes exclude one another.
        ignore: label value of voxels without a label; None: there are none.
    """

    values: tuple[int, ...]
    regions: tuple[tuple[int, ...], ...] = ()
    written: tuple[int, ...] = ()
    ignore: int | None = None

    @property
    def exclusive(self) -> bool:
        """Whether every voxel has one class; otherwise classes are regions."""
        return not self.regions

    @property
    def channels(self) -> int:
        """Probabilities per pixel, one for each class, background first: K."""
        return len(self.values)

    @property
    def logits(self) -> int:
        """Numbers that a network gives per pixel: K, or K - 1 for regions, which need none for the background."""
        return self.channels if self.exclusive else self.channels - 1

    @property
    def background(self) -> int:
        """Label value where nothing was predicted."""
        return self.values[0]

    @property
    def nothing(self) -> tuple[float, ...]:
        """Probabilities where nothing was predicted, one per channel: sure to be background."""
        return (1.0, *[0.0] * (self.channels - 1))

    @property
    def ignored(self) -> int:
        """Target of a voxel without a label: K, one beyond those of the classes."""
        return self.channels

    @property
    def around(self) -> tuple[int, ...]:
        """Of each region the index of the innermost one around it, or of the background, 0: K - 1 numbers."""
        regions = [set(values) for values in self.regions]
        return tuple(
            min(
                (index for index, other in enumerate(regions, start=1) if own < other),
                key=lambda index: len(regions[index - 1]),
                default=0,
            )
            for own in regions
        )

    @property
    def members(self) -> NDArray[np.bool_]:
        """Whether a voxel of each target (the first axis) lies in each class (the second): (K + 1, K)."""
        members = np.zeros((self.channels + 1, self.channels), dtype=np.bool_)
        members[: self.channels] = np.eye(self.channels, dtype=np.bool_)
        for index, region in enumerate(self.regions, start=1):
            members[:-1, index] = [value in region for value in self.values]
        return members

    def targets(self, labels: NDArray[np.uint16]) -> NDArray[np.integer[Any]]:
        """What networks are trained on: class indices in place of label values, which may have gaps.

        Args:
            labels: label values of the classes, or `ignore`, and no others, any shape.

        Returns:
            class indices of the same shape, of a value in several regions that of the innermost, and `ignored` for voxels
            without a label; uint8, or uint16 for more than 256 targets.
        """
        of_value = dict(zip(self.values, range(self.channels), strict=True))
        for index in self.written:
            of_value |= dict.fromkeys(self.regions[index - 1], index)
        if self.ignore is not None:
            of_value[self.ignore] = self.ignored
        dtype = np.uint8 if max(of_value.values()) <= np.iinfo(np.uint8).max else np.uint16
        table: NDArray[np.integer[Any]] = np.zeros(max(of_value) + 1, dtype=dtype)
        table[list(of_value)] = list(of_value.values())
        return table[labels]

    def labels(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint16]:
        """Label values that probabilities speak for.

        Args:
            probabilities: (K, ...), float32.

        Returns:
            (...), uint16: the value of the most probable class, the first of equals; of regions the value of the last that
            was written where it is more probable than not.
        """
        values: NDArray[np.uint16] = np.array(self.values, dtype=np.uint16)
        labels: NDArray[np.uint16] = values[self._indices(probabilities)]
        return labels

    def masks(self, probabilities: NDArray[np.float32]) -> Iterator[NDArray[np.bool_]]:
        """Where each class, background first, is what the probabilities (K, ...) speak for: K masks (...), one at a time.

        A region's mask holds the regions inside it, as in the label map that is written.
        """
        indices = self._indices(probabilities)
        if self.exclusive:
            return (indices == index for index in range(self.channels))
        members = self.members
        return (members[indices, index] for index in range(self.channels))

    def _indices(self, probabilities: NDArray[np.float32]) -> NDArray[np.integer[Any]]:
        """Class indices that probabilities (K, ...) speak for, (...)."""
        if self.exclusive:
            indices: NDArray[np.integer[Any]] = probabilities.argmax(axis=0)
            return indices
        indices = np.zeros(probabilities.shape[1:], dtype=np.intp)
        for index in self.written:
            indices[probabilities[index] > REGION_THRESHOLD] = index
        return indices


def mask_of(label: LabelClass, labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Where a label map shows a class or region: a region wherever one of its values stands.

    Args:
        label: the class.
        labels: label values, any shape.

    Returns:
        bool, of the same shape.
    """
    values = label.label_values
    mask: NDArray[np.bool_] = labels == values[0] if len(values) == 1 else np.isin(labels, values)
    return mask


def as_written(labels: NDArray[np.uint16], encoding: LabelEncoding) -> NDArray[np.uint16]:
    """The label map that would be written of a reference: of a value in several regions, the innermost region's own.

    Args:
        labels: label values of the classes, or `ignore`, and no others, any shape.
        encoding: of the classes.

    Returns:
        of the same shape, uint16; the labels themselves where classes exclude one another.
    """
    if encoding.exclusive:
        return labels
    ignored = () if encoding.ignore is None else (encoding.ignore,)
    written: NDArray[np.uint16] = np.array([*encoding.values, *ignored], dtype=np.uint16)
    innermost: NDArray[np.uint16] = written[encoding.targets(labels)]
    return innermost


def value_around(label: LabelClass, classes: Sequence[LabelClass]) -> int:
    """What stands where a region was and no longer is: the value of the innermost region around it, else the background's.

    Args:
        label: one of the regions.
        classes: of the data set, background first.
    """
    encoding = encoding_of(classes)
    return encoding.values[encoding.around[classes.index(label) - 1]]


def encoding_of(classes: Sequence[LabelClass], *, ignore: int | None = None) -> LabelEncoding:
    """The encoding of the classes of a data set, by rising value.

    Args:
        classes: background first.
        ignore: label value of voxels without a label; None: there are none.
    """
    values = tuple(label.value for label in classes)
    placed = sorted((label.order, index) for index, label in enumerate(classes) if label.order is not None)
    if not placed:
        return LabelEncoding(values, ignore=ignore)
    regions = tuple(label.label_values for label in classes[1:])
    return LabelEncoding(values, regions, tuple(index for _, index in placed), ignore)
