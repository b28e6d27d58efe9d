"""What several passes over a scan find adds up on the scan's own grid."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding
from autoseg.inference.memory import SLAB_BYTES
from autoseg.preprocessing.footprint import (
    Box,
    Footprint,
    empty_probabilities,
    kept_part,
    on_own_axes,
    own_box,
    shape_of,
    whole_box,
)


class Sums(Protocol):
    """Probabilities of all classes, 0 at first, to which others are added."""

    @property
    def footprint(self) -> Footprint:
        """The way back of the slices that `slabs` gives: along the scan's first axis, on its own voxels."""

    def clear(self) -> None:
        """Begin with 0 again."""

    def add_slices(self, part: NDArray[np.float32], footprint: Footprint, *, first: int) -> None:
        """Add probabilities (K, n, H, W) of slices of any view; `first` is the number of the first of them."""

    def add(self, values: NDArray[np.float32], box: Box, *, channel: int) -> None:
        """Add probabilities (z, y, x) of one class to those in a box of the scan, along its own axes."""

    def slabs(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The sums: number of the first of n slices, and their probabilities, (K, n, h, w), float32."""

    def close(self) -> None:
        """Give the space back."""


class SumsInMemory:
    """Sums in memory.

    Args:
        footprint: of slices along the scan's first axis, on its own voxels.
        encoding: says what is probable where the scan was cut away.

    Attributes:
        volumes: all of it, (K, Z, Y, X), float32.
    """

    def __init__(self, footprint: Footprint, encoding: LabelEncoding) -> None:
        self.footprint = footprint
        self.volumes = empty_probabilities(footprint, encoding)
        self.clear()

    def clear(self) -> None:
        """Begin with 0 again."""
        for volume in self.volumes:
            kept_part(volume, self.footprint)[:] = 0

    def add_slices(self, part: NDArray[np.float32], footprint: Footprint, *, first: int) -> None:
        """Add probabilities (K, n, H, W) of slices of any view, which come back a few slices at a time."""
        for box, channels in on_own_axes(part, footprint, first=first):
            self.volumes[:, *box] += channels

    def add(self, values: NDArray[np.float32], box: Box, *, channel: int) -> None:
        """Add probabilities (z, y, x) of one class to those in a box of the scan, along its own axes."""
        self.volumes[channel, *box] += values

    def slabs(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The sums: number of the first of n slices, and their probabilities, (K, n, h, w), float32: views."""
        slices, rows, columns = self.footprint.kept
        step = max(SLAB_BYTES // (4 * len(self.volumes) * rows * columns), 1)
        for first in range(0, slices, step):
            last = min(first + step, slices)
            yield first, self.volumes[:, *own_box(self.footprint, slice(first, last))]

    def close(self) -> None:
        """Memory is given back by itself."""


def add_up(sums: Sums, parts: Iterable[tuple[int, NDArray[np.float32]]], footprint: Footprint, *, weight: float) -> None:
    """Add what one pass finds.

    Args:
        sums: what it is added to.
        parts: number of the first of n slices, and their probabilities, (K, n, H, W), float32, which are changed.
        footprint: the way back of the slices.
        weight: what the probabilities are multiplied with.
    """
    for first, part in parts:
        np.multiply(part, np.float32(weight), out=part)
        sums.add_slices(part, footprint, first=first)
        del part  # before the next is predicted


def add_around(sums: Sums, footprint: Footprint, encoding: LabelEncoding, *, weight: float) -> None:
    """Add what is probable where a pass saw nothing, though others did.

    Args:
        sums: what it is added to.
        footprint: the way back of the pass's slices.
        encoding: says what is probable where the scan was cut away.
        weight: what the probabilities are multiplied with.
    """
    probable = [(channel, np.float32(value) * np.float32(weight)) for channel, value in enumerate(encoding.nothing) if value]
    for box in _around(whole_box(footprint), whole_box(sums.footprint)):
        for channel, value in probable:
            sums.add(np.broadcast_to(value, shape_of(box)), box, channel=channel)


def _around(inner: Box, outer: Box) -> Iterator[Box]:
    """Boxes that cover what lies in one box and not in another inside it."""
    sides = list(outer)
    for axis, (inside, outside) in enumerate(zip(inner, outer, strict=True)):
        for side in (slice(outside.start, inside.start), slice(inside.stop, outside.stop)):
            if side.start < side.stop:
                sides[axis] = side
                yield sides[0], sides[1], sides[2]
        sides[axis] = inside
