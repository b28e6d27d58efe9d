"""Cases that were added to a data set's folder since it was planned, or removed from it: found by names, no scan is read."""

import hashlib
import os
import shlex
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from autoseg.data import places
from autoseg.data.dataset import Dataset
from autoseg.data.folders import names_below
from autoseg.errors import DatasetError
from autoseg.events import Events
from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice
from autoseg.runs.removed_data import has_rest, is_begun, planning_again, planning_without
from autoseg.runs.workspace import Workspace
from autoseg.wording import counted, some

_TABLES: Final = ("cases.csv", "dataset.json")
"""Files of a data set's folder in which layouts find its cases."""


@dataclass(frozen=True)
class FolderChanges:
    """How a data set's folder differs from what was planned.

    Attributes:
        dataset: the data set where it lies.
        there: whether any of its labelled cases is there.
        added: ids of labelled cases that planning would find, and that the plan does not know as such.
        gone: ids of labelled cases whose files are not all there.
        problem: why the folder could not be planned as it is; empty where it could.
    """

    dataset: Dataset
    there: bool = True
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    problem: str = ""

    def sentences(self, workspace: Workspace) -> tuple[str, ...]:
        """What there is to say of it, and what to do; nothing where nothing has changed."""
        root, said = self.dataset.root, []
        if self.added:
            models = (
                " Models trained by then take part in nothing where the new plan differs from theirs, and learn from the "
                "new cases with --continue where it does not."
            )
            said.append(
                f"{root} holds {counted(len(self.added), 'labelled case')} that the plan does not know: "
                f"{some(self.added)}. To learn from more, plan again: {planning_again(self.dataset, workspace)}. Cases "
                f"stay in their folds while there are as many folds.{models if is_begun(workspace) else ''}"
            )
        if self.gone:
            gone = [case for case in self.dataset.labelled if case.id in self.gone]
            without = f", or {planning_without(gone, self.dataset, workspace)}" if not self.problem or has_rest(gone) else ""
            said.append(f"files of {some(self.gone)} are not in {root} any more. Put them back{without}")
        if self.problem:
            check = " ".join(["autoseg check", shlex.quote(str(root)), *_chosen(self.dataset).options])
            said.append(f"{root} cannot be planned again as it is: {self.problem}. `{check}` says more")
        if not self.there:
            said.append(
                f"{root} is not there, may not be read, or holds none of the planned cases. Where the data set was moved, "
                "name its folder to the next command with --data DIR"
            )
        return tuple(said)


def folder_changes(workspace: Workspace) -> FolderChanges:
    """Compare the folder of a workspace's data set with what was planned.

    The names in it are listed. Only where these are others than when it was planned, the data set is recognised again.

    Raises:
        WorkspaceError: the list of cases cannot be read.
    """
    stored, told = workspace.stored_dataset(), workspace.told
    where = list(places.candidates(stored, workspace.root)) if told is None else [told]
    for dataset in where:
        with suppress(OSError):
            if (changes := _compared(dataset)) is not None:
                return changes
    return FolderChanges(where[-1], there=False)


def warn_of_additions(workspace: Workspace, events: Events) -> None:
    """Say which cases lie in the folder of a data set and are not planned; who needs what is gone says that."""
    changes = folder_changes(workspace)
    for sentence in replace(changes, gone=(), there=True).sentences(workspace):
        events.warn(sentence)


def listed_names(dataset: Dataset) -> set[str]:
    """Paths of the files in a data set's folder, as of `names_below`; a folder that is a scan is one of them.

    Raises:
        OSError: the folder is not there, or may not be read.
    """
    return names_below(dataset.root, closed=_own_files(dataset))


def others_digest(dataset: Dataset, names: AbstractSet[str]) -> str:
    """Digest of what lies in a data set's folder and is no case's: while it is the same, no case was added.

    Args:
        dataset: the data set.
        names: of `listed_names`.
    """
    digest = hashlib.sha256()
    for name in sorted(os.fsencode(name.removeprefix(str(dataset.root))) for name in names - _own_files(dataset)):
        digest.update(name + b"\0")
    for table in _TABLES:
        with suppress(OSError):  # there is none, or a layout that needs it says why it cannot be read
            digest.update(table.encode() + b"\0" + (dataset.root / table).read_bytes())
    return digest.hexdigest()


def _compared(dataset: Dataset) -> FolderChanges | None:
    """How a folder, in which a data set may lie, differs from what was planned.

    Returns:
        None where none of the labelled cases is there.

    Raises:
        OSError: the folder is not there, or may not be read.
    """
    names = listed_names(dataset)
    unlisted = [case for case in dataset.labelled if not names.issuperset(map(str, places.files_of(case)))]
    gone = tuple(case.id for case in places.absent(unlisted))
    if len(gone) == len(dataset.labelled):
        return None
    none = names <= _own_files(dataset)
    if none if dataset.others_sha256 is None else others_digest(dataset, names) == dataset.others_sha256:
        return FolderChanges(dataset, gone=gone)
    try:
        found = find_dataset(dataset.root, choice=_chosen(dataset))
    except DatasetError as cause:
        return FolderChanges(dataset, gone=gone, problem=cause.what)
    # A training case without a label map had one without any label: layouts take scans without label maps for test cases.
    known = {path for case in dataset.cases if case.label or case.subset != "test" for path in case.images}
    return FolderChanges(
        dataset, added=tuple(case.id for case in found.labelled if known.isdisjoint(case.images)), gone=gone
    )


def _chosen(dataset: Dataset) -> Choice:
    """What was chosen of a folder when it was planned."""
    return Choice(dataset.asked_labels, dataset.asked_channels, dataset.asked_ignore)


def _own_files(dataset: Dataset) -> set[str]:
    return {str(path) for case in dataset.cases for path in places.files_of(case)}
