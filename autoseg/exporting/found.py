"""Which exported models were made from the networks of a workspace."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import BundleError, WorkspaceError
from autoseg.exporting.archive import ARCHIVE_SUFFIX, Archive, open_archive


@dataclass(frozen=True)
class FoundExport:
    """An exported model that holds networks of a workspace.

    Attributes:
        path: the file.
        current: whether it predicts as the workspace does now: with the same networks, views, shift and postprocessing.
    """

    path: Path
    current: bool


def find_exports(
    folders: Iterable[Path], *, trained: AbstractSet[str], in_use: AbstractSet[str], selection: Path
) -> tuple[FoundExport, ...]:
    """The exported models right inside some folders; no weights are read.

    Args:
        folders: where to look.
        trained: SHA-256 of the weights of all models of the workspace.
        in_use: of those that predict.
        selection: file of the workspace's selection, whether or not it is there.
    """
    found: dict[Path, FoundExport] = {}
    for folder in folders:
        for path in sorted(folder.glob(f"*{ARCHIVE_SUFFIX}")):
            with suppress(BundleError, OSError), open_archive(path) as archive:
                if archive.weights & trained:
                    current = archive.weights == in_use and _is_decided_alike(archive, selection)
                    found.setdefault(path.resolve(), FoundExport(path, current))
    return tuple(found.values())


def _is_decided_alike(archive: Archive, selection: Path) -> bool:
    """Whether a model was exported with what the workspace's selection decides; neither may have one."""
    from autoseg.exporting.contents import SELECTION_MEMBER  # noqa: PLC0415 - takes longer than all else that `status` does
    from autoseg.postprocessing.selection import read_selection  # noqa: PLC0415 - the same

    try:
        exported = SELECTION_MEMBER.read(archive).decision_sha256 if SELECTION_MEMBER.name in archive.names else None
        return exported == (read_selection(selection).decision_sha256 if selection.exists() else None)
    except (BundleError, WorkspaceError):
        return False
