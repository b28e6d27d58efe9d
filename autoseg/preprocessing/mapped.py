"""Preprocessed arrays on disk: mapped when they are read, a few at a time, and verified when they are first read.

A map holds an open file, of which systems allow a process as few as 256. So only those read last stay mapped; what a run
holds of the others are their names. Processes that are forked share nothing that any of them writes to: each maps, and
verifies, what it reads.
"""

import os
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from autoseg.errors import WorkspaceError
from autoseg.storage import files
from autoseg.storage.arrays import ArrayHeader, map_stream, read_header

MOST_OPEN: Final = 32
"""Arrays mapped at a time. Source: chosen; a small data set stays mapped, and mapping an array again takes .1 ms."""

REMEDY: Final = "Delete this folder; the next `autoseg train` or `autoseg preprocess` makes it again."
"""What the user can do about a preprocessed case that is not what it was."""


@dataclass(frozen=True)
class _Verified:
    """An array's file as it was verified: its inode, size and time of change, by which it is recognised, and its header."""

    stamp: tuple[int, int, int]
    header: ArrayHeader


class OpenArrays:
    """The arrays that were read last, mapped; and which ones were verified.

    Args:
        most: how many stay mapped.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        verified: dict[Path, _Verified] = {}
        self._mapped = lru_cache(maxsize=most)(partial(_mapped, verified))

    def __reduce__(self) -> tuple[type["OpenArrays"], tuple[int]]:
        return OpenArrays, (self._most,)  # another process maps for itself

    def read(self, path: Path, *, sha256: str) -> NDArray[Any]:
        """Map an array, read-only.

        Args:
            path: its file.
            sha256: of the file, as it was written.

        Raises:
            WorkspaceError: it is missing, cannot be read, or has changed since it was written.
        """
        return self._mapped(path, sha256)


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array on disk; it is opened by `read`, whose result should not be kept for long.

    Attributes:
        path: its file.
        sha256: of the file, as it was written.
        shape: of what `read` gives.
        arrays: where it is mapped.
        axes: of the array in the file, in the order in which `read` gives them; None: as they are.
    """

    path: Path
    sha256: str
    shape: tuple[int, ...]
    arrays: OpenArrays
    axes: tuple[int, ...] | None = None

    def read(self) -> NDArray[Any]:
        """The array, mapped, read-only.

        Raises:
            WorkspaceError: it is missing, cannot be read, or has changed since it was written.
        """
        array = self.arrays.read(self.path, sha256=self.sha256)
        return array if self.axes is None else array.transpose(self.axes)

    def transpose(self, axes: tuple[int, ...]) -> "StoredArray":
        """The same array with its axes in another order, as numpy's."""
        own = self.axes or tuple(range(len(self.shape)))
        return replace(self, shape=tuple(self.shape[axis] for axis in axes), axes=tuple(own[axis] for axis in axes))


def require(what: str, path: Path, *, expected: str, found: str) -> None:
    """Require something of a preprocessed case to have the SHA-256 that it was written with.

    Raises:
        WorkspaceError: it has another one.
    """
    if found != expected:
        raise WorkspaceError(f"{what} has changed", where=path, expected=f"sha256 {expected}", found=found, remedy=REMEDY)


def _mapped(verified: MutableMapping[Path, _Verified], path: Path, sha256: str) -> NDArray[Any]:
    """Map an array that is still the one that was written; one whose file was replaced or changed is verified again."""
    try:
        with path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = verified.get(path)
            if known is None or known.stamp != stamp:
                require("the preprocessed array", path, expected=sha256, found=files.sha256_stream(stream))
                stream.seek(0)
                known = verified[path] = _Verified(stamp, read_header(stream))
            return map_stream(stream, known.header)
    except (OSError, ValueError) as cause:
        raise WorkspaceError(f"cannot be read ({cause})", where=path, remedy=REMEDY) from None
