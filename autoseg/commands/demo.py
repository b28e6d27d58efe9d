"""`autoseg demo`: the whole story on a synthetic cohort, in a folder of its own."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autoseg import catalogue
from autoseg.commands import evaluate, export, plan, predict, preprocess, report, select, train
from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.options.command import Command, Output
from autoseg.options.declaration import DeviceOption, Jobs, Options, PathOption, option
from autoseg.options.shared import DEVICE, JOBS, PLANES, SEED

if TYPE_CHECKING:
    from autoseg.exporting.export import ExportResult
    from autoseg.reporting.report import ReportResult

_MARK = ".autoseg-demo"


class DemoOptions(Options):
    """Run the whole story on a synthetic cohort, from plan to report and export; minutes on a laptop."""

    architecture: catalogue.Architecture = option("Network.", "--arch", "-a", default="unet")
    _: KW_ONLY
    folder: PathOption = option("Where everything goes; made again by every call.", default=Path("autoseg-demo"))
    planes: str | Sequence[str] = option(PLANES, default="auto")
    epochs: int = option("Length of the training.", default=12, least=1, most=1_000_000)
    minutes: float = option("Time after which the training ends in any case.", default=5.0, above=0, most=1_000_000)
    seed: int = option(SEED, default=0)
    device: DeviceOption = option(DEVICE, default="auto")
    jobs: Jobs = option(JOBS, default=1)
    open: bool = option("Open the report in the browser.", default=False)


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made."""

    folder: Path
    planned: plan.PlanResult
    trained: train.TrainResult
    selected: select.SelectResult
    predicted: predict.PredictResult
    evaluated: evaluate.EvaluateResult
    reported: "ReportResult"
    exported: "ExportResult"


_STEPS: Final = {
    "cohort": "make {count} synthetic brains in {cohort}, so that no patient's data are needed",
    "plan": "look at the scans and decide everything else by them",
    "train": "train one network on fold 0 and score it on the brains that it has not seen",
    "select": "choose models and postprocessing by these brains",
    "predict": "segment the test scan, with pictures and how sure the network is",
    "evaluate": "compare the predictions with the reference label maps, case by case",
    "report": "draw all of that on one page",
    "export": "put the model into one file to pass on",
}
"""The steps in their order, each with what it does and why."""


def run(options: DemoOptions, events: Events) -> DemoResult:
    """Make a cohort, plan, train one fold, select, predict the test scan, evaluate the held-out cases, report, export.

    Raises:
        WorkspaceError: the folder holds something that is not an earlier demonstration.
    """
    from autoseg.data.phantom import PhantomSettings, write_cohort

    _clear(options.folder)
    cohort, workspace = options.folder / "PHANTOM18", options.folder / "run"
    settings, steps = PhantomSettings(seed=options.seed), _Steps(events)
    steps.begin("cohort", count=settings.training + settings.validation + settings.test, cohort=cohort)
    write_cohort(cohort, settings)
    steps.begin("plan")
    planned = plan.run(
        plan.PlanOptions(cohort, workspace=workspace, planes=options.planes, device=options.device, jobs=options.jobs),
        events,
    )
    for line in _plan_lines(planned):
        events.info(line)
    steps.begin("train")
    preprocess.run(preprocess.PreprocessOptions(workspace, jobs=options.jobs), events)  # the minutes are the training's
    trained = train.run(_training(options, workspace), events)
    steps.begin("select")
    selected = select.run(select.SelectOptions(workspace, jobs=options.jobs), events)
    steps.begin("predict")
    predicted = predict.run(_prediction(options, workspace, scans=cohort / "Test_Set"), events)
    steps.begin("evaluate")
    evaluated = evaluate.run(_evaluation(options, workspace, trained, cohort=cohort), events)
    steps.begin("report")
    reported = report.run(report.ReportOptions(workspace, open=options.open), events)
    steps.begin("export")
    exported = export.run(export.ExportOptions(options.folder / "phantom.autoseg", workspace=workspace), events)
    return DemoResult(options.folder, planned, trained, selected, predicted, evaluated, reported, exported)


class _Steps:
    """Says which step begins."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def begin(self, name: str, **facts: object) -> None:
        """Say what a step does and why."""
        number = list(_STEPS).index(name) + 1
        self._events.info(f"{number}/{len(_STEPS)} {name}: {_STEPS[name].format(**facts)}")


def _plan_lines(planned: plan.PlanResult) -> Iterator[str]:
    """What was decided, in a line each, without the reasons."""
    for table in plan.describe(planned).tables:
        width = max(len(row[0]) for row in table.rows)
        for what, value, *_ in table.rows:
            yield f"    {what:<{width}}  {value}"


def _training(options: DemoOptions, workspace: Path) -> train.TrainOptions:
    return train.TrainOptions(
        options.architecture,
        workspace=workspace,
        epochs=options.epochs,
        minutes=options.minutes,
        seed=options.seed,
        device=options.device,
        jobs=options.jobs,
    )


def _prediction(options: DemoOptions, workspace: Path, *, scans: Path) -> predict.PredictOptions:
    return predict.PredictOptions(
        source=scans,
        target=options.folder / "predictions",
        workspace=workspace,
        device=options.device,
        uncertainty=True,
        pictures=True,
    )


def _evaluation(
    options: DemoOptions, workspace: Path, trained: train.TrainResult, *, cohort: Path
) -> evaluate.EvaluateOptions:
    from autoseg.postprocessing.held_out import folder_of

    predictions = folder_of(trained.models[0].folder)
    return evaluate.EvaluateOptions(
        predictions=predictions,
        references=_references(predictions, cohort, options.folder / "references"),
        output=options.folder / "evaluation",
        workspace=workspace,
        jobs=options.jobs,
    )


def _clear(folder: Path) -> None:
    """Remove an earlier demonstration, and nothing else."""
    from autoseg.storage import files

    if folder.exists() and not (folder / _MARK).exists():
        raise WorkspaceError(
            "exists and is not an earlier demonstration",
            where=folder,
            remedy="Move it away, or run `autoseg demo` in another folder.",
        )
    with files.explain_os_errors(folder):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / _MARK).touch()


def _references(predictions: Path, cohort: Path, target: Path) -> Path:
    """Copies of the held-out cases' reference labels, which are the ones to compare with."""
    target.mkdir()
    for path in sorted(predictions.glob("*.nii.gz")):
        name = path.name.removesuffix(".nii.gz")
        shutil.copy(cohort / "Training_Set" / name / f"{name}_seg.nii.gz", target)
    return target


def describe(result: DemoResult) -> Output:
    """Five lines: a verdict, the Dice of each class, where to look, where everything lies, and what to do next."""
    from autoseg.evaluation.formatting import number

    parts = {
        "plan": plan.describe(result.planned),
        "train": train.describe(result.trained),
        "select": select.describe(result.selected),
        "predict": predict.describe(result.predicted),
        "evaluate": evaluate.describe(result.evaluated),
        "report": report.describe(result.reported),
        "export": export.describe(result.exported),
    }
    judged = result.reported.verdict.classes
    lines = [
        result.reported.verdict.sentence,
        f"Dice over {max(each.cases for each in judged)} held-out cases of {result.reported.verdict.scores_of}: "
        + ", ".join(f"{each.name} {number(each.mean, 3)}" for each in judged),
        f"Report: {result.reported.page.absolute().as_uri()}",
        f"Everything else is in {result.folder}/: data, plan, model, predictions, scores, and phantom.autoseg to pass on",
        "Next, with scans of your own: autoseg check DATASET, then autoseg plan DATASET",
    ]
    return Output("\n".join(lines), {name: said.document for name, said in parts.items()})


COMMAND = Command(DemoOptions, run, describe, example="autoseg demo --epochs 20")
