"""What nothing needs any more: named with its reason, measured, and removed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import WorkspaceError
from autoseg.storage.files import explain_os_errors
from autoseg.storage.locks import lock


@dataclass(frozen=True)
class Leftover:
    """Files that belong together and that nothing needs.

    Attributes:
        name: what they are, as a path from the workspace; `*` stands for what differs between them.
        reason: why nothing needs them.
        paths: the files.
        bytes: what they take.
    """

    name: str
    reason: str
    paths: tuple[Path, ...]
    bytes: int

    @classmethod
    def of(cls, name: str, reason: str, paths: Iterable[Path]) -> "Leftover":
        """Files, measured as they are now; those that went meanwhile take nothing."""
        found = tuple(paths)
        return cls(name, reason, found, sum(_bytes(path) for path in found))

    def remove(self, *, within: Path) -> None:
        """Remove the files, and folders that are left empty, but for a lock that nobody holds.

        Args:
            within: the folder that stays, whatever is left in it.

        Raises:
            SystemFailureError: a file may not be removed.
        """
        for path in self.paths:
            with explain_os_errors(path):
                path.unlink(missing_ok=True)
        for folder in sorted({path.parent for path in self.paths}, key=lambda folder: len(folder.parts), reverse=True):
            _remove_empty(folder, within=within)


def _bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _remove_empty(folder: Path, *, within: Path) -> None:
    """Remove a folder that holds nothing, then those around it."""
    while folder != within and folder.is_relative_to(within) and folder.is_dir():
        if any(not path.name.startswith(".lock") for path in folder.iterdir()):
            return
        try:
            with lock(folder / ".lock"):  # which goes with its holder, also one of version 0.1
                pass
            folder.rmdir()
        except (WorkspaceError, OSError):  # somebody works there, or has just put something there
            return
        folder = folder.parent
