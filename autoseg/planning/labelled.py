"""How much of a data set is labelled, and which cases have no label at all."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.data.dataset import IGNORE, Dataset
from autoseg.data.naming import some
from autoseg.errors import DatasetError
from autoseg.events import Events
from autoseg.planning.case_fingerprint import CaseFingerprint


@dataclass(frozen=True)
class LabelledPart:
    """How much of some cases is labelled.

    Attributes:
        cases: how many there are.
        partial: how many of them have voxels without a label.
        voxels: labelled ones, as a fraction of all.
        slices: that have a labelled voxel, across the axis of each case that has fewest of them.
        of_slices: all slices across these axes.
    """

    cases: int
    partial: int
    voxels: float
    slices: int
    of_slices: int

    def __str__(self) -> str:
        return (
            f"{self.voxels:.1%} of the voxels are labelled, in {self.slices:,} of {self.of_slices:,} slices; "
            f"{self.partial} of {self.cases} cases in part"
        )


def labelled_part(cases: Sequence[CaseFingerprint]) -> LabelledPart | None:
    """How much of some cases is labelled; None where every voxel is."""
    if all(case.unlabelled is None for case in cases):
        return None
    total, without, slices, of_slices = 0, 0, 0, 0
    for case in cases:
        first, second, third = case.shape
        total += first * second * third
        if case.unlabelled is None:
            fewest, length = first, first
        else:
            without += case.unlabelled.voxels
            fewest, length = min(
                zip(case.unlabelled.labelled_slices, case.shape, strict=True), key=lambda each: each[0] / each[1]
            )
        slices, of_slices = slices + fewest, of_slices + length
    partial = sum(case.unlabelled is not None for case in cases)
    return LabelledPart(len(cases), partial, 1 - without / total, slices, of_slices)


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
