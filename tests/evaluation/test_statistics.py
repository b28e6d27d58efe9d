import math
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from autoseg.evaluation.statistics import bootstrap, holm, meaningful, paired_test

NAN = math.nan
scores = st.lists(st.integers(0, 100).map(lambda value: value / 100), min_size=2, max_size=8)


def test_a_mean_with_its_interval() -> None:
    interval = bootstrap([0.8, 0.9, NAN, 1.0])
    assert interval.mean == pytest.approx(0.9)
    assert interval.cases == 3
    # Of 27 equally likely draws one is all 0.8 and one all 1.0: 3.7 %, more than 2.5 %.
    assert (interval.low, interval.high) == pytest.approx((0.8, 1.0))


def test_the_interval_of_two_values_is_their_range() -> None:
    interval = bootstrap([0.5, 0.7])  # both twice in a quarter of the draws
    assert (interval.low, interval.high) == pytest.approx((0.5, 0.7))


def test_of_many_values_the_interval_is_that_of_a_normal_mean() -> None:
    values = np.random.default_rng(3).normal(10, 2, size=400).tolist()
    interval = bootstrap(values)
    half = 1.96 * float(np.std(values, ddof=1)) / 20
    assert interval.high - interval.mean == pytest.approx(half, rel=0.05)
    assert interval.mean - interval.low == pytest.approx(half, rel=0.05)


@pytest.mark.parametrize(("values", "mean"), [([], NAN), ([NAN], NAN), ([0.5], 0.5), ([NAN, 0.5], 0.5)])
def test_too_few_values_have_no_interval(values: list[float], mean: float) -> None:
    interval = bootstrap(values)
    assert interval.mean == pytest.approx(mean, nan_ok=True)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_the_same_values_give_the_same_interval() -> None:
    assert bootstrap([0.1, 0.4, 0.5, 0.9]) == bootstrap([0.1, 0.4, 0.5, 0.9])


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


def test_an_interval_is_that_of_all_resamples_at_once() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.1, size=300)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=9_999, confidence_level=0.95, method="percentile", rng=0
    ).confidence_interval
    interval = bootstrap(values.tolist())
    assert (interval.low, interval.high) == (expected.low, expected.high)


def test_memory_does_not_hold_all_resamples_of_many_cases() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.1, size=2_000).tolist()
    tracemalloc.start()
    try:
        paired_test(values, values[::-1])
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20e6  # all resamples at once are 1.3 GB
