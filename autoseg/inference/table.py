"""The table of predictions: what was made from what, the volume of every tissue, and how far it can be trusted."""

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from autoseg.data.dataset import LabelClass
from autoseg.errors import WorkspaceError
from autoseg.images.image import LabelMap
from autoseg.images.label_values import voxel_counts
from autoseg.storage import tables
from autoseg.storage.tables import Row, TableKind

TABLE_FILE: Final = "predictions.csv"

EXTRAS: Final = ("probabilities", "uncertainty", "picture", "dicom_seg")
"""Files that may be made beside a label map."""

_FIXED: Final = ("case", "input_sha256", "model_digest", "output_sha256")
_MODEL: Final = "model"
_CALIBRATION: Final = "calibration_sha256"
_EXTRA: Final = "_sha256"
_ESTIMATE, _SCAN = "estimated_dice", "scan"
_WARNINGS, _WARNINGS_IN_0_1 = "warnings", "remarks"
_VOLUME, _DICE = "_ml", "_predicted_dice"
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
        estimated_dice: mean over the classes found of the Dice that each probably reaches, or, where nothing tells what the
            networks' expectation is worth, of the Dice that they expect; None: nothing was found, or not recorded.
        scan: where the scan's files lie, one per channel, or the folder of a DICOM series, as seen from the folder of the
            table; none: not recorded, as before 0.2.
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
    estimated_dice: float | None = None
    scan: tuple[str, ...] = ()


def volumes_ml(labels: LabelMap, classes: Sequence[LabelClass]) -> dict[str, float]:
    """Volume of each foreground class in ml, by name; that of a region holds the regions inside it."""
    largest = max(value for label in classes for value in label.label_values)
    counts = voxel_counts(labels.array, largest=largest)
    voxel_ml = labels.geometry.voxel_volume_ml
    return {label.name: float(counts[list(label.label_values)].sum()) * voxel_ml for label in classes[1:]}


def foreground_ml(labels: LabelMap) -> float:
    """Volume of everything that is not background, in ml; what several regions hold counts once."""
    return float(voxel_counts(labels.array)[1:].sum()) * labels.geometry.voxel_volume_ml


@dataclass(frozen=True)
class StoredTable:
    """A table of predictions as it is on disk.

    Attributes:
        rows: by case; where a case has several, the last.
        columns: those of the file; none where lines cannot be added to it as it is.
        in_order: whether writing its rows would give it back, as far as its lines and their order go.
    """

    rows: dict[str, PredictionRow] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    in_order: bool = True


def write_table(path: Path, rows: Sequence[PredictionRow], *, classes: Sequence[LabelClass]) -> tuple[str, ...]:
    """Write the table as CSV, one line per scan; gives its columns.

    Volumes are columns `<class>_ml`, predicted Dice `<class>_predicted_dice`, empty where nothing was predicted. Digests of
    files beside the label maps have columns where there are any. Columns of other origin come last.
    """
    columns = _columns(rows, classes)
    tables.write_table(path, columns, [_cells(row) for row in sorted(rows, key=lambda row: row.case)])
    return columns


def append_row(
    path: Path, row: PredictionRow, *, columns: Sequence[str], classes: Sequence[LabelClass], sync: bool = True
) -> bool:
    """Add a line to a table of these columns, whatever its case; False where the row needs others.

    Args:
        path: the file.
        row: what to add.
        columns: of the file.
        classes: the foreground's have columns.
        sync: as for `storage.files.append_bytes`.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written; half a line may have been added.
    """
    if not set(_columns([row], classes)) <= set(columns):
        return False
    tables.append_to_table(path, columns, [_cells(row)], sync=sync)
    return True


def read_table(
    path: Path, *, classes: Sequence[LabelClass], interrupted: Collection[str] | None = frozenset()
) -> StoredTable:
    """Read the table of an earlier run; empty where there is none.

    Args:
        path: the file.
        classes: the foreground's have columns.
        interrupted: cases whose line may have been cut short, at the end, by the end of its process; that line does not
            count. None: any may, because nobody edits the file.

    Raises:
        WorkspaceError: it is not such a table, or cannot be read: going on would overwrite it.
    """
    if not path.exists():
        return StoredTable()
    names = [label.name for label in classes[1:]]
    columns: list[tuple[str, ...]] = []

    def parse(row: Row) -> PredictionRow:
        columns[:] = [tuple(row.cells)]
        return _parse(row, names)

    content = tables.read_content(path, kind=_KIND)
    whole = tables.whole_lines(content)
    if len(whole) < len(content) and (interrupted is None or interrupted):
        lines = _unless_interrupted(content, whole, parse, path=path, interrupted=interrupted)
    else:
        lines = tables.parse_table(content, parse, kind=_KIND, path=path)
    cases = [row.case for row in lines]
    ended = len(whole) == len(content)
    return StoredTable(
        {row.case: row for row in lines},
        columns[0] if columns and ended else (),
        ended and all(first < second for first, second in pairwise(cases)),
    )


def _unless_interrupted(
    content: bytes,
    whole: bytes,
    parse: Callable[[Row], PredictionRow],
    *,
    path: Path,
    interrupted: Collection[str] | None,
) -> list[PredictionRow]:
    """The rows of a table whose last line does not end: it may be half of one, or all of one that was edited by hand."""
    try:
        lines = [] if interrupted is None else tables.parse_table(content, parse, kind=_KIND, path=path)
    except WorkspaceError:
        lines = []
    if lines and lines[-1].case not in (interrupted or ()):
        return lines
    return tables.parse_table(whole, parse, kind=_KIND, path=path) if whole else []


def _columns(rows: Sequence[PredictionRow], classes: Sequence[LabelClass]) -> tuple[str, ...]:
    """The columns that a table of rows has."""
    names = [label.name for label in classes[1:]]
    fixed = [*_FIXED, _MODEL, *(name + _VOLUME for name in names), *(name + _DICE for name in names), _WARNINGS]
    extras = [_CALIBRATION] if any(row.calibration_sha256 for row in rows) else []
    extras += [name + _EXTRA for name in EXTRAS if any(name in row.extras_sha256 for row in rows)]
    extras += [_ESTIMATE] if any(row.estimated_dice is not None for row in rows) else []
    extras += [_SCAN] if any(row.scan for row in rows) else []
    return (*fixed, *extras, *dict.fromkeys(name for row in rows for name in row.others))


def _cells(row: PredictionRow) -> dict[str, tables.Cell]:
    return {
        **{name: tables.as_cell(cell) for name, cell in row.others.items()},
        **{name: getattr(row, name) for name in (*_FIXED, _MODEL)},
        **({_CALIBRATION: row.calibration_sha256} if row.calibration_sha256 else {}),
        **{name + _EXTRA: digest for name, digest in row.extras_sha256.items()},
        **{name + _VOLUME: volume for name, volume in row.volumes_ml.items()},  # all digits: of microscopy 1e-9 ml count
        **{name + _DICE: dice for name, dice in row.predicted_dice.items()},
        _WARNINGS: row.warnings,
        **({} if row.estimated_dice is None else {_ESTIMATE: row.estimated_dice}),
        **({_SCAN: _cell(row.scan)} if row.scan else {}),
    }


def _parse(row: Row, names: Sequence[str]) -> PredictionRow:
    of_classes = (name + ending for name in names for ending in (_VOLUME, _DICE))
    own = (_MODEL, _CALIBRATION, _WARNINGS, _WARNINGS_IN_0_1, _ESTIMATE, _SCAN)
    known = {*_FIXED, *own, *of_classes, *(name + _EXTRA for name in EXTRAS)}
    estimate = row.number(_ESTIMATE)
    return PredictionRow(
        **{name: row.text(name) for name in (*_FIXED, _MODEL, _CALIBRATION)},
        extras_sha256={name: digest for name in EXTRAS if (digest := row.text(name + _EXTRA))},
        volumes_ml=_defined(row, names, _VOLUME),
        predicted_dice=_defined(row, names, _DICE),
        warnings=row.text(_WARNINGS) or row.text(_WARNINGS_IN_0_1),
        others={name: cell for name, cell in row.cells.items() if name not in known},
        estimated_dice=None if math.isnan(estimate) else estimate,
        scan=_scan(row.text(_SCAN)),
    )


def _cell(scan: tuple[str, ...]) -> str:
    alone = len(scan) == 1 and not scan[0].startswith("[")
    return scan[0] if alone else json.dumps(scan, ensure_ascii=False)


def _scan(cell: str) -> tuple[str, ...]:
    """The paths in a cell: one, or several as a JSON list."""
    if not cell.startswith("["):
        return (cell,) if cell else ()
    try:
        paths = json.loads(cell)
    except ValueError:
        return (cell,)
    return tuple(paths) if isinstance(paths, list) and all(isinstance(path, str) for path in paths) else (cell,)


def _defined(row: Row, names: Sequence[str], ending: str) -> dict[str, float]:
    return {name: row.number(name + ending) for name in names if row.text(name + ending)}
