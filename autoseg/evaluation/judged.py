"""Label maps judged now, as sides of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoseg.data.dataset import LabelClass
from autoseg.errors import AutosegError, DatasetError
from autoseg.evaluation.cases import Tolerances, with_all_classes
from autoseg.evaluation.folders import evaluate_folders
from autoseg.evaluation.paired import PairedComparison, Side
from autoseg.events import Events
from autoseg.images.segments import BACKGROUND
from autoseg.jobs.work import Jobs


def judged_side(
    place: Path,
    references: Path,
    *,
    name: str,
    classes: Sequence[LabelClass] | None,
    tolerances_mm: Tolerances,
    ignore: int | None,
    events: Events,
    jobs: Jobs = 1,
) -> tuple[Side, tuple[tuple[str, AutosegError], ...]]:
    """Score a folder of label maps of any origin.

    Args:
        place: the label maps.
        references: the label maps to compare with; those of other cases may be among them.
        name: what to call the side.
        classes: as of `evaluate_folders`.
        tolerances_mm: likewise.
        ignore: likewise.
        events: notified of progress, and warned about files.
        jobs: processes that work side by side, or an executor.

    Returns:
        the scores, and what is wrong with label maps that could not be scored.

    Raises:
        DatasetError: an id occurs twice on one side.
        UsageError: there is nothing to compare.
    """
    found = evaluate_folders(
        place, references, classes=classes, tolerances_mm=tolerances_mm, ignore=ignore, events=events, jobs=jobs
    )
    remedy = f"Add its reference to {references}, or move the label map away."
    alone = [
        (path.name, DatasetError("has no reference", where=path, remedy=remedy)) for path in found.pairing.without_reference
    ]
    checksums = {each.pair.id: each.reference_sha256 for each in found.judged}
    return Side(name, found.cases, checksums, frozenset(found.pairing.expected)), (*found.failures, *alone)


def classes_of(sides: Sequence[Side]) -> tuple[LabelClass, ...] | None:
    """The classes of sides that are scored already, background first; None without any."""
    names = {scores.value: scores.name for side in sides for case in side.cases for scores in case.classes}
    if not names:
        return None
    return tuple(LabelClass(value=value, name=name) for value, name in sorted({0: BACKGROUND, **names}.items()))


def tolerances_of(sides: Sequence[Side]) -> dict[int, float]:
    """The tolerance of the normalised surface Dice by label value, as the first side says that has one."""
    found: dict[int, float] = {}
    for side in sides:
        for case in side.cases:
            for scores in case.classes:
                tolerance_mm = scores.number("nsd_tolerance_mm")
                if not math.isnan(tolerance_mm):
                    found.setdefault(scores.value, tolerance_mm)
    return found


def with_same_classes(sides: Sequence[Side], tolerances_mm: Tolerances) -> list[Side]:
    """Sides whose classes were found in their files: one that is in no file of a side is empty in all its cases."""
    every = iter(with_all_classes([case for side in sides for case in side.cases], tolerances_mm))
    return [replace(side, cases=tuple(next(every) for _ in side.cases)) for side in sides]


def problems_of(
    failures: Sequence[tuple[str, AutosegError]], comparison: PairedComparison
) -> list[tuple[str, AutosegError]]:
    """What is wrong with cases that could not be judged, and then with those that only some sides have, each once."""
    remedy = "Segment or score it on every side, or leave it: the others are compared without it."
    failed = {case for case, _ in failures}
    missing = [
        (case, DatasetError(f"is not in {', '.join(names)}", remedy=remedy))
        for case, names in comparison.missing.items()
        if case not in failed
    ]
    return [*failures, *missing]
