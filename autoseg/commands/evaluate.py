"""`autoseg evaluate`: compare label maps with references, in numbers and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoseg.errors import CasesFailedError, WorkspaceError
from autoseg.events import Events
from autoseg.jobs.work import ExecutorName
from autoseg.options.command import Command, Output, function
from autoseg.options.declaration import Jobs, OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import EXECUTOR, JOBS, SCHEDULER, SLURM_SETTINGS
from autoseg.results import Records

if TYPE_CHECKING:
    from autoseg.data.dataset import LabelClass
    from autoseg.evaluation.cases import Evaluation
    from autoseg.evaluation.score_table import ScoreTable
    from autoseg.evaluation.tables import Summary


class EvaluateOptions(Options):
    """Compare label maps with references: Dice, Hausdorff distances and volumes per case and class."""

    predictions: PathOption = argument("Label maps to judge: a file or a folder.")
    references: PathOption = argument("Label maps to compare with, called <id> or <id>_seg.")
    _: KW_ONLY
    output: OptionalPath = option(
        "Folder of tables and plots; default: PREDICTIONS/evaluation.", "--output", "-o", default=None, metavar="DIR"
    )
    workspace: OptionalPath = option(
        "Takes class names from this workspace; default: from the only one under runs/, if there is one.",
        "--workspace",
        "-w",
        default=None,
        metavar="DIR",
    )
    jobs: Jobs = option(JOBS, default=1)
    executor: ExecutorName = option(EXECUTOR, default="local")
    scheduler: str | None = option(SCHEDULER, default=None)
    slurm_settings: OptionalPath = option(SLURM_SETTINGS, default=None)


@dataclass(frozen=True, repr=False)
class EvaluateResult(Records):
    """What evaluation made."""

    evaluation: "Evaluation"
    summary: "Summary"
    written: tuple[Path, ...]

    def _in_short(self) -> str:
        from autoseg.evaluation.formatting import number

        return f"{len(self.evaluation.cases)} case(s), mean Dice {number(self.summary.mean['dice'], 4)}"

    def _tables(self) -> "Sequence[ScoreTable]":
        from autoseg.evaluation.score_table import score_table

        return (score_table(self.summary, title=f"Mean over {len(self.evaluation.cases)} case(s)"),)

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per case and class with every metric."""
        from autoseg.metrics.table import METRICS

        return [
            {"case": case.id, "class": label.name, "value": label.value, **{name: label.number(name) for name in METRICS}}
            for case in self.evaluation.cases
            for label in case.classes
        ]


def run(options: EvaluateOptions, events: Events) -> EvaluateResult:
    """Score every pair of label maps.

    Raises:
        CasesFailedError: some pairs could not be compared or some files have no partner; the others are written.
    """
    classes = _classes(options, events)  # a wrong workspace is told before the rest is loaded

    from autoseg.evaluation.cases import evaluate_folders
    from autoseg.evaluation.tables import METRICS_FILE, SUMMARY_FILE, write_scores
    from autoseg.inference.origins import warn_of_origins
    from autoseg.jobs.executors import open_executor
    from autoseg.reporting.figures import draw_evaluation

    with open_executor(options, folder=options.predictions, write=False, events=events) as jobs:
        evaluation = evaluate_folders(options.predictions, options.references, classes=classes, events=events, jobs=jobs)
    warn_of_origins((pair.prediction for pair in evaluation.pairing.pairs), events)
    output = options.output or _beside(options.predictions)
    summary = write_scores(output, evaluation.cases)
    written = (output / METRICS_FILE, output / SUMMARY_FILE, *draw_evaluation(evaluation.cases, output))
    if evaluation.problems:
        raise CasesFailedError(evaluation.problems, done=len(evaluation.cases))
    return EvaluateResult(evaluation, summary, written)


def _beside(predictions: Path) -> Path:
    return (predictions if predictions.is_dir() else predictions.parent) / "evaluation"


def _classes(options: EvaluateOptions, events: Events) -> "tuple[LabelClass, ...] | None":
    """Class names of the workspace meant; None where none was chosen and none is there."""
    from autoseg.runs.found import workspace_folder

    try:
        folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

        from autoseg.runs.workspace import Workspace

        workspace = Workspace(folder)
        classes = workspace.plan().data.classes
    except WorkspaceError:
        if options.workspace is not None:
            raise
        return None
    if options.workspace is None:
        events.info(f"classes are those of {workspace.root}; choose another with --workspace")
    return classes


def describe(result: EvaluateResult) -> Output:
    """The scores and the files that hold them all."""
    from autoseg.evaluation.score_lines import score_lines
    from autoseg.evaluation.tables import summary_document

    lines = [f"{len(result.evaluation.cases)} cases", *score_lines(result.summary)]
    lines += [f"Wrote {path}" for path in result.written]
    document = {"summary": summary_document(result.summary), "written": [str(path) for path in result.written]}
    return Output("\n".join(lines), document)


evaluate = function(EvaluateOptions, run)
COMMAND = Command(EvaluateOptions, run, describe, example="autoseg evaluate results/ references/")
