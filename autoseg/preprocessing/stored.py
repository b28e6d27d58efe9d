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
from autoseg.planning.plan import Plan
from autoseg.preprocessing.class_pixels import ClassPixels
from autoseg.preprocessing.footprint import Footprint, Triple
from autoseg.preprocessing.mapped import REMEDY, OpenArrays, StoredArray, require
from autoseg.preprocessing.views import turned
from autoseg.storage import files
from autoseg.storage.arrays import write_array
from autoseg.storage.documents import DocumentType


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    footprint: Footprint
    footprint_sha256: str = Field(description="of the footprint: one that was moved would displace label maps")
    image_sha256: str = Field(description="of the image array's file")
    label_sha256: str = Field(description="of the label array's file")
    class_pixels: str | None = Field(default=None, description="of each slice along each axis, as `ClassPixels.text` has it")


_TYPE: Final = DocumentType(name="description of a preprocessed case", model=_Document, missing=REMEDY, unusable=REMEDY)


@dataclass(frozen=True, eq=False)
class SliceStack:
    """A preprocessed case as one view shows it. What is on disk is opened when it is asked for, and let go soon after.

    Attributes:
        stored_image: normalised slices, (C, S, H, W), float32.
        stored_label: class indices (not label values), (S, H, W), uint8 or uint16.
        footprint: the way back onto the scan.
        counted: pixels of each class in each slice, where they were counted when the case was stored.
    """

    stored_image: NDArray[np.float32] | StoredArray
    stored_label: NDArray[np.integer[Any]] | StoredArray
    footprint: Footprint
    counted: ClassPixels | None = None

    @property
    def shape(self) -> Triple:
        """Slices, rows and columns, (S, H, W); known without opening anything."""
        slices, rows, columns = self.stored_label.shape
        return slices, rows, columns

    @property
    def channels(self) -> int:
        """Channels of the image, C; known without opening anything."""
        return self.stored_image.shape[0]

    @property
    def image(self) -> NDArray[np.float32]:
        """Normalised slices, (C, S, H, W), float32, mapped from disk.

        Raises:
            WorkspaceError: they are missing, or have changed since they were written.
        """
        return self.stored_image.read() if isinstance(self.stored_image, StoredArray) else self.stored_image

    @property
    def label(self) -> NDArray[np.integer[Any]]:
        """Class indices (not label values), (S, H, W), uint8 or uint16, mapped from disk; errors as of `image`."""
        return self.stored_label.read() if isinstance(self.stored_label, StoredArray) else self.stored_label

    def class_pixels(self, classes: int) -> NDArray[np.int64]:
        """Pixels of each class in each slice, (S, K): as they were counted when the case was stored, else counted now."""
        counted = self.counted or ClassPixels.of(self.label, axes=(0,))
        return counted.along(0, classes=classes)

    def labelled(self, plan: Plan) -> NDArray[np.bool_]:
        """Which slices have a labelled pixel, (S,): all, where every voxel has a label."""
        if plan.data.ignore is None:
            return np.ones(self.shape[0], dtype=np.bool_)
        labelled: NDArray[np.int64] = self.class_pixels(len(plan.data.classes)).sum(axis=1)
        return labelled > 0

    def turned(self, order: Triple) -> "SliceStack":
        """The slices along other axes, as of `views.axis_order`: views of the same arrays."""
        if order == (0, 1, 2):
            return self
        first, second, third = order
        return SliceStack(
            self.stored_image.transpose((0, first + 1, second + 1, third + 1)),
            self.stored_label.transpose(order),
            turned(self.footprint, order),
            None if self.counted is None else self.counted.turned(order),
        )


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

    def read(self, arrays: OpenArrays | None = None) -> SliceStack:
        """A volume, whose arrays are verified when they are first read.

        Args:
            arrays: where they are mapped; None: by themselves.

        Raises:
            WorkspaceError: the document is missing, cannot be parsed, or has changed since it was written.
        """
        document, arrays = self._read(), arrays or OpenArrays()
        footprint = document.footprint
        shape = (footprint.kept[0], *footprint.size_px)
        image_shape = (len(footprint.pad_value), *shape)
        return SliceStack(
            StoredArray(self.image, document.image_sha256, image_shape, arrays),
            StoredArray(self.label, document.label_sha256, shape, arrays),
            footprint,
            None if document.class_pixels is None else self._counted(document.class_pixels, shape),
        )

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
            class_pixels=ClassPixels.of(label, axes=(0,) if footprint.resampled else (0, 1, 2)).text(),
        )
        _TYPE.write(self.document, document)

    def _read(self) -> _Document:
        document = _TYPE.read(self.document)
        require("the footprint", self.document, expected=document.footprint_sha256, found=_digest(document.footprint))
        return document

    def _counted(self, text: str, shape: Triple) -> ClassPixels:
        try:
            return ClassPixels.parse(text, shape)
        except ValueError as cause:
            raise WorkspaceError(f"class_pixels: {cause}", where=self.document, remedy=REMEDY) from None


def _digest(footprint: Footprint) -> str:
    return files.sha256_json(footprint.model_dump(mode="json"))
