"""`autoseg demo`: the whole story on a synthetic cohort, in a folder of its own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from autoseg import catalogue
from autoseg.commands import evaluate, export, plan, predict, report, select, train
from autoseg.commands.choices import Choices, Processes
from autoseg.data.phantom import PhantomSettings, write_cohort
from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.planning.plan import Minutes
from autoseg.postprocessing.held_out import folder_of
from autoseg.storage import files
from autoseg.training.config import Seed

_MARK = ".autoseg-demo"


class DemoConfig(Choices):
    """What the user chose for the demonstration.

    Attributes:
        folder: where everything goes; made anew by every call.
        architecture: the network to train.
        minutes: time for training.
        seed: of the cohort and of training.
        device: where to train.
        jobs: processes that read scans.
    """

    folder: Path = Path("autoseg-demo")
    architecture: catalogue.Architecture = "unet"
    minutes: Minutes = 1.5
    seed: Seed = 0
    device: catalogue.DeviceChoice = "auto"
    jobs: Processes = 1


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made."""

    folder: Path
    planned: plan.PlanResult
    trained: train.TrainResult
    selected: select.SelectResult
    predicted: predict.PredictResult
    evaluated: evaluate.EvaluateResult
    reported: report.ReportResult
    exported: export.ExportResult


def run(config: DemoConfig, events: Events) -> DemoResult:
    """Make a cohort, plan, train one fold, select, predict the test scan, evaluate the held-out cases, report, export.

    Raises:
        WorkspaceError: the folder holds something that is not an earlier demonstration.
    """
    _clear(config.folder)
    cohort, workspace = config.folder / "PHANTOM18", config.folder / "run"
    events.info(f"making a synthetic cohort in {cohort}")
    write_cohort(cohort, PhantomSettings(seed=config.seed))
    planned = plan.run(plan.PlanConfig(dataset=cohort, workspace=workspace, device=config.device, jobs=config.jobs), events)
    trained = train.run(
        train.TrainCommand(
            architecture=config.architecture,
            fold="0",
            workspace=workspace,
            minutes=config.minutes,
            seed=config.seed,
            device=config.device,
            readers=config.jobs,
        ),
        events,
    )
    selected = select.run(select.SelectConfig(workspace=workspace, jobs=config.jobs), events)
    predicted = predict.run(
        predict.PredictConfig(
            source=cohort / "Test_Set",
            target=config.folder / "predictions",
            workspace=workspace,
            device=config.device,
            uncertainty=True,
            pictures=True,
        ),
        events,
    )
    evaluated = evaluate.run(
        evaluate.EvaluateConfig(
            predictions=folder_of(trained.models[0].folder),
            references=_references(folder_of(trained.models[0].folder), cohort, config.folder / "references"),
            output=config.folder / "evaluation",
            workspace=workspace,
            jobs=config.jobs,
        ),
        events,
    )
    reported = report.run(report.ReportConfig(workspace=workspace), events)
    exported = export.run(export.ExportConfig(file=config.folder / "phantom.autoseg", workspace=workspace), events)
    return DemoResult(config.folder, planned, trained, selected, predicted, evaluated, reported, exported)


def _clear(folder: Path) -> None:
    """Remove an earlier demonstration, and nothing else."""
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
