"""Files that are gone from the folder of a data set: what needs them says to put them back, or to plan without them."""

import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress

from autoseg.data import places
from autoseg.data.dataset import Case, Dataset
from autoseg.errors import AutosegError, DatasetError
from autoseg.model.identity import model_folders
from autoseg.planning.plan import read_plan
from autoseg.runs.workspace import Workspace
from autoseg.wording import some


def require_files(cases: Iterable[Case], workspace: Workspace) -> None:
    """Require the files of cases to be there, before work that reads them begins.

    Raises:
        DatasetError: some are not.
    """
    if gone := places.absent(cases):
        paths = [path for case in gone for path in places.files_of(case) if not places.is_there(path)]
        dataset = workspace.dataset()
        raise DatasetError(
            f"files of {some([case.id for case in gone])} are not there any more"
            if dataset.root.exists()
            else "the data set is not there any more",
            where=dataset.root,
            found=f"{'a broken link, ' if paths[0].is_symlink() else 'no '}{paths[0]}"
            + (f", nor {len(paths) - 1} more" if len(paths) > 1 else ""),
            remedy=f"Put them back. Or {planning_without(gone, dataset, workspace)}"
            if is_in_place(dataset)
            else "Where the data set was moved, name its folder with --data DIR; else restore the files.",
        )


def planning_again(dataset: Dataset, workspace: Workspace) -> str:
    """The command that plans a data set again where it lies; what was asked for before holds, and edits do not."""
    edited = _is_edited(workspace)
    words = ["autoseg", "plan", str(dataset.root), "--workspace", str(workspace.root), *(["--force"] if edited else [])]
    kept = " (what was edited by hand is kept beside what takes its place, to be carried over)" if edited else ""
    return f"`{shlex.join(words)}`{kept}"


def planning_without(gone: Sequence[Case], dataset: Dataset, workspace: Workspace) -> str:
    """How to leave out cases some of whose files were removed, and what becomes of folds and models then.

    Args:
        gone: the cases, with absolute paths; what is left of them may keep a layout from reading the folder.
        dataset: holds them.
        workspace: where they are planned.
    """
    left = _rest(gone)
    said = f"move what is left of them out of the folder, too ({some(left)}), and " if left else ""
    said += f"plan again without them: {planning_again(dataset, workspace)}. Other cases stay in their folds "
    said += "while there are as many folds."
    if is_begun(workspace):
        said += " Models trained by then had the removed ones: they take part in nothing where the new plan differs from "
        said += "theirs, and are trained again with --restart where it does not."
    return said


def _is_edited(workspace: Workspace) -> bool:
    """Whether the plan or the folds were edited by hand; what cannot be read is not known to be."""
    with suppress(AutosegError):
        if workspace.splits_file.exists() and workspace.stored_splits().edited:
            return True
        return workspace.plan_file.exists() and read_plan(workspace.plan_file).edited
    return False


def has_rest(gone: Sequence[Case]) -> bool:
    """Whether some files are left of cases of which others were removed."""
    return bool(_rest(gone))


def _rest(gone: Sequence[Case]) -> list[str]:
    """Files that are left of such cases in the data set's folder; an adopted label map lies in the workspace."""
    paths = [path for case in gone for path in places.files_of(case) if case.adopted is None or path != case.label]
    return [str(path) for path in paths if places.is_there(path)]


def is_begun(workspace: Workspace) -> bool:
    """Whether anything was trained in a workspace."""
    return next(model_folders(workspace.models), None) is not None


def is_in_place(dataset: Dataset) -> bool:
    """Whether a data set lies where it is looked for, of which some files are missing."""
    return dataset.root.exists() and len(places.absent(dataset.labelled)) < len(dataset.labelled)
