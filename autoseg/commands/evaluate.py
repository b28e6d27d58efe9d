"""`autoseg evaluate`: compare label maps with references, in numbers and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoseg.errors import CasesFailedError, UsageError, WorkspaceError
from autoseg.events import Events
from autoseg.jobs.work import ExecutorName
from autoseg.options.command import Command, Output, Table, function
from autoseg.options.declaration import Jobs, OptionalPath, Options, PathOption, argument, option
from autoseg.options.shared import EXECUTOR, IGNORE, JOBS, SCHEDULER, SLURM_SETTINGS, TOLERANCE
from autoseg.results import Records
from autoseg.wording import counted_of

if TYPE_CHECKING:
    from autoseg.evaluation.cases import Tolerances
    from autoseg.evaluation.folders import Evaluation
    from autoseg.evaluation.score_table import ScoreTable
    from autoseg.evaluation.tables import Summary
    from autoseg.planning.plan import Plan
    from autoseg.runs.workspace import Workspace


class EvaluateOptions(Options):
    """Compare label maps with references: Dice, surface Dice, surface distances and volumes per case and class."""

    predictions: PathOption = argument("Label maps to judge: a file or a folder.")
    references: PathOption = argument("Label maps to compare with, called <id> or <id>_seg.")
    _: KW_ONLY
    output: OptionalPath = option(
        "Folder of tables and plots; default: PREDICTIONS/evaluation.", "--output", "-o", default=None, metavar="DIR"
    )
    workspace: OptionalPath = option(
        "Takes class names and tolerances from this workspace; default: from the only one under runs/, if there is one.",
        "--workspace",
        "-w",
        default=None,
        metavar="DIR",
    )
    tolerance: float | None = option(TOLERANCE, default=None)
    ignore: int | None = option(IGNORE, default=None)
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

        return f"{self._counted}, mean Dice {number(self.summary.mean['dice'], 4)}"

    @property
    def _counted(self) -> str:
        """How many cases were scored, and of how many where that is not all."""
        return counted_of(len(self.evaluation.cases), self.evaluation.references, "case")

    @property
    def table(self) -> "ScoreTable":
        """The metrics of tables for every class and on average."""
        from autoseg.evaluation.score_table import score_table

        return score_table(self.summary, title=f"Mean +- standard deviation over {self._counted}")

    def _tables(self) -> "Sequence[ScoreTable]":
        return (self.table,)

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
        CasesFailedError: some pairs could not be compared or some files have no partner; the others are written, and its
            `result` holds them.
    """
    workspace, plan = _planned(options, events) or (None, None)  # a wrong workspace is told before the rest is loaded

    from autoseg.data.dataset import refuse_ignored_background
    from autoseg.evaluation.folders import evaluate_folders
    from autoseg.evaluation.judged_files import write_judged
    from autoseg.evaluation.tables import METRICS_FILE, SUMMARY_FILE, write_scores
    from autoseg.inference.origins import warn_of_origins
    from autoseg.jobs.executors import open_executor
    from autoseg.reporting.figures import draw_evaluation
    from autoseg.storage.files import require_writable

    refuse_ignored_background(options.ignore)
    ignore = _ignored(options.ignore, plan)
    output = options.output or _beside(options.predictions)
    require_writable(output)
    with open_executor(options, folder=options.predictions, write=False, events=events) as jobs:
        evaluation = evaluate_folders(
            options.predictions,
            options.references,
            classes=None if plan is None else plan.data.classes,
            tolerances_mm=chosen_tolerances(options.tolerance, plan),
            ignore=ignore,
            events=events,
            jobs=jobs,
        )
    if options.ignore is not None and not evaluation.partial:
        events.warn(f"no voxel of the references has the value {options.ignore}: everything counts as labelled")
    warn_of_origins((pair.prediction for pair in evaluation.pairing.pairs), events)
    if workspace is not None:
        _warn_of_learnt(options.predictions, workspace, events)
    summary = write_scores(output, evaluation.cases, references=evaluation.references)
    write_judged(output, evaluation.judged)
    plots = draw_evaluation(evaluation.cases, output, references=evaluation.references)
    result = EvaluateResult(evaluation, summary, (output / METRICS_FILE, output / SUMMARY_FILE, *plots))
    if evaluation.problems:
        others = "The scores are of the others alone. " if evaluation.cases else ""
        raise CasesFailedError(
            evaluation.problems,
            done=len(evaluation.cases),
            result=result if evaluation.cases else None,
            remedy=f"{others}Fix the listed cases and run the same command again.",
        )
    return result


def _warn_of_learnt(predictions: Path, workspace: "Workspace", events: Events) -> None:
    """Say where models of the workspace made label maps of cases that they had learnt from."""
    from autoseg.inference.origins import rows_beside

    if predictions.is_dir() and rows_beside(predictions):  # results of `predict`; only then torch is worth loading
        from autoseg.postprocessing.learnt import learnt_warnings

        for warning in learnt_warnings({str(predictions): predictions}, {workspace.root: workspace}):
            events.warn(warning)


def _beside(predictions: Path) -> Path:
    from autoseg.evaluation.tables import EVALUATION_FOLDER

    return (predictions if predictions.is_dir() else predictions.parent) / EVALUATION_FOLDER


def _ignored(asked: int | None, plan: "Plan | None") -> int | None:
    """The value of voxels without a label in the references: the one asked for, else the plan's.

    Raises:
        UsageError: it is the value of a class.
    """
    from autoseg.data.dataset import names_by_value

    if plan is None or asked is None:
        return asked if plan is None else plan.data.ignore
    if (name := names_by_value(plan.data.classes).get(asked)) is not None:
        raise UsageError(f"is the value of a class, {name}", where=f"--ignore {asked}", remedy="Give another value.")
    return asked


def chosen_tolerances(asked_mm: float | None, plan: "Plan | None") -> "Tolerances":
    """Tolerances of the normalised surface Dice: the one asked for, else the plan's, else the default."""
    from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM

    if asked_mm is not None:
        return asked_mm
    return DEFAULT_TOLERANCE_MM if plan is None else plan.tolerances_mm


def _planned(options: EvaluateOptions, events: Events) -> "tuple[Workspace, Plan] | None":
    """The workspace meant and its plan; None where none was chosen and none is there."""
    from autoseg.runs.found import workspace_folder

    try:
        folder = workspace_folder(options.workspace)  # a wrong name is told before the rest is loaded

        from autoseg.runs.workspace import Workspace

        workspace = Workspace(folder)
        plan = workspace.plan()
    except WorkspaceError:
        if options.workspace is not None:
            raise
        return None
    if options.workspace is None:
        events.info(f"classes and tolerances are those of {workspace.root}; choose another with --workspace")
    return workspace, plan


def describe(result: EvaluateResult) -> Output:
    """The scores and the files that hold them all."""
    from autoseg.evaluation.tables import summary_document

    table = result.table
    lines = [f"Wrote {path}" for path in result.written]
    document = {"summary": summary_document(result.summary), "written": [str(path) for path in result.written]}
    return Output("\n".join(lines), document, [Table(table.title, table.columns, table.rows)])


evaluate = function(EvaluateOptions, run)
COMMAND = Command(EvaluateOptions, run, describe, example="autoseg evaluate results/ references/")
