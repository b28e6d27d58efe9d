"""The table of predictions: what was made from what, and the volume of every tissue."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from autoseg import files
from autoseg.data.dataset import LabelClass
from autoseg.data.image import LabelMap
from autoseg.errors import WorkspaceError

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
    """

    case: str
    input_sha256: str
    model_digest: str
    output_sha256: str
    volumes_ml: Mapping[str, float]


def volumes_ml(labels: LabelMap, classes: Sequence[LabelClass]) -> dict[str, float]:
    """Volume of each foreground class in ml, by name."""
    counts = np.bincount(labels.array.ravel(), minlength=max(label.value for label in classes) + 1)
    return {label.name: float(counts[label.value]) * labels.geometry.voxel_volume_ml for label in classes[1:]}


def write_table(path: Path, rows: Sequence[PredictionRow], *, classes: Sequence[LabelClass]) -> None:
    """Write the table as CSV, one line per scan; volumes are columns `<class>_ml`."""
    text = io.StringIO()
    names = [label.name for label in classes[1:]]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIXED, *(f"{name}_ml" for name in names)])
    for row in sorted(rows, key=lambda row: row.case):
        volumes = [f"{row.volumes_ml[name]:.4f}" for name in names]
        writer.writerow([row.case, row.input_sha256, row.model_digest, row.output_sha256, *volumes])
    files.write_text(path, text.getvalue())


def read_table(path: Path, *, classes: Sequence[LabelClass]) -> dict[str, PredictionRow]:
    """Read the table of an earlier run, by case; empty where there is none.

    Raises:
        WorkspaceError: it is not such a table, cannot be read, or has other classes: going on would overwrite it.
    """
    if not path.exists():
        return {}
    names = [label.name for label in classes[1:]]
    columns = [*_FIXED, *(f"{name}_ml" for name in names)]
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


def _row(line: Mapping[str, str], names: Sequence[str]) -> PredictionRow:
    if None in line:
        msg = "too many cells"
        raise ValueError(msg)
    volumes_ml = {name: float(line[f"{name}_ml"]) for name in names}
    return PredictionRow(**{name: line[name] for name in _FIXED}, volumes_ml=volumes_ml)


def _unusable(path: Path, *, found: str, columns: Sequence[str]) -> WorkspaceError:
    return WorkspaceError(
        "not a table of predictions with these classes",
        where=path,
        expected=f"the columns {', '.join(columns)}",
        found=found,
        remedy="Choose another output folder, or move this file away.",
    )
