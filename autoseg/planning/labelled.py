"""How much of a data set is labelled, and which cases have no label at all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.data.dataset import IGNORE, Dataset
from autoseg.errors import DatasetError
from autoseg.events import Events
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.wording import some


@dataclass(frozen=True)
class LabelledPart:
    """How much of some cases is labelled.

    Attributes:
        cases: how many there are.
        partial: how many of them have voxels without a label.
        voxels: labelled ones, as a fraction of those of all cases.
        slices: of the partial ones that have a labelled voxel, across the axis of each along which fewest have one; of a
            single slice that one.
        of_slices: all slices across these axes.
    """

    cases: int
    partial: int
    voxels: float
    slices: int
    of_slices: int

    def __str__(self) -> str:
        cases = "every case" if self.partial == self.cases else f"{self.partial} of {self.cases} cases"
        return (
            f"{self.voxels:.1%} of the voxels are labelled; {cases} in part, in {self.slices:,} of {self.of_slices:,} slices"
        )


def labelled_part(cases: Sequence[CaseFingerprint]) -> LabelledPart | None:
    """How much of some cases is labelled; None where every voxel is."""
    partial = [(case.unlabelled, case.shape) for case in cases if case.unlabelled is not None]
    if not partial:
        return None
    fewest = [
        min(zip(unlabelled.labelled_slices, shape, strict=True), key=lambda each: (each[1] > 1, each[0] / each[1]))
        for unlabelled, shape in partial
    ]
    return LabelledPart(
        cases=len(cases),
        partial=len(partial),
        voxels=1 - sum(unlabelled.voxels for unlabelled, _ in partial) / sum(math.prod(case.shape) for case in cases),
        slices=sum(found for found, _ in fewest),
        of_slices=sum(length for _, length in fewest),
    )


def has_label(case: CaseFingerprint) -> bool:
    """Whether any voxel of a case has a label."""
    return sum(case.class_voxels.values()) > 0


def without_unlabelled(
    dataset: Dataset, cases: Sequence[CaseFingerprint], events: Events
) -> tuple[Dataset, tuple[CaseFingerprint, ...]]:
    """A data set whose label maps all have a label: the cases of others can only be predicted.

    Args:
        dataset: the data set.
        cases: its labelled cases in numbers.
        events: told which cases these are; and warned of an ignore value that no voxel has.

    Raises:
        DatasetError: no voxel of any training case has a label.
    """
    if dataset.ignore is not None and all(case.unlabelled is None for case in cases):
        events.warn(f"no voxel has the value {dataset.ignore} ({IGNORE}): everything counts as labelled")
    without = {case.id for case in cases if not has_label(case)}
    if not without:
        return dataset, tuple(cases)
    kept = tuple(case.model_copy(update={"label": None}) if case.id in without else case for case in dataset.cases)
    dataset = dataset.model_copy(update={"cases": kept})
    if not dataset.training:
        raise DatasetError(
            "no voxel of any training scan has a label",
            where=dataset.root,
            expected=f"other values than {dataset.ignore} ({IGNORE}) in some slices",
            remedy="Draw labels on a few slices of some scans.",
        )
    events.info(f"{some(sorted(without))}: no voxel has a label, so these scans take no part in training")
    return dataset, tuple(case for case in cases if case.id not in without)
