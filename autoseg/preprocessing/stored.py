"""A preprocessed case on disk: plain arrays that training maps into memory, and a document that says they are whole.

Views that resample nothing are cut from one volume, whose axes they take in another order; others have files of their own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoseg.errors import WorkspaceError
from autoseg.preprocessing.footprint import Footprint, Triple
from autoseg.preprocessing.views import turned
from autoseg.storage import files
from autoseg.storage.arrays import map_array, write_array
from autoseg.storage.documents import DocumentType

_REMEDY: Final = "Delete this folder; the next `autoseg train` or `autoseg preprocess` makes it again."


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    footprint: Footprint
    footprint_sha256: str = Field(description="of the footprint: one that was moved would displace label maps")
    image_sha256: str = Field(description="of the image array's file")
    label_sha256: str = Field(description="of the label array's file")


_TYPE: Final = DocumentType(name="description of a preprocessed case", model=_Document, missing=_REMEDY, unusable=_REMEDY)


@dataclass(frozen=True, eq=False)
class SliceStack:
    """A preprocessed case as one view shows it.

    Attributes:
        image: normalised slices, (C, S, H, W), float32, mapped from disk.
        label: class indices (not label values), (S, H, W), uint8 or uint16, mapped from disk.
        footprint: the way back onto the scan.
    """

    image: NDArray[np.float32]
    label: NDArray[np.integer[Any]]
    footprint: Footprint

    def turned(self, order: Triple) -> "SliceStack":
        """The slices along other axes, as of `views.axis_order`: views of the same arrays."""
        first, second, third = order
        image = self.image.transpose(0, first + 1, second + 1, third + 1)
        return SliceStack(image, self.label.transpose(order), turned(self.footprint, order))


@dataclass(frozen=True, eq=False)
class StoredCase:
    """A preprocessed case as all views of a plan show it.

    Attributes:
        stacks: one per view, in the plan's order.
    """

    stacks: tuple[SliceStack, ...]

    def stack(self, view: int) -> SliceStack:
        """The case as the view of this number shows it."""
        return self.stacks[view]

    def through(self, view: int) -> "StoredCase":
        """The same case for a plan that has the view of this number alone."""
        return StoredCase((self.stacks[view],))


@dataclass(frozen=True)
class CaseFiles:
    """The three files of one volume of a preprocessed case.

    Attributes:
        folder: where they lie.
        stem: how their names begin.
    """

    folder: Path
    stem: str

    @property
    def image(self) -> Path:
        """File of the image array."""
        return self.folder / f"{self.stem}.image.npy"

    @property
    def label(self) -> Path:
        """File of the label array."""
        return self.folder / f"{self.stem}.label.npy"

    @property
    def document(self) -> Path:
        """File of the document."""
        return self.folder / f"{self.stem}.json"

    @property
    def whole(self) -> bool:
        """Whether all three were written."""
        return self.document.exists()

    def read(self) -> SliceStack:
        """Map the arrays into memory, after checking them against their checksums.

        Raises:
            WorkspaceError: something is missing, cannot be parsed, or has changed since it was written.
        """
        document = self._read()
        image = _mapped(self.image, sha256=document.image_sha256)
        label = _mapped(self.label, sha256=document.label_sha256)
        return SliceStack(image, label, document.footprint)

    def footprint(self) -> Footprint:
        """The way back onto the scan; the arrays are not looked at.

        Raises:
            WorkspaceError: the document is missing, cannot be parsed, or has changed since it was written.
        """
        return self._read().footprint

    def write(self, image: NDArray[np.float32], label: NDArray[Any], footprint: Footprint) -> None:
        """Store a volume: its arrays first, then the document that says they are whole."""
        for path, array in ((self.image, image), (self.label, label)):
            write_array(path, array)
        document = _Document(
            footprint=footprint,
            footprint_sha256=_digest(footprint),
            image_sha256=files.sha256_file(self.image),
            label_sha256=files.sha256_file(self.label),
        )
        _TYPE.write(self.document, document)

    def _read(self) -> _Document:
        document = _TYPE.read(self.document)
        _require("the footprint", self.document, expected=document.footprint_sha256, found=_digest(document.footprint))
        return document


def _digest(footprint: Footprint) -> str:
    return files.sha256_json(footprint.model_dump(mode="json"))


def _mapped(path: Path, *, sha256: str) -> NDArray[Any]:
    """Map an array that is still the one that was written."""
    try:
        _require("the preprocessed array", path, expected=sha256, found=files.sha256_file(path))
        return map_array(path)
    except (OSError, ValueError) as cause:
        raise WorkspaceError(f"cannot be read ({cause})", where=path, remedy=_REMEDY) from None


def _require(what: str, path: Path, *, expected: str, found: str) -> None:
    if found != expected:
        raise WorkspaceError(f"{what} has changed", where=path, expected=f"sha256 {expected}", found=found, remedy=_REMEDY)
