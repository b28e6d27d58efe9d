"""What a model keeps of its held-out cases, and where.

Its folder `validation/` holds for each case the label map on the scan's own grid, a picture of it beside the reference, and
for each view the probabilities on the preprocessed grid, (K, S, H, W), uint8, compressed, unless they are not to be kept;
beside them the tables of scores. The record is written last and says that the rest is whole.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.catalogue import Plane
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.tables import METRICS_FILE, read_cases
from autoseg.postprocessing.scored import folder_of, is_scored, record_file
from autoseg.storage.compressed import SUFFIX
from autoseg.storage.documents import DocumentType

_PICTURES: Final = "pictures"
_PLAIN: Final = ".npy"
"""How files of probabilities end that are not compressed."""


class Record(BaseModel):
    """That a model's held-out cases were predicted and scored to the end, and by which model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    model_digest: str = Field(description="of the model and of everything else that decides its predictions")
    probabilities_sha256: dict[str, str] = Field(
        description="of every file of probabilities, by its name without its ending; empty: they were not kept"
    )


_RECORD: Final = DocumentType(
    name="record of held-out cases",
    model=Record,
    missing="Repeat the train command of that model: it predicts its held-out cases.",
    unusable="Repeat the train command of that model: it predicts its held-out cases again.",
)


def label_map_file(model: Path, case_id: str) -> Path:
    """Where a model keeps its label map of a case it held out."""
    return folder_of(model) / f"{case_id}.nii.gz"


def picture_file(model: Path, case_id: str) -> Path:
    """Where a model keeps the picture of a case it held out."""
    return folder_of(model) / _PICTURES / f"{case_id}.png"


def probabilities_files(model: Path, case_id: str, *, planes: Sequence[Plane | None]) -> tuple[Path, ...]:
    """Where a model keeps the 8-bit probabilities of a case it held out: one file, or one for each of several planes."""
    names = [case_id] if len(planes) == 1 else [f"{case_id}.{plane}" for plane in planes]
    return tuple(folder_of(model) / f"{name}{SUFFIX}" for name in names)


def found_probabilities_files(model: Path, case_id: str, *, planes: Sequence[Plane | None]) -> tuple[Path, ...]:
    """The same as they are there: version 0.1 stored them plain."""
    paths = probabilities_files(model, case_id, planes=planes)
    plain = [path.with_name(f"{path.name.removesuffix(SUFFIX)}{_PLAIN}") for path in paths]
    return tuple(old if old.exists() and not new.exists() else new for new, old in zip(paths, plain, strict=True))


def keeps_probabilities(model: Path) -> bool:
    """Whether a model that was scored has the probabilities of its held-out cases, which not everybody keeps.

    Raises:
        WorkspaceError: its record is missing, or cannot be parsed.
    """
    return bool(read_record(model).probabilities_sha256)


def is_done(model: Path, *, keep: bool) -> bool:
    """Whether a model's held-out cases were scored to the end, and their probabilities kept where they should be.

    Raises:
        WorkspaceError: its record cannot be parsed.
    """
    return is_scored(model) and (not keep or keeps_probabilities(model))


def read_scores(model: Path) -> tuple[CaseMetrics, ...]:
    """Scores of a model's held-out cases.

    Raises:
        WorkspaceError: missing, or not such a table.
    """
    return read_cases(folder_of(model) / METRICS_FILE)


def write_record(model: Path, record: Record) -> None:
    """Say that a model's held-out cases are whole."""
    _RECORD.write(record_file(model), record)


def read_record(model: Path) -> Record:
    """What a model's held-out cases were scored with.

    Raises:
        WorkspaceError: missing, or cannot be parsed.
    """
    path = record_file(model)
    return replace(_RECORD, missing=predict_again(path), unusable=predict_again(path)).read(path)


def predict_again(path: Path) -> str:
    """How to make a file of held-out cases again."""
    return f"Delete {path.parent} and repeat the train command of that model: it predicts its held-out cases again."
