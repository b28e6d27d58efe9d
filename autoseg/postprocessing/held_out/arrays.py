"""Stored probabilities read back a few slices at a time: compressed ones, and plain ones as version 0.1 stored them."""

from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import WorkspaceError
from autoseg.postprocessing.held_out.files import predict_again
from autoseg.storage.arrays import map_array
from autoseg.storage.compressed import SUFFIX, CompressedArray

KEPT_BYTES: Final = 1 << 28
"""Of a case's arrays that are looked at several times, so much stays decompressed. Source: chosen; that of seven brains."""


class ReadableInParts(Protocol):
    """Probabilities of one case by one network through one view, (K, S, H, W), uint8."""

    def part(self, window: slice) -> NDArray[np.uint8]:
        """Some slices, (K, n, H, W)."""


class StoredArrays:
    """Opens stored probabilities.

    Args:
        keep_bytes: how much of what was decompressed is kept for being read again.
    """

    def __init__(self, *, keep_bytes: int = 0) -> None:
        self._left = keep_bytes
        self._kept: dict[Path, ReadableInParts] = {}

    def open(self, path: Path, shape: tuple[int, ...]) -> ReadableInParts:
        """The probabilities in a file.

        Raises:
            WorkspaceError: they are missing or damaged, or do not fit the case.
        """
        if path in self._kept:
            return self._kept[path]
        if path.suffix != SUFFIX:
            return _Plain(path, shape)
        array = _Compressed(path, shape)
        size = int(np.prod(shape))
        if size > self._left:
            return array
        self._left -= size
        self._kept[path] = _Held(array.part(slice(0, shape[1])))
        return self._kept[path]


class _Held:
    def __init__(self, array: NDArray[np.uint8]) -> None:
        self._array = array

    def part(self, window: slice) -> NDArray[np.uint8]:
        return self._array[:, window]


class _Plain(_Held):
    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        try:
            stored = map_array(path)
        except (OSError, ValueError) as cause:
            raise unusable(path, expected="an array", found=f"a file that cannot be read ({cause})") from None
        if stored.dtype != np.uint8 or stored.shape != shape:
            raise unusable(path, expected=f"uint8, {shape}", found=f"{stored.dtype}, {stored.shape}")
        super().__init__(stored)


class _Compressed:
    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._path, self._shape = path, shape
        try:
            self._array = CompressedArray(path, shape, np.dtype(np.uint8))
        except (OSError, ValueError) as cause:
            raise self._unusable(cause) from None

    def part(self, window: slice) -> NDArray[np.uint8]:
        try:
            return self._array.part(window)
        except (OSError, ValueError) as cause:
            raise self._unusable(cause) from None

    def _unusable(self, cause: Exception) -> WorkspaceError:
        return unusable(self._path, expected=f"uint8, {self._shape}, compressed", found=str(cause))


def unusable(path: Path, *, expected: str, found: str) -> WorkspaceError:
    """The error of a file that does not hold what it should."""
    return WorkspaceError(
        "not the probabilities of this held-out case",
        where=path,
        expected=expected,
        found=found,
        remedy=predict_again(path),
    )
