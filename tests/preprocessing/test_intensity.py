"""Normalisation, on channels whose mean and deviation are worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from oracles.whole_scans import normalise

from autoseg import catalogue
from autoseg.planning.sections import NormalisationStep


def channel(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(1, 1, -1)


def normalised(*values: float, method: str = "quantile_zscore", **constants: Any) -> list[float]:
    step = NormalisationStep.model_validate({"method": method, **constants})
    result = normalise(channel(*values), step)
    assert result.dtype == np.float32
    assert result.shape == (1, 1, len(values))
    return [float(value) for value in result.ravel()]


@pytest.mark.parametrize("method", catalogue.NORMALISATIONS)
def test_every_entry_says_what_reports_need_and_whether_the_scale_matters(method: str) -> None:
    entry = catalogue.NORMALISATIONS[method]
    assert entry.phrase.startswith("were ")
    step = NormalisationStep(method=method, lower=-1e6, upper=1e6, mean=3.0, std=2.0)
    scan = channel(*range(1, 100))
    same = np.allclose(normalise(scan, step), normalise(10 * scan, step), atol=1e-5)
    assert same == entry.scale_free


def test_equation_1_uses_only_the_values_between_the_quartiles() -> None:
    # Of 1 ... 9 and an outlier in place of 9, the quartiles are 3 and 7; 3 ... 7 have mean 5 and variance 2.
    found = normalised(1, 2, 3, 4, 5, 6, 7, 8, 1000)
    assert found == pytest.approx([(value - 5) / math.sqrt(2) for value in (1, 2, 3, 4, 5, 6, 7, 8, 1000)])


def test_quartiles_that_lie_between_two_values_take_in_both() -> None:
    # Of 1 ... 10, the quartiles lie between 3 and 4, and between 7 and 8; 3 ... 8 have mean 5.5 and variance 35 / 12.
    found = normalised(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert found == pytest.approx([(value - 5.5) / math.sqrt(35 / 12) for value in range(1, 11)])


def test_voxels_that_are_not_positive_go_through_the_map_but_do_not_shape_it() -> None:
    found = normalised(0, 0, 0, -4, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    assert found[:4] == pytest.approx([-5 / math.sqrt(2)] * 3 + [-9 / math.sqrt(2)])
    assert found[4:] == pytest.approx([(value - 5) / math.sqrt(2) for value in range(1, 10)])


def test_where_the_quartiles_coincide_all_positive_voxels_count() -> None:
    # Quartiles 5 and 5; all positive voxels: mean 5, variance (16 + 16) / 8 = 4.
    assert normalised(0, 1, 5, 5, 5, 5, 5, 5, 9) == pytest.approx([-2.5, -2, 0, 0, 0, 0, 0, 0, 2])


def test_where_all_positive_voxels_are_equal_all_voxels_count() -> None:
    # A mask: mean 250, variance (3 * 250^2 + 750^2) / 4 = 187500.
    deviation = math.sqrt(187_500)
    expected = [-250 / deviation] * 3 + [750 / deviation]
    assert normalised(0, 0, 0, 1000) == pytest.approx(expected)
    assert normalised(0, 0, 0, 1000, method="zscore") == pytest.approx(expected)


def test_without_positive_voxels_all_count() -> None:
    assert normalised(-3, -1) == pytest.approx([-1, 1])
    assert normalised(-3, -1, method="zscore") == pytest.approx([-1, 1])


@pytest.mark.parametrize("value", [0.0, 7.0, -1024.0, 0.1, 1e-30, 1e30])
@pytest.mark.parametrize("method", ["quantile_zscore", "zscore"])
def test_a_constant_channel_becomes_0(method: str, value: float) -> None:
    assert normalised(*[value] * 11, method=method) == [0.0] * 11


def test_zscore_uses_all_positive_voxels() -> None:
    # 2, 4, 6, 8: mean 5, variance 5.
    assert normalised(-7, 0, 2, 4, 6, 8, method="zscore") == pytest.approx(
        [(value - 5) / math.sqrt(5) for value in (-7, 0, 2, 4, 6, 8)]
    )


def test_ct_clips_then_uses_the_constants_of_the_data_set() -> None:
    found = normalised(-1024, -100, 50, 300, 3000, method="ct", lower=-100.0, upper=300.0, mean=50.0, std=25.0)
    assert found == [-6.0, -6.0, 0.0, 10.0, 10.0]


def test_none_changes_nothing_but_obeys_the_limit() -> None:
    assert normalised(-3.5, 0, 1e6, method="none") == [-3.5, 0.0, 1e6]
    assert normalised(-3.5, 0, 1e6, method="none", clip=2.0) == [-2.0, 0.0, 2.0]


def test_the_limit_holds_on_both_sides() -> None:
    found = normalised(0, 1, 2, 3, 4, 5, 6, 7, 8, 1000, clip=1.5)
    assert found[0] == -1.5
    assert found[-1] == 1.5
    assert found[5] == pytest.approx(0)
    assert found[6] == pytest.approx(1 / math.sqrt(2))


@pytest.mark.parametrize("method", catalogue.NORMALISATIONS)
def test_the_scan_itself_stays_as_it_was(method: catalogue.Normalisation) -> None:
    step = NormalisationStep(method=method, lower=1.0, upper=6.0, mean=3.0, std=2.0, clip=0.5)
    scan = channel(0, 1, 2, 5, 9)
    normalise(scan, step)
    assert scan.ravel().tolist() == [0, 1, 2, 5, 9]


SCANS = arrays.arrays(
    np.float32, st.tuples(*[st.integers(1, 4)] * 3), elements=st.integers(-50, 1000).map(lambda value: value / 8)
)


@given(scan=SCANS, exponent=st.integers(-20, 20), method=st.sampled_from(["quantile_zscore", "zscore"]))
def test_the_unit_of_the_intensities_does_not_matter(
    scan: NDArray[np.float32], exponent: int, method: catalogue.Normalisation
) -> None:
    step = NormalisationStep(method=method, clip=5.0)
    np.testing.assert_allclose(normalise(scan * np.float32(2.0**exponent), step), normalise(scan, step), rtol=1e-5)


@given(scan=SCANS, method=st.sampled_from(["quantile_zscore", "zscore"]))
def test_brighter_stays_brighter_and_everything_finite(scan: NDArray[np.float32], method: catalogue.Normalisation) -> None:
    result = normalise(scan, NormalisationStep(method=method))
    assert np.isfinite(result).all()
    order = np.argsort(scan, axis=None)
    assert (np.diff(result.ravel()[order]) >= 0).all()


def test_a_background_is_one_value_and_the_darkest() -> None:
    # Quartiles 3 and 7, mean 5, variance 2, as above; 0 would become -3.5, and -4 becomes -6.4.
    values = (0, 0, -4, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    found = normalised(*values, background=-3.0)
    assert found[:3] == [-3.0] * 3
    assert found[3:] == pytest.approx([max((value - 5) / math.sqrt(2), -3.0) for value in values[3:]])
    assert normalised(*values, background=-3.0, clip=2.0)[:2] == [-3.0] * 2  # whatever others are clipped to
    assert normalised(0, 0, 0, background=-3.0) == [-3.0] * 3
