"""What a data set looks like, in numbers: the only thing the planning rules see of it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.catalogue import NotFinite
from autoseg.data.dataset import Dataset, LabelClass
from autoseg.errors import DatasetError, ProblemsError, SystemFailureError
from autoseg.events import Events
from autoseg.jobs.work import Jobs
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.planning.examination import examine, problems_of
from autoseg.storage.documents import DocumentType


class Fingerprint(BaseModel):
    """A data set's labelled cases in numbers, by rising id."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[2] = 2
    cases: tuple[CaseFingerprint, ...] = Field(min_length=1)

    @property
    def dimensions(self) -> int:
        """3, or 2 where the cases are single images."""
        return self.cases[0].dimensions

    @property
    def class_voxels(self) -> dict[int, int]:
        """Voxels of each label value over all whole scans, by rising value."""
        total: Counter[int] = Counter()
        for case in self.cases:
            total.update(case.class_voxels)
        return dict(sorted(total.items()))

    def voxels_of(self, label: LabelClass) -> int:
        """Voxels of a class over all whole scans; those of a region have one of its values."""
        return sum(case.voxels_of(label) for case in self.cases)


def fingerprint_dataset(dataset: Dataset, *, jobs: Jobs, events: Events, not_finite: NotFinite = "refuse") -> Fingerprint:
    """Read every labelled case once, check it, and put it into numbers.

    Args:
        dataset: only its labelled cases are read.
        jobs: processes at work, each with one case in memory, or an executor; 1: this process alone. The result is the same.
        events: gets a progress bar and what the files give cause to warn of.
        not_finite: what to do with voxels that are NaN or infinite.

    Raises:
        DatasetError: there is nothing to learn from, or cases cannot be used; names every such case.
        SystemFailureError: nothing could be done at all, as where processes cannot be started.
    """
    cases = sorted(dataset.labelled, key=lambda case: case.id)
    if not cases:
        raise DatasetError("no scan has a label map", where=dataset.root, remedy="Put label maps beside the training scans.")
    examined = examine(cases, dataset, not_finite=not_finite, jobs=jobs, events=events)
    problems = problems_of(examined, root=dataset.root)
    if len(problems) == 1 and not isinstance(problems[0][1], SystemFailureError):  # which does not name its case
        raise problems[0][1]
    if problems:
        raise ProblemsError(problems, where=dataset.root)
    return Fingerprint(cases=tuple(case.fingerprint for case in examined if case.fingerprint is not None))


def found_classes(dataset: Dataset, fingerprint: Fingerprint) -> tuple[LabelClass, ...]:
    """The declared classes, or, where none are declared, background and one class per value found in the labels."""
    if dataset.classes is not None:
        return dataset.classes
    values = [value for value in fingerprint.class_voxels if value not in (0, dataset.ignore)]
    return LabelClass(value=0, name="background"), *(LabelClass(value=value, name=f"class {value}") for value in values)


def _to_format_2(document: dict[str, Any]) -> dict[str, Any]:
    """Names of version 0.1 become those of the field."""
    for case in _objects(document.get("cases")):
        _rename(case, "overhang_px", "label_margin_px")
        for channel in _objects(case.get("channels")):
            for statistics in _objects([channel.get("positive"), channel.get("labelled")]):
                _rename(statistics, "deviation", "std")
    return document


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    yield from (value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()


def _rename(values: dict[str, Any], old: str, new: str) -> None:
    if old in values and new not in values:
        values[new] = values.pop(old)


FINGERPRINT: Final = DocumentType(
    name="fingerprint",
    model=Fingerprint,
    missing="Run `autoseg plan DATASET` first.",
    unusable="Run `autoseg plan DATASET --force` to make it again.",
    migrations={1: _to_format_2},
)
