"""A folder of results: label maps, what was asked for beside them, and a table that says what was made from what.

The table is written after each scan. Label maps that differ from what it says were corrected by hand, or are none of ours,
and are not replaced unless asked for.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.catalogue import NotFinite
from autoseg.data.naming import some
from autoseg.errors import AutosegError, CasesFailedError, MemoryLimitError, SystemFailureError, UsageError
from autoseg.events import Events
from autoseg.formats import IMAGE_SUFFIXES
from autoseg.inference.lanes import Lanes
from autoseg.inference.one_scan import PENDING, Outcome, ScanWork
from autoseg.inference.output_folder import Results, remove
from autoseg.inference.prediction_settings import PredictionSettings
from autoseg.inference.scans import FoundScans, Scan
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.table import PredictionRow, read_table, write_table
from autoseg.storage import files
from autoseg.storage.locks import lock


@dataclass(frozen=True)
class Predicted:
    """What a folder of results holds of the scans asked for.

    Attributes:
        rows: every scan with its volumes.
        skipped: ids of the scans that an earlier call had segmented with the same models and settings.
        others: rows of other scans, made with other models or settings.
    """

    rows: tuple[PredictionRow, ...]
    skipped: tuple[str, ...]
    others: tuple[PredictionRow, ...]


def predict_scans(
    found: FoundScans,
    segmenter: Segmenter,
    results: Results,
    *,
    not_finite: NotFinite | None,
    events: Events,
    at_once: int = 1,
    replicas: Sequence[Segmenter] = (),
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

    Raises:
        CasesFailedError: some scans could not be segmented.
        MemoryLimitError: none of the scans can be segmented within the memory that is allowed.
        SystemFailureError: results cannot be written; those written before are whole.
        UsageError: the results would replace scans, or label maps that are not autoseg's or were changed since.
        WorkspaceError: another process writes to the same folder.
    """
    found.passed_over.tell(events)
    _protect_inputs(results, found.scans)
    classes = segmenter.ensemble.data.classes
    settings = PredictionSettings(segmenter, not_finite or segmenter.ensemble.not_finite)
    wanted = {scan.id for scan in found.scans}
    with lock(results.folder / ".lock"):
        rows = read_table(results.table, classes=classes)
        if not results.force:
            _protect_results(results, found.scans, rows)
        others = _tell_of_other_models(rows, wanted, settings, results, events=events)
        skipped: list[str] = []
        failures: list[tuple[str, AutosegError]] = list(found.failures)
        for scan_id, error in failures:
            _tell_failure(scan_id, error, rows, events=events)
        at_once = 1 if results.probabilities else at_once
        work = ScanWork(settings, results, rows, events, at_once=at_once, replicas=tuple(replicas))
        lanes = Lanes(work, lanes=work.at_once)
        with events.track("predicting", total=len(found.scans), unit="scans") as progress:
            for scan, outcome in zip(found.scans, lanes.outcomes(found.scans), strict=True):
                try:
                    row = _row_of(scan, outcome, work=work, lanes=lanes, events=events)
                except SystemFailureError:
                    raise  # a full disk concerns every scan
                except AutosegError as error:
                    _tell_failure(scan.id, error, rows, events=events)
                    failures.append((scan.id, error))
                else:
                    if row is rows.get(scan.id):
                        skipped.append(scan.id)
                    else:
                        rows[scan.id] = row
                        write_table(results.table, list(rows.values()), classes=classes)
                progress.advance(1, scan=scan.id)
        remove([results.folder / PENDING])
    before = [scan_id for scan_id in skipped if not settings.judged(rows[scan_id])]
    if before and settings.calibration_sha256:
        events.info(
            f"{some(before)}: segmented before this selection was made, which has therefore marked none of them as probably "
            "bad. --force segments them again"
        )
    if failures:
        _refuse_model(failures, found.scans)
        raise CasesFailedError(failures, done=len(found.scans) + len(found.failures) - len(failures))
    return Predicted(
        rows=tuple(row for row in rows.values() if row.case in wanted), skipped=tuple(skipped), others=tuple(others)
    )


def _row_of(
    scan: Scan, outcome: Callable[[], Outcome], *, work: ScanWork, lanes: Lanes[Scan, Outcome], events: Events
) -> PredictionRow:
    """Take what came of a scan, say what was said, and write what was found; gives the row of an earlier call itself."""
    taken = outcome()
    if isinstance(taken.result, MemoryLimitError) and work.at_once > 1:
        with lanes.alone():
            taken = work.alone(scan)
    taken.messages.pass_on(events)
    if isinstance(taken.result, AutosegError):
        raise taken.result
    return taken.result if isinstance(taken.result, PredictionRow) else work.write(taken.result)


def _tell_of_other_models(
    rows: Mapping[str, PredictionRow],
    wanted: Collection[str],
    settings: PredictionSettings,
    results: Results,
    *,
    events: Events,
) -> list[PredictionRow]:
    """Say which results stem from other models or settings: those that stay, which come back, and those made again."""
    different = [row for row in rows.values() if not settings.made(row)]
    staying = [row for row in different if row.case not in wanted]
    if again := len(different) - len(staying):
        events.info(f"{again} scan(s) had been segmented with other models or settings, and are segmented again")
    if staying:
        events.warn(
            f"{results.table} holds {len(staying)} other scan(s) that were segmented with other models or settings (column "
            f"model): {some([row.case for row in staying])}. Segment them again, too, or choose another output folder"
        )
    return staying


def _tell_failure(scan_id: str, error: AutosegError, rows: Mapping[str, PredictionRow], *, events: Events) -> None:
    stays = " The result of an earlier call stays as it was." if scan_id in rows else ""
    events.warn(f"{scan_id}: {error}{stays}")


def _refuse_model(failures: Sequence[tuple[str, AutosegError]], scans: Sequence[Scan]) -> None:
    """Say that it is the model, or the memory it may take, where no scan at all can be segmented with it."""
    refused = [error for _, error in failures if isinstance(error, MemoryLimitError)]
    if refused and len(refused) == len(failures) == len(scans):
        raise refused[0]


def _protect_results(results: Results, scans: Sequence[Scan], rows: Mapping[str, PredictionRow]) -> None:
    """Refuse to replace label maps that were corrected by hand, or are none of ours."""
    pending = _pending_case(results.folder)
    foreign = [
        output
        for scan in scans
        if (output := results.label_map(scan.id)).exists()
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
    path = folder / PENDING
    if not path.exists():
        return None
    document = files.read_json(path, remedy="Delete this file.")
    return document.get("case") if isinstance(document, dict) else None


def _protect_inputs(results: Results, scans: Sequence[Scan]) -> None:
    """Refuse to write over the scans themselves."""
    outputs = {results.label_map(scan.id).resolve() for scan in scans}
    endangered = [path for scan in scans for path in scan.images if path.resolve() in outputs]
    if endangered:
        raise UsageError(
            "the results would replace the scans",
            where=endangered[0],
            remedy=f"Choose another output folder (scans end in one of {', '.join(IMAGE_SUFFIXES[:3])}, ...).",
        )
