"""The table of predictions: what was made from what, the volume of every tissue, and how far it can be trusted."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from autoseg.data.dataset import LabelClass
from autoseg.data.image import LabelMap
from autoseg.errors import WorkspaceError
from autoseg.storage import files

TABLE_FILE: Final = "predictions.csv"
_FIXED: Final = ("case", "input_sha256", "model_digest", "output_sha256")


@dataclass(frozen=True)
class PredictionRow:
    """One predicted scan.

    Attributes:
        case: id of the scan.
        input_sha256: digest of its files.
        model_digest: digest of the models and settings that segmented it.
        output_sha256: digest of the written label map.
        volumes_ml: volume of each foreground class by name, in ml.
        predicted_dice: Dice that each class probably reaches, by name; NaN or missing where nothing was predicted.
        remarks: what makes the scan unusual or its result doubtful, in one line; empty where nothing does.
    """

    case: str
    input_sha256: str
    model_digest: str
    output_sha256: str
    volumes_ml: Mapping[str, float]
    predicted_dice: Mapping[str, float]
    remarks: str


def volumes_ml(labels: LabelMap, classes: Sequence[LabelClass]) -> dict[str, float]:
    """Volume of each foreground class in ml, by name."""
    counts = np.bincount(labels.array.ravel(), minlength=max(label.value for label in classes) + 1)
    return {label.name: float(counts[label.value]) * labels.geometry.voxel_volume_ml for label in classes[1:]}


def write_table(path: Path, rows: Sequence[PredictionRow], *, classes: Sequence[LabelClass]) -> None:
    """Write the table as CSV, one line per scan.

    Volumes are columns `<class>_ml`, predicted Dice `<class>_predicted_dice`, empty where nothing was predicted.
    """
    text = io.StringIO()
    names = [label.name for label in classes[1:]]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_columns(names))
    for row in sorted(rows, key=lambda row: row.case):
        fixed = [getattr(row, name) for name in _FIXED]
        volumes = [f"{row.volumes_ml[name]:.4f}" for name in names]
        predicted = [_shown(row.predicted_dice.get(name, math.nan)) for name in names]
        writer.writerow([*fixed, *volumes, *predicted, row.remarks])
    files.write_text(path, text.getvalue())


def read_table(path: Path, *, classes: Sequence[LabelClass]) -> dict[str, PredictionRow]:
    """Read the table of an earlier run, by case; empty where there is none.

    Raises:
        WorkspaceError: it is not such a table, cannot be read, or has other classes: going on would overwrite it.
    """
    if not path.exists():
        return {}
    names = [label.name for label in classes[1:]]
    columns = _columns(names)
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if list(reader.fieldnames or ()) != columns:
                raise _unusable(path, found=f"the columns {', '.join(reader.fieldnames or ())}", columns=columns)
            return {line["case"]: _row(line, names) for line in reader}
    except OSError as cause:
        raise _unusable(path, found=f"what cannot be read ({cause.strerror})", columns=columns) from None
    except (ValueError, TypeError, csv.Error) as cause:  # TypeError: a line with too few cells
        raise _unusable(path, found=f"{cause} in line {reader.line_num}", columns=columns) from None


def _columns(names: Sequence[str]) -> list[str]:
    return [*_FIXED, *(f"{name}_ml" for name in names), *(f"{name}_predicted_dice" for name in names), "remarks"]


def _shown(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _row(line: Mapping[str, str], names: Sequence[str]) -> PredictionRow:
    if None in line:
        msg = "too many cells"
        raise ValueError(msg)
    predicted = {name: line[f"{name}_predicted_dice"] for name in names}
    return PredictionRow(
        **{name: line[name] for name in _FIXED},
        volumes_ml={name: float(line[f"{name}_ml"]) for name in names},
        predicted_dice={name: float(value) for name, value in predicted.items() if value},
        remarks=line["remarks"],
    )


def _unusable(path: Path, *, found: str, columns: Sequence[str]) -> WorkspaceError:
    return WorkspaceError(
        "not a table of predictions with these classes",
        where=path,
        expected=f"the columns {', '.join(columns)}",
        found=found,
        remedy="Choose another output folder, or move this file away.",
    )
