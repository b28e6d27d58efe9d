"""`autoseg predict`: segment scans with what was selected, or else with everything trained so far."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoseg.commands.predict.options import PredictOptions
from autoseg.errors import CasesFailedError, UsageError
from autoseg.events import Events
from autoseg.jobs.work import Executor
from autoseg.options.command import Command, Output, function
from autoseg.results import Records
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.inference.part import Part
    from autoseg.inference.segmenter import Segmenter
    from autoseg.inference.table import PredictionRow
    from autoseg.model.compute import Compute
    from autoseg.runs.source_checksums import SourceChecksums

__all__ = ["COMMAND", "PredictOptions", "PredictResult", "describe", "predict", "run"]

CHECKSUMS: Final = ".checksums.json"
"""In a folder of results: the scans' checksums, by which they are not hashed again while they are unchanged."""


@dataclass(frozen=True, repr=False)
class PredictResult(Records):
    """What prediction made.

    Attributes:
        models: names of the models that were averaged.
        rows: every scan with its volumes.
        table: the CSV file that holds them.
        skipped: ids of the scans that an earlier call had segmented with the same models and settings.
        others: rows of the table that are about other scans and stem from other models or settings.
        part: the part of the scans that this is about, as in 2/8; None: all of them.
        missing: ids of the scans of other parts that are not in the table yet.
    """

    models: tuple[str, ...]
    rows: "tuple[PredictionRow, ...]"
    table: Path
    skipped: tuple[str, ...]
    others: "tuple[PredictionRow, ...]" = ()
    part: str | None = None
    missing: tuple[str, ...] = ()

    def _in_short(self) -> str:
        return f"{counted(len(self.rows), 'scan')} by {', '.join(self.models)}; {self.table}"

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per scan, with the volume and the probable Dice of every class."""
        return [
            {
                "case": row.case,
                **{f"{name}_ml": volume for name, volume in row.volumes_ml.items()},
                **{f"{name}_predicted_dice": dice for name, dice in row.predicted_dice.items()},
                "warnings": row.warnings,
            }
            for row in self.rows
        ]


def run(options: PredictOptions, events: Events) -> PredictResult:
    """Segment every scan of a file or folder; a bad one is reported and the others go on.

    Raises:
        CasesFailedError: some scans could not be segmented; its `result` holds the others.
        MemoryLimitError: the model, or every scan with it, takes more memory than is allowed.
        SystemFailureError: results cannot be written; those written before are whole.
        UsageError: the scans are files of a workspace or results; the results would replace scans, or label maps that are
            not autoseg's or were changed since, or would lie among the files of a workspace; other parts are segmented with
            other models or settings; DICOM segmentations are asked for and cannot be written.
        WorkspaceError: another process segments the same scans into this folder.
    """
    from autoseg.catalogue.extras import require_extra
    from autoseg.jobs.executors import open_executor
    from autoseg.runs.found import refuse_results_in, refuse_scans_in, workspace_folder
    from autoseg.storage.files import explain_os_errors, require_writable

    if options.dicom_seg:
        require_extra("dicom-seg", "DICOM segmentations")
    refuse_scans_in(options.source)
    refuse_results_in(options.target)
    require_writable(options.target)
    if options.model is None:
        workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded
    if options.executor == "local" and options.jobs in {"auto", 1}:
        return _predict_here(options, events)
    if options.part is not None:
        raise UsageError("one part is named, and all are asked for", remedy="Leave out --part, or --jobs and --executor.")
    with explain_os_errors(options.target):
        options.target.mkdir(parents=True, exist_ok=True)
    with open_executor(options, folder=options.target, events=events) as executor:
        return _predict_in_parts(options, executor, events)


def _predict_in_parts(options: PredictOptions, executor: Executor, events: Events) -> PredictResult:
    """Have an executor segment the scans, part by part."""
    from autoseg.catalogue import DeviceChoice
    from autoseg.inference.output_folder import Results
    from autoseg.inference.scans import find_scans
    from autoseg.inference.side_by_side import segment_parts
    from autoseg.jobs.machine import usable_cores
    from autoseg.model.compute import choose_computes
    from autoseg.runs.run import limit_threads

    segmenter = _segmenter(options, choose_computes(DeviceChoice(("cpu",)), "float32")[0], events)  # to know the scans by
    names = segmenter.ensemble.data.channels
    found = find_scans(options.source, channels=len(names), names=names, results=options.target)
    share = max(1, usable_cores() // executor.tasks) if executor.is_local else None

    def together(results: Sequence[PredictResult]) -> PredictResult:
        rows = {row.case: row for result in results for row in result.rows}
        wanted = {scan.id for scan in found.scans}
        others = {row.case: row for result in results for row in result.others if row.case not in wanted}
        return PredictResult(
            segmenter.ensemble.names,
            tuple(rows[scan.id] for scan in found.scans if scan.id in rows),
            Results(options.target).table,
            tuple(sorted(case for result in results for case in result.skipped)),
            tuple(others.values()),
        )

    try:
        return together(
            segment_parts(
                found, partial(_predict_part, options), executor, initialise=partial(limit_threads, share), events=events
            )
        )
    except CasesFailedError as failed:
        failed.result = together(failed.result) if failed.result else None
        raise


def _predict_part(options: PredictOptions, part: "Part", *, events: Events, started: float, slot: int) -> PredictResult:  # noqa: ARG001 - every run is told
    """Segment a part of the scans in this process."""
    return _predict_here(replace(options, part=str(part)), events)


def _predict_here(options: PredictOptions, events: Events) -> PredictResult:
    """Segment scans in this process."""
    from autoseg.commands.predict.results import results_of
    from autoseg.inference.lanes import scans_at_once
    from autoseg.inference.part import WHOLE, parse_part
    from autoseg.inference.results import Predicted, predict_scans
    from autoseg.inference.scans import find_scans
    from autoseg.model.compute import choose_computes, sharing_cores
    from autoseg.runs.source_checksums import SourceChecksums

    part = WHOLE if options.part is None else parse_part(options.part)
    # Unless GPUs are named one by one, the first is enough: it waits for what surrounds its work.
    present = choose_computes(options.device, options.precision)
    computes = present if options.device.is_list else present[:1]
    segmenter = _segmenter(options, computes[0], events)
    names = segmenter.ensemble.data.channels
    found = find_scans(options.source, channels=len(names), names=names, results=options.target)
    results = results_of(options)
    known = SourceChecksums(options.target / CHECKSUMS, verify=options.verify)
    of = None if part.is_whole else str(part)

    def told(made: Predicted) -> PredictResult:
        return PredictResult(segmenter.ensemble.names, made.rows, results.table, made.skipped, made.others, of, made.missing)

    try:
        with sharing_cores(computes), _stored(known):
            return told(
                predict_scans(
                    found,
                    segmenter,
                    results,
                    not_finite=options.not_finite,
                    events=events,
                    at_once=scans_at_once(computes),
                    replicas=[segmenter.on(compute) for compute in computes[1:]],
                    part=part,
                    checksum=known.of,
                )
            )
    except CasesFailedError as failed:
        failed.result = told(failed.result) if failed.result else None
        raise


@contextmanager
def _stored(known: "SourceChecksums") -> Iterator[None]:
    """Store, however the block ends, what was remembered in it."""
    try:
        yield
    finally:
        known.store()


def _segmenter(options: PredictOptions, compute: "Compute", events: Events) -> "Segmenter":
    from autoseg.exporting.segmenter import exported_segmenter
    from autoseg.inference.memory import MEMORY_GB
    from autoseg.postprocessing.in_use import workspace_segmenter
    from autoseg.runs.workspace import find_workspace

    memory_gb = options.memory_gb or MEMORY_GB
    if options.model is None:
        workspace = find_workspace(options.workspace)
        return workspace_segmenter(workspace, compute=compute, mirror=options.mirror, memory_gb=memory_gb, events=events)
    if options.workspace is not None:
        raise UsageError("both a workspace and an exported model are given", remedy="Choose one of them.")
    return exported_segmenter(options.model, compute=compute, mirror=options.mirror, memory_gb=memory_gb, events=events)


def describe(result: PredictResult) -> Output:
    """The scans with their volumes."""
    from autoseg.evaluation.formatting import volume

    lines = []
    for row in result.rows:
        volumes = ", ".join(f"{name} {volume(ml)} ml" for name, ml in row.volumes_ml.items())
        predicted = ", ".join(f"{name} {dice:.2f}" for name, dice in row.predicted_dice.items())
        lines.append(f"{row.case}: {volumes}" + (f"; probable Dice: {predicted}" if predicted else ""))
        lines += [f"  doubtful: {row.warnings}"] if row.warnings else []
    if result.skipped:
        lines.append(f"{counted(len(result.skipped), 'scan')} had been segmented before and stayed unchanged")
    if result.part is not None:
        left = f"{len(result.missing)} of the other parts {'is' if len(result.missing) == 1 else 'are'} missing"
        missing = left if result.missing else "all others are there, too"
        lines.append(f"Part {result.part}: {counted(len(result.rows), 'scan')}; {missing}")
    others = f", which also holds {counted(len(result.others), 'scan')} of other models or settings" if result.others else ""
    lines.append(f"Wrote {result.table}{others}")
    document = {
        "models": list(result.models),
        "table": str(result.table),
        "skipped": list(result.skipped),
        "part": result.part,
        "missing": list(result.missing),
        "other_models": {row.case: row.model or row.model_digest for row in result.others},
        "cases": [
            {
                "case": row.case,
                "volumes_ml": dict(row.volumes_ml),
                "predicted_dice": dict(row.predicted_dice),
                "warnings": row.warnings,
            }
            for row in result.rows
        ],
    }
    return Output("\n".join(lines), document)


predict = function(PredictOptions, run)
COMMAND = Command(PredictOptions, run, describe, example="autoseg predict new_scans/ results/ --probabilities")
