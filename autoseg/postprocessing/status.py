"""How far a workspace has come: what is planned, preprocessed, trained, scored and selected; found without loading torch.

Documents are read, files looked for and names listed; no scan is read, and nothing is written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoseg.errors import AutosegError
from autoseg.model.description import BUNDLE_FILE
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan
from autoseg.postprocessing.run_status import RunStage, RunStatus, runs_of
from autoseg.preprocessing.store import store_of
from autoseg.runs.folder_changes import FolderChanges, folder_changes
from autoseg.runs.moved_data import planned_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.wording import counted

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class SelectionStatus:
    """Whether something was selected.

    Attributes:
        models: the networks that were, each with the digest of its weights; none: nothing was, or it cannot be read.
        outdated: why it has to be made again; empty: it has not, or there is none.
    """

    models: Mapping[ModelId, str] = field(default_factory=dict)
    outdated: str = ""


@dataclass(frozen=True)
class WorkspaceStatus:
    """How far a workspace has come.

    Attributes:
        workspace: the workspace.
        plan: its plan; None where it cannot be read.
        problem: why the plan, or what belongs to it, cannot be read; empty where it can.
        cases: labelled cases, those that were adopted among them.
        revision: of the data: how often label maps were adopted.
        adopted: how many cases have an adopted label map.
        changes: of the data set's folder since it was planned; None where there is no plan to compare it with.
        preprocessed: how many of them are preprocessed under the plan.
        folds: what there is to train on: numbers, and `official` where the data set has a split of its own.
        runs: every network on every fold that was begun, and those beside them that are missing.
        selection: whether something was selected.
        report: the page; None where there is none.
        report_outdated: whether it is older than what it shows.
    """

    workspace: Workspace
    plan: Plan | None = None
    problem: str = ""
    cases: int = 0
    revision: int = 0
    adopted: int = 0
    changes: FolderChanges | None = None
    preprocessed: int = 0
    folds: tuple[str, ...] = ()
    runs: tuple[RunStatus, ...] = ()
    selection: SelectionStatus = SelectionStatus()
    report: Path | None = None
    report_outdated: bool = False

    def of_stage(self, *stages: RunStage) -> tuple[RunStatus, ...]:
        """The runs that are as far as this."""
        return tuple(run for run in self.runs if run.stage in stages)

    @property
    def behind(self) -> tuple[RunStatus, ...]:
        """Finished runs that have not learnt from all label maps that were adopted."""
        return tuple(run for run in self.runs if run.finished and run.state and run.state.revision < self.revision)


def status_of(workspace: Workspace) -> WorkspaceStatus:
    """Look at a workspace; documents that cannot be read are part of its status."""
    try:
        plan, splits, fingerprint = workspace.plan(), workspace.stored_splits(), workspace.fingerprint()
        dataset = workspace.stored_dataset()
    except AutosegError as unusable:
        return WorkspaceStatus(workspace, problem=unusable.message)
    checksums = planned_checksums(fingerprint)
    store = store_of(workspace.preprocessed, plan=plan, checksums=checksums)
    runs = tuple(runs_of(workspace, plan, splits))
    report = workspace.root / REPORT_FILE
    return WorkspaceStatus(
        workspace,
        plan,
        cases=len(checksums),
        revision=dataset.revision,
        adopted=sum(case.adopted is not None for case in dataset.cases),
        changes=folder_changes(workspace),
        preprocessed=sum(map(store.holds, checksums)),
        folds=(*map(str, range(len(splits.folds))), *(() if splits.official is None else ("official",))),
        runs=runs,
        selection=selection_status(workspace, plan, runs),
        report=report if report.exists() else None,
        report_outdated=report.exists() and report.stat().st_mtime < _newest(workspace, runs),
    )


def selection_status(workspace: Workspace, plan: Plan, runs: Sequence[RunStatus]) -> SelectionStatus:
    """The models of a selection; its scores, and what it takes to read them, are for others."""
    if not workspace.selection_file.exists():
        return SelectionStatus()
    try:
        document = files.read_json(workspace.selection_file, remedy="")
        models = {
            ModelId(each["architecture"], each["fold"], each.get("seed"), each.get("view")): str(each["weights_sha256"])
            for each in document["models"]
        }
        digest = str(document["plan_digest"])
    except (AutosegError, AttributeError, KeyError, TypeError):
        return SelectionStatus(outdated="cannot be read")
    return SelectionStatus(models, _outdated(models, digest, workspace, plan, {run.model: run for run in runs}))


def _outdated(
    models: Mapping[ModelId, str], digest: str, workspace: Workspace, plan: Plan, runs: Mapping[ModelId, RunStatus]
) -> str:
    """Why a selection has to be made again; empty where it has not."""
    if not plan.is_identified_by(digest):
        return "made under another plan"
    for model, weights in models.items():
        if model not in runs or not runs[model].finished:
            return f"{model.title} is missing or not trained to its end"
        if runs[model].weights_sha256 != weights:
            return f"{model.title} has been trained again, or further, since"
    others = [run for run in runs.values() if run.model not in models]
    judged = [run.model for run in others if run.stage == "scored" and run.model.is_numbered]
    made = workspace.selection_file.stat().st_mtime
    newer = [model.title for model in judged if (workspace.model(model) / BUNDLE_FILE).stat().st_mtime > made]
    return f"{counted(len(newer), 'model')} trained since, such as {newer[0]}" if newer else ""


def _newest(workspace: Workspace, runs: Sequence[RunStatus]) -> float:
    """When something that a report shows was written last."""
    folders = [workspace.model(run.model) for run in runs if run.finished]
    paths = [workspace.plan_file, workspace.selection_file, *(folder / BUNDLE_FILE for folder in folders)]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)
