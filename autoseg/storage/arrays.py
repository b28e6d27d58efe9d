"""Arrays on disk, as plain .npy files: whole or not at all, and never a pickle."""

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.lib.format import (
    header_data_from_array_1_0,
    read_array_header_1_0,
    read_array_header_2_0,
    read_magic,
    write_array_header_1_0,
)
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


@dataclass(frozen=True)
class ArrayHeader:
    """What the beginning of an array's file says.

    Attributes:
        shape: of the array.
        dtype: of its numbers.
        columns_first: whether its first index varies fastest (Fortran's order).
        start: number of bytes before the array.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool
    start: int


def read_header(stream: BinaryIO) -> ArrayHeader:
    """Read the beginning of an array's file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no array of numbers, but for example an archive or a pickle.
    """
    version = read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        msg = f"an array of the unknown format {version[0]}.{version[1]}"
        raise ValueError(msg)
    read = read_array_header_1_0 if version == (1, 0) else read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if dtype.hasobject:
        msg = "an array of Python objects"
        raise ValueError(msg)
    return ArrayHeader(shape, dtype, columns_first, stream.tell())


def map_stream(stream: BinaryIO, header: ArrayHeader) -> NDArray[Any]:
    """Map an array into memory, read-only; it stays when its file is closed.

    Raises:
        OSError: the file cannot be mapped.
        ValueError: it is shorter than its header says.
    """
    mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)  # in a third of the time that np.memmap takes
    if len(mapped) < header.start + math.prod(header.shape) * header.dtype.itemsize:
        msg = "the file is shorter than its header says"
        raise ValueError(msg)
    order: Literal["C", "F"] = "F" if header.columns_first else "C"
    return np.ndarray(header.shape, header.dtype, mapped, header.start, order=order)


def map_array(path: Path) -> NDArray[Any]:
    """Map an array into memory, read-only.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no array of numbers, but for example an archive or a pickle.
    """
    with path.open("rb") as stream:
        return map_stream(stream, read_header(stream))
