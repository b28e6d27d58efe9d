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
from autoseg.data.labels import mask_of
from autoseg.errors import AutosegError, DatasetError, UsageError
from autoseg.evaluation.pairing import Pair, Pairing, pair_files
from autoseg.events import Events
from autoseg.images.image import on_grid_of, read_labels
from autoseg.images.segments import BACKGROUND, named_classes
from autoseg.jobs.pool import given_up, ordered_map
from autoseg.jobs.work import Jobs
from autoseg.metrics.masks import Masks
from autoseg.metrics.table import METRICS
from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM

Tolerances = Mapping[int, float] | float
"""Tolerances of the normalised surface Dice in mm, by label value, or one for all classes."""

NOT_AT_THIS_TOLERANCE: Final = "not scored at this tolerance"
"""Why there is no normalised surface Dice of a class that the reference contains: nothing else leaves it undefined."""

_NOTHING: Final = np.zeros((1, 1, 1), np.bool_)
"""Mask of a class that is nowhere."""


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
    tolerances_mm: Tolerances = DEFAULT_TOLERANCE_MM,
) -> CaseMetrics:
    """Score every class of a case except background.

    Args:
        case_id: name of the case.
        prediction: label values, (Z, Y, X).
        reference: label values of the same shape.
        classes: what to score; the value 0 is skipped. A region is wherever one of its values stands.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm.
        tolerances_mm: of the normalised surface Dice; `DEFAULT_TOLERANCE_MM` for values that it does not name.

    Raises:
        ValueError: the shapes differ, or are not those of a volume.
    """
    foreground = sorted((label for label in classes if label.value != 0), key=lambda label: label.value)
    return CaseMetrics(
        id=case_id,
        classes=tuple(
            _score_class(
                label,
                Masks(
                    mask_of(label, prediction),
                    mask_of(label, reference),
                    spacing_mm,
                    tolerance_mm=_tolerance_mm(label.value, tolerances_mm),
                ),
            )
            for label in foreground
        ),
    )


def evaluate_folders(
    predictions: Path,
    references: Path,
    *,
    classes: Sequence[LabelClass] | None,
    tolerances_mm: Tolerances = DEFAULT_TOLERANCE_MM,
    events: Events,
    jobs: Jobs = 1,
) -> Evaluation:
    """Score all label maps of two folders that belong together, reading one case at a time.

    Args:
        predictions: a label map or a folder of them.
        references: likewise; see `pair_files` for what belongs together.
        classes: the classes that may occur, background included or not; None: every value found on either side,
            called `class N`, or those that the references name as segments.
        tolerances_mm: as of `score_case`.
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
    compare = partial(_compare, classes=None if classes is None else tuple(classes), tolerances_mm=tolerances_mm)
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
    return Evaluation(cases=with_all_classes(scored, tolerances_mm), failures=tuple(failures), pairing=pairing)


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


def _compare(pair: Pair, *, classes: tuple[LabelClass, ...] | None, tolerances_mm: Tolerances) -> _Scored | AutosegError:
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
        tolerances_mm=tolerances_mm,
    )
    named = ((pair.reference, reference.warnings), (pair.prediction, prediction.warnings))
    return _Scored(metrics, tuple(f"{path}: {note}" for path, notes in named for note in notes))


def _present(*label_maps: NDArray[np.uint16]) -> tuple[LabelClass, ...]:
    counts = sum(np.bincount(labels.ravel(), minlength=1 << 16) for labels in label_maps)
    return tuple(LabelClass(value=int(value), name=f"class {value}") for value in np.flatnonzero(counts))


def with_all_classes(cases: Iterable[CaseMetrics], tolerances_mm: Tolerances) -> tuple[CaseMetrics, ...]:
    """Give every case the same classes: one that occurs only in other cases is empty on both sides here."""
    cases = tuple(cases)
    names = {scores.value: scores.name for case in cases for scores in case.classes}
    absent = {value: _absent(value, name, tolerances_mm) for value, name in sorted(names.items())}
    return tuple(
        replace(case, classes=tuple(({**absent, **{scores.value: scores for scores in case.classes}}).values()))
        for case in cases
    )


def _absent(value: int, name: str, tolerances_mm: Tolerances) -> ClassMetrics:
    tolerance_mm = _tolerance_mm(value, tolerances_mm)
    return _score_class(LabelClass(value=value, name=name), Masks(_NOTHING, _NOTHING, (1.0, 1.0, 1.0), tolerance_mm))


def _tolerance_mm(value: int, tolerances_mm: Tolerances) -> float:
    return tolerances_mm.get(value, DEFAULT_TOLERANCE_MM) if isinstance(tolerances_mm, Mapping) else tolerances_mm


def at_tolerances(cases: Iterable[CaseMetrics], tolerances_mm: Tolerances) -> tuple[CaseMetrics, ...]:
    """The same scores, the normalised surface Dice undefined where it was computed with another tolerance."""
    return tuple(
        replace(
            case, classes=tuple(_at_tolerance(scores, _tolerance_mm(scores.value, tolerances_mm)) for scores in case.classes)
        )
        for case in cases
    )


def _at_tolerance(scores: ClassMetrics, tolerance_mm: float) -> ClassMetrics:
    if scores.number("nsd_tolerance_mm") == tolerance_mm:
        return scores
    return replace(scores, numbers={**scores.numbers, "nsd": math.nan})
