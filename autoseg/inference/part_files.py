"""What a part of the scans has in a folder of results while it is in work: a lock, a journal of its rows, and a note.

All scans together, without parts, enter their rows in the table itself. Parts that are in work at the same time have no
file in common that they write to while they segment: each adds to its own journal. The table is written, sorted, when a
part begins or ends, by one process at a time.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.errors import UsageError, WorkspaceError
from autoseg.inference.part import WHOLE, Part
from autoseg.inference.table import TABLE_FILE
from autoseg.inference.unentered import read_unentered
from autoseg.storage.locks import lock

PARTS: Final = ".parts"
_NAME: Final = re.compile(r"(\d+)-of-(\d+)\.(?:lock|csv|json)", re.ASCII)

_PATIENCE_S: Final = 3600.0
"""How long to wait for processes that begin or end. Source: chosen; of a table of 100,000 rows each takes some seconds, one
after the other, and the lock of a process that was killed on another machine is taken over after two minutes.
"""


@dataclass(frozen=True)
class PartFiles:
    """Where a part keeps what.

    Attributes:
        folder: of the results.
        part: of the scans.
    """

    folder: Path
    part: Part

    @property
    def lock(self) -> Path:
        """Held while the part is in work."""
        return self.folder / ".lock" if self.part.is_whole else self._own("lock")

    @property
    def journal(self) -> Path:
        """Where its rows are added."""
        return self.folder / TABLE_FILE if self.part.is_whole else self._own("csv")

    @property
    def note(self) -> Path:
        """Names the case whose results are being written."""
        return self.folder / ".pending.json" if self.part.is_whole else self._own("json")

    def _own(self, kind: str) -> Path:
        return self.folder / PARTS / f"{self.part.number}-of-{self.part.count}.{kind}"


def all_parts(folder: Path) -> list[PartFiles]:
    """All scans without parts, and the parts that are in work in a folder, or were."""
    whole = PartFiles(folder, WHOLE)
    if not (folder / PARTS).is_dir():
        return [whole]
    found = {match.groups() for path in (folder / PARTS).iterdir() if (match := _NAME.fullmatch(path.name))}
    return [whole, *(PartFiles(folder, Part(number, count)) for number, count in sorted((int(a), int(b)) for a, b in found))]


def in_work(files: PartFiles) -> bool:
    """Whether a process works on a part; to be asked by one process at a time, and not of one's own."""
    if not files.lock.exists():
        return False
    try:
        with lock(files.lock):
            return False
    except WorkspaceError:
        return True


@contextmanager
def beginning(files: PartFiles, held: ExitStack, *, settings: tuple[str, str]) -> Iterator[None]:
    """Become the one process that works on a part; the block runs while no other part begins or ends.

    Args:
        files: of the part.
        held: holds the part's lock from then on.
        settings: digest of what the scans are segmented with, and what people call it.

    Raises:
        WorkspaceError: another process works on this part, on all scans, or on a part of another division.
        UsageError: others segment with other models or settings.
        SystemFailureError: the place may not be written, or its file system has no locks.
    """
    if files.part.is_whole:
        held.enter_context(lock(files.lock))
        if not (files.folder / PARTS).is_dir():
            yield
            return
    with alone(files.folder):
        _refuse_others(files, settings)
        if not files.part.is_whole:
            held.enter_context(lock(files.lock))
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While no other part begins or ends.

    Raises:
        WorkspaceError: others do so for an hour.
        SystemFailureError: the place may not be written, or its file system has no locks.
    """
    with lock(folder / PARTS / ".lock", wait_s=_PATIENCE_S):
        yield


def _refuse_others(files: PartFiles, settings: tuple[str, str]) -> None:
    for other in all_parts(files.folder):
        if other.part == files.part:
            continue
        if other.part.count != files.part.count:
            _refuse_other_division(files, other)
            continue
        digest, model = read_unentered(other.note).settings
        if digest not in {"", settings[0]} and in_work(other):
            raise UsageError(
                f"part {other.part} of the scans is being segmented with other models or settings",
                where=files.folder,
                expected=settings[1],
                found=model,
                remedy="Choose another output folder, or wait for the other parts to end.",
            )


def _refuse_other_division(files: PartFiles, other: PartFiles) -> None:
    """Refuse to work beside a process that divides the scans in another way, and may have the same."""
    if in_work(other):
        work = "all scans" if other.part.is_whole else f"part {other.part} of the scans"
        raise WorkspaceError(
            f"in use by another process, which segments {work}",
            where=files.folder,
            expected="nobody" if files.part.is_whole else f"parts of {files.part.count}",
            remedy="Wait for it to end, or stop it.",
        )
