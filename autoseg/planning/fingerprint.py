"""What a data set looks like, in numbers: the only thing the planning rules see of it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from autoseg import files
from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.data.image import check_same_grid, read_image, read_labels
from autoseg.errors import AutosegError, DatasetError, WorkspaceError
from autoseg.events import Events
from autoseg.planning.case_fingerprint import CaseFingerprint, measure
from autoseg.processes import ordered_map

_LISTED: Final = 5


class Fingerprint(BaseModel):
    """A data set's labelled cases in numbers, by rising id."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    cases: tuple[CaseFingerprint, ...] = Field(min_length=1)

    @property
    def dimensions(self) -> int:
        """3, or 2 where the cases are single pictures."""
        return self.cases[0].dimensions

    @property
    def class_voxels(self) -> dict[int, int]:
        """Voxels of each label value over all whole scans, by rising value."""
        total: Counter[int] = Counter()
        for case in self.cases:
            total.update(case.class_voxels)
        return dict(sorted(total.items()))


def fingerprint_dataset(dataset: Dataset, *, jobs: int, events: Events) -> Fingerprint:
    """Read every labelled case once, check it, and put it into numbers.

    Args:
        dataset: only its labelled cases are read.
        jobs: processes at work, each with one case in memory; 1: this process alone. The result is the same.
        events: gets a progress bar and what the files gave cause to remark.

    Raises:
        DatasetError: there is nothing to learn from, or cases cannot be used; names every such case.
        SystemFailureError: a worker died.
    """
    cases = sorted(dataset.labelled, key=lambda case: case.id)
    if not cases:
        raise DatasetError("no scan has a label map", where=dataset.root, remedy="Put label maps beside the training scans.")
    values = None if dataset.classes is None else tuple(label.value for label in dataset.classes)
    examine = partial(_examine, channels=len(dataset.channels), values=values)
    outcomes: list[_Outcome] = []
    with (
        events.track("looking at the data", total=len(cases), unit="cases") as progress,
        ordered_map(examine, cases, jobs=jobs) as results,
    ):
        for outcome in results:
            outcomes.append(outcome)
            progress.advance()
    _tell_notes(outcomes, events=events)
    _refuse_failures(outcomes, root=dataset.root)
    fingerprints = tuple(outcome.fingerprint for outcome in outcomes if outcome.fingerprint is not None)
    _refuse_mixed_dimensions(fingerprints, root=dataset.root)
    _warn_of_empty_labels(fingerprints, events=events)
    return Fingerprint(cases=fingerprints)


def found_classes(dataset: Dataset, fingerprint: Fingerprint) -> tuple[LabelClass, ...]:
    """The declared classes, or, where none are declared, background and one class per value found in the labels."""
    if dataset.classes is not None:
        return dataset.classes
    values = [value for value in fingerprint.class_voxels if value > 0]
    return LabelClass(value=0, name="background"), *(LabelClass(value=value, name=f"class {value}") for value in values)


def write_fingerprint(fingerprint: Fingerprint, path: Path) -> None:
    """Store a fingerprint as JSON."""
    files.write_json(path, fingerprint.model_dump(mode="json"))


def read_fingerprint(path: Path) -> Fingerprint:
    """Read a stored fingerprint.

    Raises:
        WorkspaceError: missing or not a fingerprint.
    """
    remedy = "Run `autoseg plan DATASET --force` to make it again."
    document = files.read_json(path, remedy=remedy)
    try:
        return Fingerprint.model_validate_json(files.json_text(document))
    except ValueError as invalid:
        raise WorkspaceError(f"not a fingerprint ({invalid})", where=path, remedy=remedy) from None


@dataclass(frozen=True)
class _Outcome:
    id: str
    fingerprint: CaseFingerprint | None = None
    error: AutosegError | None = None
    notes: tuple[str, ...] = ()


def _examine(case: Case, *, channels: int, values: tuple[int, ...] | None) -> _Outcome:
    # Errors travel as values, so that one bad case does not hide the next.
    label = cast(Path, case.label)
    try:
        image = read_image(case.images, channels=channels)
        labels = read_labels(label, values=values)
        check_same_grid(image.geometry, labels.geometry, where=label, other=case.images[0])
        notes = (*image.notes, *labels.notes)
        return _Outcome(case.id, fingerprint=measure(case, image, labels), notes=notes)
    except AutosegError as error:
        return _Outcome(case.id, error=error)


def _tell_notes(outcomes: Sequence[_Outcome], *, events: Events) -> None:
    # Scans of one origin share their peculiarities: one line for each of those, not one for each scan.
    cases: defaultdict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        for note in dict.fromkeys(outcome.notes):
            cases[note].append(outcome.id)
    for note, ids in cases.items():
        events.note(f"{_listing(ids)}: {note}")


def _warn_of_empty_labels(cases: Sequence[CaseFingerprint], *, events: Events) -> None:
    if empty := [case.id for case in cases if case.label_box is None]:
        events.warn(
            f"{_listing(empty)}: nothing is labelled, so these scans teach the background only, and metrics of the "
            "other classes are undefined on them"
        )


def _listing(ids: Sequence[str]) -> str:
    return ", ".join(ids) if len(ids) <= _LISTED else f"{', '.join(ids[:_LISTED])} and {len(ids) - _LISTED} more"


def _refuse_failures(outcomes: Sequence[_Outcome], *, root: Path) -> None:
    failures = {outcome.id: outcome.error for outcome in outcomes if outcome.error is not None}
    if len(failures) == 1:
        raise next(iter(failures.values()))
    if failures:
        listing = "\n".join(f"  {case}: {error}" for case, error in failures.items())
        raise DatasetError(
            f"{len(failures)} of {len(outcomes)} labelled cases cannot be used:\n{listing}\n",
            where=root,
            remedy="Mend or remove the listed files and run the same command again.",
        )


def _refuse_mixed_dimensions(cases: Sequence[CaseFingerprint], *, root: Path) -> None:
    flat = [case.id for case in cases if case.dimensions == 2]
    if flat and len(flat) < len(cases):
        raise DatasetError(
            "pictures and volumes are mixed",
            where=root,
            expected="only 2D or only 3D images",
            found=f"{len(flat)} 2D images (such as {flat[0]}) and {len(cases) - len(flat)} 3D images",
            remedy="Make two data sets of them.",
        )
