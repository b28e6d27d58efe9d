import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from autoseg.evaluation.statistics import holm, mean_interval, meaningful, paired_test
from autoseg.metrics.table import METRICS

NAN = math.nan
scores = st.lists(st.integers(0, 100).map(lambda value: value / 100), min_size=2, max_size=8)


def test_symmetric_values_have_the_interval_of_student() -> None:
    values = [0.80, 0.84, 0.88, 0.92, 0.96, 1.00]
    interval = mean_interval([*values, NAN])
    half = 2.570582 * math.sqrt(0.0056 / 6)  # t of 5 degrees of freedom; squared deviations .01 .0036 .0004, twice, over 5
    assert interval.cases == 6
    assert interval.mean == pytest.approx(0.9)
    assert (interval.low, interval.high) == pytest.approx((0.9 - half, 0.9 + half), abs=1e-7)


def test_skewed_values_by_hand() -> None:
    # Mean 1, sd sqrt(6), se 1. G1 = 6 / 20 * (125 - 5) / 6^1.5 = 2.449490 = sqrt(6), so that a = 1: y = 2.570582 - 1 / 6 =
    # 2.403915 and -2.737248; T = 3 (cbrt(1 + y) - 1) = 1.512815 and -6.606411.
    interval = mean_interval([0.0, 0.0, 0.0, 0.0, 0.0, 6.0])
    assert (interval.low, interval.high) == pytest.approx((1 - 1.512815, 1 + 6.606411), abs=2e-6)
    mirrored = mean_interval([0.0, 0.0, 0.0, 0.0, 0.0, -6.0])
    assert (mirrored.low, mirrored.high) == pytest.approx((-interval.high, -interval.low))


@pytest.mark.parametrize(
    ("metric", "bounds"), [(None, (-0.512815, 7.606411)), ("dice", (0.0, 1.0)), ("hausdorff_mm", (0.0, 7.606411))]
)
def test_bounds_keep_to_the_limits_of_a_metric(metric: str | None, bounds: tuple[float, float]) -> None:
    interval = mean_interval([0.0, 0.0, 0.0, 0.0, 0.0, 6.0], metric=metric)
    assert (interval.low, interval.high) == pytest.approx(bounds, abs=2e-6)


def test_every_metric_of_ours_has_limits() -> None:
    assert all(metric.limits[0] == 0 for metric in METRICS.values())
    assert [name for name, metric in METRICS.items() if metric.limits[1] == 1] == ["dice", "nsd"]


@given(st.lists(st.integers(0, 100).map(lambda value: value / 100), min_size=6, max_size=30), st.integers(-3, 3))
def test_an_interval_holds_its_mean_and_follows_shifts_and_scales(values: list[float], factor: int) -> None:
    interval = mean_interval(values)
    assert interval.low <= interval.mean + 1e-12
    assert interval.high >= interval.mean - 1e-12
    moved = mean_interval([2 + factor * value for value in values])
    bounds = sorted((2 + factor * interval.low, 2 + factor * interval.high))
    assert (moved.low, moved.high) == pytest.approx(bounds, abs=1e-8)


def test_values_that_are_all_alike_have_an_interval_without_width() -> None:
    interval = mean_interval([0.1] * 7)
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.1))


def test_of_many_values_the_interval_is_that_of_a_normal_mean() -> None:
    values = np.random.default_rng(3).normal(10, 2, size=400).tolist()
    interval = mean_interval(values)
    half = 1.96 * float(np.std(values, ddof=1)) / 20
    assert interval.high - interval.mean == pytest.approx(half, rel=0.05)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.05)


@pytest.mark.parametrize(
    ("values", "mean"), [([], NAN), ([NAN], NAN), ([0.5], 0.5), ([NAN, 0.5], 0.5), ([0.5, 0.7, 0.6, 0.5, 0.7], 0.6)]
)
def test_too_few_values_have_no_interval(values: list[float], mean: float) -> None:
    interval = mean_interval(values)
    assert interval.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


@given(scores)
def test_p_is_the_share_of_sign_flips_that_are_as_extreme(differences: list[float]) -> None:
    flips = [abs(sum(sign * value for sign, value in zip(signs, differences, strict=True)))
             for signs in product((-1, 1), repeat=len(differences))]  # fmt: skip
    by_hand = sum(flip >= abs(sum(differences)) - 1e-9 for flip in flips) / len(flips)
    assert paired_test(differences, [0.0] * len(differences)).p == pytest.approx(by_hand)


def test_six_cases_on_one_side() -> None:
    # Two of 64 combinations are as extreme: all plus, all minus.
    test = paired_test([0.9] * 6, [0.8, 0.81, 0.82, 0.83, 0.84, 0.85])
    assert test.p == pytest.approx(2 / 64)
    assert test.difference.mean == pytest.approx(0.075)
    assert test.difference.low > 0


def test_exchanging_the_methods_changes_the_sign_alone() -> None:
    first, second = [0.9, 0.7, 0.8, 0.95], [0.8, 0.75, 0.7, 0.9]
    one, other = paired_test(first, second), paired_test(second, first)
    assert one.p == pytest.approx(other.p)
    assert one.difference.mean == pytest.approx(-other.difference.mean)


def test_cases_undefined_for_either_are_left_out() -> None:
    test = paired_test([0.9, NAN, 0.8], [0.8, 0.7, NAN])
    assert test.difference.cases == 1
    assert test.difference.mean == pytest.approx(0.1)
    assert test.p == 1.0


def test_no_cases_no_answer() -> None:
    assert math.isnan(paired_test([NAN], [0.5]).p)


def test_different_lengths_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="shapes"):
        paired_test([0.5, 0.6], [0.5, 0.6, 0.7])


@pytest.mark.parametrize(("cases", "enough"), [(1, False), (5, False), (6, True), (20, True)])
def test_five_cases_can_never_tell(cases: int, enough: bool) -> None:
    assert meaningful(cases) == enough


def test_holms_correction_by_hand() -> None:
    # Sorted: .01 x 3 = .03; .03 x 2 = .06; .04 x 1 = .04, but not below the one before.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02, NAN]) == pytest.approx([0.02, NAN], nan_ok=True)
    assert holm([]) == []


@pytest.mark.parametrize("cases", [2, 5, 13, 14, 40, 97])
def test_p_is_that_of_scipy(cases: int) -> None:
    differences = np.random.default_rng(cases).normal(0.1, 1.0, size=cases)
    expected = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=9_999, vectorized=True, rng=0
    )
    assert paired_test(differences.tolist(), [0.0] * cases).p == expected.pvalue


def test_memory_does_not_hold_all_resamples_of_many_cases() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.1, size=2_000).tolist()
    tracemalloc.start()
    try:
        paired_test(values, values[::-1])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20e6  # all resamples at once are 1.3 GB
