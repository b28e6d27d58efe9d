"""What planning does not replace: data sets, plans and folds that were edited by hand, the workspace of other data."""

from pathlib import Path

from autoseg.data.dataset import Dataset
from autoseg.data.places import files_of
from autoseg.errors import PlanError, WorkspaceError
from autoseg.planning.plan import read_plan
from autoseg.runs.workspace import Workspace
from autoseg.storage import files


def protect_earlier_planning(workspace: Workspace, dataset: Dataset) -> None:
    """Refuse to replace what somebody decided by hand, or another data set's workspace.

    Raises:
        WorkspaceError: a plan or folds edited by hand or another data set's workspace are in the way.
    """
    _protect_edited_plan(workspace)
    _protect_edited_folds(workspace)
    _protect_other_dataset(workspace, dataset)


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
    """Whether a workspace's data set lies in another folder, which is there, than the one that is to be planned."""
    return earlier.root.exists() and not earlier.root.samefile(dataset.root)


def _protect_edited_folds(workspace: Workspace) -> None:
    if workspace.splits_file.exists() and workspace.stored_splits().edited:
        raise WorkspaceError(
            "the folds were edited by hand",
            where=workspace.splits_file,
            remedy="Keep them and go on with `autoseg train`, with --data DIR where the data set was moved, "
            "or replace them with --force.",
        )


def _protect_edited_plan(workspace: Workspace) -> None:
    if not workspace.plan_file.exists():
        return
    try:
        edited = read_plan(workspace.plan_file).edited
    except PlanError:
        edited = True
    if edited:
        raise WorkspaceError(
            "the plan was edited by hand",
            where=workspace.plan_file,
            remedy="Keep it and go on with `autoseg train`, with --data DIR where the data set was moved, "
            "or replace it with --force.",
        )
