"""`autoseg evaluate`: compare label maps with references, in numbers and pictures."""

from dataclasses import dataclass
from pathlib import Path

from autoseg.commands.choices import Choices, Processes
from autoseg.data.dataset import LabelClass
from autoseg.errors import AutosegError, CasesFailedError, DatasetError, WorkspaceError
from autoseg.evaluation.cases import Evaluation, evaluate_folders
from autoseg.evaluation.tables import METRICS_FILE, SUMMARY_FILE, Summary, write_scores
from autoseg.events import Events
from autoseg.reporting.figures import draw_bars
from autoseg.runs.workspace import find_workspace


class EvaluateConfig(Choices):
    """What the user chose for evaluation.

    Attributes:
        predictions: label maps to judge, a file or a folder.
        references: label maps to compare with.
        output: where tables and plots go; None: `evaluation/` beside the predictions.
        workspace: takes class names from this workspace; None: from the only one under `runs/`, if there is one.
        jobs: processes that compare.
    """

    predictions: Path
    references: Path
    output: Path | None = None
    workspace: Path | None = None
    jobs: Processes = 1


@dataclass(frozen=True)
class EvaluateResult:
    """What evaluation made."""

    evaluation: Evaluation
    summary: Summary
    written: tuple[Path, ...]


def run(config: EvaluateConfig, events: Events) -> EvaluateResult:
    """Score every pair of label maps.

    Raises:
        CasesFailedError: some pairs could not be compared or some files have no partner; the others are written.
    """
    evaluation = evaluate_folders(
        config.predictions, config.references, classes=_classes(config, events), events=events, jobs=config.jobs
    )
    output = config.output or _beside(config.predictions)
    summary = write_scores(output, evaluation.cases)
    written = (output / METRICS_FILE, output / SUMMARY_FILE, *_draw(evaluation, output))
    failures = [*evaluation.failures, *_unpaired(evaluation)]
    if failures:
        raise CasesFailedError(failures, done=len(evaluation.cases))
    return EvaluateResult(evaluation, summary, written)


def _beside(predictions: Path) -> Path:
    return (predictions if predictions.is_dir() else predictions.parent) / "evaluation"


def _classes(config: EvaluateConfig, events: Events) -> tuple[LabelClass, ...] | None:
    """Class names of the workspace meant; None where none was chosen and none is there."""
    try:
        workspace = find_workspace(config.workspace)
        classes = workspace.plan().data.classes
    except WorkspaceError:
        if config.workspace is not None:
            raise
        return None
    if config.workspace is None:
        events.info(f"classes are those of {workspace.root}; choose another with --workspace")
    return classes


def _draw(evaluation: Evaluation, output: Path) -> tuple[Path, ...]:
    """Bar plots of Dice and Hausdorff distance by class, as the paper's figure 2."""
    if not evaluation.cases:
        return ()
    titles = {"dice": "Dice", "hausdorff_mm": "Hausdorff distance (mm)"}
    paths = []
    for metric, title in titles.items():
        values: dict[str, list[float]] = {}
        for case in evaluation.cases:
            for scores in case.classes:
                values.setdefault(scores.name, []).append(getattr(scores, metric))
        path = output / f"{metric}.png"
        draw_bars({"predictions": values}, path, label=title)
        paths.append(path)
    return tuple(paths)


def _unpaired(evaluation: Evaluation) -> list[tuple[str, AutosegError]]:
    remedy = "Give both files the same name, or <id> and <id>_seg, or move what should not be compared."
    return [
        (path.name, DatasetError("has no partner to compare with", where=path, remedy=remedy))
        for path in evaluation.unpaired
    ]
