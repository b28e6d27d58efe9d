"""Revisions of a workspace's data: which label maps were adopted when, and a change of several documents in one step.

A change of the cases concerns `dataset.json`, `fingerprint.json`, `splits.json` and `revisions.json` together. All of them
are written into one document first, which counts from then on, whoever reads; then each is replaced, and the document is
removed. Whoever is killed in between has changed everything, and the next command that writes them completes the work.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.data.dataset import DATASET, Dataset
from autoseg.data.splits import SPLITS, Splits
from autoseg.planning.fingerprint import FINGERPRINT, Fingerprint
from autoseg.storage import files
from autoseg.storage.documents import DocumentType

REVISIONS_FILE: Final = "revisions.json"
CHANGE_FILE: Final = ".change.json"


class RevisedCase(BaseModel):
    """One label map that was adopted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    corrected: bool = Field(description="whether it took the place of a label map that the case had; else the case is new")
    scan_sha256: str = Field(description="digest of the scan's files, as in the table of predictions")
    source_sha256: str = Field(description="checksum of the label map as a person left it")
    earlier_sha256: str | None = Field(description="checksum of the label map it took the place of; null: there was none")
    label_sha256: str = Field(description="checksum of the copy in the workspace")
    fold: int | None = Field(description="that holds it out; null: none does")


class Revision(BaseModel):
    """What was adopted at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    made: str = Field(description="when, in UTC, as in 2026-05-04T09:30:00Z")
    by: str | None = Field(default=None, description="who corrected the label maps, where that was said")
    cases: tuple[RevisedCase, ...]


class Revisions(BaseModel):
    """Everything that was adopted, from the first revision on; it stays in the workspace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    revisions: tuple[Revision, ...] = ()

    def latest(self) -> dict[str, RevisedCase]:
        """What was adopted last, by case."""
        return {case.case: case for revision in self.revisions for case in revision.cases}

    def number_after(self, revision: int) -> int:
        """Number of the revision that follows one of the data, and that nothing adopted before has, for whatever data."""
        return 1 + max(revision, *(earlier.number for earlier in self.revisions), 0)


class Change(BaseModel):
    """What the documents of a workspace become."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    dataset: Dataset
    fingerprint: Fingerprint
    splits: Splits
    revisions: Revisions


REVISIONS: Final = DocumentType(
    name="list of revisions",
    model=Revisions,
    missing="Run `autoseg adopt RESULTS` first.",
    unusable="Restore it from a copy.",
)
CHANGE: Final = DocumentType(
    name="change of the data",
    model=Change,
    missing="Nothing is wrong: nothing is being changed.",
    unusable="Delete it, and run the command that wrote it again.",
    parts={"dataset": DATASET, "fingerprint": FINGERPRINT, "splits": SPLITS},
    compact=True,
)


def begin_change(root: Path, change: Change) -> None:
    """Make a change count: from now on every command sees it; the caller holds the lock of the workspace.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written; then nothing has changed.
    """
    CHANGE.write(root / CHANGE_FILE, change)


def complete_change(root: Path) -> None:
    """Replace the documents that a change concerns, if one has begun; the caller holds the lock of the workspace.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written; the change counts all the same.
        WorkspaceError: it cannot be parsed.
    """
    path = root / CHANGE_FILE
    if not path.exists():
        return
    change = CHANGE.read(path)
    REVISIONS.write(root / REVISIONS_FILE, change.revisions)
    FINGERPRINT.write(root / "fingerprint.json", change.fingerprint)
    SPLITS.write(root / "splits.json", change.splits)
    DATASET.write(root / "dataset.json", change.dataset)
    files.remove([path])
