"""A folder of results: label maps, what was asked for beside them, and a table that says what was made from what.

Each scan is entered in the table when it is done. Label maps, and files beside them, that differ from what it says were
changed by hand, or are none of ours, and are neither replaced nor removed unless asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.errors import AutosegError, CasesFailedError, MemoryLimitError, SystemFailureError, UsageError, WorkspaceError
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.inference.failures import note_failures, read_failures
from autoseg.inference.folder_table import FolderTable, folder_table
from autoseg.inference.foreign import protect_results, protect_scans
from autoseg.inference.lanes import Lanes
from autoseg.inference.one_scan import LacksSeg, Outcome, ScanWork, SegmentedScan
from autoseg.inference.output_folder import FileDigests, Results
from autoseg.inference.part import BAR, WHOLE, Part
from autoseg.inference.part_files import PartFiles
from autoseg.inference.prediction_settings import PredictionSettings
from autoseg.inference.scans import FoundScans, Scan
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.table import PredictionRow
from autoseg.wording import counted, some


@dataclass(frozen=True)
class Predicted:
    """What a folder of results holds of the scans asked for.

    Attributes:
        rows: every scan with its volumes.
        skipped: ids of the scans that an earlier call had segmented with the same models and settings.
        others: rows of other scans, made with other models or settings.
        missing: ids of the scans of other parts that are not in the table yet.
    """

    rows: tuple[PredictionRow, ...]
    skipped: tuple[str, ...]
    others: tuple[PredictionRow, ...]
    missing: tuple[str, ...] = ()


def predict_scans(
    found: FoundScans,
    segmenter: Segmenter,
    results: Results,
    *,
    not_finite: NotFinite | None,
    events: Events,
    at_once: int = 1,
    replicas: Sequence[Segmenter] = (),
    part: Part = WHOLE,
    checksum: Callable[[Path], str] = image_checksum,
) -> Predicted:
    """Segment every scan; a bad one is reported and the others go on.

    Args:
        found: the scans, and those that cannot be read.
        segmenter: what segments them.
        results: where everything goes.
        not_finite: what to do with voxels that are NaN or infinite; None: as planned.
        events: notified of everything.
        at_once: scans in work at a time, which share the memory; probabilities fill it, and are made one at a time.
        replicas: the same segmenter on further devices.
        part: of the scans; the others are left to other processes.
        checksum: that of a file of a scan, by which it is recognised.

    Raises:
        CasesFailedError: some scans could not be segmented; its `result` holds the others.
        MemoryLimitError: none of the scans can be segmented within the memory that is allowed.
        SystemFailureError: results cannot be written; those written before are whole.
        UsageError: the results would replace or remove scans, or files that are not autoseg's or were changed since.
        WorkspaceError: another process segments the same scans into this folder, or a table there is none of autoseg's.
    """
    found.passed_over.tell(events)
    protect_scans(results, found.scans)
    read_failures(results.folder)  # one of another origin is found before anything is segmented
    _tell_of_other_formats(results, found, events=events)
    settings = PredictionSettings(segmenter, not_finite or segmenter.ensemble.not_finite)
    mine = found.of(part)
    with folder_table(
        PartFiles(results.folder, part), classes=segmenter.ensemble.data.classes, settings=(settings.digest, settings.model)
    ) as table:
        outputs = FileDigests()
        at_once = 1 if results.probabilities else at_once
        work = ScanWork(
            settings,
            results,
            table.rows,
            outputs,
            events,
            checksum=checksum,
            at_once=at_once,
            replicas=tuple(replicas),
            begun=table.unentered.cases,
        )
        if not results.force:
            protect_results(work, mine.scans, predicted=False)
        others = _tell_of_other_models(table.rows, found, mine, settings, results, events=events)
        for scan_id, error in mine.failures:
            _tell_failure(scan_id, error, table.rows, events=events)
        skipped, failures, without_seg = _segment_all(mine.scans, work, table, events=events)
        failures = [*mine.failures, *failures]
        tried = [*(scan.id for scan in mine.scans), *(scan_id for scan_id, _ in mine.failures)]
        note_failures(results.folder, part, tried=tried, failures=failures)
    _tell_of_calibration(skipped, table.rows, settings, events=events)
    _refuse_model(failures, mine.scans)
    failed = {scan_id for scan_id, _ in failures}  # a row of theirs is of an earlier call
    predicted = Predicted(
        rows=tuple(table.rows[scan.id] for scan in mine.scans if scan.id not in failed),
        skipped=tuple(skipped),
        others=tuple(others),
        missing=tuple(
            scan.id for scan in found.scans if not (part.holds(scan.id) or _is_made(table.rows.get(scan.id), settings))
        ),
    )
    if failures := [*failures, *without_seg]:
        done = len(mine.scans) + len(mine.failures) - len(failures)
        raise CasesFailedError(failures, done=done, result=predicted if predicted.rows else None)
    return predicted


def _segment_all(
    scans: Sequence[Scan], work: ScanWork, table: FolderTable, *, events: Events
) -> tuple[list[str], list[tuple[str, AutosegError]], list[tuple[str, AutosegError]]]:
    """Segment one scan after the other and enter them.

    Returns:
        ids of the scans that were done before; those that failed; and those whose DICOM segmentation alone did.
    """
    skipped: list[str] = []
    failures: list[tuple[str, AutosegError]] = []
    without_seg: list[tuple[str, AutosegError]] = []
    lanes = Lanes(work, lanes=work.at_once)
    with events.track(BAR, total=len(scans), unit="scans") as progress:
        for scan, outcome in zip(scans, lanes.outcomes(scans), strict=True):
            try:
                done = _result_of(scan, outcome, work=work, lanes=lanes, events=events)
                if isinstance(done, PredictionRow):
                    table.found_whole(scan.id)
                    skipped.append(scan.id)
                elif (error := _write(done, work, table)) is not None:
                    events.warn(f"{scan.id}: {error}")
                    without_seg.append((scan.id, error))
                elif isinstance(done, LacksSeg):
                    skipped.append(scan.id)
            except (SystemFailureError, WorkspaceError):
                raise  # a full disk concerns every scan, and so does a folder that another process has taken over
            except AutosegError as error:
                _tell_failure(scan.id, error, table.rows, events=events)
                failures.append((scan.id, error))
            progress.advance(1, scan=scan.id)
    return skipped, failures, without_seg


def _result_of(
    scan: Scan, outcome: Callable[[], Outcome], *, work: ScanWork, lanes: Lanes[Scan, Outcome], events: Events
) -> PredictionRow | LacksSeg | SegmentedScan:
    """Take what came of a scan, and say what was said; gives the row of an earlier call where that had segmented it."""
    taken = outcome()
    if isinstance(taken.result, MemoryLimitError) and work.at_once > 1:
        with lanes.alone():
            taken = work.alone(scan)
    taken.messages.pass_on(events)
    if isinstance(taken.result, AutosegError):
        raise taken.result
    return taken.result


def _write(done: LacksSeg | SegmentedScan, work: ScanWork, table: FolderTable) -> AutosegError | None:
    """Write what was found in a scan, or what it lacks, and enter it; gives why it has no DICOM segmentation.

    Without one it is entered, too: its label map is there.
    """
    scan, failure = done.scan, None
    if not work.results.force:  # somebody may have corrected it meanwhile
        protect_results(work, [scan], predicted=isinstance(done, SegmentedScan))
    table.begin(scan.id)
    row, labels = (done.row, None) if isinstance(done, LacksSeg) else (work.write(done), done.found.labels)
    if work.results.wants_seg(scan):
        try:
            row = work.add_seg(scan, row, labels)
        except AutosegError as error:
            failure = error
    table.add(row)
    if isinstance(failure, SystemFailureError):
        raise failure
    return failure


def _tell_of_other_models(
    rows: Mapping[str, PredictionRow],
    found: FoundScans,
    mine: FoundScans,
    settings: PredictionSettings,
    results: Results,
    *,
    events: Events,
) -> list[PredictionRow]:
    """Say which results stem from other models or settings: those that stay, which come back, and those made again."""
    different = [row for row in rows.values() if not settings.made(row)]
    wanted, own = ({scan.id for scan in scans} for scans in (found.scans, mine.scans))
    staying = [row for row in different if row.case not in wanted]
    if again := sum(row.case in own for row in different):
        events.info(f"segmenting {counted(again, 'scan')} again, segmented with other models or settings before")
    if staying:
        events.warn(
            f"{results.table} holds {counted(len(staying), 'other scan')} segmented with other models or settings (column "
            f"model): {some([row.case for row in staying])}. Segment them again, too, or choose another output folder"
        )
    return staying


def _tell_of_calibration(
    skipped: Sequence[str], rows: Mapping[str, PredictionRow], settings: PredictionSettings, *, events: Events
) -> None:
    """Say which results of earlier calls were not judged by what judges the others."""
    before = [scan_id for scan_id in skipped if not settings.judged(rows[scan_id])]
    if before and settings.calibration_sha256:
        events.info(
            f"{some(before)}: segmented before this selection was made, which has therefore marked none of them as probably "
            "bad. --force segments them again"
        )


def _is_made(row: PredictionRow | None, settings: PredictionSettings) -> bool:
    return row is not None and settings.made(row)


def _tell_failure(scan_id: str, error: AutosegError, rows: Mapping[str, PredictionRow], *, events: Events) -> None:
    stays = " The result of an earlier call stays as it was." if scan_id in rows else ""
    events.warn(f"{scan_id}: {error}{stays}")


def _refuse_model(failures: Sequence[tuple[str, AutosegError]], scans: Sequence[Scan]) -> None:
    """Say that it is the model, or the memory it may take, where no scan at all can be segmented with it."""
    refused = [error for _, error in failures if isinstance(error, MemoryLimitError)]
    if refused and len(refused) == len(failures) == len(scans):
        raise refused[0]


def _tell_of_other_formats(results: Results, found: FoundScans, *, events: Events) -> None:
    """Say which scans get no DICOM segmentation, because they are no DICOM series; where none is one, refuse."""
    others = [scan.id for scan in found.scans if not scan.series]
    if results.write_seg is None or not others:
        return
    if len(others) == len(found.scans) and not found.failures:
        raise UsageError(
            "DICOM segmentations are asked for, and no scan is a DICOM series",
            found=some(others),
            remedy="Leave out --dicom-seg, or give the DICOM files that the scans were made from.",
        )
    events.info(f"{some(others)}: no DICOM series, so there is a label map only")
