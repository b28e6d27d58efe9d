"""Cases scored: one from its arrays, or folders of them from their files."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass, names_by_value
from autoseg.errors import AutosegError, DatasetError, UsageError
from autoseg.evaluation.pairing import Pair, Pairing, pair_files
from autoseg.events import Events
from autoseg.images.image import on_grid_of, read_labels
from autoseg.images.segments import BACKGROUND, named_classes
from autoseg.jobs.pool import given_up, ordered_map
from autoseg.jobs.work import Jobs
from autoseg.metrics.masks import Masks
from autoseg.metrics.table import METRICS

_NOTHING: Final = Masks(np.zeros((1, 1, 1), np.bool_), np.zeros((1, 1, 1), np.bool_), (1.0, 1.0, 1.0))
"""A class that is on neither side."""


@dataclass(frozen=True)
class ClassMetrics:
    """How one class of one case scores.

    Attributes:
        value: the class's value in label maps.
        name: the class's name.
        numbers: by the names in `METRICS`; NaN or missing where a number is undefined (docs/reference/metrics.md).
    """

    value: int
    name: str
    numbers: Mapping[str, float] = field(hash=False)

    def number(self, metric: str) -> float:
        """One of the numbers; NaN where it is undefined."""
        return self.numbers.get(metric, math.nan)

    @property
    def dice(self) -> float:
        """Dice, in [0, 1]."""
        return self.number("dice")

    @property
    def hausdorff_mm(self) -> float:
        """Hausdorff distance."""
        return self.number("hausdorff_mm")


@dataclass(frozen=True)
class CaseMetrics:
    """How one case scores.

    Attributes:
        id: the case.
        classes: one entry per class, by rising value, without background.
    """

    id: str
    classes: tuple[ClassMetrics, ...]


@dataclass(frozen=True)
class Evaluation:
    """Folders compared.

    Attributes:
        cases: the cases that could be scored, by id.
        failures: ids of the others, with what is wrong with them.
        pairing: which files were compared, and which have no partner.
    """

    cases: tuple[CaseMetrics, ...]
    failures: tuple[tuple[str, AutosegError], ...]
    pairing: Pairing

    @property
    def unpaired(self) -> tuple[Path, ...]:
        """Files without a partner, predictions first."""
        return self.pairing.without_reference + self.pairing.without_prediction

    @property
    def problems(self) -> tuple[tuple[str, AutosegError], ...]:
        """What is wrong with cases that could not be scored, and with files without a partner."""
        remedy = "Give both files the same name, or <id> and <id>_seg, or move what should not be compared."
        alone = (
            (path.name, DatasetError("has no partner to compare with", where=path, remedy=remedy)) for path in self.unpaired
        )
        return (*self.failures, *alone)


def score_case(
    case_id: str,
    prediction: NDArray[np.integer[Any]],
    reference: NDArray[np.integer[Any]],
    *,
    classes: Sequence[LabelClass],
    spacing_mm: tuple[float, float, float],
) -> CaseMetrics:
    """Score every class of a case except background.

    Args:
        case_id: name of the case.
        prediction: label values, (Z, Y, X).
        reference: label values of the same shape.
        classes: what to score; the value 0 is skipped.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm.

    Raises:
        ValueError: the shapes differ, or are not those of a volume.
    """
    foreground = sorted((label for label in classes if label.value != 0), key=lambda label: label.value)
    return CaseMetrics(
        id=case_id,
        classes=tuple(
            _score_class(label, Masks(prediction == label.value, reference == label.value, spacing_mm))
            for label in foreground
        ),
    )


def evaluate_folders(
    predictions: Path, references: Path, *, classes: Sequence[LabelClass] | None, events: Events, jobs: Jobs = 1
) -> Evaluation:
    """Score all label maps of two folders that belong together, reading one case at a time.

    Args:
        predictions: a label map or a folder of them.
        references: likewise; see `pair_files` for what belongs together.
        classes: the classes that may occur, background included or not; None: every value found on either side,
            called `class N`, or those that the references name as segments.
        events: notified of progress, and warned about files.
        jobs: processes that work side by side, >= 1, or an executor. The result does not depend on it.

    Raises:
        UsageError: nothing to compare.
        DatasetError: an id occurs twice on one side.
        SystemFailureError: nothing could be done at all, as where processes cannot be started.
    """
    pairing = pair_files(predictions, references)
    for passed in pairing.passed_over:
        passed.tell(events)
    classes = classes or _segment_classes([pair.reference for pair in pairing.pairs])
    compare = partial(_compare, classes=None if classes is None else tuple(classes))
    scored, failures = [], []
    with (
        events.track("comparing", total=len(pairing.pairs), unit="cases") as progress,
        ordered_map(compare, pairing.pairs, jobs=jobs, on_death=given_up) as results,
    ):
        for pair, result in zip(pairing.pairs, results, strict=True):
            if isinstance(result, AutosegError):
                failures.append((pair.id, result))
            else:
                scored.append(result.metrics)
                for note in result.notes:
                    events.warn(f"{pair.id}: {note}")
            progress.advance()
    return Evaluation(cases=_with_all_classes(scored), failures=tuple(failures), pairing=pairing)


def _segment_classes(references: Sequence[Path]) -> tuple[LabelClass, ...] | None:
    """The classes that 3D Slicer's segments are called by; None where references name none."""
    named = named_classes(references)
    if named is None:
        return None
    if not named.own:
        raise UsageError(
            "segments of one name have different label values, so that those of the predictions cannot be told",
            where=references[0].parent,
            found=", ".join(list(named.names.values())[1:]),
            remedy="Name the workspace that the predictions stem from with --workspace: classes are told by their names.",
        )
    return tuple(LabelClass(value=value, name=name) for value, name in named.names.items())


def _score_class(label: LabelClass, masks: Masks) -> ClassMetrics:
    return ClassMetrics(label.value, label.name, {name: metric.compute(masks) for name, metric in METRICS.items()})


@dataclass(frozen=True)
class _Scored:
    metrics: CaseMetrics
    notes: tuple[str, ...]


def _compare(pair: Pair, *, classes: tuple[LabelClass, ...] | None) -> _Scored | AutosegError:
    """Score one pair of files. An error is returned, not raised: the other cases go on."""
    allowed = None if classes is None else {0: BACKGROUND, **names_by_value(classes)}
    try:
        reference = read_labels(pair.reference, values=allowed)
        prediction = read_labels(pair.prediction, values=allowed)
        if reference.partial and not prediction.partial:
            reference = on_grid_of(reference, prediction.geometry, where=pair.reference, other=pair.prediction)
        prediction = on_grid_of(prediction, reference.geometry, where=pair.prediction, other=pair.reference)
    except AutosegError as error:
        return error
    metrics = score_case(
        pair.id,
        prediction.array,
        reference.array,
        classes=_present(prediction.array, reference.array) if classes is None else classes,
        spacing_mm=reference.geometry.spacing_mm,
    )
    named = ((pair.reference, reference.warnings), (pair.prediction, prediction.warnings))
    return _Scored(metrics, tuple(f"{path}: {note}" for path, notes in named for note in notes))


def _present(*label_maps: NDArray[np.uint16]) -> tuple[LabelClass, ...]:
    counts = sum(np.bincount(labels.ravel(), minlength=1 << 16) for labels in label_maps)
    return tuple(LabelClass(value=int(value), name=f"class {value}") for value in np.flatnonzero(counts))


def _with_all_classes(cases: Iterable[CaseMetrics]) -> tuple[CaseMetrics, ...]:
    """Give every case the same classes: one that occurs only in other cases is empty on both sides here."""
    cases = tuple(cases)
    names = {scores.value: scores.name for case in cases for scores in case.classes}
    completed = []
    for case in cases:
        own = {scores.value: scores for scores in case.classes}
        every = tuple(own.get(value) or _absent(value, names[value]) for value in sorted(names))
        completed.append(replace(case, classes=every))
    return tuple(completed)


def _absent(value: int, name: str) -> ClassMetrics:
    return _score_class(LabelClass(value=value, name=name), _NOTHING)
