"""Probabilities of all classes that do not fit into memory: kept in a temporary file, and read back class by class.

In the same file those of several passes over a scan may add up, which are then read back slice by slice.
"""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding
from autoseg.inference.memory import SLAB_BYTES
from autoseg.preprocessing.footprint import (
    Box,
    Footprint,
    kept_part,
    on_own_axes,
    on_own_grid,
    own_box,
    shape_of,
    whole_box,
    within,
)
from autoseg.storage import files

_FLOAT: Final = np.dtype(np.float32)


def bytes_of_kept(footprint: Footprint, encoding: LabelEncoding) -> int:
    """Size of the probabilities of all classes on the part of a scan's grid that slices show."""
    return encoding.channels * math.prod(footprint.kept) * _FLOAT.itemsize


def bytes_of_volumes(footprint: Footprint, encoding: LabelEncoding) -> int:
    """Size of the probabilities of all classes on all of a scan's grid."""
    return encoding.channels * math.prod(footprint.shape) * _FLOAT.itemsize


class SpooledProbabilities:
    """Probabilities of every class on the scan's own grid, in a temporary file without a name, which ends with this object.

    Slices come in any order and any number at a time, volumes go class by class: one class is in memory at once.

    Args:
        folder: where the file is; it must have space for all of it.
        footprint: the way back onto the scan.
        encoding: says what is probable where the scan was cut away.
        beside: bytes that the folder must have space for besides.

    Raises:
        SystemFailureError: the disk has not enough space.
    """

    def __init__(self, folder: Path, footprint: Footprint, encoding: LabelEncoding, *, beside: int = 0) -> None:
        self.footprint = footprint
        self._folder, self._encoding = folder, encoding
        files.require_space(folder, self.bytes + beside)
        with files.explain_os_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object
        self.clear()

    @property
    def bytes(self) -> int:
        """Size of the temporary file."""
        return bytes_of_kept(self.footprint, self._encoding)

    def clear(self) -> None:
        """Begin with 0 again."""
        with files.explain_os_errors(self._folder):
            self._file.truncate(0)
            self._file.truncate(self.bytes)

    def put(self, probabilities: NDArray[np.float32], *, first: int) -> None:
        """Keep the probabilities (K, n, H, W) of slices, the first of which has this number.

        Raises:
            SystemFailureError: the disk is full.
        """
        for window, block in on_own_grid(probabilities, self.footprint, first=first):
            by_slice = np.ascontiguousarray(block.swapaxes(0, 1))  # (s, K, h, w)
            with files.explain_os_errors(self._folder):
                self._file.seek(window.start * by_slice[0].nbytes)
                self._file.write(by_slice.data)

    def add_slices(self, part: NDArray[np.float32], footprint: Footprint, *, first: int) -> None:
        """Add probabilities (K, n, H, W) of slices of any view, which come back class by class, of all slices at once.

        So of the file each row that they show is read and written once, however they lie in the scan.

        Raises:
            SystemFailureError: the disk is full.
        """
        box = own_box(footprint, slice(first, first + part.shape[1]))
        values = np.empty(shape_of(box), dtype=_FLOAT)
        for channel in range(len(part)):
            for inner, shown in on_own_axes(part[channel : channel + 1], footprint, first=first):
                values[within(inner, box)] = shown[0]
            self.add(values, box, channel=channel)

    def add(self, values: NDArray[np.float32], box: Box, *, channel: int) -> None:
        """Add probabilities (z, y, x) of one class to those in a box of the scan, along its own axes; before, all are 0.

        Raises:
            SystemFailureError: the disk is full.
        """
        slices, rows, columns = within(box, whole_box(self.footprint))
        _, height, width = self.footprint.kept
        stored = np.empty((rows.stop - rows.start, width), dtype=_FLOAT)
        with files.explain_os_errors(self._folder):
            for number, added in zip(range(slices.start, slices.stop), values, strict=True):
                row = (number * self._encoding.channels + channel) * height + rows.start
                self._file.seek(row * stored[0].nbytes)
                self._file.readinto(stored.data)
                stored[:, columns] += added
                self._file.seek(row * stored[0].nbytes)
                self._file.write(stored.data)

    def slabs(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The slices again: number of the first of n, and their probabilities, (K, n, h, w), float32."""
        number = self.footprint.kept[0]
        step = max(SLAB_BYTES * number // self.bytes, 1)
        for start in range(0, number, step):
            yield start, self._read(slice(start, min(start + step, number))).swapaxes(0, 1)

    def volumes(self) -> Iterator[NDArray[np.float32]]:
        """One class after the other, (Z, Y, X), float32."""
        slices, rows, columns = self.footprint.kept
        one = rows * columns * _FLOAT.itemsize
        for channel, value in enumerate(self._encoding.nothing):
            volume = np.full(self.footprint.shape, value, dtype=_FLOAT)
            kept = kept_part(volume, self.footprint)
            for number in range(slices):
                self._file.seek((number * self._encoding.channels + channel) * one)
                kept[number] = np.frombuffer(self._file.read(one), dtype=_FLOAT).reshape(rows, columns)
            yield volume

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

    def _read(self, window: slice) -> NDArray[np.float32]:
        """Slices with their probabilities, (n, K, h, w), float32."""
        slab = np.empty((window.stop - window.start, self._encoding.channels, *self.footprint.kept[1:]), dtype=_FLOAT)
        with files.explain_os_errors(self._folder):
            self._file.seek(window.start * slab[0].nbytes)
            self._file.readinto(slab.data)
        return slab
