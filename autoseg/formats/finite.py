"""Voxels that are NaN or infinite: found in arrays, and in the bytes of files whose reader would take them for 0."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NotFinite
from autoseg.errors import ImageError
from autoseg.formats.header import Header
from autoseg.wording import counted


def check_finite(array: NDArray[np.float32], paths: Sequence[Path], *, optional: bool = False) -> None:
    """Require intensities to be numbers.

    Args:
        array: intensities, (C, Z, Y, X).
        paths: the file of each channel, or the one file of all.
        optional: whether commands have an option to take NaN and infinities for 0, which was not used.

    Raises:
        ImageError: some are NaN or infinite, perhaps because they exceed the range of float32.
    """
    finite = np.isfinite(array)
    if finite.all():
        return
    first = np.unravel_index(np.argmin(finite), finite.shape)
    path = paths[min(int(first[0]), len(paths) - 1)]
    raise _not_finite(path, count=int(np.count_nonzero(~finite)), first=first, optional=optional)


def zero_not_finite(array: NDArray[np.float32], stored: NDArray[Any]) -> tuple[str, ...]:
    """Take NaN and infinities for 0.

    Args:
        array: intensities, changed in place.
        stored: the same as they are in the file, where numbers too large for float32 are still finite and stay.

    Returns:
        a warning, where there were any.
    """
    wrong = ~np.isfinite(stored)
    array[wrong] = 0.0
    count = int(np.count_nonzero(wrong))
    return (_zeroed(count),) if count else ()


class FiniteScanner:
    """Counts voxels that are not finite while the bytes of a file pass by."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._count = 0
        self._first = 0

    def scan(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the pieces of a file on, from its first byte."""
        header = self._header
        if header.must_be_finite is None:
            yield from pieces
            return
        dtype = np.dtype(header.must_be_finite)
        scanned = 0
        position = -header.data_start  # of the next piece, in bytes of voxel data
        rest = b""
        for piece in pieces:
            yield piece
            data = rest + piece[max(0, -position) : max(0, header.data_bytes - position)]
            position += len(piece)
            whole = len(data) // dtype.itemsize
            rest = data[whole * dtype.itemsize :]
            bad = np.flatnonzero(~np.isfinite(np.frombuffer(data, dtype, count=whole)))
            if bad.size and not self._count:
                self._first = scanned + int(bad[0])
            self._count += bad.size
            scanned += whole

    def result(self, path: Path, *, not_finite: NotFinite) -> tuple[str, ...]:
        """Warnings, once all has passed.

        Raises:
            ImageError: some voxels are not finite, and that was not allowed.
        """
        if not self._count:
            return ()
        if not_finite == "zero":
            return (_zeroed(self._count),)
        sizes = self._header.sizes
        padded = (*sizes, 1)[: max(3, len(sizes))]  # a 2D image has one slice
        raise _not_finite(path, count=self._count, first=np.unravel_index(self._first, padded[::-1]), optional=True)


def _zeroed(count: int) -> str:
    return f"{counted(count, 'NaN or infinite voxel')} taken for 0, as asked"


def not_finite_in_words(count: int, first: Sequence[np.intp]) -> str:
    """How many voxels are not finite, and where the first is, by its array indices; the last three are Z, Y, X."""
    return f"{count} NaN or infinite, the first at {tuple(int(index) for index in first[-3:])} (Z, Y, X)"


def _not_finite(where: Path, *, count: int, first: Sequence[np.intp], optional: bool) -> ImageError:
    option = "; of scans, `autoseg check`, `plan` and `predict` take NaN and infinities for 0 with --not-finite zero"
    return ImageError(
        "voxels that are not finite numbers",
        where=where,
        expected="intensities that fit into 32-bit floats",
        found=not_finite_in_words(count, first),
        remedy=f"Replace them, for example by 0, and save the image again{option if optional else ''}.",
    )
