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
from autoseg.preprocessing.footprint import Box, Footprint, kept_part, on_own_grid
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

    def add(self, channels: NDArray[np.float32], box: Box) -> None:
        """Add probabilities (K, z, y, x) to those in a box of the scan, along its own axes; before, all are 0.

        Raises:
            SystemFailureError: the disk is full.
        """
        start = self.footprint.start
        slices, rows, columns = (slice(one.start - least, one.stop - least) for one, least in zip(box, start, strict=True))
        for window in self._windows(slices.start, slices.stop):
            slab = self._read(window)
            added = channels[:, window.start - slices.start : window.stop - slices.start]
            slab[:, :, rows, columns] += added.swapaxes(0, 1)
            with files.explain_os_errors(self._folder):
                self._file.seek(window.start * slab[0].nbytes)
                self._file.write(slab.data)

    def slabs(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The slices again: number of the first of n, and their probabilities, (K, n, h, w), float32."""
        for window in self._windows(0, self.footprint.kept[0]):
            yield window.start, self._read(window).swapaxes(0, 1)

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

    def _windows(self, first: int, last: int) -> Iterator[slice]:
        step = max(SLAB_BYTES * self.footprint.kept[0] // self.bytes, 1)
        return (slice(start, min(start + step, last)) for start in range(first, last, step))

    def _read(self, window: slice) -> NDArray[np.float32]:
        """Slices with their probabilities, (n, K, h, w), float32."""
        slab = np.empty((window.stop - window.start, self._encoding.channels, *self.footprint.kept[1:]), dtype=_FLOAT)
        with files.explain_os_errors(self._folder):
            self._file.seek(window.start * slab[0].nbytes)
            self._file.readinto(slab.data)
        return slab
