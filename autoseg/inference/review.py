"""A folder of results as a person goes through it: which scans need one most, why, and what was corrected already.

Scans without a result come first, then those with warnings, then the others, each by the estimated Dice, the lowest first.
It is what held-out cases say that the networks' own expectation is worth, where a selection tells, and else that expectation
itself. Either finds scans that went wrong; how well is in docs/explanation/decisions.md.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoseg.data.naming import image_stem, normalised, without_label_ending
from autoseg.errors import UsageError
from autoseg.inference.failures import FAILURES_FILE, read_failures
from autoseg.inference.folder_table import read_folder
from autoseg.inference.output_folder import Results
from autoseg.inference.part_files import all_parts
from autoseg.inference.scan_places import scan_paths
from autoseg.inference.table import TABLE_FILE, PredictionRow
from autoseg.inference.unentered import read_unentered, unfinished
from autoseg.storage import files

_DICE: Final = "_predicted_dice"
_NO_RESULT, _DOUBTFUL, _USUAL = range(3)


@dataclass(frozen=True)
class ReviewedScan:
    """One scan of a folder of results.

    Attributes:
        case: its id.
        urgency: 0: it has no result; 1: its result is doubtful; 2: neither.
        estimated_dice: the Dice that its label map probably reaches; None: nothing tells.
        reasons: why it needs a person, in words.
        label_map: the file to open: the one that a person corrected, else the one that was predicted; None: there is none.
        corrections: files that a person changed, or put beside the predicted label map; of several none counts.
        scan: files of the scan, one per channel; none: the table does not say.
        row: what the table says; None: nothing.
    """

    case: str
    urgency: int
    estimated_dice: float | None
    reasons: tuple[str, ...]
    label_map: Path | None
    corrections: tuple[Path, ...]
    scan: tuple[Path, ...]
    row: PredictionRow | None

    @property
    def neediness(self) -> tuple[int, float, str]:
        """Sorts scans, the neediest first."""
        return self.urgency, -math.inf if self.estimated_dice is None else self.estimated_dice, self.case


def review(folder: Path) -> tuple[ReviewedScan, ...]:
    """Look through a folder of results, the neediest scan first; corrected ones are among the others.

    Raises:
        UsageError: it holds no results of `autoseg predict`.
        WorkspaceError: its table is none, or cannot be read.
    """
    if not folder.is_dir():
        raise _without_results(folder)
    rows, failures = read_folder(folder, classes=()).rows, read_failures(folder)
    if not (rows or failures):
        raise _without_results(folder)
    begun = unfinished([read_unentered(part.note) for part in all_parts(folder)], rows)
    beside = _label_maps(folder, rows)
    scans = [
        _reviewed(row, folder, beside.get(case, ()), failures.get(case), begun=case in begun) for case, row in rows.items()
    ]
    scans += [_failed(case, why) for case, why in failures.items() if case not in rows]
    return tuple(sorted(scans, key=lambda scan: scan.neediness))


def _without_results(folder: Path) -> UsageError:
    return UsageError(
        "holds no results",
        where=folder,
        expected=f"a folder that `autoseg predict` has filled, with {TABLE_FILE} or {FAILURES_FILE}",
        remedy="Name the folder that was its OUT.",
    )


def _reviewed(
    row: PredictionRow, folder: Path, beside: tuple[Path, ...], failure: str | None, *, begun: bool
) -> ReviewedScan:
    own = Results(folder).label_map(row.case)
    there = own.is_file()
    changed = there and not begun and files.sha256_file(own) != row.output_sha256
    corrections = (*([own] if changed else []), *beside)
    gone = "its label map is gone" if not (there or beside) else ""
    written = "predict ended while it wrote the result: run it again" if begun else ""
    failed = f"failed since: {failure}" if failure else ""
    urgent = [reason for reason in (failed, gone, written) if reason]
    estimate = _estimate(row)
    reasons = [*urgent, *([row.warnings] if row.warnings else []), _in_words(estimate, row)]
    return ReviewedScan(
        case=row.case,
        urgency=_NO_RESULT if urgent else _DOUBTFUL if row.warnings else _USUAL,
        estimated_dice=estimate,
        reasons=tuple(reasons),
        label_map=corrections[0] if corrections else own if there else None,
        corrections=corrections,
        scan=scan_paths(row.scan, folder),
        row=row,
    )


def _failed(case: str, why: str) -> ReviewedScan:
    return ReviewedScan(case, _NO_RESULT, None, (f"failed: {why}",), None, (), (), None)


def _label_maps(folder: Path, rows: Mapping[str, PredictionRow]) -> dict[str, tuple[Path, ...]]:
    """Label maps that people put beside the predicted ones: of the same name in another format, or with `_seg` or so."""
    ids = {normalised(case): case for case in rows}
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        stem = None if path.name.startswith(".") or not path.is_file() else image_stem(path)
        if stem is None:
            continue
        case = ids.get(stem) or ids.get(without_label_ending(stem))
        if case is not None and path != Results(folder).label_map(case):
            found[case].append(path)
    return {case: tuple(paths) for case, paths in found.items()}


def _estimate(row: PredictionRow) -> float | None:
    """The estimated Dice; of tables that have none the mean over the Dice that was predicted of each class."""
    if row.estimated_dice is not None:
        return row.estimated_dice
    cells = [cell for name, cell in row.others.items() if name.endswith(_DICE)]  # no class is known here
    predicted = [float(cell) for cell in cells if cell.replace(".", "", 1).isdecimal()]
    return sum(predicted) / len(predicted) if predicted else None


def _in_words(estimate: float | None, row: PredictionRow) -> str:
    if estimate is None:
        return "nothing tells how good it is"
    if row.estimated_dice is None or row.calibration_sha256:
        return f"Dice is probably {estimate:.2f}"
    return f"the networks expect a Dice of {estimate:.2f}"
