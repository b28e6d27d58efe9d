"""One scan under several ids: found by its voxels, said, and kept on one side of every fold.

A network that has learnt from a scan knows its copy: scores on it say nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.data.dataset import Case, Dataset
from autoseg.data.grouping import group_cases
from autoseg.data.splits import Splits
from autoseg.events import Events
from autoseg.images.image import Image, LabelMap
from autoseg.images.voxel_digest import voxel_digest
from autoseg.planning.case_fingerprint import CaseFingerprint
from autoseg.wording import some

_SPACING_TOLERANCE = 1e-3
"""Relative difference of spacings that rounding in headers explains. Source: ours; four decimals stay below it."""


@dataclass(frozen=True)
class Likeness:
    """By what copies of a case are recognised.

    Attributes:
        image: digest of its voxels.
        labels: the same of its label map; None where there is none, or nothing is labelled.
        spacing_mm: along the patient's axes, from left to right first.
    """

    image: str
    labels: str | None
    spacing_mm: tuple[float, ...]


def likeness_of(image: Image, labels: LabelMap | None) -> Likeness:
    """What a case is recognised by, computed from what has been read anyway."""
    channels = image.array
    if all(np.array_equal(channel, channels[0]) for channel in channels[1:]):
        channels = channels[:1]  # a grey picture, however many times it is stored
    by_axis = sorted(zip(image.geometry.anatomical_axes(), image.geometry.spacing_mm, strict=True))
    return Likeness(
        image=voxel_digest(channels, image.geometry),
        labels=None if labels is None or not labels.array.any() else voxel_digest(labels.array, image.geometry),
        spacing_mm=tuple(spacing for _, spacing in by_axis),
    )


def fold_groups(dataset: Dataset, cases: Iterable[CaseFingerprint]) -> dict[str, str]:
    """The group of every labelled training case that stays on one side of each fold: its subject, and copies of its scans.

    Args:
        dataset: its labelled training cases take part.
        cases: in numbers; those that version 0.1 measured are no copies of any.
    """
    copies: defaultdict[str, list[str]] = defaultdict(list)
    for case in cases:
        if case.voxels_sha256 is not None:
            copies[case.voxels_sha256].append(case.id)
    return group_cases(dataset.training, together=copies.values())


def copies_apart(splits: Splits, cases: Iterable[CaseFingerprint]) -> str | None:
    """The first fold, perhaps edited by hand, that has one scan on both sides, as a sentence without a full stop.

    Args:
        splits: the folds; the official split is the data set's own, and may.
        cases: in numbers; of those that version 0.1 measured nothing is known.
    """
    scans = {case.id: case.voxels_sha256 for case in cases if case.voxels_sha256 is not None}
    for number, fold in enumerate(splits.folds):
        learnt, tested = ({scans[case] for case in side if case in scans} for side in (fold.training, fold.validation))
        if apart := sorted(case for case in (*fold.training, *fold.validation) if scans.get(case) in learnt & tested):
            return f"fold {number} has one scan in training and in validation: {', '.join(apart)}"
    return None


def warn_of_duplicates(cases: Sequence[Case], likenesses: Mapping[str, Likeness], events: Events) -> None:
    """Say which cases are one scan, and which different scans have one label map.

    Args:
        cases: of the data set, by id.
        likenesses: by id, of those that could be read.
        events: notified.
    """
    known = {case.id: case for case in cases if case.id in likenesses}
    for ids in _equal({case: likenesses[case].image for case in known}):
        events.warn(_same_scan([known[one] for one in ids], [likenesses[one] for one in ids]))
    labelled = {case: digest for case in known if (digest := likenesses[case].labels) is not None}
    for ids in _equal(labelled):
        scans, subjects = {likenesses[one].image for one in ids}, {known[one].subject for one in ids}
        if len(scans) > 1 and len(subjects) > 1:
            events.warn(
                f"{some(ids)}: different scans with exactly the same label map. Either it belongs to one of them only, "
                "or they show one patient and want one subject"
            )


def _same_scan(cases: Sequence[Case], likenesses: Sequence[Likeness]) -> str:
    labels = {one.labels for case, one in zip(cases, likenesses, strict=True) if case.label is not None}
    header = "" if _near([one.spacing_mm for one in likenesses]) else ", though with other spacings"
    message = f"{some([case.id for case in cases])}: the same scan under several ids, voxel by voxel{header}"
    if len(labels) > 1:
        message += ", with different label maps"
    sides = {case.subset for case in cases if case.label is not None and case.subset != "test"}
    if sum(case.subset == "training" and case.label is not None for case in cases) > 1:
        message += ". They stay on one side of every fold"
    if len(sides) > 1:
        message += ". The official split has it on both sides, so that its scores are of a scan that was learnt from"
    if any(case.subset == "test" or case.label is None for case in cases) and sides:
        message += ". It is among the test scans, too"
    return f"{message}. Remove all but one of them"


def _near(spacings: Sequence[Sequence[float]]) -> bool:
    return all(np.allclose(one, spacings[0], rtol=_SPACING_TOLERANCE, atol=0) for one in spacings)


def _equal(digests: Mapping[str, str]) -> list[list[str]]:
    """Ids that have one digest, where there are several."""
    by_digest: defaultdict[str, list[str]] = defaultdict(list)
    for one, digest in digests.items():
        by_digest[digest].append(one)
    return [ids for ids in by_digest.values() if len(ids) > 1]
