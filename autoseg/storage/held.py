"""Locks that this process holds: one thread keeps them fresh, and what is written below their folders asks for them first.

A process that was suspended for so long that another took its lock over must not write what the other does not expect.
"""

import os
import signal
import threading
from pathlib import Path
from typing import Final

from autoseg.errors import WorkspaceError
from autoseg.storage.lease import HEARTBEAT_S, Lease


class _Held:
    """All locks of this process."""

    def __init__(self) -> None:
        self._leases: tuple[Lease, ...] = ()
        self._changing = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, lease: Lease) -> None:
        """Keep a lock fresh from now on."""
        with self._changing:
            self._leases += (lease,)
            if self._thread is None:
                self._thread = threading.Thread(target=self._keep_fresh, name="heartbeat of locks", daemon=True)
                _start_without_signals(self._thread)

    def remove(self, lease: Lease) -> None:
        """Keep it no more."""
        with self._changing:
            self._leases = tuple(each for each in self._leases if each is not lease)

    def require(self, path: Path) -> None:
        """Require every lock that covers a file to be held, before it is written.

        Raises:
            OSError: the lock cannot be read.
            WorkspaceError: it is another's.
        """
        if not self._leases:
            return
        place = _without_dots(path)
        for lease in self._leases:
            if place.is_relative_to(_without_dots(lease.path.parent)) and not lease.is_held():
                raise WorkspaceError(
                    "the lock of this folder was lost while this process gave no sign of life",
                    where=lease.path.parent,
                    found=f"it is now held by {lease.holder()}",
                    remedy="Nothing was written since. Run the same command again when the other has ended.",
                )

    def _keep_fresh(self) -> None:
        while True:
            _PAUSE.wait(HEARTBEAT_S)
            with self._changing:
                leases = self._leases
                if not leases:
                    self._thread = None
                    return
            for lease in leases:
                lease.touch()


def _without_dots(path: Path) -> Path:
    """A path to be compared with others that begin alike; where `..` follows a link, it may lead elsewhere."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - `absolute` keeps `..`


HELD: Final = _Held()
_PAUSE: Final = threading.Event()
"""Never set: waiting for it is a pause that ends with the process."""


def _start_without_signals(thread: threading.Thread) -> None:
    """Start a thread which no signal reaches: those that the main thread holds back would reach Python through it."""
    if not hasattr(signal, "pthread_sigmask"):
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
