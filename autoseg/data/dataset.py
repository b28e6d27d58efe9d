"""Cases and the data set they form."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from autoseg.data.naming import refuse_undecodable
from autoseg.errors import UsageError
from autoseg.storage.documents import DocumentType, unchanged
from autoseg.storage.utf8 import is_utf8

Subset = Literal["training", "validation", "test"]

IGNORE: Final = "ignore"
"""What the label value of voxels without a label is called, in data sets that declare one."""


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
    """One class of a label map: voxels of one value, or a region, which is voxels of several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: int = Field(ge=0, description="the voxel value that stands for this class in label files")
    name: str = Field(min_length=1, description="the class's name in tables and figures")
    values: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None,
        min_length=1,
        description="of a region: all voxel values that belong to it, those of the regions inside it among them; null: "
        "`value` alone",
    )
    order: int | None = Field(
        default=None, ge=0, description="of a region: its place in the order in which regions are written; null: no region"
    )

    @property
    def label_values(self) -> tuple[int, ...]:
        """All voxel values that belong to the class."""
        return self.values or (self.value,)


def check_classes(classes: Sequence[LabelClass], *, ignore: int | None = None) -> None:
    """Require classes that can be told apart and shown: values that rise from 0, and a printable name for each alone.

    Regions, where classes are such, have to nest; see `check_regions`.

    Args:
        classes: of a data set, background first.
        ignore: label value of voxels without a label; None: there are none.

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
    check_regions(classes)
    if ignore is not None and ignore in names_by_value(classes):
        msg = f"the value {ignore}, of voxels without a label, is that of {names_by_value(classes)[ignore]}"
        raise ValueError(msg)


def names_by_value(classes: Sequence[LabelClass], *, ignore: int | None = None) -> dict[int, str]:
    """What the label values of maps are called; a value of several regions as the innermost of them.

    Args:
        classes: of a data set.
        ignore: label value of voxels without a label, which is called `IGNORE`; None: there are none.
    """
    outermost_first = sorted(classes, key=lambda label: (label.order or 0, label.value))
    names = {value: label.name for label in outermost_first for value in label.label_values}
    return dict(sorted(names.items())) | ({} if ignore is None else {ignore: IGNORE})


def check_regions(classes: Sequence[LabelClass]) -> None:
    """Require that all classes but the background are regions, or none, and that regions nest and are told by label maps.

    Raises:
        ValueError: they do not, or a region could not be read from the map that it is written into.
    """
    background, *regions = classes
    if all(label.values is None and label.order is None for label in classes):
        return
    if background.values is not None or any(label.values is None or label.order is None for label in regions):
        msg = "either all classes except background are regions, each with values and an order, or none"
        raise ValueError(msg)
    if len({label.order for label in regions}) < len(regions):
        msg = f"every region needs a place of its own in the order of writing, not {[label.order for label in regions]}"
        raise ValueError(msg)
    for label in regions:
        if label.value not in label.label_values:
            own = list(label.label_values)
            msg = f"the value {label.value}, which {label.name} is written with, is none of its values {own}"
            raise ValueError(msg)
    for outer in regions:
        for inner in regions:
            if outer is not inner:
                _check_pair(outer, inner)


def _check_pair(outer: LabelClass, inner: LabelClass) -> None:
    """Of two regions: require that they are apart, or that one lies within the other and is written after it."""
    one, other = set(outer.label_values), set(inner.label_values)
    if one == other or (one & other and not (one < other or other < one)):
        shared = "the same values" if one == other else f"the values {sorted(one & other)} and neither contains the other"
        msg = f"regions must nest: {outer.name} and {inner.name} share {shared}"
        raise ValueError(msg)
    if not other < one:
        return
    if outer.value in other:
        msg = f"{outer.name} is written with {outer.value}, which would be read as {inner.name}, inside it"
        raise ValueError(msg)
    if (inner.order or 0) < (outer.order or 0):
        msg = f"{outer.name}, which contains {inner.name}, must be written before it"
        raise ValueError(msg)


def refuse_ignored_background(ignore: int | None) -> None:
    """Require that voxels without a label have another value than the background.

    Raises:
        UsageError: they have 0.
    """
    if ignore == 0:
        raise UsageError(
            "0 is the background, which networks learn as they learn the other classes",
            where="--ignore 0",
            expected="a value that stands for no class, such as 255",
            remedy="Give voxels without a label a value of their own in the label maps.",
        )


class Adoption(BaseModel):
    """That a label map which a person corrected or confirmed was adopted by a workspace, where it lies since."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: int = Field(ge=1, description="of the data, that brought it")
    corrected: bool = Field(description="whether it took the place of a label map that the data set has for the case")
    label_sha256: str = Field(description="checksum of the label map")


class Case(BaseModel):
    """One scan, with its label map where there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: _Name = Field(pattern=r"^[^/\x00]+$", description="also the name of files made for the case")
    images: tuple[_Path, ...] = Field(min_length=1, description="one file per channel, or one 4D file with all of them")
    label: _Path | None = None
    subject: _Name = Field(description="scans of one subject stay on one side of every split; the id where none is given")
    subset: Subset = "training"
    adopted: Adoption | None = Field(
        default=None,
        description="where its label map lies in the workspace, and is named relative to that; null: it does not",
    )


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
    asked_labels: str | None = Field(
        default=None, description="which files were asked for as label maps (`--labels`); null: those that the layout takes"
    )
    asked_channels: tuple[str, ...] = Field(
        default=(),
        description="ends of the names of the channels' images, as asked for (`--channel`); none: by what is there",
    )
    asked_ignore: int | None = Field(
        default=None, description="which value was asked for as that of voxels without a label (`--ignore`); null: none"
    )
    channels: tuple[str, ...] = Field(min_length=1, description="what each channel shows, e.g. T1 or CT")
    classes: tuple[LabelClass, ...] | None = Field(
        description="declared classes by rising value, background first; None: to be found in the label files"
    )
    ignore: int | None = Field(default=None, ge=1, description="label value of voxels without a label; null: there are none")
    cases: tuple[Case, ...]
    others_sha256: str | None = Field(
        default=None,
        description="of the names of what else lay in the folder when it was planned, and of its tables; null: not known",
    )
    revision: int = Field(default=0, ge=0, description="how often label maps were adopted since it was planned first")

    @model_validator(mode="after")
    def _classes_differ(self) -> "Dataset":
        if self.classes is not None:
            check_classes(self.classes, ignore=self.ignore)
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
