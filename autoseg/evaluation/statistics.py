"""How sure a mean over cases is, and whether two methods differ, for few cases of skewed distributions."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from autoseg.metrics.table import METRICS

LEVEL: Final = 0.95
"""Coverage of the intervals; 1 - LEVEL is the level at which a difference counts as one."""

INTERVAL_METHOD: Final = "skewness-adjusted t"
"""What people call the intervals: a 95 % skewness-adjusted t interval."""

MIN_CASES: Final = 6
"""Fewer have no interval. Source: chosen, because no method that was tried covers 90 % of skewed means on fewer without
being useless, and no paired test on fewer can find a difference (docs/explanation/decisions.md)."""

_RESAMPLES: Final = 9_999
_SEED: Final = 0

_NUMBERS_AT_ONCE: Final = 1 << 18
"""Of all resamples together; a resample is never split. Source: chosen; 7 MB, and more are not faster."""

_EQUAL: Final = 100 * np.finfo(np.float64).eps
"""Means of flipped differences that differ by less than this, relative to what was observed, are equal. Source: scipy's."""


@dataclass(frozen=True)
class MetricSummary:
    """A number over cases.

    Attributes:
        mean: of the defined values; NaN where there are none.
        sd: sample standard deviation (n - 1) of the defined values; NaN for fewer than two.
        undefined: number of cases without a value. They are in neither mean nor standard deviation, so a method that often
            finds nothing can look good: read it beside them.
    """

    mean: float
    sd: float
    undefined: int


@dataclass(frozen=True)
class Interval:
    """A mean over cases and how far it may be off.

    Attributes:
        mean: of the defined values; NaN where there are none.
        low: lower bound of the interval; NaN for fewer than `MIN_CASES` values.
        high: upper bound.
        cases: how many values are defined.
    """

    mean: float
    low: float
    high: float
    cases: int


@dataclass(frozen=True)
class PairedTest:
    """Whether one method scores differently from another on the same cases.

    Attributes:
        difference: the first method's score minus the second's, over the cases for which both are defined.
        p: two-sided, of no difference; NaN without such cases.
    """

    difference: Interval
    p: float


def defined(value: float) -> float | None:
    """A number as documents hold it: null for NaN."""
    return None if math.isnan(value) else value


def describe(values: Sequence[float]) -> MetricSummary:
    """Mean and standard deviation of the values that are not NaN, and the number of the others."""
    known = [value for value in values if not math.isnan(value)]
    return MetricSummary(
        mean=statistics.fmean(known) if known else math.nan,
        sd=statistics.stdev(known) if len(known) > 1 else math.nan,
        undefined=len(values) - len(known),
    )


def sums_without_each(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each value the sum of all others along the last axis; exactly zero where all others are."""
    before = np.zeros_like(values)
    after = np.zeros_like(values)
    before[..., 1:] = values[..., :-1].cumsum(axis=-1)
    after[..., :-1] = values[..., :0:-1].cumsum(axis=-1)[..., ::-1]
    return before + after


def meaningful(cases: int) -> bool:
    """Whether a paired test on so many cases can find a difference at all.

    With few cases even the most extreme outcome, every case on the same side, is not rare enough: its p is 2 / 2^cases.
    """
    return 0.5 ** (cases - 1) <= 1 - LEVEL


def mean_interval(values: Sequence[float], *, metric: str | None = None) -> Interval:
    """Mean over cases with a 95 % interval that allows for skewness, as Dice has it.

    Args:
        values: one number per case; NaN where it is undefined.
        metric: what they are, by its name in `METRICS`: bounds beyond its limits are put on them, which loses no coverage,
            because no mean lies there. None: there are no limits, as for differences.

    Returns:
        without bounds for fewer than `MIN_CASES` values.

    Source: Hall, On the removal of skewness by transformation, J. R. Statist. Soc. B 54 (1992), with quantiles of Student's
    t instead of a bootstrap, and the adjusted skewness G1: chosen by measured coverage (docs/explanation/decisions.md).
    """
    known = np.array([value for value in values if not math.isnan(value)])
    mean = float(known.mean()) if known.size else math.nan
    if known.size < MIN_CASES:
        return Interval(mean, math.nan, math.nan, cases=known.size)
    lowest, highest = (-math.inf, math.inf) if metric is None else METRICS[metric].limits
    low, high = (float(np.clip(bound, lowest, highest)) for bound in interval_bounds(known))
    return Interval(mean, low, high, cases=known.size)


def interval_bounds(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the interval of each mean along the last axis.

    The studentised mean T is made nearly symmetric by the monotone g(T) = T + a T^2 / 3 + a^2 T^3 / 27 + a / 6 with
    a = skewness / sqrt(n); the bounds are where g is a quantile of Student's t.

    Args:
        values: (..., n), all defined, n > 2.
    """
    cases = values.shape[-1]
    mean, sd = values.mean(axis=-1, keepdims=True), values.std(axis=-1, ddof=1, keepdims=True)
    standardised = (values - mean) / np.where(sd > 0, sd, 1.0)  # of values that are all alike nothing is skewed
    skewness = cases / ((cases - 1) * (cases - 2)) * (standardised**3).sum(axis=-1)
    tilt = skewness / math.sqrt(cases)
    quantile = float(special.stdtrit(cases - 1, (1 + LEVEL) / 2))
    centre, error = mean[..., 0], sd[..., 0] / math.sqrt(cases)
    return centre - error * _untransformed(quantile, tilt), centre - error * _untransformed(-quantile, tilt)


def _untransformed(quantile: float, tilt: NDArray[np.float64]) -> NDArray[np.float64]:
    """The T at which Hall's g is a quantile: 3 (cbrt(1 + a y) - 1) / a with y = quantile - a / 6, without dividing by a."""
    level = quantile - tilt / 6
    root = np.cbrt(1 + tilt * level)
    untransformed: NDArray[np.float64] = 3 * level / (root**2 + root + 1)
    return untransformed


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare two methods case by case with a permutation test that flips the signs of their differences.

    Args:
        first: one number per case; NaN where it is undefined.
        second: the same of the other method, in the same order.

    Returns:
        exact for up to thirteen cases; beyond, from 9,999 random flips with a fixed seed.

    Raises:
        ValueError: the lengths differ.

    Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (2005), section 3.2.
    """
    differences = np.array(first, dtype=np.float64) - np.array(second, dtype=np.float64)
    p = _sign_flip_p(differences[~np.isnan(differences)])
    return PairedTest(mean_interval(differences.tolist()), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, corrected so that one false alarm among all stays as rare as the level says.

    Args:
        p_values: in any order; NaN is kept and not counted.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979).
    """
    corrected = list(p_values)
    order = sorted((index for index, p in enumerate(p_values) if not math.isnan(p)), key=lambda index: p_values[index])
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(order) - rank)))
        corrected[index] = largest
    return corrected


def _sign_flip_p(differences: NDArray[np.float64]) -> float:
    """Two-sided p of no difference; flips as `scipy.stats.permutation_test` does, which holds all of them in memory."""
    if differences.size < 2:
        return 1.0 if differences.size else math.nan
    exact = 2**differences.size <= _RESAMPLES
    signs = _all_signs(differences.size) if exact else _random_signs(differences.size)
    means = np.concatenate([np.where(part, differences, -differences).mean(axis=1) for part in signs])
    observed = differences.mean()
    tolerance = _EQUAL * abs(observed)
    itself = 0 if exact else 1  # the outcome that was observed is one of all, and is among the random ones only by chance
    fewest = min(np.count_nonzero(means <= observed + tolerance), np.count_nonzero(means >= observed - tolerance))
    return min(1.0, 2 * float(fewest + itself) / (len(means) + itself))


def _all_signs(cases: int) -> Iterator[NDArray[np.bool_]]:
    """Every combination of signs, (2^cases, cases)."""
    yield (np.arange(2**cases)[:, np.newaxis] >> np.arange(cases)) & 1 == 1


def _random_signs(cases: int) -> Iterator[NDArray[np.bool_]]:
    """Random combinations of signs, (n, cases), some at a time; the same whatever is drawn at once."""
    generator = np.random.default_rng(_SEED)
    step = _at_once(cases)
    for first in range(0, _RESAMPLES, step):
        size = (min(step, _RESAMPLES - first), cases)
        yield generator.integers(1 << 32, size=size, dtype=np.uint32) & 1 == 1


def _at_once(cases: int) -> int:
    """How many resamples of so many cases are computed at once."""
    return max(_NUMBERS_AT_ONCE // cases, 1)
