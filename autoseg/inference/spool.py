"""Probabilities of all classes that do not fit into memory: kept in a temporary file, and read back class by class."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding
from autoseg.preprocessing.footprint import Footprint, kept_part, on_own_grid
from autoseg.storage import files

_FLOAT: Final = np.dtype(np.float32)


class SpooledProbabilities:
    """Probabilities of every class on the scan's own grid, in a temporary file without a name, which ends with this object.

    Slices come in any order and any number at a time, volumes go class by class: one class is in memory at once.

    Args:
        folder: where the file is; it must have space for all of it.
        footprint: the way back onto the scan.
        encoding: says what is probable where the scan was cut away.

    Raises:
        SystemFailureError: the disk has not enough space.
    """

    def __init__(self, folder: Path, footprint: Footprint, encoding: LabelEncoding) -> None:
        self._folder, self._footprint, self._encoding = folder, footprint, encoding
        files.require_space(folder, self.bytes + self.bytes_of_volumes)
        with files.explain_os_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as this object

    @property
    def bytes(self) -> int:
        """Size of the temporary file."""
        slices, rows, columns = self._footprint.kept
        return slices * self._slice_bytes(rows, columns)

    @property
    def bytes_of_volumes(self) -> int:
        """Size of the volumes of all classes."""
        slices, rows, columns = self._footprint.shape
        return slices * self._slice_bytes(rows, columns)

    def put(self, probabilities: NDArray[np.float32], *, first: int) -> None:
        """Keep the probabilities (K, n, H, W) of slices, the first of which has this number.

        Raises:
            SystemFailureError: the disk is full.
        """
        for window, block in on_own_grid(probabilities, self._footprint, first=first):
            by_slice = np.ascontiguousarray(block.swapaxes(0, 1))  # (s, K, h, w)
            with files.explain_os_errors(self._folder):
                self._file.seek(window.start * by_slice[0].nbytes)
                self._file.write(by_slice.data)

    def volumes(self) -> Iterator[NDArray[np.float32]]:
        """One class after the other, (Z, Y, X), float32."""
        slices, rows, columns = self._footprint.kept
        one = rows * columns * _FLOAT.itemsize
        for channel, value in enumerate(self._encoding.nothing):
            volume = np.full(self._footprint.shape, value, dtype=_FLOAT)
            kept = kept_part(volume, self._footprint)
            for number in range(slices):
                self._file.seek((number * self._encoding.channels + channel) * one)
                kept[number] = np.frombuffer(self._file.read(one), dtype=_FLOAT).reshape(rows, columns)
            yield volume

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

    def _slice_bytes(self, rows: int, columns: int) -> int:
        return self._encoding.channels * rows * columns * _FLOAT.itemsize
