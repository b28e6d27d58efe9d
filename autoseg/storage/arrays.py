"""Arrays on disk, as plain .npy files: whole or not at all, and never a pickle."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.format import header_data_from_array_1_0, open_memmap, write_array_header_1_0
from numpy.typing import NDArray

from autoseg.storage import files


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Store an array of numbers in one step.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    contiguous = np.ascontiguousarray(array)
    with files.atomic_path(path) as temporary, temporary.open("wb") as stream:
        write_array_header_1_0(stream, header_data_from_array_1_0(contiguous))
        stream.write(contiguous.data)  # not numpy's own writing, which does not say why it fails


class ArrayInParts:
    """An array that is stored part by part along its second axis, as `write_array` would store all of it.

    Args:
        stream: the file, empty.
        shape: of the whole array, at least two axes.
        dtype: of its numbers.
    """

    def __init__(self, stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._stream, self._shape, self._dtype = stream, shape, dtype
        like = np.broadcast_to(np.zeros((), dtype), shape)  # takes no memory, and has no order of its own
        write_array_header_1_0(stream, {**header_data_from_array_1_0(like), "fortran_order": False})
        self._start = stream.tell()

    def put(self, part: NDArray[Any], *, first: int) -> None:
        """Store a part, (K, n, ...), that begins at this index of the second axis."""
        inside = math.prod(self._shape[2:]) * self._dtype.itemsize
        for index, row in enumerate(np.ascontiguousarray(part, dtype=self._dtype)):
            self._stream.seek(self._start + (index * self._shape[1] + first) * inside)
            self._stream.write(row.data)


@contextmanager
def array_in_parts(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Iterator[ArrayInParts]:
    """Store an array of numbers part by part; it is there once the block has ended well.

    Raises:
        SystemFailureError: the disk has too little space, or the place may not be written.
    """
    kind = np.dtype(dtype)
    files.require_space(path.parent, math.prod(shape) * kind.itemsize)
    with files.atomic_path(path) as temporary, temporary.open("wb") as stream:
        yield ArrayInParts(stream, shape, kind)


def map_array(path: Path) -> NDArray[Any]:
    """Map an array into memory, read-only.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no array of numbers, but for example an archive or a pickle.
    """
    array: NDArray[Any] = open_memmap(path, mode="r")
    return array
