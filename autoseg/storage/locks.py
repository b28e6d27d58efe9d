"""One process at a time, on any number of machines: a lock names its holder, and is free once that has ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.storage.files import explain_os_errors
from autoseg.storage.held import HELD
from autoseg.storage.lease import Lease, Sighting

_POLL_S: Final = 0.1
"""Time between two looks at a lock that is waited for."""


@contextmanager
def lock(path: Path, *, wait_s: float = 0.0, events: Events | None = None) -> Iterator[None]:
    """Hold an exclusive lock on a folder.

    What `storage.files` writes below the folder meanwhile is refused where another process has taken the lock over
    (`storage.lease` says when).

    Args:
        path: the lock's file, in the folder.
        wait_s: how long to wait for another process that holds it.
        events: notified where the lock was taken over from a process that gave no sign of life.

    Raises:
        WorkspaceError: another process holds it.
        SystemFailureError: the disk is full, or the place may not be written.
    """
    lease = Lease(path.absolute())
    try:
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            holder = _take(lease, wait_s=wait_s)
        if holder is not None:
            raise _in_use(holder, path.parent)
        HELD.add(lease)
        if events is not None and lease.followed is not None and lease.followed.silent:
            events.warn(f"{path.parent}: took over the stale lock of {lease.followed}")
        yield
    finally:
        HELD.remove(lease)
        lease.release()


def _take(lease: Lease, *, wait_s: float) -> Sighting | None:
    deadline = time.monotonic() + wait_s
    while (holder := lease.take()) is not None and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return holder


def _in_use(holder: Sighting, folder: Path) -> WorkspaceError:
    remedy = "Wait for it to end, or stop it."
    if holder.left_s is not None:
        remedy += f" If it was killed, the same command goes on in {max(1.0, holder.left_s):.0f} s."
    return WorkspaceError(f"in use by {holder}", where=folder, remedy=remedy)
