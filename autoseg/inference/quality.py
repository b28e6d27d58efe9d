"""How good a segmentation probably is, from nothing but the probabilities of the networks that made it.

Networks that agree and are sure of themselves expect a high Dice of their own label map; those that disagree average to
middling probabilities and expect a low one. What they expect is calibrated on held-out cases, whose Dice is known. Only
networks of one fold are asked together: several seeds of one network are a deep ensemble (Lakshminarayanan et al. 2017),
networks of different folds, which learnt from different data, are none.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import xlogy

from autoseg import catalogue
from autoseg.data.labels import LabelEncoding
from autoseg.evaluation.statistics import sums_without_each
from autoseg.inference.probabilities import SMALLEST
from autoseg.wording import listing

LOW_DICE: Final = 0.5
"""A predicted Dice under it is low, whatever held-out cases reached: networks that failed on those would never be in doubt.
Source: ours; at equal volumes, half of what was labelled lies elsewhere."""

LOW_MARGIN: Final = 0.02
"""A predicted Dice so little below the worst held-out case is no cause for a warning. Source: ours; raters differ more."""

EXPECTATION_MARGIN: Final = 2.0
"""Networks that expect less of themselves, by this factor, than on any held-out case are beyond what was calibrated.
Source: ours; of two data sets, expectations on one held-out case were up to 1.5 times below those on all others."""

_FEWEST_FOR_A_SLOPE: Final = 4
"""Fewer cases give an offset alone. Source: ours; a line through three points fits anything."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ClassQuality(_Part):
    """How the Dice of a class follows from what its models expect of themselves: intercept + slope x expected."""

    name: str
    intercept: float
    slope: float = Field(ge=0)
    error: float | None = Field(description="mean absolute error over cases, each left out in turn; null for one case")
    lowest: float = Field(description="lowest Dice any held-out case reached")
    may_be_absent: bool = Field(
        default=False, description="whether held-out cases do not have it, and all in which networks label nothing of it"
    )


class QualityPoint(_Part):
    """One class of one held-out case."""

    case: str
    name: str
    expected: float = Field(description="what the models expect of themselves, in [0, 1]")
    reached: float = Field(description="Dice, in [0, 1]")
    predicted: float | None = Field(description="by a calibration without this case; null for one case")


class Quality(_Part):
    """The calibration of predicted Dice, and the points it rests on."""

    classes: tuple[ClassQuality, ...]
    points: tuple[QualityPoint, ...]
    seeds: dict[catalogue.Architecture, int] = Field(
        default={}, description="by network, how many of its seeds on a fold expect together; none are named: one of each"
    )

    @cached_property
    def least_expected(self) -> dict[str, float]:
        """By class name, the least that the models expect of themselves on any held-out case."""
        least: dict[str, float] = {}
        for point in self.points:
            least[point.name] = min(point.expected, least.get(point.name, point.expected))
        return least

    @property
    def basis(self) -> str:
        """Whose expectation it is that is calibrated, in words that go on with "expect"."""
        named = [f"{count} seeds of {name}" if count > 1 else f"one of {name}" for name, count in self.seeds.items()]
        several = max(self.seeds.values(), default=1) > 1
        return f"the models of a fold, {listing(named) if several else 'one of each network'},"


class ExpectedDice:
    """The Dice that probabilities expect of the labels they speak for, added up over parts of a scan.

    Per class k, with mask M of the voxels that are given to it: 2 sum_M p / (|M| + sum p). Probabilities that held-out cases
    are stored without do not count.

    Args:
        encoding: which labels these are.

    Source: expected intersection and size of a reference drawn from the probabilities, put into the Dice coefficient.
    """

    def __init__(self, encoding: LabelEncoding) -> None:
        self._encoding = encoding
        self._sizes = [0.0] * encoding.channels
        self._shared = [0.0] * encoding.channels

    def add(self, probabilities: NDArray[np.float32]) -> None:
        """Take further slices into account: (K, n, H, W), float32."""
        for index, (inside, channel) in enumerate(zip(self._encoding.masks(probabilities), probabilities, strict=True)):
            self._sizes[index] += np.count_nonzero(inside) + float(channel.sum(where=channel >= SMALLEST, dtype=np.float64))
            self._shared[index] += float(channel.sum(where=inside, dtype=np.float64))

    def by_class(self) -> NDArray[np.float64]:
        """Per class (K,); NaN where nothing of a class is expected."""
        pairs = zip(self._shared, self._sizes, strict=True)
        return np.array([2 * shared / size if size > 0 else math.nan for shared, size in pairs])


def mean_expected(folds: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What the networks of all folds expect, from that of each (K,); NaN where none expects anything of a class.

    A fold that expects nothing of a class that others expect disagrees with them altogether: it counts as 0.
    """
    values = np.stack(folds)  # (folds, K)
    nothing = np.isnan(values)
    mean: NDArray[np.float64] = np.where(nothing, 0.0, values).mean(axis=0)
    mean[nothing.all(axis=0)] = np.nan
    return mean


def entropy(probabilities: NDArray[np.float32], *, exclusive: bool) -> NDArray[np.float32]:
    """How undecided probabilities are.

    Args:
        probabilities: (K, S, H, W), float32, summing to 1 over K if classes exclude one another.
        exclusive: whether they do; otherwise they are regions.

    Returns:
        (S, H, W), float32: -sum p ln p / ln K, from 0, one class is sure, to 1, all are equally probable. Of regions
        -(p ln p + (1 - p) ln(1 - p)) / ln 2 of the one that is least decided, from 0 to 1, where its p is 1/2.

    Source: Shannon's entropy relative to its largest value; the maximum over regions is ours: their mean would be low where
    one of many is in doubt.
    """
    if not exclusive:
        return _entropy_of_regions(probabilities[1:])
    total = np.zeros(probabilities.shape[1:], dtype=np.float32)
    for channel in probabilities:
        total -= xlogy(channel, channel)
    total /= np.float32(math.log(len(probabilities)))
    return np.clip(total, 0.0, 1.0, out=total)


def _entropy_of_regions(regions: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest binary entropy of probabilities (K - 1, S, H, W): (S, H, W)."""
    nearest = np.full(regions.shape[1:], 1.0, dtype=np.float32)
    for channel in regions:
        np.minimum(nearest, np.abs(channel - np.float32(0.5)), out=nearest)
    p = np.float32(0.5) + np.minimum(nearest, np.float32(0.5))
    total: NDArray[np.float32] = -(xlogy(p, p) + xlogy(1 - p, 1 - p)) / np.float32(math.log(2))
    return np.clip(total, 0.0, 1.0, out=total)


def seeds_that_judge(seeds: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """How many seeds of each network judge: as many as there are on every fold, which are in doubt alike then.

    Args:
        seeds: how many there are, by network and fold.
    """
    fewest: dict[str, int] = {}
    for (network, _), count in seeds.items():
        fewest[network] = min(count, fewest.get(network, count))
    return fewest


def calibrate(expected: Mapping[str, Mapping[str, float]], reached: Mapping[str, Mapping[str, float]]) -> Quality:
    """Learn from held-out cases how Dice follows from what networks expect.

    Args:
        expected: class name to case to expected Dice.
        reached: the same of the Dice reached; NaN where the case does not have the class and nothing of it was found.
            Cases for which either is undefined are skipped.

    Returns:
        a straight line or an offset per class, whichever errs less when each case is predicted without itself; classes
        without cases are missing.
    """
    classes, points = [], []
    for name, by_case in expected.items():
        cases = [case for case, value in by_case.items() if not math.isnan(value) and not math.isnan(reached[name][case])]
        if not cases:
            continue
        x = np.array([by_case[case] for case in cases])
        y = np.array([reached[name][case] for case in cases])
        slope_allowed, left_out = _better_kind(x, y)
        intercept, slope = _fit(x, y, slope_allowed=slope_allowed)
        error = None if left_out is None else float(np.abs(left_out - y).mean())
        empty = [math.isnan(reached[name][case]) for case, value in by_case.items() if not value > 0]
        absent, low = bool(empty) and all(empty), float(y.min())
        classes.append(
            ClassQuality(name=name, intercept=intercept, slope=slope, error=error, lowest=low, may_be_absent=absent)
        )
        points += [
            QualityPoint(
                case=case,
                name=name,
                expected=float(x[index]),
                reached=float(y[index]),
                predicted=None if left_out is None else float(left_out[index]),
            )
            for index, case in enumerate(cases)
        ]
    return Quality(classes=tuple(classes), points=tuple(points))


def predicted_dice(expected: float, quality: ClassQuality) -> float:
    """The Dice a class probably reaches, in [0, 1]; NaN where nothing of it is expected."""
    return min(max(quality.intercept + quality.slope * expected, 0.0), 1.0) if not math.isnan(expected) else math.nan


def is_low(predicted: float, quality: ClassQuality) -> bool:
    """Whether a predicted Dice is under `LOW_DICE`, or clearly below everything that held-out cases reached."""
    return predicted < LOW_DICE or predicted < quality.lowest - max(quality.error or 0.0, LOW_MARGIN)


def doubts(expected: Mapping[str, float], quality: Quality) -> list[str]:
    """Warnings about classes that are probably segmented badly.

    Args:
        expected: class name to the Dice that the networks expect of themselves; NaN where nothing of it is expected.
        quality: what the same expectation was worth on held-out cases.
    """
    warnings = []
    for model in quality.classes:
        value = expected.get(model.name, math.nan)
        predicted = predicted_dice(value, model)
        least = quality.least_expected.get(model.name, 0.0)
        if is_low(predicted, model):
            limit = f"under {LOW_DICE:g}; " if predicted < LOW_DICE else ""
            warnings.append(
                f"Dice of {model.name} is probably {predicted:.2f} ({limit}held-out cases: at least {model.lowest:.2f})"
            )
        elif 0 < value < least / EXPECTATION_MARGIN:
            warnings.append(
                f"the networks expect a Dice of {model.name} of {value:.2f} only (held-out cases: at least {least:.2f})"
            )
    return warnings


def _better_kind(x: NDArray[Any], y: NDArray[Any]) -> tuple[bool, NDArray[np.float64] | None]:
    """Whether a slope pays, and the predictions of each case without itself; None where there is but one case."""
    if len(x) < 2:
        return False, None
    offset = _left_out(x, y, slope_allowed=False)
    if len(x) < _FEWEST_FOR_A_SLOPE:
        return False, offset
    line = _left_out(x, y, slope_allowed=True)
    pays = np.abs(line - y).mean() < np.abs(offset - y).mean()
    return bool(pays), line if pays else offset


def _left_out(x: NDArray[Any], y: NDArray[Any], *, slope_allowed: bool) -> NDArray[np.float64]:
    """What `_fit` of all other cases predicts of each, in one pass over them."""
    x_centred, y_middle = x - np.median(x), np.median(y)  # others that are all alike are exactly zero then
    count = len(x) - 1
    x_mean, y_mean = sums_without_each(x_centred) / count, sums_without_each(y - y_middle) / count
    slope = np.ones(len(x))
    if slope_allowed:
        spread = sums_without_each(x_centred**2) / count - x_mean**2
        together = sums_without_each(x_centred * (y - y_middle)) / count - x_mean * y_mean
        slope[spread > 0] = np.maximum(together[spread > 0] / spread[spread > 0], 0.0)
    predictions: NDArray[np.float64] = np.clip(y_middle + y_mean + slope * (x_centred - x_mean), 0.0, 1.0)
    return predictions


def _fit(x: NDArray[Any], y: NDArray[Any], *, slope_allowed: bool) -> tuple[float, float]:
    """Intercept and slope >= 0 of least squares; an offset, slope 1, where no slope is allowed or none can be found."""
    spread = float(np.var(x))
    if not slope_allowed or spread == 0:
        return float((y - x).mean()), 1.0
    slope = max(float(np.mean((x - x.mean()) * (y - y.mean()))) / spread, 0.0)
    return float(y.mean() - slope * x.mean()), slope


def by_class(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """Numbers of all classes, background first (K,), by name and without background."""
    return {name: float(value) for name, value in zip(names, values[1:], strict=True)}
