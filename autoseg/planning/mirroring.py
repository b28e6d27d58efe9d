"""How label maps compare with their own mirror images, and on which side of the scan their classes lie."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.images.label_values import voxel_counts


@dataclass(frozen=True)
class MirrorImage:
    """A label map beside its mirror image.

    Attributes:
        dice: mean over its classes of the Dice with the same class in the mirror; 0 where there are no classes.
        swapped: whether two classes lie more on each other than on themselves, as the left and the right of a pair do.
    """

    dice: float
    swapped: bool


def mirror_image(labels: NDArray[np.uint16], labelled: NDArray[np.bool_] | None, *, axis: int) -> MirrorImage:
    """Compare a label map with its mirror image, without background.

    A class and its mirror image are equally large, so Dice is the fraction of the class that meets itself in the mirror.
    Where some voxels have no label, those count that have one, and one in the mirror.

    Args:
        labels: label values, (Z, Y, X), 0 is background.
        labelled: voxels with a label, of the same shape; None: all.
        axis: along which the mirror image is turned round.
    """
    if labelled is not None:
        labels = np.where(labelled & np.flip(labelled, axis), labels, np.uint16(0))
    shares = _shares(labels, np.flip(labels, axis))
    if not shares.size:
        return MirrorImage(0.0, swapped=False)
    more_than_itself = shares > shares.diagonal()[:, None]
    return MirrorImage(float(np.mean(shares.diagonal())), swapped=bool((more_than_itself & more_than_itself.T).any()))


def class_extents(labels: NDArray[np.uint16]) -> dict[int, list[tuple[int, int]]]:
    """The smallest box around each class, without background.

    Args:
        labels: label values, (Z, Y, X), 0 is background.

    Returns:
        for each label value, along Z, Y and X the first voxel and the one after the last.
    """
    from scipy import ndimage  # noqa: PLC0415 - who only reads a fingerprint does not wait for it

    boxes = enumerate(ndimage.find_objects(labels), start=1)
    return {value: [(along.start, along.stop) for along in box] for value, box in boxes if box is not None}


def _shares(labels: NDArray[np.uint16], mirrored: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Which fraction of each class, by row, meets each class in the mirror, by column, (K, K); both without background."""
    values = np.flatnonzero(voxel_counts(labels))
    values = values[values > 0]
    places = np.zeros(1 + values.max(initial=0), dtype=np.int64)
    places[values] = np.arange(1, len(values) + 1)
    columns = len(values) + 1
    pairs = np.zeros(columns**2, dtype=np.int64)
    for here, there in zip(labels, mirrored, strict=True):  # slice by slice, because places take 64 bits for every voxel
        pairs += np.bincount((places[here] * columns + places[there]).ravel(), minlength=columns**2)
    met = pairs.reshape(columns, columns)[1:]
    shares: NDArray[np.float64] = met[:, 1:] / met.sum(axis=1, keepdims=True)
    return shares
