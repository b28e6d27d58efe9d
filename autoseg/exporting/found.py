"""Which exported models were made from the networks of a workspace."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import BundleError
from autoseg.exporting.archive import ARCHIVE_SUFFIX, open_archive


@dataclass(frozen=True)
class FoundExport:
    """An exported model that holds networks of a workspace.

    Attributes:
        path: the file.
        current: whether it holds all networks that predict now.
    """

    path: Path
    current: bool


def find_exports(folders: Iterable[Path], *, trained: AbstractSet[str], in_use: AbstractSet[str]) -> tuple[FoundExport, ...]:
    """The exported models right inside some folders; only their lists of contents are read.

    Args:
        folders: where to look.
        trained: SHA-256 of the weights of all models of the workspace.
        in_use: of those that predict.
    """
    found: dict[Path, FoundExport] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{ARCHIVE_SUFFIX}")):
            with suppress(BundleError, OSError), open_archive(path) as archive:
                if archive.digests & trained:
                    found.setdefault(path.resolve(), FoundExport(path, bool(in_use) and in_use <= archive.digests))
    return tuple(found.values())
