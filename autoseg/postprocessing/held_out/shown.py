"""What is shown beside scores is what was scored: digests of the label maps and of the table of scores in one folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.errors import WorkspaceError
from autoseg.postprocessing.held_out.files import predict_again
from autoseg.postprocessing.scored import folder_of
from autoseg.storage import files
from autoseg.storage.documents import DocumentType

_FILE: Final = "shown.json"


class Shown(BaseModel):
    """Files that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    sha256: dict[str, str] = Field(description="of each label map and of the table of scores, by name")


_SHOWN: Final = DocumentType(
    name="list of scored label maps",
    model=Shown,
    missing="Run the command again that scored them.",
    unusable="Delete it: the files beside it are then taken as they are.",
)


def write_shown(paths: Iterable[Path], folder: Path) -> None:
    """Write down what label maps and scores of one folder are, once they are whole."""
    _SHOWN.write(folder / _FILE, Shown(sha256={path.name: files.sha256_file(path) for path in paths}))


def shown_files(folder: Path) -> tuple[Path, ...]:
    """The label maps and the table of scores that were written down, there or not; none in folders of version 0.1.

    Raises:
        WorkspaceError: what was written down cannot be parsed.
    """
    if not (folder / _FILE).exists():
        return ()
    return tuple(folder / name for name in _SHOWN.read(folder / _FILE).sha256 if Path(name).name == name)


def verify_scored(model: Path) -> None:
    """Require label maps and scores of a model's held-out cases to be those that it gave.

    Raises:
        WorkspaceError: one was changed or removed since.
    """
    folder = folder_of(model)
    verify_shown(folder, remedy=predict_again(folder / _FILE))


def verify_shown(folder: Path, *, remedy: str) -> None:
    """Require label maps and scores to be as they were written; in folders of version 0.1 nothing says how that was.

    Args:
        folder: where they lie.
        remedy: how they are made again.

    Raises:
        WorkspaceError: one was changed or removed since.
    """
    if not (folder / _FILE).exists():
        return
    for name, digest in _SHOWN.read(folder / _FILE).sha256.items():
        path = folder / name
        found = files.sha256_file(path) if path.is_file() else "no file"
        if found != digest:
            raise WorkspaceError(
                "was changed since the held-out cases were scored",
                where=path,
                expected=f"sha256 {digest}",
                found=found,
                remedy=remedy,
            )
