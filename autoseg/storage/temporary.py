"""Temporary files beside results: claimed while they are written, and removed when whoever wrote them was killed.

A claim is a lock of the operating system on the file, which ends with its process, however that ends. So whoever comes
later knows that nobody writes to it any more.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows: there, what a killed process leaves behind stays
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

_PREFIX: Final = ".autoseg-"
_NAME: Final = re.compile(re.escape(_PREFIX) + r"[0-9a-f]{8}\..+", re.DOTALL)


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A new and empty file beside `path`, with all of its suffixes; it goes with the block, if it still has its name.

    Whoever is first to write into a folder removes what killed processes left there.

    Raises:
        OSError: it cannot be made.
    """
    remove_abandoned(path.parent.absolute())
    temporary, claim = _make(path)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        if claim is not None:
            os.close(claim)


@cache
def remove_abandoned(folder: Path) -> None:
    """Remove temporary files that killed processes left in a folder; a process looks once into each."""
    if not _HAS_LOCKS:
        return
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name):
            with suppress(OSError):  # somebody writes to it, or has just finished
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)


def _make(path: Path) -> tuple[Path, int | None]:
    """Make a file, and claim it by an open descriptor where the system has locks."""
    while True:
        temporary = path.with_name(f"{_PREFIX}{secrets.token_hex(4)}.{path.name}")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if not _HAS_LOCKS:
            os.close(descriptor)
            return temporary, None
        with suppress(OSError):  # a file system without locks: nobody takes a file of its for abandoned either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if temporary.exists():  # else it was taken for abandoned before it was claimed
            return temporary, descriptor
        os.close(descriptor)
