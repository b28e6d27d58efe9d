"""A folder of results: label maps, what was asked for beside them, and a table that says what was made from what.

The table is written after each scan. Label maps that differ from what it says were corrected by hand, or are none of ours,
and are not replaced unless asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NotFinite
from autoseg.data.dataset import LabelClass
from autoseg.data.image import Image, write_channels, write_labels
from autoseg.errors import AutosegError, CasesFailedError, SystemFailureError, UsageError
from autoseg.events import Events
from autoseg.formats import IMAGE_SUFFIXES
from autoseg.formats.checksum import image_checksum
from autoseg.inference.scans import FoundScans, Scan
from autoseg.inference.segmenter import Segmentation, Segmenter
from autoseg.inference.table import TABLE_FILE, PredictionRow, read_table, volumes_ml, write_table
from autoseg.storage import files
from autoseg.storage.locks import lock

PROBABILITIES: Final = "probabilities"
UNCERTAINTY: Final = "uncertainty"
PICTURES: Final = "pictures"
_PENDING: Final = ".pending.json"


class DrawCase(Protocol):
    """Draws label maps over their scan; what draws lies above this package."""

    def __call__(
        self, path: Path, image: Image, overlays: Mapping[str, NDArray[np.integer[Any]]], /, *, classes: Sequence[LabelClass]
    ) -> None:
        """Draw into a file."""


@dataclass(frozen=True)
class Results:
    """What an output folder is to hold.

    Attributes:
        folder: where it is.
        probabilities: also the probability of every class.
        uncertainty: also how undecided the networks are, and the Dice that is probably reached.
        draw: draws every label map over its scan; None: no pictures.
        force: replace whatever is there.
    """

    folder: Path
    probabilities: bool = False
    uncertainty: bool = False
    draw: DrawCase | None = None
    force: bool = False

    @property
    def table(self) -> Path:
        """The CSV file with a row per scan."""
        return self.folder / TABLE_FILE

    def label_map(self, scan: Scan) -> Path:
        """Where the label map of a scan goes."""
        return self.folder / f"{scan.id}.nii.gz"


@dataclass(frozen=True)
class Predicted:
    """What a folder of results holds of the scans asked for.

    Attributes:
        rows: every scan with its volumes.
        skipped: ids of the scans that an earlier call had segmented with the same models.
    """

    rows: tuple[PredictionRow, ...]
    skipped: tuple[str, ...]


def predict_scans(
    found: FoundScans, segmenter: Segmenter, results: Results, *, not_finite: NotFinite | None, events: Events
) -> Predicted:
    """Segment every scan; a bad one is reported and the others go on.

    Args:
        found: the scans, and those that cannot be read.
        segmenter: what segments them.
        results: where everything goes.
        not_finite: what to do with voxels that are NaN or infinite; None: as planned.
        events: notified of everything.

    Raises:
        CasesFailedError: some scans could not be segmented.
        SystemFailureError: results cannot be written; those written before are whole.
        UsageError: the results would replace scans, or label maps that are not autoseg's or were changed since.
        WorkspaceError: another process writes to the same folder.
    """
    found.passed_over.tell(events)
    _protect_inputs(results, found.scans)
    with lock(results.folder / ".lock"):
        classes = segmenter.ensemble.plan.data.classes
        rows = read_table(results.table, classes=classes)
        if not results.force:
            _protect_results(results, found.scans, rows)
        skipped: list[str] = []
        failures: list[tuple[str, AutosegError]] = list(found.failures)
        for scan_id, error in failures:
            events.warn(f"{scan_id}: {error}")
        with events.track("predicting", total=len(found.scans), unit="scans") as progress:
            for scan in found.scans:
                try:
                    row = _predict_one(
                        scan, segmenter, results, earlier=rows.get(scan.id), not_finite=not_finite, events=events
                    )
                except SystemFailureError:
                    raise  # a full disk concerns every scan
                except AutosegError as error:
                    events.warn(f"{scan.id}: {error}")
                    failures.append((scan.id, error))
                else:
                    skipped += [scan.id] if row is rows.get(scan.id) else []
                    rows[scan.id] = row
                    write_table(results.table, list(rows.values()), classes=classes)
                progress.advance(1, scan=scan.id)
        _remove([results.folder / _PENDING])
    if failures:
        raise CasesFailedError(failures, done=len(found.scans) + len(found.failures) - len(failures))
    wanted = {scan.id for scan in found.scans}
    return Predicted(rows=tuple(row for row in rows.values() if row.case in wanted), skipped=tuple(skipped))


def _predict_one(
    scan: Scan,
    segmenter: Segmenter,
    results: Results,
    *,
    earlier: PredictionRow | None,
    not_finite: NotFinite | None,
    events: Events,
) -> PredictionRow:
    """Segment one scan, or find that this was done; in that case the earlier row itself comes back."""
    plan = segmenter.ensemble.plan
    image = scan.read(channels=len(plan.data.channels), not_finite=not_finite or plan.preprocessing.not_finite)
    digest = files.sha256_json([image_checksum(path) for path in scan.images])
    if earlier is not None and not results.force and _is_current(earlier, digest, segmenter, results, scan):
        return earlier
    _warn_about(image, scan, events)
    found = segmenter.segment(image, with_probabilities=results.probabilities, with_uncertainty=results.uncertainty)
    for warning in found.warnings:
        events.warn(f"{scan.id}: {warning}")
    files.write_json(results.folder / _PENDING, {"case": scan.id})
    _write(scan, image, found, results, classes=plan.data.classes)
    return PredictionRow(
        case=scan.id,
        input_sha256=digest,
        model_digest=segmenter.digest,
        output_sha256=files.sha256_file(results.label_map(scan)),
        volumes_ml=volumes_ml(found.labels, plan.data.classes),
        predicted_dice=found.predicted_dice or {},
        warnings="; ".join(found.warnings),
    )


def _write(scan: Scan, image: Image, found: Segmentation, results: Results, *, classes: Sequence[LabelClass]) -> None:
    extras = _extras(scan, results)
    _remove([path for path, asked in extras.items() if not asked])  # they show what another model found
    write_labels(results.label_map(scan), found.labels.array, found.labels.geometry)
    probabilities, uncertainty, picture = extras
    if found.probabilities is not None:
        write_channels(probabilities, found.probabilities, found.labels.geometry)
    if found.entropy is not None:
        write_channels(uncertainty, found.entropy[np.newaxis], found.labels.geometry)
    if results.draw is not None:
        results.draw(picture, image, {"prediction": found.labels.array}, classes=classes)


def _extras(scan: Scan, results: Results) -> dict[Path, bool]:
    """Files beside a label map, and whether they were asked for: probabilities, uncertainty, picture."""
    return {
        results.folder / PROBABILITIES / f"{scan.id}.nii.gz": results.probabilities,
        results.folder / UNCERTAINTY / f"{scan.id}.nii.gz": results.uncertainty,
        results.folder / PICTURES / f"{scan.id}.png": results.draw is not None,
    }


def _is_current(row: PredictionRow, input_sha256: str, segmenter: Segmenter, results: Results, scan: Scan) -> bool:
    if not all(path.exists() for path, asked in _extras(scan, results).items() if asked):
        return False
    output = results.label_map(scan)
    same = row.input_sha256 == input_sha256 and segmenter.is_identified_by(row.model_digest)
    return same and output.exists() and files.sha256_file(output) == row.output_sha256


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with files.explain_os_errors(path):
            path.unlink(missing_ok=True)


def _warn_about(image: Image, scan: Scan, events: Events) -> None:
    for message in image.warnings:
        events.info(f"{scan.id}: {message}")
    constant = [index for index, channel in enumerate(image.array) if channel.min() == channel.max()]
    if constant:
        events.warn(f"{scan.id}: every voxel has the same value; the segmentation means nothing")


def _protect_results(results: Results, scans: Sequence[Scan], rows: Mapping[str, PredictionRow]) -> None:
    """Refuse to replace label maps that were corrected by hand, or are none of ours."""
    pending = _pending_case(results.folder)
    foreign = [
        output
        for scan in scans
        if (output := results.label_map(scan)).exists()
        and scan.id != pending
        and (scan.id not in rows or files.sha256_file(output) != rows[scan.id].output_sha256)
    ]
    if foreign:
        raise UsageError(
            "holds label maps that were changed since, or that autoseg did not write",
            where=results.folder,
            found=", ".join(path.name for path in foreign),
            remedy="Choose another output folder, or replace them with --force.",
        )


def _pending_case(folder: Path) -> str | None:
    """The case whose results a killed command may have written without entering them in the table."""
    path = folder / _PENDING
    if not path.exists():
        return None
    document = files.read_json(path, remedy="Delete this file.")
    return document.get("case") if isinstance(document, dict) else None


def _protect_inputs(results: Results, scans: Sequence[Scan]) -> None:
    """Refuse to write over the scans themselves."""
    outputs = {results.label_map(scan).resolve() for scan in scans}
    endangered = [path for scan in scans for path in scan.images if path.resolve() in outputs]
    if endangered:
        raise UsageError(
            "the results would replace the scans",
            where=endangered[0],
            remedy=f"Choose another output folder (scans end in one of {', '.join(IMAGE_SUFFIXES[:3])}, ...).",
        )
