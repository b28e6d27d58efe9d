"""Temporary files and folders beside results, and their removal when whoever made them was killed.

A name tells which process made the file, so that whoever comes later knows whether it still runs. Processes of other
machines, of which that cannot be known, are given a day.
"""

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
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
    temporary = _make(path, _new_file)
    try:
        remove_abandoned(path.parent.absolute())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder_beside(path: Path) -> Iterator[Path]:
    """A new and empty folder beside `path`; it goes with the block and with all that is in it by then.

    Raises:
        OSError: it cannot be made.
    """
    temporary = _make(path, Path.mkdir)
    try:
        remove_abandoned(path.parent.absolute())
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # what is left goes as if this process had been killed


@cache
def remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders that killed processes left in a folder; a process looks once into each."""
    for path in folder.iterdir():
        if found := _NAME.fullmatch(path.name):
            with suppress(OSError):  # it has just gone
                if _is_abandoned(path, found):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def abandoned_below(folder: Path) -> Iterator[Path]:
    """Temporary files and folders that killed processes left below a folder, sorted; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        abandoned = set()
        for name in sorted([*folders, *names]):
            if found := _NAME.fullmatch(name):
                with suppress(OSError):  # it has just gone
                    if _is_abandoned(Path(place) / name, found):
                        abandoned.add(name)
                        yield Path(place) / name
        folders[:] = sorted(set(folders) - abandoned)  # what lies in them goes with them


def file_system_now_s(folder: Path) -> float:
    """The time by the clock of a folder's file system, which may be another machine's, for which a file is made and removed.

    Returns:
        seconds since 1970.

    Raises:
        OSError: none can be made.
    """
    probe = _make(folder / "now", _new_file)
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def _is_abandoned(path: Path, found: re.Match[str]) -> bool:
    if path.is_symlink():
        return False
    if found["space"] == _space_digits():
        process = int(found["process"], 16)
        began = started(process)
        if (here := runs_here(process, began)) is not None:
            return not here or found["began"] != _time_digits(began)
    return file_system_now_s(path.parent) - path.stat().st_mtime > _ABANDONED_S


def _make(path: Path, create: Callable[[Path], None]) -> Path:
    process = f"{_space_digits()}-{os.getpid():x}-{_time_digits(started(os.getpid()))}"
    while True:
        temporary = path.with_name(f"{_PREFIX}{process}-{secrets.token_hex(2)}.{path.name}")  # short: names may be long
        with suppress(FileExistsError):  # another thread's
            create(temporary)
            return temporary


def _new_file(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))


def _space_digits() -> str:
    return f"{space():.5}" or "0"


def _time_digits(began: int | None) -> str:
    """Some digits that tell apart when processes of one number started."""
    return f"{(began or 0) % 0x10000:x}"
