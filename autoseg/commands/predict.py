"""`autoseg predict`: segment scans with what was selected, or else with everything trained so far."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.catalogue import DeviceChoice, NotFinite, PrecisionChoice
from autoseg.commands.choices import Choices
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.exporting.segmenter import exported_segmenter
from autoseg.inference.results import Results, predict_scans
from autoseg.inference.scans import find_scans
from autoseg.inference.segmenter import Segmenter
from autoseg.inference.table import PredictionRow
from autoseg.model.compute import Compute, choose_compute
from autoseg.postprocessing.in_use import workspace_segmenter
from autoseg.reporting.case_image import draw_case
from autoseg.runs.workspace import find_workspace


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
    results = Results(
        config.target,
        probabilities=config.probabilities,
        uncertainty=config.uncertainty,
        draw=draw_case if config.pictures else None,
        force=config.force,
    )
    predicted = predict_scans(found, segmenter, results, not_finite=config.not_finite, events=events)
    return PredictResult(segmenter.ensemble.names, predicted.rows, results.table, predicted.skipped)


def _segmenter(config: PredictConfig, compute: Compute, events: Events) -> Segmenter:
    if config.model is None:
        workspace = find_workspace(config.workspace)
        return workspace_segmenter(workspace, compute=compute, mirror=config.mirror, events=events)
    if config.workspace is not None:
        raise UsageError("both a workspace and an exported model are given", remedy="Choose one of them.")
    return exported_segmenter(config.model, compute=compute, mirror=config.mirror, events=events)
