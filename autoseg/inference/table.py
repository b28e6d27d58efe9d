"""The table of predictions: what was made from what, the volume of every tissue, and how far it can be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from autoseg.data.dataset import LabelClass
from autoseg.images.image import LabelMap
from autoseg.storage import tables
from autoseg.storage.tables import Row, TableKind

TABLE_FILE: Final = "predictions.csv"

EXTRAS: Final = ("probabilities", "uncertainty", "picture")
"""Files that may be made beside a label map."""

_FIXED: Final = ("case", "input_sha256", "model_digest", "output_sha256")
_MODEL: Final = "model"
_CALIBRATION: Final = "calibration_sha256"
_EXTRA: Final = "_sha256"
_WARNINGS, _WARNINGS_IN_0_1 = "warnings", "remarks"
_VOLUME, _DICE = "_ml", "_predicted_dice"
_DECIMALS: Final = 4
_KIND: Final = TableKind(
    "a table of predictions", required=_FIXED, remedy="Choose another output folder, or move this file away."
)


@dataclass(frozen=True)
class PredictionRow:
    """One predicted scan.

    Attributes:
        case: id of the scan.
        input_sha256: digest of its files.
        model_digest: digest of the models and settings that segmented it.
        model: the same for people; empty in tables of version 0.1.
        output_sha256: digest of the written label map.
        volumes_ml: volume of each foreground class by name, in ml.
        predicted_dice: Dice that each class probably reaches, by name; NaN or missing where nothing was predicted.
        warnings: what makes the scan unusual or its result doubtful, in one line; empty where nothing does.
        calibration_sha256: digest of what the probable Dice and its warnings rest on; empty where nothing tells it.
        extras_sha256: digest of each file made beside the label map, such as `picture`.
        others: cells of columns that this version does not write: of models with other classes, or added by hand.
    """

    case: str
    input_sha256: str
    model_digest: str
    output_sha256: str
    volumes_ml: Mapping[str, float]
    predicted_dice: Mapping[str, float]
    warnings: str
    model: str = ""
    calibration_sha256: str = ""
    extras_sha256: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)


def volumes_ml(labels: LabelMap, classes: Sequence[LabelClass]) -> dict[str, float]:
    """Volume of each foreground class in ml, by name."""
    counts = np.zeros(max(int(labels.array.max(initial=0)), *(label.value for label in classes)) + 1, dtype=np.int64)
    for part in labels.array:  # slice by slice, because counting takes four times the memory of what is counted
        counts += np.bincount(part.ravel(), minlength=len(counts))
    return {label.name: float(counts[label.value]) * labels.geometry.voxel_volume_ml for label in classes[1:]}


def write_table(path: Path, rows: Sequence[PredictionRow], *, classes: Sequence[LabelClass]) -> None:
    """Write the table as CSV, one line per scan.

    Volumes are columns `<class>_ml`, predicted Dice `<class>_predicted_dice`, empty where nothing was predicted. Digests of
    files beside the label maps have columns where there are any. Columns of other origin come last.
    """
    extras = [_CALIBRATION] if any(row.calibration_sha256 for row in rows) else []
    extras += [name + _EXTRA for name in EXTRAS if any(name in row.extras_sha256 for row in rows)]
    others = dict.fromkeys(name for row in rows for name in row.others)
    lines = [_cells(row) for row in sorted(rows, key=lambda row: row.case)]
    tables.write_table(path, [*_columns(classes), *extras, *others], lines)


def read_table(path: Path, *, classes: Sequence[LabelClass]) -> dict[str, PredictionRow]:
    """Read the table of an earlier run, by case; empty where there is none.

    Raises:
        WorkspaceError: it is not such a table, or cannot be read: going on would overwrite it.
    """
    if not path.exists():
        return {}
    names = [label.name for label in classes[1:]]
    return {row.case: row for row in tables.read_table(path, lambda row: _parse(row, names), kind=_KIND)}


def _columns(classes: Sequence[LabelClass]) -> list[str]:
    names = [label.name for label in classes[1:]]
    return [*_FIXED, _MODEL, *(name + _VOLUME for name in names), *(name + _DICE for name in names), _WARNINGS]


def _cells(row: PredictionRow) -> dict[str, tables.Cell]:
    return {
        **{name: tables.as_cell(cell) for name, cell in row.others.items()},
        **{name: getattr(row, name) for name in (*_FIXED, _MODEL)},
        **({_CALIBRATION: row.calibration_sha256} if row.calibration_sha256 else {}),
        **{name + _EXTRA: digest for name, digest in row.extras_sha256.items()},
        **{name + _VOLUME: round(volume, _DECIMALS) for name, volume in row.volumes_ml.items()},
        **{name + _DICE: round(dice, _DECIMALS) for name, dice in row.predicted_dice.items()},
        _WARNINGS: row.warnings,
    }


def _parse(row: Row, names: Sequence[str]) -> PredictionRow:
    of_classes = (name + ending for name in names for ending in (_VOLUME, _DICE))
    known = {*_FIXED, _MODEL, _CALIBRATION, *of_classes, *(name + _EXTRA for name in EXTRAS), _WARNINGS, _WARNINGS_IN_0_1}
    return PredictionRow(
        **{name: row.text(name) for name in (*_FIXED, _MODEL, _CALIBRATION)},
        extras_sha256={name: digest for name in EXTRAS if (digest := row.text(name + _EXTRA))},
        volumes_ml=_defined(row, names, _VOLUME),
        predicted_dice=_defined(row, names, _DICE),
        warnings=row.text(_WARNINGS) or row.text(_WARNINGS_IN_0_1),
        others={name: cell for name, cell in row.cells.items() if name not in known},
    )


def _defined(row: Row, names: Sequence[str], ending: str) -> dict[str, float]:
    return {name: row.number(name + ending) for name in names if row.text(name + ending)}
