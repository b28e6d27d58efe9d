"""Cases scored, from their arrays."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autoseg.data.dataset import LabelClass
from autoseg.data.labels import mask_of
from autoseg.metrics.masks import Masks, labelled_part
from autoseg.metrics.table import METRICS
from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM

Tolerances = Mapping[int, float] | float
"""Tolerances of the normalised surface Dice in mm, by label value, or one for all classes."""

NOT_AT_THIS_TOLERANCE: Final = "not scored at this tolerance"
"""Why there is no normalised surface Dice of a class that the reference contains: nothing else leaves it undefined."""

NOT_THROUGHOUT: Final = "not labelled throughout"
"""Why there are no distances of a class that both label maps contain: some voxels of the reference have no label."""

_NOTHING: Final = np.zeros((1, 1, 1), np.bool_)
"""Mask of a class that is nowhere."""

_Box = tuple[slice, ...]

_ANYWHERE: Final[_Box] = (slice(1),) * 3
"""Where a class is looked for that is nowhere."""


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


def score_case(
    case_id: str,
    prediction: NDArray[np.integer[Any]],
    reference: NDArray[np.integer[Any]],
    *,
    classes: Sequence[LabelClass],
    spacing_mm: tuple[float, float, float],
    tolerances_mm: Tolerances = DEFAULT_TOLERANCE_MM,
    ignore: int | None,
) -> CaseMetrics:
    """Score every class of a case except background.

    Voxels without a label count for nothing, whatever is predicted there. A case that has such voxels has no distances.

    Args:
        case_id: name of the case.
        prediction: label values, (Z, Y, X).
        reference: label values of the same shape.
        classes: what to score; the value 0 is skipped. A region is wherever one of its values stands.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm.
        tolerances_mm: of the normalised surface Dice; `DEFAULT_TOLERANCE_MM` for values that it does not name.
        ignore: label value of voxels without a label; None: there are none.

    Raises:
        ValueError: the shapes differ, or are not those of a volume.
    """
    if prediction.ndim != 3 or prediction.shape != reference.shape:
        msg = f"two volumes (Z, Y, X) of one shape are needed, not {prediction.shape} and {reference.shape}"
        raise ValueError(msg)
    labelled = labelled_part(reference, ignore=ignore)
    foreground = sorted((label for label in classes if label.value != 0), key=lambda label: label.value)
    return CaseMetrics(
        id=case_id,
        classes=tuple(
            _score_class(
                label,
                Masks(
                    _within(labelled, mask_of(label, prediction[box]), box),
                    mask_of(label, reference[box]),
                    spacing_mm,
                    tolerance_mm=_tolerance_mm(label.value, tolerances_mm),
                    throughout=labelled is None,
                ),
            )
            for label, box in zip(foreground, _boxes(foreground, prediction, reference), strict=True)
        ),
    )


def _boxes(classes: Sequence[LabelClass], *label_maps: NDArray[np.integer[Any]]) -> Iterator[_Box]:
    """Of each class the box that holds it in all label maps, found in one look at each of them.

    All that lies beyond the border of an image is outside a mask, as is all beyond its box: nothing that is scored changes.
    The box is a voxel wider where the image goes on, so that an axis has several voxels if the image has several along it.
    """
    highest = max((value for label in classes for value in label.label_values), default=1)
    found = [ndimage.find_objects(labels, max_label=highest) for labels in label_maps]
    for label in classes:
        boxes = [box for of_map in found for value in label.label_values if (box := of_map[value - 1]) is not None]
        yield tuple(_widened(along) for along in zip(*boxes, strict=True)) or _ANYWHERE


def _widened(along: Sequence[slice]) -> slice:
    """What holds stretches of one axis, and a voxel more on each side; beyond the end of the axis a slice has nothing."""
    return slice(max(min(each.start for each in along) - 1, 0), max(each.stop for each in along) + 1)


def _within(labelled: NDArray[np.bool_] | None, mask: NDArray[np.bool_], box: _Box) -> NDArray[np.bool_]:
    return mask if labelled is None else mask & labelled[box]


def _score_class(label: LabelClass, masks: Masks) -> ClassMetrics:
    return ClassMetrics(label.value, label.name, {name: metric.compute(masks) for name, metric in METRICS.items()})


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
