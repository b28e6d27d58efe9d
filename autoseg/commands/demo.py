"""`autoseg demo`: the whole story on a synthetic cohort, in a folder of its own."""

import shutil
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg import catalogue
from autoseg.commands import evaluate, export, plan, predict, report, select, train
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


def run(options: DemoOptions, events: Events) -> DemoResult:
    """Make a cohort, plan, train one fold, select, predict the test scan, evaluate the held-out cases, report, export.

    Raises:
        WorkspaceError: the folder holds something that is not an earlier demonstration.
    """
    from autoseg.data.phantom import PhantomSettings, write_cohort
    from autoseg.postprocessing.held_out import folder_of

    _clear(options.folder)
    cohort, workspace = options.folder / "PHANTOM18", options.folder / "run"
    events.info(f"making a synthetic cohort in {cohort}")
    write_cohort(cohort, PhantomSettings(seed=options.seed))
    planning = plan.PlanOptions(cohort, workspace=workspace, planes=options.planes, device=options.device, jobs=options.jobs)
    planned = plan.run(planning, events)
    trained = train.run(
        train.TrainOptions(
            options.architecture,
            workspace=workspace,
            epochs=options.epochs,
            minutes=options.minutes,
            seed=options.seed,
            device=options.device,
            jobs=options.jobs,
        ),
        events,
    )
    selected = select.run(select.SelectOptions(workspace, jobs=options.jobs), events)
    predicted = predict.run(
        predict.PredictOptions(
            source=cohort / "Test_Set",
            target=options.folder / "predictions",
            workspace=workspace,
            device=options.device,
            uncertainty=True,
            pictures=True,
        ),
        events,
    )
    evaluated = evaluate.run(
        evaluate.EvaluateOptions(
            predictions=folder_of(trained.models[0].folder),
            references=_references(folder_of(trained.models[0].folder), cohort, options.folder / "references"),
            output=options.folder / "evaluation",
            workspace=workspace,
            jobs=options.jobs,
        ),
        events,
    )
    reported = report.run(report.ReportOptions(workspace), events)
    exported = export.run(export.ExportOptions(options.folder / "phantom.autoseg", workspace=workspace), events)
    return DemoResult(options.folder, planned, trained, selected, predicted, evaluated, reported, exported)


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
    """All of it."""
    parts = {
        "plan": plan.describe(result.planned),
        "train": train.describe(result.trained),
        "select": select.describe(result.selected),
        "predict": predict.describe(result.predicted),
        "evaluate": evaluate.describe(result.evaluated),
        "report": report.describe(result.reported),
        "export": export.describe(result.exported),
    }
    texts = [f"-- {name}\n{said.text.strip()}" for name, said in parts.items()]
    texts.append(f"\nOpen {result.reported.page} in a browser, and look around in {result.folder}/.")
    return Output("\n".join(texts), {name: said.document for name, said in parts.items()})


COMMAND = Command(DemoOptions, run, describe, example="autoseg demo --epochs 20")
