"""`autoseg predict`: segment scans with what was selected, or else with everything trained so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from autoseg.commands.choices import Choices
from autoseg.commands.segmenters import exported_segmenter, workspace_segmenter
from autoseg.data.image import Image, write_channels, write_labels
from autoseg.errors import AutosegError, CasesFailedError, SystemFailureError, UsageError
from autoseg.events import Events
from autoseg.formats import IMAGE_SUFFIXES
from autoseg.formats.checksum import image_checksum
from autoseg.formats.finite import NotFinite
from autoseg.inference.scans import FoundScans, Scan, find_scans
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.table import TABLE_FILE, PredictionRow, read_table, volumes_ml, write_table
from autoseg.model.compute import Compute, DeviceChoice, PrecisionChoice, choose_compute
from autoseg.reporting.case_image import draw_case
from autoseg.runs.workspace import find_workspace
from autoseg.storage import files

PROBABILITIES: Final = "probabilities"
UNCERTAINTY: Final = "uncertainty"
PICTURES: Final = "pictures"
_PENDING: Final = ".pending.json"


class PredictConfig(Choices):
    """What the user chose for prediction.

    Attributes:
        source: a scan, or a folder searched with everything below it.
        target: folder of the results.
        workspace: the workspace; None: the only one under `runs/`.
        model: an exported model to use instead of a workspace.
        probabilities: also write the probability of every class.
        uncertainty: also write how undecided the networks are, and predict the Dice.
        pictures: also draw every label map over its scan in three planes.
        mirror: average over the flips that the plan names.
        not_finite: what to do with voxels that are NaN or infinite; None: as planned.
        device: where to predict.
        precision: number format of the convolutions.
        force: predict again what is already there.
    """

    source: Path
    target: Path
    workspace: Path | None = None
    model: Path | None = None
    probabilities: bool = False
    uncertainty: bool = False
    pictures: bool = False
    mirror: bool = True
    not_finite: NotFinite | None = None
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    force: bool = False


@dataclass(frozen=True)
class PredictResult:
    """What prediction made.

    Attributes:
        models: names of the models that were averaged.
        rows: every scan with its volumes.
        table: the CSV file that holds them.
        skipped: ids of the scans that an earlier call had segmented with the same models.
    """

    models: tuple[str, ...]
    rows: tuple[PredictionRow, ...]
    table: Path
    skipped: tuple[str, ...]


def run(config: PredictConfig, events: Events) -> PredictResult:
    """Segment every scan of a file or folder; a bad one is reported and the others go on.

    Raises:
        CasesFailedError: some scans could not be segmented.
        SystemFailureError: results cannot be written; those written before are whole.
        UsageError: the results would replace scans, or label maps that are not autoseg's or were changed since.
        WorkspaceError: another process writes to the same folder.
    """
    compute = choose_compute(config.device, config.precision)
    segmenter = _segmenter(config, compute, events)
    found = find_scans(config.source, channels=len(segmenter.ensemble.plan.data.channels), results=config.target)
    _protect_inputs(config, found.scans)
    with files.lock(config.target / ".lock"):
        return _predict_all(found, segmenter, config, events=events)


def _predict_all(found: FoundScans, segmenter: Segmenter, config: PredictConfig, *, events: Events) -> PredictResult:
    plan, scans = segmenter.ensemble.plan, found.scans
    table, classes = config.target / TABLE_FILE, plan.data.classes
    rows = read_table(table, classes=classes)
    if not config.force:
        _protect_results(config, scans, rows)
    skipped: list[str] = []
    failures: list[tuple[str, AutosegError]] = list(found.failures)
    for scan_id, error in failures:
        events.warn(f"{scan_id}: {error}")
    with events.track("predicting", total=len(scans), unit="scans") as progress:
        for scan in scans:
            try:
                row = _predict_one(scan, segmenter, config, earlier=rows.get(scan.id), events=events)
            except SystemFailureError:
                raise  # a full disk concerns every scan
            except AutosegError as error:
                events.warn(f"{scan.id}: {error}")
                failures.append((scan.id, error))
            else:
                skipped += [scan.id] if row is rows.get(scan.id) else []
                rows[scan.id] = row
                write_table(table, list(rows.values()), classes=classes)
            progress.advance(1, scan=scan.id)
    _remove([config.target / _PENDING])
    if failures:
        raise CasesFailedError(failures, done=len(scans) + len(found.failures) - len(failures))
    wanted = {scan.id for scan in scans}
    done = tuple(row for row in rows.values() if row.case in wanted)
    return PredictResult(models=segmenter.ensemble.names, rows=done, table=table, skipped=tuple(skipped))


def _segmenter(config: PredictConfig, compute: Compute, events: Events) -> Segmenter:
    if config.model is None:
        workspace = find_workspace(config.workspace)
        return workspace_segmenter(workspace, compute=compute, mirror=config.mirror, events=events)
    if config.workspace is not None:
        raise UsageError("both a workspace and an exported model are given", remedy="Choose one of them.")
    return exported_segmenter(config.model, compute=compute, mirror=config.mirror, events=events)


def _predict_one(
    scan: Scan, segmenter: Segmenter, config: PredictConfig, *, earlier: PredictionRow | None, events: Events
) -> PredictionRow:
    """Segment one scan, or find that this was done; in that case the earlier row itself comes back."""
    output = _output(config, scan)
    probabilities = config.target / PROBABILITIES / f"{scan.id}.nii.gz"
    uncertainty = config.target / UNCERTAINTY / f"{scan.id}.nii.gz"
    picture = config.target / PICTURES / f"{scan.id}.png"
    classes = segmenter.ensemble.plan.data.classes
    plan = segmenter.ensemble.plan
    not_finite = config.not_finite or plan.preprocessing.not_finite
    image = scan.read(channels=len(plan.data.channels), not_finite=not_finite)
    digest = files.sha256_json([image_checksum(path) for path in scan.images])
    wanted = {probabilities: config.probabilities, uncertainty: config.uncertainty, picture: config.pictures}
    complete = all(path.exists() for path, asked in wanted.items() if asked)
    if earlier is not None and complete and not config.force and _is_current(earlier, digest, segmenter, output):
        return earlier
    _warn_about(image, scan, events)
    found = segmenter.segment(image, with_probabilities=config.probabilities, with_uncertainty=config.uncertainty)
    for remark in found.remarks:
        events.warn(f"{scan.id}: {remark}")
    files.write_json(config.target / _PENDING, {"case": scan.id})
    _remove([path for path, asked in wanted.items() if not asked])  # they show what another model found
    write_labels(output, found.labels.array, found.labels.geometry)
    if found.probabilities is not None:
        write_channels(probabilities, found.probabilities, found.labels.geometry)
    if found.entropy is not None:
        write_channels(uncertainty, found.entropy[np.newaxis], found.labels.geometry)
    if config.pictures:
        draw_case(picture, image, {"prediction": found.labels.array}, classes=classes)
    return PredictionRow(
        case=scan.id,
        input_sha256=digest,
        model_digest=segmenter.digest,
        output_sha256=files.sha256_file(output),
        volumes_ml=volumes_ml(found.labels, classes),
        predicted_dice=found.predicted_dice or {},
        warnings="; ".join(found.remarks),
    )


def _output(config: PredictConfig, scan: Scan) -> Path:
    return config.target / f"{scan.id}.nii.gz"


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with files.explain_os_errors(path):
            path.unlink(missing_ok=True)


def _is_current(row: PredictionRow, input_sha256: str, segmenter: Segmenter, output: Path) -> bool:
    same = row.input_sha256 == input_sha256 and row.model_digest == segmenter.digest
    return same and output.exists() and files.sha256_file(output) == row.output_sha256


def _warn_about(image: Image, scan: Scan, events: Events) -> None:
    for note in image.warnings:
        events.info(f"{scan.id}: {note}")
    constant = [index for index, channel in enumerate(image.array) if channel.min() == channel.max()]
    if constant:
        events.warn(f"{scan.id}: every voxel has the same value; the segmentation means nothing")


def _protect_results(config: PredictConfig, scans: Sequence[Scan], rows: Mapping[str, PredictionRow]) -> None:
    """Refuse to replace label maps that were corrected by hand, or are none of ours."""
    pending = _pending_case(config.target)
    foreign = [
        output
        for scan in scans
        if (output := _output(config, scan)).exists()
        and scan.id != pending
        and (scan.id not in rows or files.sha256_file(output) != rows[scan.id].output_sha256)
    ]
    if foreign:
        raise UsageError(
            "holds label maps that were changed since, or that autoseg did not write",
            where=config.target,
            found=", ".join(path.name for path in foreign),
            remedy="Choose another output folder, or replace them with --force.",
        )


def _pending_case(target: Path) -> str | None:
    """The case whose results a killed command may have written without entering them in the table."""
    path = target / _PENDING
    if not path.exists():
        return None
    document = files.read_json(path, remedy="Delete this file.")
    return document.get("case") if isinstance(document, dict) else None


def _protect_inputs(config: PredictConfig, scans: Sequence[Scan]) -> None:
    """Refuse to write over the scans themselves."""
    outputs = {_output(config, scan).resolve() for scan in scans}
    endangered = [path for scan in scans for path in scan.images if path.resolve() in outputs]
    if endangered:
        raise UsageError(
            "the results would replace the scans",
            where=endangered[0],
            remedy=f"Choose another output folder (scans end in one of {', '.join(IMAGE_SUFFIXES[:3])}, ...).",
        )
