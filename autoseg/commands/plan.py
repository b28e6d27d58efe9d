"""`autoseg plan`: look at the data, decide everything, say why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from autoseg import catalogue
from autoseg.commands.choices import Choices, Processes
from autoseg.data.dataset import DATASET
from autoseg.data.layouts import find_dataset
from autoseg.data.splits import SPLITS, make_splits
from autoseg.events import Events
from autoseg.jobs.machine import device_kind
from autoseg.planning.examination import classes_present, warn_of_missing_classes
from autoseg.planning.fingerprint import FINGERPRINT, fingerprint_dataset
from autoseg.planning.memory import MEMORY_GB
from autoseg.planning.plan import FoldCount, Gigabytes, Inputs, Plan, write_plan
from autoseg.planning.planner import make_plan
from autoseg.runs.protection import protect_earlier_planning, refuse_data_as_workspace
from autoseg.runs.workspace import RUNS, Workspace
from autoseg.storage.locks import lock


class PlanConfig(Choices):
    """What the user chose for planning.

    Attributes:
        dataset: folder of the data set.
        workspace: where to put everything; None: `runs/<name>`.
        name: name of the data set; None: from the data set or its folder.
        recipe: `auto` or `paper`.
        plane: slice plane, or `auto`.
        folds: folds of the cross-validation; None: by rule.
        not_finite: what to do with voxels that are NaN or infinite, here and wherever the plan is used.
        device: kind of machine to plan for; `auto`: this one.
        memory_gb: memory one training step may take; None: by kind of machine.
        jobs: processes that read scans.
        force: replace a plan that was edited by hand, or that of another data set.
    """

    dataset: Path
    workspace: Path | None = None
    name: Annotated[str, Field(min_length=1)] | None = None
    recipe: catalogue.Recipe = "auto"
    plane: Literal[catalogue.Plane, "auto"] = "auto"
    folds: FoldCount | None = None
    not_finite: catalogue.NotFinite = "refuse"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    memory_gb: Gigabytes | None = None
    jobs: Processes = 1
    force: bool = False


@dataclass(frozen=True)
class PlanResult:
    """What planning made."""

    workspace: Workspace
    plan: Plan


def run(config: PlanConfig, events: Events) -> PlanResult:
    """Make the workspace of a data set.

    Raises:
        DatasetError: the folder is no data set, or cases are unusable.
        WorkspaceError: a plan edited by hand or another data set's workspace is in the way, or another command uses it.
    """
    dataset = find_dataset(config.dataset, name=config.name)
    workspace = Workspace(config.workspace or RUNS / dataset.name)
    events.info(
        f"{dataset.name}: {dataset.layout} layout, {len(dataset.training)} labelled training case(s), "
        f"{len(dataset.validation)} labelled validation case(s), "
        f"{len(dataset.cases) - len(dataset.labelled)} without a part in training"
    )
    refuse_data_as_workspace(workspace, dataset)
    with lock(workspace.lock_file):
        if not config.force:
            protect_earlier_planning(workspace, dataset)
        fingerprint = fingerprint_dataset(dataset, not_finite=config.not_finite, jobs=config.jobs, events=events)
        plan = make_plan(dataset, fingerprint, _inputs(config, name=dataset.name))
        present = classes_present(fingerprint.cases)
        splits = make_splits(dataset, classes_present=present, folds=plan.folds)
        warn_of_missing_classes(splits, present, classes=plan.data.classes, events=events)
        DATASET.write(workspace.dataset_file, dataset)
        FINGERPRINT.write(workspace.fingerprint_file, fingerprint)
        SPLITS.write(workspace.splits_file, splits)
        write_plan(plan, workspace.plan_file)
    return PlanResult(workspace, plan)


def _inputs(config: PlanConfig, *, name: str) -> Inputs:
    kind: catalogue.DeviceKind = device_kind() if config.device == "auto" else "cpu" if config.device == "cpu" else "gpu"
    return Inputs(
        name=name,
        recipe=config.recipe,
        plane=config.plane,
        device=kind,
        memory_gb=config.memory_gb or MEMORY_GB[kind],
        folds=config.folds,
        not_finite=config.not_finite,
    )
