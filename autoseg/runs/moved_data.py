"""Data sets that were moved since they were planned: taken where the user says they lie, or done without."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from autoseg.data import places
from autoseg.data.dataset import Case, Dataset
from autoseg.errors import DatasetError, SystemFailureError
from autoseg.events import Events
from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import checksum_over
from autoseg.preprocessing.store import store_of
from autoseg.runs.removed_data import is_in_place, planning_without, require_files
from autoseg.runs.revisions import complete_change
from autoseg.runs.source_checksums import case_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage.locks import lock
from autoseg.wording import counted, some

_WAIT_S: Final = 60.0
"""Time that another command is given to remember the same. Source: ours; it takes one file."""


def with_data_in(workspace: Workspace, folder: Path | None, events: Events, *, remember: bool = True) -> Workspace:
    """The workspace with its data set in another folder, which it remembers.

    Args:
        workspace: the workspace.
        folder: holds the data set now; None: it is where the workspace finds it.
        events: notified of progress, and where the folder cannot be remembered.
        remember: whether it does.

    Raises:
        DatasetError: the folder does not hold the data that the plan was made from.
        WorkspaceError: another command changes the workspace.
    """
    if folder is None:
        return workspace
    stored = workspace.stored_dataset()
    dataset = _found_in(folder.absolute(), places.in_workspace(stored, workspace.root))
    if dataset == workspace.dataset():
        return workspace
    _refuse_other_data(dataset, workspace, events, remember=remember)
    if not remember:
        return replace(workspace, told=dataset)
    try:
        with lock(workspace.lock_file, wait_s=_WAIT_S, events=events):
            complete_change(workspace.root)
            unchanged = workspace.stored_dataset() == stored
            if unchanged:
                workspace.write_dataset(dataset)
    except SystemFailureError as cause:
        events.warn(f"the folder given with --data is used now, but not remembered: {cause.message}")
        return replace(workspace, told=dataset)
    if not unchanged:  # another command has adopted label maps meanwhile
        return with_data_in(workspace, folder, events)
    return workspace


def checksums_of(
    workspace: Workspace, plan: Plan, cases: Sequence[Case], events: Events, *, remember: bool = True
) -> dict[str, str]:
    """The checksum of every case's files, by id.

    A case whose files are gone while its preprocessed arrays are there has the checksum which it had when the plan was made.

    Args:
        workspace: where the arrays lie.
        plan: says which arrays are meant.
        cases: labelled cases.
        events: notified of cases without their files.
        remember: whether the workspace remembers them.

    Raises:
        DatasetError: a case's files and its arrays are not there.
    """
    planned = planned_checksums(workspace.fingerprint())
    gone = {case.id for case in places.absent(cases) if case.id in planned}
    there = case_checksums(
        workspace.checksums_file,
        [case for case in cases if case.id not in gone],
        verify=workspace.verify,
        remember=remember,
    )
    checksums = {case.id: planned[case.id] if case.id in gone else there[case.id] for case in cases}
    store = store_of(workspace.preprocessed, plan=plan, checksums=checksums)
    require_files([case for case in cases if case.id in gone and not store.holds(case.id)], workspace)
    if gone:
        dataset = workspace.dataset()
        absent = [case for case in cases if case.id in gone]
        without = (
            f". To leave these cases out, {planning_without(absent, dataset, workspace)}" if is_in_place(dataset) else ""
        )
        events.warn(
            f"the scans of {some(sorted(gone))} are not there any more: arrays that were made from them before are used"
            + without
        )
    return checksums


def planned_checksums(fingerprint: Fingerprint) -> dict[str, str]:
    """`case_checksum` of every labelled case, by id, when the plan was made."""
    return {case.id: checksum_over([*case.image_sha256, case.label_sha256]) for case in fingerprint.cases}


def _found_in(folder: Path, stored: Dataset) -> Dataset:
    """A stored data set as it lies in a folder: each case where it lay in its own, or else where a layout finds its id.

    Files that lay elsewhere, by absolute paths in a table, are looked for by as much of the ends of these as is there.
    """
    moved = places.at(stored, folder)
    lacking = {case.id for case in places.absent(moved.cases)}
    if not lacking.intersection(case.id for case in moved.labelled):
        return moved
    arranged = _arranged(folder, Choice(stored.asked_labels, stored.asked_channels))
    cases = tuple(_found(case, arranged.get(case.id), folder) if case.id in lacking else case for case in moved.cases)
    found = moved.model_copy(update={"cases": cases})
    if missing := places.absent(found.labelled):
        raise DatasetError(
            "not the data set that was planned",
            where=folder,
            expected=f"its {counted(len(found.labelled), 'labelled case')}",
            found=f"all but {some([case.id for case in missing])}" if len(missing) < len(found.labelled) else "none of them",
            remedy="Give the folder that holds them all; or plan again from those that are there, with `autoseg plan`.",
        )
    return found


def _arranged(folder: Path, choice: Choice) -> dict[str, Case]:
    """The cases that a layout finds in a folder, by id."""
    try:
        return {case.id: case for case in find_dataset(folder, choice=choice).cases}
    except DatasetError:
        if not folder.is_dir():
            raise
        return {}


def _found(case: Case, arranged: Case | None, folder: Path) -> Case:
    if arranged is not None and case.adopted is not None:
        return case.model_copy(update={"images": arranged.images})
    if arranged is not None and (case.label is None or arranged.label is not None):
        return case.model_copy(update={"images": arranged.images, "label": arranged.label})
    images = tuple(_with_its_end(path, folder) for path in case.images)
    label = case.label if case.label is None or case.adopted is not None else _with_its_end(case.label, folder)
    return case.model_copy(update={"images": images, "label": label})


def _with_its_end(path: Path, folder: Path) -> Path:
    """The file in a folder whose path ends most like a path from elsewhere; the path itself where there is none."""
    if path.is_relative_to(folder):
        return path
    ends = (folder.joinpath(*path.parts[start:]) for start in range(1, len(path.parts)))
    return next((end for end in ends if places.is_there(end)), path)


def _refuse_other_data(dataset: Dataset, workspace: Workspace, events: Events, *, remember: bool) -> None:
    """Refuse cases that are neither those the plan was made from nor those that arrays were made from since."""
    planned, plan = planned_checksums(workspace.fingerprint()), workspace.plan()
    with events.track("comparing with the data that were planned", total=len(dataset.labelled), unit="cases") as progress:
        checksums = case_checksums(
            workspace.checksums_file,
            dataset.labelled,
            verify=workspace.verify,
            remember=remember,
            ended=progress.advance,
        )
    store = store_of(workspace.preprocessed, plan=plan, checksums=checksums)
    other = [case for case, found in checksums.items() if planned.get(case) != found and not store.holds(case)]
    if other:
        raise DatasetError(
            "not the data that the plan was made from",
            where=dataset.root,
            found=f"other files for {some(other)}",
            remedy="Give the folder that holds them as they were, or make a plan from these: "
            + shlex.join(["autoseg", "plan", str(dataset.root), "--workspace", str(workspace.root)]),
        )
