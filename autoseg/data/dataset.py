"""Cases and the data set they form."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from autoseg.data.naming import refuse_undecodable
from autoseg.storage.documents import DocumentType, unchanged
from autoseg.storage.utf8 import is_utf8

Subset = Literal["training", "validation", "test"]


_URI: Final = b"file:"
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def _without_zero(path: Path) -> Path:
    if "\0" in str(path):
        msg = "no path has a zero character"
        raise ValueError(msg)
    return path


def _from_uri(path: Path) -> Path:
    text = os.fsencode(path).removeprefix(_URI)
    return Path(os.fsdecode(_ESCAPED.sub(_byte, text))) if os.fsencode(path) != text else path


def _byte(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())


def _in_json(path: Path) -> str:
    return str(path) if is_utf8(path) else str(Path(path.as_uri()))


_Path = Annotated[Path, AfterValidator(_without_zero)]
_Folder = Annotated[
    Path,
    AfterValidator(_from_uri),
    AfterValidator(_without_zero),
    PlainSerializer(_in_json, return_type=str, when_used="json"),
]
"""An absolute path; in JSON as text, or as a URI where its bytes are no UTF-8."""


def _decodable(name: object) -> object:
    if isinstance(name, str):
        refuse_undecodable(name, where=Path(name))
    return name


_Name = Annotated[str, BeforeValidator(_decodable)]


class LabelClass(BaseModel):
    """One class of a label map."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: int = Field(ge=0, description="the voxel value that stands for this class in label files")
    name: str = Field(min_length=1, description="the class's name in tables and figures")


def check_classes(classes: Sequence[LabelClass]) -> None:
    """Require classes that can be told apart and shown: values that rise from 0, and a printable name for each alone.

    Raises:
        ValueError: they cannot.
    """
    values, names = [label.value for label in classes], [label.name for label in classes]
    if values != sorted(set(values)) or values[:1] != [0]:
        msg = f"class values must rise from 0 without repetition, not {values}"
        raise ValueError(msg)
    if not all(name.isprintable() for name in names):
        msg = f"class names must be printable, unlike {[name for name in names if not name.isprintable()]}"
        raise ValueError(msg)
    if len(set(names)) < len(names):
        msg = f"every class needs a name of its own, not {names}"
        raise ValueError(msg)


def names_by_value(classes: Sequence[LabelClass]) -> dict[int, str]:
    """The names of classes by their label values."""
    return {label.value: label.name for label in classes}


class Case(BaseModel):
    """One scan, with its label map where there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: _Name = Field(pattern=r"^[^/\x00]+$", description="also the name of files made for the case")
    images: tuple[_Path, ...] = Field(min_length=1, description="one file per channel, or one 4D file with all of them")
    label: _Path | None = None
    subject: _Name = Field(description="scans of one subject stay on one side of every split; the id where none is given")
    subset: Subset = "training"


class Dataset(BaseModel):
    """A folder of scans, recognised.

    Stored in a workspace, files below the folder are named relative to it (see `autoseg.data.places`).

    Labelled cases of the subset "training" take part in cross-validation; labelled ones of "validation" only in the
    official split; all others are test cases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    name: str = Field(min_length=1)
    root: _Folder = Field(description="the folder where it was last found")
    root_from_workspace: str | None = Field(
        default=None,
        pattern=r"^[^\x00]+$",
        description="the same as seen from the workspace: where both are moved together, this stays true",
    )
    layout: str = Field(description="key of the layout that recognised the folder")
    channels: tuple[str, ...] = Field(min_length=1, description="what each channel shows, e.g. T1 or CT")
    classes: tuple[LabelClass, ...] | None = Field(
        description="declared classes by rising value, background first; None: to be found in the label files"
    )
    cases: tuple[Case, ...]

    @model_validator(mode="after")
    def _classes_differ(self) -> "Dataset":
        if self.classes is not None:
            check_classes(self.classes)
        return self

    @property
    def training(self) -> tuple[Case, ...]:
        """Labelled training cases, those that folds are made of."""
        return tuple(case for case in self.cases if case.subset == "training" and case.label is not None)

    @property
    def validation(self) -> tuple[Case, ...]:
        """Labelled cases that the data set itself sets aside for validation."""
        return tuple(case for case in self.cases if case.subset == "validation" and case.label is not None)

    @property
    def labelled(self) -> tuple[Case, ...]:
        """Everything that a plan may learn from and training may use: training cases, then validation cases."""
        return self.training + self.validation


DATASET: Final = DocumentType(
    name="list of cases",
    model=Dataset,
    missing="Run `autoseg plan DATASET` first.",
    unusable="Correct it, or rewrite it with `autoseg plan DATASET --force`.",
    migrations={1: unchanged},  # its paths are absolute, which they may still be
)
