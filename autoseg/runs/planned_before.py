"""What a folder or a workspace was planned from before: names, choices and places that hold when it is planned again."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoseg.data import places
from autoseg.data.dataset import Dataset
from autoseg.data.splits import Splits
from autoseg.errors import AutosegError, PlanError, WorkspaceError
from autoseg.events import Events
from autoseg.layouts.common import Choice
from autoseg.planning.asked import Asked, asked_in
from autoseg.planning.plan import read_plan
from autoseg.planning.sections import Inputs
from autoseg.runs.found import RUNS
from autoseg.runs.protection import is_of_other_data
from autoseg.runs.workspace import Workspace


@dataclass(frozen=True)
class EarlierPlanning:
    """What a workspace was planned with before, as far as it is of the same data set and can be read.

    Attributes:
        inputs: what its plan was made from, found and asked for; None: there is none.
        splits: its folds, unless they were edited; None: there are none.
    """

    inputs: Inputs | None = None
    splits: Splits | None = None

    @property
    def asked(self) -> Asked:
        """What its plan was asked for."""
        return Asked() if self.inputs is None else asked_in(self.inputs)


def earlier_planning(workspace: Workspace, dataset: Dataset, *, force: bool, events: Events) -> EarlierPlanning:
    """What a workspace was planned with before.

    Raises:
        PlanError: the plan cannot be read, and it is not to be replaced.
        WorkspaceError: the folds cannot be read, likewise.
    """
    if force and _was_planned_from_others(workspace, dataset):
        return EarlierPlanning()
    inputs, splits = None, None
    with _readable("the plan cannot be read, and what it was asked for is not known", force=force, events=events):
        inputs = read_plan(workspace.plan_file).inputs if workspace.plan_file.exists() else None
    with _readable("the folds cannot be read, and are assigned from scratch", force=force, events=events):
        splits = workspace.stored_splits() if workspace.splits_file.exists() else None
    return EarlierPlanning(inputs, None if force and splits is not None and splits.edited else splits)


def earlier_name(workspace: Workspace, dataset: Dataset) -> str:
    """What a workspace calls the same folder, or the same cases, since it was first planned.

    A folder that was renamed is no other data set.
    """
    earlier = _stored(workspace)
    if earlier is None or not (_same_cases(earlier, dataset) or _lies_in(earlier, workspace, dataset.root)):
        return dataset.name
    return earlier.name


def earlier_choice(workspace: Workspace, folder: Path, given: Choice) -> Choice:
    """How a workspace read a folder when it was planned, where it is not asked for otherwise.

    Args:
        workspace: which may have been planned from another folder, or not yet.
        folder: holds a data set.
        given: what is asked for now.
    """
    earlier = _stored(workspace)
    if earlier is None or not (_is_gone(earlier, workspace) or _lies_in(earlier, workspace, folder)):
        return given
    return Choice(
        labels=earlier.asked_labels if given.labels is None else given.labels,
        channels=given.channels or earlier.asked_channels,
        ignore=earlier.asked_ignore if given.ignore is None else given.ignore,
    )


def planned_from(folder: Path, *, name: str | None) -> Workspace | None:
    """The workspace that a folder was planned into without being told where, under its own name or another that was given.

    Args:
        folder: of a data set.
        name: that is asked for now; None: none is.

    Returns:
        None where there is none, or several.
    """
    found = []
    for workspace in map(Workspace, sorted(path.parent for path in RUNS.glob("*/dataset.json"))):
        earlier = _stored(workspace)
        if earlier is not None and workspace.root.name == earlier.name and _lies_in(earlier, workspace, folder):
            found += [workspace] if name in {None, earlier.name} else []
    return found[0] if len(found) == 1 else None


def warn_of_workspaces_left_behind(workspace: Workspace, dataset: Dataset, events: Events) -> None:
    """Say, where a new workspace is made, which others hold plans and models of the same cases, whose folder is gone."""
    if workspace.plan_file.exists():
        return
    for other in map(Workspace, sorted(path.parent for path in RUNS.glob("*/plan.json"))):
        earlier = _stored(other)
        if earlier is not None and _same_cases(earlier, dataset) and _is_gone(earlier, other):
            command = shlex.join(["autoseg", "train", "--workspace", str(other.root), "--data", str(dataset.root)])
            events.warn(
                f"{other.root} was planned from cases of the same names in {earlier.root}, which is gone. To go on with its "
                f"plan and models: {command}"
            )


def _stored(workspace: Workspace) -> Dataset | None:
    """The cases of a workspace; None where it has none that can be read."""
    try:
        return workspace.stored_dataset()
    except AutosegError:
        return None


def _is_gone(earlier: Dataset, workspace: Workspace) -> bool:
    """Whether a workspace's data set is not there any more: it was moved."""
    return not places.located(earlier, workspace.root).root.exists()


def _lies_in(earlier: Dataset, workspace: Workspace, folder: Path) -> bool:
    """Whether a workspace's data set lies in a folder."""
    root = places.located(earlier, workspace.root).root
    return root.exists() and folder.exists() and root.samefile(folder)


def _same_cases(one: Dataset, other: Dataset) -> bool:
    """Whether the labelled cases have the same ids, apart from those whose only label map was adopted."""
    adopted = {case.id for case in (*one.cases, *other.cases) if case.adopted is not None and not case.adopted.corrected}
    return {case.id for case in one.labelled} - adopted == {case.id for case in other.labelled} - adopted


def _was_planned_from_others(workspace: Workspace, dataset: Dataset) -> bool:
    try:
        return workspace.dataset_file.exists() and is_of_other_data(workspace.stored_dataset(), dataset)
    except AutosegError:
        return False


@contextmanager
def _readable(otherwise: str, *, force: bool, events: Events) -> Iterator[None]:
    """Let pass, with a warning, that a file cannot be read which is to be replaced."""
    try:
        yield
    except (PlanError, WorkspaceError):
        if not force:
            raise
        events.warn(otherwise)
