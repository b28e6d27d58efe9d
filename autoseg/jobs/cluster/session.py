"""What the workers of a cluster are told of a command, and what they find out before they work for it."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from autoseg.errors import AutosegError, SystemFailureError

_PATIENCE_S: Final = 15.0
"""Time in which a file that one machine has written is seen by another. Source: ours; NFS remembers folders for seconds."""
_POLL_S: Final = 0.5


@dataclass(frozen=True)
class Seen:
    """What tells that a folder is the same one on two machines.

    Attributes:
        folder: the folder.
        token: name of a file in it that is there while the command runs; None where nothing may be written.
        names_sha256: of the names of its files, where there is no token.
    """

    folder: Path
    token: str | None
    names_sha256: str

    def is_seen(self) -> bool:
        """Whether this machine sees the folder, too; waits a little for the token."""
        if self.token is None:
            return _names_sha256(self.folder) == self.names_sha256
        deadline = time.monotonic() + _PATIENCE_S
        while not (found := (self.folder / self.token).exists()) and time.monotonic() < deadline:
            if not self.folder.is_dir():
                return False
            time.sleep(_POLL_S)
        return found


@contextmanager
def seen(folder: Path, *, write: bool) -> Iterator[Seen]:
    """Make a folder recognisable on other machines while this context lasts.

    Args:
        folder: one that is there; or a file in it.
        write: whether a file may be written into it for the while.
    """
    folder = (folder if folder.is_dir() else folder.parent).resolve()
    if not write:
        yield Seen(folder, None, _names_sha256(folder))
        return
    token = f".autoseg-seen-{secrets.token_hex(8)}"
    (folder / token).touch()
    try:
        yield Seen(folder, token, "")
    finally:
        (folder / token).unlink(missing_ok=True)


@dataclass(frozen=True)
class Session:
    """A command, as the workers know it.

    Attributes:
        id: tells it from others, and is the topic of what workers say to it.
        version: of autoseg.
        folder: its working folder, which relative paths begin at.
        seen: a folder that both must see.
    """

    id: str
    version: str
    folder: Path
    seen: Seen

    def problem(self, *, version: str, host: str) -> AutosegError | None:
        """Why a worker cannot work for the command; None where it can.

        Args:
            version: of autoseg on the worker.
            host: the worker's machine.
        """
        if version != self.version:
            return SystemFailureError(
                "a worker has another version of autoseg than this command",
                where=host,
                expected=self.version,
                found=version,
                remedy="Install the same version everywhere, as in one virtual environment on a shared file system.",
            )
        if not (self.folder.is_dir() and self.seen.is_seen()):
            return SystemFailureError(
                f"a worker does not see {self.seen.folder} and {self.folder} as this command does",
                where=host,
                remedy="Workers need the same files under the same paths: keep data set, workspace and results on a file "
                "system that all machines share.",
            )
        return None


def _names_sha256(folder: Path) -> str:
    try:
        names = sorted(os.fsencode(name) for name in os.listdir(folder))  # noqa: PTH208 - names are all that counts
    except OSError:
        return "not seen"
    return sha256(b"\0".join(names)).hexdigest()
