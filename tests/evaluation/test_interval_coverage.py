"""Intervals hold the true mean as often as they say, for Dice drawn at random (docs/explanation/decisions.md)."""

import pytest
from oracles.interval_coverage import CASES, coverage, student

from autoseg.evaluation.statistics import interval_bounds

SAMPLES = 10_000  # a coverage of 95 % is measured to .2 percentage points (standard error)


@pytest.mark.parametrize("cases", CASES)
def test_of_normal_values_95_percent(cases: int) -> None:
    assert 0.93 < coverage(interval_bounds, "normal", cases=cases, samples=SAMPLES) < 0.97


@pytest.mark.parametrize(
    "distribution", ["beta(45, 5)", "beta(18, 2)", "beta(9, 1)", "1 - lognormal(.5)", "1 - lognormal(.7)"]
)
@pytest.mark.parametrize("cases", CASES)
def test_of_values_as_skewed_as_dice_more_than_90_percent(distribution: str, cases: int) -> None:
    assert 0.90 < coverage(interval_bounds, distribution, cases=cases, samples=SAMPLES) < 0.97


def test_students_t_would_not_do() -> None:
    assert coverage(student, "1 - lognormal(.7)", cases=6, samples=SAMPLES) < 0.90
