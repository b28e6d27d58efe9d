"""One process at a time: a lock names its holder and vanishes with it, however that ends.

`lock` is all that the rest of the package knows. Behind it stands a `Backend`; the one there is keeps processes of one
machine apart, and one for several machines takes its place here.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from filelock import FileLock, Timeout

from autoseg.errors import WorkspaceError
from autoseg.storage.files import explain_os_errors


class Backend(Protocol):
    """One lock."""

    def take(self, holder: str) -> bool:
        """Take it in the name of `holder`, without waiting; False: somebody else holds it.

        Raises:
            OSError: the place cannot be written, or has no locks.
        """

    def holder(self) -> str:
        """Who holds it, in words; empty where that is not known."""

    def release(self) -> None:
        """Give it back, if it was taken."""


class _FileSystemLock:
    """A lock of the operating system on a file, which ends with its process. The file holds the holder's name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # The file stays: one that went would let two processes hold two files of the same name.
        self._lock = FileLock(path, thread_local=False, preserve_lock_file=True, on_acquired=self._sign)
        self._name = b""

    def take(self, holder: str) -> bool:
        self._name = holder.encode()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            return False
        return True

    def holder(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except OSError:  # Windows lets nobody else read the file
            return ""

    def release(self) -> None:
        if self._lock.is_locked:
            with suppress(OSError):
                os.truncate(self._path, 0)
            self._lock.release()

    def _sign(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, self._name)


_BACKEND: Final[type[_FileSystemLock]] = _FileSystemLock


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock.

    Raises:
        WorkspaceError: another process holds it.
        SystemFailureError: the disk is full, the place may not be written, or its file system has no locks.
    """
    backend: Backend = _BACKEND(path)
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    try:
        with explain_os_errors(path):
            taken = backend.take(f"process {os.getpid()} on {socket.gethostname()} since {since}\n")
        if not taken:
            raise WorkspaceError(
                f"in use by {backend.holder() or 'another process'}",
                where=path.parent,
                remedy="Wait for it to end, or stop it.",
            )
        yield
    finally:
        backend.release()
