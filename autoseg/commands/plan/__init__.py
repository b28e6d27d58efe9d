"""`autoseg plan`: look at the data, decide everything, say why."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoseg.commands.plan.options import PlanOptions
from autoseg.errors import UsageError
from autoseg.events import Events
from autoseg.options.command import Command, Output, Table, function
from autoseg.results import Records
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.data.dataset import Dataset
    from autoseg.data.splits import Splits
    from autoseg.planning.fingerprint import Fingerprint
    from autoseg.planning.plan import Plan
    from autoseg.planning.sections import AskedPlanes
    from autoseg.runs.workspace import Workspace

__all__ = ["COMMAND", "PlanOptions", "PlanResult", "describe", "plan", "run"]


@dataclass(frozen=True, repr=False)
class PlanResult(Records):
    """What planning made.

    Attributes:
        workspace: where it lies.
        plan: what was decided.
        fingerprint: of the data that it was decided from.
        held: options that were left out and hold, because an earlier plan of the workspace was asked for them.
    """

    workspace: "Workspace"
    plan: "Plan"
    fingerprint: "Fingerprint"
    held: tuple[str, ...] = ()

    def _in_short(self) -> str:
        views = ", ".join(str(plane or "2D") for plane in self.plan.planes)
        return f"{self.plan.inputs.name}, recipe {self.plan.inputs.recipe}, views: {views}; {self.workspace.plan_file}"

    def _tables(self) -> Sequence[Table]:
        return describe(self).tables

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per decision, with its reason."""
        from autoseg.planning.decided import explained

        return [{"what": each.what, "value": each.value, "reason": each.reason} for each in explained(self.plan.decisions)]


def run(options: PlanOptions, events: Events) -> PlanResult:
    """Make the workspace of a data set.

    Raises:
        DatasetError: the folder is no data set, or cases are unusable.
        PlanError: there is a plan that cannot be read.
        UsageError: a value that is asked for is none of a plan, or does not go with the others.
        WorkspaceError: a plan edited by hand or another data set's workspace is in the way, or another command uses it.
    """
    from autoseg.commands.plan.inputs import asked_for, find, holding, inputs_of, told_what_holds
    from autoseg.jobs.executors import open_executor
    from autoseg.layouts import tell_found
    from autoseg.planning.channels import found_channels
    from autoseg.planning.examination import split_cases
    from autoseg.planning.fingerprint import Fingerprint, fingerprint_dataset
    from autoseg.planning.labelled import without_unlabelled
    from autoseg.planning.overrides import parse_overrides
    from autoseg.planning.planner import make_plan
    from autoseg.runs.adopting import with_adopted
    from autoseg.runs.folder_changes import listed_names, others_digest
    from autoseg.runs.planned_before import earlier_name, earlier_planning, warn_of_workspaces_left_behind
    from autoseg.runs.protection import keep_replaced, protect_earlier_planning, refuse_data_as_workspace
    from autoseg.runs.source_checksums import remember, unread
    from autoseg.storage.locks import lock

    now = asked_for(options, planes=_asked_planes(options), overrides=parse_overrides(options.overrides))
    found = find(options)
    dataset, workspace = found.dataset, found.workspace
    if options.name is None and not options.forget:
        dataset = dataset.model_copy(update={"name": earlier_name(workspace, dataset)})
    events.info(
        f"{dataset.name}: {dataset.layout} layout, {counted(len(dataset.training), 'labelled training case')}, "
        f"{counted(len(dataset.validation), 'labelled validation case')}, "
        f"{len(dataset.cases) - len(dataset.labelled)} without a part in training"
    )
    names = listed_names(dataset)  # before it takes hours to look at what is there
    tell_found(dataset, events)
    refuse_data_as_workspace(workspace, dataset)
    warn_of_workspaces_left_behind(workspace, dataset, events)
    with lock(workspace.lock_file, events=events):
        if not options.force:
            protect_earlier_planning(workspace, dataset)
        dataset = with_adopted(dataset, workspace, force=options.force, events=events)
        earlier = earlier_planning(workspace, dataset, force=options.force, events=events)
        holds = holding(found, earlier, now, forget=options.forget, events=events)
        held = (*found.held, *holds.options)
        with told_what_holds(held):
            inputs = inputs_of(options, now, holds, earlier=earlier, dataset=dataset, workspace=workspace, events=events)
        before = unread(dataset.labelled)
        with open_executor(options, folder=dataset.root, write=False, events=events) as jobs:
            fingerprint = fingerprint_dataset(dataset, not_finite=inputs.not_finite, jobs=jobs, events=events)
        dataset, labelled = without_unlabelled(dataset, fingerprint.cases, events)
        fingerprint = Fingerprint(cases=labelled)
        dataset = found_channels(dataset, fingerprint.cases)
        with told_what_holds(held):
            plan = make_plan(dataset, fingerprint, inputs)
        splits = split_cases(
            dataset,
            fingerprint.cases,
            classes=plan.data.classes,
            folds=plan.folds,
            events=events,
            earlier=None if options.forget else earlier.splits,
        )
        keep_replaced(workspace, plan, splits, events)
        dataset = dataset.model_copy(update={"others_sha256": others_digest(dataset, names)})
        _write(workspace, plan, dataset=dataset, fingerprint=fingerprint, splits=splits)
        remember(workspace.checksums_file, before, dataset.labelled, fingerprint)
    return PlanResult(workspace, plan, fingerprint, held)


def _write(
    workspace: "Workspace", plan: "Plan", *, dataset: "Dataset", fingerprint: "Fingerprint", splits: "Splits"
) -> None:
    from autoseg.data.splits import SPLITS
    from autoseg.planning.fingerprint import FINGERPRINT
    from autoseg.planning.plan import write_plan

    workspace.write_dataset(dataset)
    FINGERPRINT.write(workspace.fingerprint_file, fingerprint)
    SPLITS.write(workspace.splits_file, splits)
    write_plan(plan, workspace.plan_file)


def _asked_planes(options: PlanOptions) -> "AskedPlanes | None":
    from autoseg.planning.overrides import parse_planes

    planes = None if options.planes is None else parse_planes(options.planes)
    if options.plane is None or (options.plane == "auto" and planes is not None) or planes == (options.plane,):
        return planes
    if planes is not None and planes != "auto":
        raise UsageError(
            "--plane and --planes name different planes", remedy="Leave one of them out; --planes takes several planes."
        )
    return "auto" if options.plane == "auto" else (options.plane,)


def describe(result: PlanResult) -> Output:
    """The workspace; a dozen lines about the plan as a table, and every decision with its whole reason as its details."""
    from autoseg.planning.decided import explained
    from autoseg.planning.summary import summary

    title, columns = f"Plan for {result.plan.inputs.name}", ("what", "value", "why")
    rows, group = [], None
    for line in summary(result.plan, result.fingerprint):
        rows.append(("" if line.group == group else line.group, line.text, line.reason))
        group = line.group
    decisions = [(each.what, _shown(each.value), each.reason) for each in explained(result.plan.decisions)]
    fold = "0" if result.plan.folds > 1 else "full"
    held = f"\nAs asked for before (--forget drops it): {' '.join(result.held)}" if result.held else ""
    text = (
        f"{held}\nWrote {result.workspace.plan_file}, which you may edit; --full shows every decision with its reason.\n"
        f"Next: autoseg train --arch unet --fold {fold} --workspace {shlex.quote(str(result.workspace.root))}"
    )
    document = {
        "workspace": str(result.workspace.root),
        "held": list(result.held),
        "digest": result.plan.digest,
        "plan": result.plan.model_dump(mode="json"),
    }
    return Output(text, document, [Table(title, columns, rows, headings=False)], [Table(title, columns, decisions)])


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


plan = function(PlanOptions, run)
COMMAND = Command(PlanOptions, run, describe, example="autoseg plan IBSR18/ --plane coronal", has_details=True)
