"""Arrays on disk in compressed blocks: a zip archive of .npy files, as numpy's .npz, to be read a few slices at a time.

Each member holds some slices of an array (K, S, ...) along its second axis, (K, n, ...), and is called by the first of them.
Equal arrays give equal files, however they were cut into parts when they were stored.
"""

import math
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib.format import read_array, write_array
from numpy.typing import NDArray

from autoseg.storage import files

SUFFIX: Final = ".npz"

_BLOCK_BYTES: Final = 1 << 20
"""Of a block, unless a single slice has more. Source: chosen; smaller ones compress worse, larger ones are read in vain."""

_LEVEL: Final = 1
"""Of deflate. Source: measured on probabilities (docs/explanation/decisions.md)."""

_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, KeyError, EOFError, RuntimeError, OverflowError, NotImplementedError
)  # fmt: skip
"""What reading an archive with a changed byte may raise besides OSError and ValueError."""

_WRITTEN_AT: Final = (1980, 1, 1, 0, 0, 0)
"""What the archive says, so that equal arrays give equal files: the first moment that a zip archive can name."""


class CompressedParts:
    """An array that is stored part by part along its second axis, in their order.

    Args:
        archive: to which they are added.
        shape: of the whole array, at least two axes.
        dtype: of its numbers.
    """

    def __init__(self, archive: zipfile.ZipFile, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._archive, self._shape = archive, shape
        self._slices = _slices_of_block(shape, dtype)
        self._waiting = np.empty((shape[0], min(self._slices, shape[1]), *shape[2:]), dtype)
        self._first, self._count = 0, 0

    def put(self, part: NDArray[Any], *, first: int) -> None:
        """Store a part, (K, n, ...), that begins at this index of the second axis, where the one before it ended.

        Raises:
            ValueError: it begins elsewhere.
        """
        if first != self._first + self._count:
            msg = f"the next part begins at {self._first + self._count}, not {first}"
            raise ValueError(msg)
        taken = 0
        while taken < part.shape[1]:
            size = min(part.shape[1] - taken, self._waiting.shape[1] - self._count)
            self._waiting[:, self._count : self._count + size] = part[:, taken : taken + size]
            taken, self._count = taken + size, self._count + size
            if self._count == self._waiting.shape[1]:
                self._store()

    def end(self) -> None:
        """Store what is left.

        Raises:
            ValueError: parts are missing.
        """
        if self._count:
            self._store()
        if self._first != self._shape[1]:
            msg = f"{self._first} of {self._shape[1]} slices were stored"
            raise ValueError(msg)

    def _store(self) -> None:
        content = BytesIO()
        write_array(content, np.ascontiguousarray(self._waiting[:, : self._count]), version=(1, 0), allow_pickle=False)
        name = zipfile.ZipInfo(_name(self._first), date_time=_WRITTEN_AT)
        self._archive.writestr(name, content.getvalue(), compress_type=zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
        self._first, self._count = self._first + self._count, 0


@contextmanager
def compressed_in_parts(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> Iterator[CompressedParts]:
    """Store an array of numbers part by part; it is there once the block has ended well.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    with files.atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        parts = CompressedParts(archive, shape, np.dtype(dtype))
        yield parts
        parts.end()


class CompressedArray:
    """An array that was stored in compressed blocks, to be read a few slices at a time; no file stays open.

    Args:
        path: its file.
        shape: that it should have.
        dtype: likewise.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._path, self.shape, self.dtype = path, shape, dtype
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except _DAMAGE as cause:
            raise ValueError(str(cause)) from None
        self._starts = range(0, shape[1], _slices_of_block(shape, dtype))
        if names != [_name(start) for start in self._starts]:
            msg = f"{len(names)} blocks instead of {len(self._starts)} of {shape[1]} slices"
            raise ValueError(msg)

    def part(self, window: slice) -> NDArray[Any]:
        """Some slices, (K, n, ...).

        Raises:
            OSError: the file cannot be read.
            ValueError: a block is damaged or holds something else.
        """
        first = bisect_right(self._starts, window.start) - 1
        with zipfile.ZipFile(self._path) as archive:
            blocks = [self._block(archive, start) for start in self._starts[first:] if start < window.stop]
        whole = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
        return whole[:, window.start - self._starts[first] : window.stop - self._starts[first]]

    def _block(self, archive: zipfile.ZipFile, start: int) -> NDArray[Any]:
        try:
            content = BytesIO(archive.read(_name(start)))
            block: NDArray[Any] = read_array(content, allow_pickle=False)
        except _DAMAGE as cause:
            raise ValueError(str(cause)) from None
        wanted = (self.shape[0], min(self._starts.step, self.shape[1] - start), *self.shape[2:])
        if block.dtype != self.dtype or block.shape != wanted:
            msg = f"{block.dtype}, {block.shape} instead of {self.dtype}, {wanted}"
            raise ValueError(msg)
        return block


def _name(first: int) -> str:
    return f"{first:08d}.npy"


def _slices_of_block(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    bytes_of_slice = shape[0] * math.prod(shape[2:]) * dtype.itemsize
    return max(_BLOCK_BYTES // bytes_of_slice, 1)
