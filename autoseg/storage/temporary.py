"""Temporary files beside results, and their removal when whoever wrote them was killed.

A name tells which process writes to the file, so that whoever comes later knows whether it still does. Processes of other
machines, of which that cannot be known, are given a day.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from autoseg.storage.owner import runs_here, space, started

_PREFIX: Final = ".autoseg-"
_NAME: Final = re.compile(
    re.escape(_PREFIX) + r"(?:(?P<space>[0-9a-f]+)-(?P<process>[0-9a-f]+)-(?P<began>[0-9a-f]+)-)?[0-9a-f]{4,8}\..+",
    re.DOTALL,
)
"""Names of version 0.1 say nothing of the process."""

_ABANDONED_S: Final = 86_400
"""Age of a file of another machine's process that is taken for abandoned. Source: ours; nothing is written for a day."""


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """A new and empty file beside `path`, with all of its suffixes; it goes with the block, if it still has its name.

    Whoever is first to write into a folder removes what killed processes left there.

    Raises:
        OSError: it cannot be made.
    """
    temporary = _make(path)
    try:
        remove_abandoned(path.parent.absolute())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@cache
def remove_abandoned(folder: Path) -> None:
    """Remove temporary files that killed processes left in a folder; a process looks once into each."""
    for path in folder.iterdir():
        if found := _NAME.fullmatch(path.name):
            with suppress(OSError):  # it has just gone, or is no file
                if _is_abandoned(path, found):
                    path.unlink()


def abandoned_below(folder: Path) -> Iterator[Path]:
    """Temporary files that killed processes left in a folder and below it, sorted; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if found := _NAME.fullmatch(name):
                with suppress(OSError):  # it has just gone
                    if _is_abandoned(Path(place) / name, found):
                        yield Path(place) / name


def _is_abandoned(path: Path, found: re.Match[str]) -> bool:
    if path.is_symlink():
        return False
    if found["space"] == _space_digits():
        process = int(found["process"], 16)
        began = started(process)
        if (here := runs_here(process, began)) is not None:
            return not here or found["began"] != _time_digits(began)
    return _now_s(path.parent) - path.stat().st_mtime > _ABANDONED_S


def _now_s(folder: Path) -> float:
    """The time by the clock of a folder's file system, which may be another machine's."""
    probe = _make(folder / "now")
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def _make(path: Path) -> Path:
    process = f"{_space_digits()}-{os.getpid():x}-{_time_digits(started(os.getpid()))}"
    while True:
        temporary = path.with_name(f"{_PREFIX}{process}-{secrets.token_hex(2)}.{path.name}")  # short: names may be long
        with suppress(FileExistsError):  # another thread's
            os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
            return temporary


def _space_digits() -> str:
    return f"{space():.5}" or "0"


def _time_digits(began: int | None) -> str:
    """Some digits that tell apart when processes of one number started."""
    return f"{(began or 0) % 0x10000:x}"
