"""Making label maps part of a workspace's data: copied into it first, and then counted by all documents in one step."""

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.data import places
from autoseg.data.dataset import Adoption, Case, Dataset
from autoseg.data.new_folds import with_new_cases
from autoseg.errors import WorkspaceError
from autoseg.events import Events
from autoseg.formats.checksum import image_checksum
from autoseg.images.image import on_grid_of, read_image, read_labels, write_labels
from autoseg.planning.duplicates import fold_groups
from autoseg.planning.fingerprint import Fingerprint
from autoseg.planning.plan import Plan
from autoseg.runs.protection import is_of_other_data
from autoseg.runs.revisions import Change, RevisedCase, Revision, Revisions, begin_change, complete_change
from autoseg.runs.source_checksums import case_checksums
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.wording import counted, some

if TYPE_CHECKING:
    from autoseg.runs.adoption import Adoptable  # loads torch, which planning does without


@dataclass(frozen=True)
class Planned:
    """What adopting label maps will change.

    Attributes:
        change: what the documents become.
        revision: the last one of it.
    """

    change: Change
    revision: Revision


def adopt(found: "Sequence[Adoptable]", workspace: Workspace, *, by: str | None) -> Revision:
    """Copy label maps into the workspace, and have its documents count them; the caller holds its lock.

    Args:
        found: the label maps, checked.
        workspace: whose data they join.
        by: who corrected them, if that is to be kept.

    Returns:
        what was adopted, with the fold of each new case.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written; nothing has changed then.
    """
    number = workspace.revisions().number_after(workspace.dataset().revision)
    folder = workspace.adopted / f"revision_{number}"
    with files.explain_os_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed: nothing counts it
    copies = {one.case.id: _copied(one, folder, workspace.plan()) for one in found}
    planned = plan_change(found, workspace, by=by, copies=copies)
    begin_change(workspace.root, planned.change)
    complete_change(workspace.root)
    cases = {case.id: case for case in workspace.dataset().labelled}
    case_checksums(workspace.checksums_file, [cases[one.case.id] for one in found], verify=False)
    return planned.revision


def plan_change(
    found: "Sequence[Adoptable]", workspace: Workspace, *, by: str | None, copies: dict[str, tuple[Path, str]] | None = None
) -> Planned:
    """What adopting label maps will change.

    Args:
        found: the label maps, checked.
        workspace: whose data they join.
        by: who corrected them.
        copies: by case, the copy in the workspace and its checksum; None: there are none yet, and the person's files count.
    """
    dataset, fingerprint, splits = workspace.dataset(), workspace.fingerprint(), workspace.splits()
    number = workspace.revisions().number_after(dataset.revision)
    made = copies or {one.case.id: (one.case.label or Path(), one.measured.label_sha256) for one in found}
    cases = {case.id: case for case in dataset.cases} | {
        one.case.id: _adopted(one, number, *made[one.case.id]) for one in found
    }
    dataset = dataset.model_copy(update={"cases": tuple(cases.values()), "revision": number})
    earlier = {case.id: case for case in fingerprint.cases}
    measured = earlier | {
        one.case.id: one.measured.model_copy(update={"label_sha256": made[one.case.id][1]}) for one in found
    }
    fingerprint = Fingerprint(cases=tuple(measured[case] for case in sorted(measured)))
    new = [one.case.id for one in found if not one.corrected]
    splits, folds = with_new_cases(splits, new, groups=fold_groups(dataset, fingerprint.cases))
    revision = Revision(
        number=number,
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        by=by,
        cases=tuple(
            RevisedCase(
                case=one.case.id,
                corrected=one.corrected,
                scan_sha256=one.scan_sha256,
                source_sha256=one.measured.label_sha256,
                earlier_sha256=_earlier_sha256(one, earlier[one.case.id].label_sha256 if one.case.id in earlier else None),
                label_sha256=made[one.case.id][1],
                fold=folds.get(one.case.id, _fold_now(one.case.id, workspace)),
            )
            for one in found
        ),
    )
    history = Revisions(revisions=(*workspace.revisions().revisions, revision))
    stored = places.as_stored(dataset, workspace.root)
    return Planned(Change(dataset=stored, fingerprint=fingerprint, splits=splits, revisions=history), revision)


def with_adopted(dataset: Dataset, workspace: Workspace, *, force: bool, events: Events) -> Dataset:
    """A data set as it was found again, with what its workspace has adopted since; the caller holds its lock.

    Args:
        dataset: as a layout finds it.
        workspace: of the same data set, or none yet; where it is of another one, what it adopted is left out.
        force: whether a workspace that cannot be read is replaced.
        events: told of what was adopted.

    Returns:
        the same with adopted label maps instead of its own, further cases that were adopted, and the revision.

    Raises:
        WorkspaceError: its cases cannot be read, and it is not to be replaced.
    """
    if not workspace.dataset_file.exists():
        return dataset
    complete_change(workspace.root)
    try:
        earlier = workspace.dataset()
    except WorkspaceError:
        if not force:
            raise
        with suppress(WorkspaceError):
            revisions = workspace.revisions()
            return _without(revisions.latest(), dataset, workspace, revision=revisions.number_after(0), events=events)
        return dataset
    adopted = {case.id: case for case in earlier.cases if case.adopted is not None}
    if not adopted:
        return dataset.model_copy(update={"revision": earlier.revision})
    if is_of_other_data(earlier, dataset):
        return _without(adopted, dataset, workspace, revision=earlier.revision + 1, events=events)
    events.info(f"with {counted(len(adopted), 'adopted label map')}: {some(sorted(adopted))}")
    cases = {case.id: _again(case, adopted.get(case.id)) for case in dataset.cases}
    cases |= {name: case for name, case in adopted.items() if name not in cases}
    return dataset.model_copy(update={"cases": tuple(cases.values()), "revision": earlier.revision})


def _without(adopted: Iterable[str], dataset: Dataset, workspace: Workspace, *, revision: int, events: Events) -> Dataset:
    """A data set that replaces the one which label maps were adopted for: of a revision of its own, where there are any."""
    if not (names := sorted(adopted)):
        return dataset
    events.warn(
        f"label maps that were adopted for the data set before are left out: {some(names)}. Their copies stay in "
        f"{workspace.adopted}; `autoseg adopt` adopts them again from the folders of results"
    )
    return dataset.model_copy(update={"revision": revision})


def _again(case: Case, adopted: Case | None) -> Case:
    if adopted is None:
        return case
    return case.model_copy(update={"label": adopted.label, "subset": adopted.subset, "adopted": adopted.adopted})


def _copied(one: "Adoptable", folder: Path, plan: Plan) -> tuple[Path, str]:
    """Write the label map of a case into a folder, on the grid of its scan; gives the file and its checksum."""
    case = one.case
    if case.label is None:
        msg = f"{case.id} has no label map"
        raise ValueError(msg)
    image = read_image(case.images, channels=len(plan.data.channels), not_finite=plan.preprocessing.not_finite)
    labels = read_labels(case.label, values=plan.data.label_names)
    labels = on_grid_of(labels, image.geometry, where=case.label, other=case.images[0])
    copy = folder / f"{case.id}.nii.gz"
    write_labels(copy, labels.array, image.geometry)
    return copy, image_checksum(copy)


def _adopted(one: "Adoptable", revision: int, label: Path, sha256: str) -> Case:
    before = one.before
    corrected = one.corrected if before is None or before.adopted is None else before.adopted.corrected
    adopted = Adoption(revision=revision, corrected=corrected, label_sha256=sha256)
    return one.case.model_copy(update={"label": label.absolute(), "adopted": adopted})


def _earlier_sha256(one: "Adoptable", measured: str | None) -> str | None:
    """Checksum of the label map that another one takes the place of."""
    before = None if one.before is None else one.before.label
    if measured is not None or before is None:
        return measured
    return image_checksum(before)


def _fold_now(case: str, workspace: Workspace) -> int | None:
    folds = workspace.splits().folds
    return next((number for number, fold in enumerate(folds) if case in fold.validation), None)
