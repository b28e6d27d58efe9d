"""How often 95 % intervals of a mean over cases hold the true mean: the table of docs/explanation/decisions.md.

`python tests/oracles/interval_coverage.py [samples]` prints it for the method in use and for those it was chosen among;
tests/evaluation/test_interval_coverage.py asks the same of the method in use, with fewer samples.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from autoseg.evaluation.statistics import LEVEL, interval_bounds

Values = NDArray[np.float64]
Bounds = tuple[Values, Values]
CASES: Final = (6, 8, 10, 15, 20, 30, 50)


def _lognormal(sigma: float) -> Callable[[np.random.Generator, tuple[int, int]], Values]:
    return lambda generator, size: 1 - generator.lognormal(np.log(0.1) - sigma**2 / 2, sigma, size)


def _with_failures(generator: np.random.Generator, size: tuple[int, int]) -> Values:
    """Dice of beta(45, 5), but in one case of twenty uniform from 0 to .6."""
    return np.where(generator.random(size) < 0.05, generator.uniform(0, 0.6, size), generator.beta(45, 5, size))


DISTRIBUTIONS: Final[Mapping[str, tuple[Callable[[np.random.Generator, tuple[int, int]], Values], float]]] = {
    "normal": (lambda generator, size: generator.normal(0.9, 0.03, size), 0.9),
    "beta(45, 5)": (lambda generator, size: generator.beta(45, 5, size), 0.9),
    "beta(18, 2)": (lambda generator, size: generator.beta(18, 2, size), 0.9),
    "beta(9, 1)": (lambda generator, size: generator.beta(9, 1, size), 0.9),
    "1 - lognormal(.5)": (_lognormal(0.5), 0.9),
    "1 - lognormal(.7)": (_lognormal(0.7), 0.9),
    "1 - lognormal(1)": (_lognormal(1.0), 0.9),
    "5 % failures": (_with_failures, 0.95 * 0.9 + 0.05 * 0.3),
}
"""How Dice is drawn, and its expectation: all but the last have a mean of .9."""


def coverage(bounds: Callable[[Values], Bounds], distribution: str, *, cases: int, samples: int) -> float:
    """The fraction of intervals that hold the true mean, always from the same random numbers."""
    draw, expected = DISTRIBUTIONS[distribution]
    low, high = bounds(draw(np.random.default_rng([cases, samples]), (samples, cases)))
    return float(np.mean((low <= expected) & (expected <= high)))


def student(values: Values) -> Bounds:
    """The usual t interval."""
    cases = values.shape[1]
    half = stats.t.ppf((1 + LEVEL) / 2, cases - 1) * values.std(axis=1, ddof=1) / np.sqrt(cases)
    return values.mean(axis=1) - half, values.mean(axis=1) + half


def johnson(values: Values) -> Bounds:
    """Student's t around a mean moved by the skewness (Johnson 1978)."""
    low, high = student(values)
    moved = stats.skew(values, axis=1, bias=False) * values.std(axis=1, ddof=1) / (6 * values.shape[1])
    return low + moved, high + moved


def logit(values: Values) -> Bounds:
    """Student's t of logits, transformed back."""
    low, high = student(np.log(np.clip(values, 1e-6, 1 - 1e-6) / (1 - np.clip(values, 1e-6, 1 - 1e-6))))
    return 1 / (1 + np.exp(-low)), 1 / (1 + np.exp(-high))


def _resampled(values: Values, statistic: Callable[[Values, Values], Values], *, resamples: int = 999) -> Values:
    """A statistic of resamples of each sample, (samples, resamples)."""
    generator = np.random.default_rng(0)
    chosen = generator.integers(values.shape[1], size=(resamples, values.shape[1]))
    return np.stack([statistic(values[:, row], values) for row in chosen], axis=1)


def percentile(values: Values) -> Bounds:
    """The percentile bootstrap."""
    low, high = np.quantile(_resampled(values, lambda some, _: some.mean(axis=1)), [0.025, 0.975], axis=1)
    return low, high


def bca(values: Values) -> Bounds:
    """The bias-corrected and accelerated bootstrap (Efron 1987)."""
    means = _resampled(values, lambda some, _: some.mean(axis=1))
    bias = stats.norm.ppf(np.clip(np.mean(means < values.mean(axis=1, keepdims=True), axis=1), 0.001, 0.999))
    acceleration = stats.skew(values, axis=1) / (6 * np.sqrt(values.shape[1]))
    bounds = []
    for quantile in stats.norm.ppf([0.025, 0.975]):
        moved = bias + quantile
        level = stats.norm.cdf(bias + moved / (1 - acceleration * moved))
        bounds.append(np.array([np.quantile(row, each) for row, each in zip(means, level, strict=True)]))
    return bounds[0], bounds[1]


def bootstrap_t(values: Values) -> Bounds:
    """The studentised bootstrap; resamples of one value alone are as far out as can be."""

    def studentised(some: Values, all_values: Values) -> Values:
        error = some.std(axis=1, ddof=1) / np.sqrt(some.shape[1])
        moved = some.mean(axis=1) - all_values.mean(axis=1)
        return np.where(error > 0, moved / np.where(error > 0, error, 1.0), np.copysign(np.inf, moved))

    low, high = np.quantile(_resampled(values, studentised), [0.975, 0.025], axis=1, method="closest_observation")
    error = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
    return values.mean(axis=1) - low * error, values.mean(axis=1) - high * error


METHODS: Final[Mapping[str, Callable[[Values], Bounds]]] = {
    "in use": interval_bounds,
    "Student's t": student,
    "Johnson's t": johnson,
    "t of logits": logit,
    "percentile bootstrap": percentile,
    "BCa bootstrap": bca,
    "bootstrap-t": bootstrap_t,
}


def main(samples: int) -> None:
    """Print coverage in per cent by method, distribution and number of cases."""
    print("| method | Dice is |", " | ".join(map(str, CASES)), "|")
    print("|---|---|" + "---:|" * len(CASES))
    for method, bounds in METHODS.items():
        many = samples if method in {"in use", "Student's t", "Johnson's t", "t of logits"} else min(samples, 4_000)
        for distribution in DISTRIBUTIONS:
            found = [coverage(bounds, distribution, cases=cases, samples=many) for cases in CASES]
            print(f"| {method} | {distribution} |", " | ".join(f"{100 * each:.1f}" for each in found), "|", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000)
