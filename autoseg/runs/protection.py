"""What planning does not replace: data sets, plans and folds that were edited by hand, the workspace of other data.

And what it keeps of a plan and folds that it does replace.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoseg.data.dataset import Dataset
from autoseg.data.places import files_of
from autoseg.data.splits import Splits
from autoseg.errors import AutosegError, PlanError, WorkspaceError
from autoseg.events import Events
from autoseg.model.identity import model_folders
from autoseg.planning.plan import Plan, read_plan
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.training.run_state import RunState, read_state
from autoseg.wording import counted, some


def protect_earlier_planning(workspace: Workspace, dataset: Dataset) -> None:
    """Refuse to replace what somebody decided by hand, or another data set's workspace.

    Raises:
        PlanError: there is a plan that cannot be read.
        WorkspaceError: a plan or folds edited by hand or another data set's workspace are in the way, or folds or cases that
            cannot be read.
    """
    _protect_edited_plan(workspace)
    _protect_edited_folds(workspace)
    _protect_other_dataset(workspace, dataset)


def keep_replaced(workspace: Workspace, plan: Plan, splits: Splits, events: Events) -> None:
    """Keep the plan and the folds that are about to be replaced, each where runs need it, and a damaged list of cases."""
    _keep_plan(workspace, plan, events)
    _keep_folds(workspace, splits, events)
    if workspace.dataset_file.exists():
        try:
            workspace.stored_dataset()
        except AutosegError:
            _keep_by_hand(workspace.dataset_file, events)


def _keep_plan(workspace: Workspace, plan: Plan, events: Events) -> None:
    """Keep the plan that another one is about to replace, where it cannot be made again, or runs were begun under it.

    Runs go on under no other.
    """
    try:
        earlier = read_plan(workspace.plan_file) if workspace.plan_file.exists() else plan
    except PlanError:
        _keep_by_hand(workspace.plan_file, events)
        return
    runs = 0 if plan.is_identified_by(earlier.digest) else sum(1 for _ in _runs_under(earlier, workspace))
    if not runs:
        if earlier.edited:
            _keep_by_hand(workspace.plan_file, events)
        return
    kept = workspace.root / f"plan-{earlier.digest[:8]}.json"
    files.write_bytes(kept, workspace.plan_file.read_bytes())
    changed = some(list(_changed(earlier.values, plan.values)))
    events.warn(
        f"the new plan differs from the one of {counted(runs, 'earlier run')} ({changed}), which will take part in "
        f"nothing; that plan is kept as {kept}, to put back in the place of {workspace.plan_file.name} or to compare with"
    )


def _keep_by_hand(path: Path, events: Events) -> None:
    """Keep a document that was edited, or cannot be read, under a name made of its content."""
    content = path.read_bytes()
    kept = path.with_name(f"{path.stem}-{files.sha256_bytes(content)[:8]}.json")
    files.write_bytes(kept, content)
    events.info(f"{path.name} as it was before is kept as {kept}")


def _keep_folds(workspace: Workspace, splits: Splits, events: Events) -> None:
    """Keep the folds that others are about to replace, where they cannot be made again, or runs were begun.

    Runs go on with the cases they had alone.
    """
    try:
        earlier = workspace.stored_splits() if workspace.splits_file.exists() else splits
    except WorkspaceError:
        _keep_by_hand(workspace.splits_file, events)
        return
    runs = 0 if earlier.sha256 == splits.sha256 else sum(state.config.fold != "full" for _, state in _begun(workspace))
    if not runs:
        if earlier.edited:
            _keep_by_hand(workspace.splits_file, events)
        return
    kept = workspace.root / f"splits-{earlier.sha256[:8]}.json"
    files.write_bytes(kept, workspace.splits_file.read_bytes())
    where = f"the folds of before are kept as {kept}, to put back in the place of {workspace.splits_file.name}"
    if _only_joined(earlier, splits):
        events.info(f"cases joined the folds, in which all others stay where they are; {where}")
    else:
        events.warn(f"the new folds differ from those before, which {counted(runs, 'earlier run')} may need; {where}")


def _only_joined(before: Splits, after: Splits) -> bool:
    """Whether folds have further cases, and all that they had are where they were."""
    sides = [
        tuple(set(side) for fold in (*splits.folds, splits.official) if fold for side in (fold.training, fold.validation))
        for splits in (before, after)
    ]
    return len(sides[0]) == len(sides[1]) and all(had <= have for had, have in zip(*sides, strict=True))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a plan's values that are others, as far as something hangs on them; views are one."""
    for name, section in after.items():
        earlier = before.get(name)
        if isinstance(section, dict) and isinstance(earlier, dict) and name != "inputs":
            yield from (f"{name}.{key}" for key, value in section.items() if earlier.get(key) != value)
        elif name != "inputs" and earlier != section:
            yield name


def _runs_under(plan: Plan, workspace: Workspace) -> Iterator[Path]:
    """The folders of runs that were begun under a plan, as far as they can be read."""
    return (folder for folder, state in _begun(workspace) if plan.is_identified_by(state.plan_digest))


def _begun(workspace: Workspace) -> Iterator[tuple[Path, RunState]]:
    """The folders of runs and their states, as far as they can be read."""
    for folder in model_folders(workspace.models):
        with suppress(AutosegError):  # whoever needs that run is told why it cannot be read
            if (state := read_state(folder)) is not None:
                yield folder, state


def refuse_data_as_workspace(workspace: Workspace, dataset: Dataset) -> None:
    """Refuse to write among scans: data sets have a dataset.json of their own.

    Raises:
        WorkspaceError: the folder is a data set, or one of those that hold its files.
    """
    on_data = workspace.root.exists() and workspace.root.samefile(dataset.root)
    if on_data or (
        not workspace.plan_file.exists() and (_holds_scans(workspace.root, dataset) or _is_foreign(workspace.dataset_file))
    ):
        raise WorkspaceError(
            "a data set, not a workspace",
            where=workspace.root,
            remedy="Choose another place with --workspace DIR; even --force does not write over data.",
        )


def _holds_scans(folder: Path, dataset: Dataset) -> bool:
    """Whether files of a data set lie in a folder, or in one below it that is in the data set's own folder, too."""
    holding = {file.parent for case in dataset.cases for file in files_of(case)}
    holding |= {above for each in holding for above in each.parents if above.is_relative_to(dataset.root)}
    return folder.resolve() in {each.resolve() for each in holding}


def _is_foreign(dataset_file: Path) -> bool:
    """Whether a file is there that no planning has written."""
    if not dataset_file.exists():
        return False
    document = files.read_json(dataset_file, remedy="Restore or remove this file.")
    required = {name for name, key in Dataset.model_fields.items() if key.is_required()}
    return not (isinstance(document, dict) and required <= document.keys())


def _protect_other_dataset(workspace: Workspace, dataset: Dataset) -> None:
    """Refuse to take over the workspace of another folder that happens to have the same name."""
    if not workspace.dataset_file.exists():
        return
    other = workspace.dataset().root
    if is_of_other_data(workspace.dataset(), dataset):
        raise WorkspaceError(
            "belongs to another data set",
            where=workspace.root,
            expected=str(dataset.root),
            found=str(other),
            remedy="Choose another place with --workspace DIR or another --name, or take this one over with --force.",
        )


def is_of_other_data(earlier: Dataset, dataset: Dataset) -> bool:
    """Whether a workspace's data set is another than the one that is to be planned.

    It lies in another folder, which is there; or its folder is gone, and no case of it is called like one of these.
    """
    if earlier.root.exists():
        return not earlier.root.samefile(dataset.root)
    return {case.id for case in earlier.cases}.isdisjoint(case.id for case in dataset.cases)


def _protect_edited_folds(workspace: Workspace) -> None:
    if workspace.splits_file.exists() and workspace.stored_splits().edited:
        raise WorkspaceError(
            "the folds were edited by hand",
            where=workspace.splits_file,
            remedy="Go on with them by `autoseg train`, with --data DIR where the data set was moved, "
            "or assign others with --force, which keeps these beside them.",
        )


def _protect_edited_plan(workspace: Workspace) -> None:
    if workspace.plan_file.exists() and read_plan(workspace.plan_file).edited:
        raise WorkspaceError(
            "the plan was edited by hand",
            where=workspace.plan_file,
            remedy="Go on with it by `autoseg train`, with --data DIR where the data set was moved, "
            "or make another one with --force, which keeps this one beside it.",
        )
