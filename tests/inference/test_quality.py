import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles.whole_scans import expected_dice

from autoseg.data.labels import LabelEncoding
from autoseg.inference import quality as quality_module
from autoseg.inference.quality import (
    ClassQuality,
    Quality,
    by_class,
    calibrate,
    doubts,
    entropy,
    is_low,
    mean_expected,
    predicted_dice,
    seeds_that_judge,
)

TWO = LabelEncoding((0, 1))
Values = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def two_classes(foreground: list[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Probabilities (2, 1, 1, W) from those of the foreground."""
    values = np.array(foreground, dtype=np.float32)
    return np.stack([1 - values, values])[:, np.newaxis, np.newaxis]


def test_expected_dice_by_hand() -> None:
    # Foreground wins in the first two voxels: 2 (0.9 + 0.6) / (2 + 0.9 + 0.6 + 0.4); background in the third:
    # 2 x 0.6 / (1 + 0.1 + 0.4 + 0.6).
    background, foreground = expected_dice(two_classes([0.9, 0.6, 0.4]), TWO)
    assert foreground == pytest.approx(3.0 / 3.9)
    assert background == pytest.approx(1.2 / 2.1)


def test_certainty_expects_one_and_nothing_expects_nothing() -> None:
    background, foreground = expected_dice(two_classes([0.0, 0.0]), TWO)
    assert background == pytest.approx(1.0)
    assert math.isnan(foreground)
    assert expected_dice(two_classes([1.0, 0.0]), TWO).tolist() == [1.0, 1.0]


def test_a_class_that_never_wins_expects_zero() -> None:
    assert expected_dice(two_classes([0.4, 0.3]), TWO)[1] == 0.0


def test_what_8_bits_cannot_hold_does_not_count() -> None:
    few = two_classes([0.9] + [0.001] * 1000)
    assert expected_dice(few, TWO)[1] == pytest.approx(2 * 0.9 / 1.9)


@given(st.floats(0.5, 1.0, width=32), st.floats(0.5, 1.0, width=32))
def test_disagreeing_networks_expect_less(first: float, second: float) -> None:
    sure, other = two_classes([first, 1 - first]), two_classes([1 - second, second])
    together = expected_dice((sure + other) / 2, TWO)[1]
    assert together <= max(expected_dice(sure, TWO)[1], expected_dice(other, TWO)[1]) + 1e-6


def test_of_several_folds_one_that_expects_nothing_counts_as_zero() -> None:
    folds = [np.array([1.0, 0.9, math.nan]), np.array([1.0, math.nan, math.nan]), np.array([0.7, 0.6, math.nan])]
    assert mean_expected(folds) == pytest.approx([0.9, 0.5, math.nan], nan_ok=True)
    assert mean_expected(folds[1:2]) == pytest.approx([1.0, math.nan, math.nan], nan_ok=True)


def test_entropy_by_hand() -> None:
    values = entropy(two_classes([0.5, 1.0, 0.25]), exclusive=True)
    assert values.dtype == np.float32
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert values.ravel() == pytest.approx([1.0, 0.0, quarter], abs=1e-6)
    thirds = np.full((3, 1, 1, 1), 1 / 3, dtype=np.float32)
    assert entropy(thirds, exclusive=True).item() == pytest.approx(1.0)


@given(arrays(np.float32, (4, 2, 3, 3), elements=st.floats(0, 1, width=32)))
def test_entropy_lies_between_0_and_1(raw: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    probabilities = (raw + np.float32(1e-3)) / (raw + np.float32(1e-3)).sum(axis=0)
    values = entropy(probabilities, exclusive=True)
    assert values.min() >= 0
    assert values.max() <= 1


def table(values: list[float]) -> dict[str, dict[str, float]]:
    return {"CSF": {f"c{index}": value for index, value in enumerate(values)}}


def test_a_line_through_cases_that_lie_on_one() -> None:
    (csf,) = calibrate(table([0.6, 0.7, 0.8, 0.9, 1.0]), table([0.30, 0.45, 0.60, 0.75, 0.90])).classes
    assert (csf.slope, csf.intercept) == pytest.approx((1.5, -0.6))
    assert csf.error == pytest.approx(0.0, abs=1e-12)
    assert csf.lowest == 0.30
    assert predicted_dice(0.85, csf) == pytest.approx(0.675)
    assert predicted_dice(0.0, csf) == 0.0  # never below nothing
    assert math.isnan(predicted_dice(math.nan, csf))


def test_an_offset_where_a_line_helps_no_left_out_case() -> None:
    (csf,) = calibrate(table([0.80, 0.90]), table([0.70, 0.82])).classes
    assert (csf.slope, csf.intercept) == pytest.approx((1.0, -0.09))
    # Left out, each is predicted by the other's offset: .80 - .08 = .72 for .70, and .90 - .10 = .80 for .82.
    assert csf.error == pytest.approx(0.02)


def test_more_confidence_never_predicts_less() -> None:
    (csf,) = calibrate(table([0.6, 0.7, 0.8, 0.9]), table([0.9, 0.8, 0.7, 0.6])).classes
    assert csf.slope >= 0


def test_every_case_has_a_prediction_that_never_saw_it() -> None:
    quality = calibrate(table([0.80, 0.90]), table([0.70, 0.82]))
    assert [(point.case, point.predicted) for point in quality.points] == [
        ("c0", pytest.approx(0.72)), ("c1", pytest.approx(0.80)),
    ]  # fmt: skip


def test_one_case_gives_an_offset_of_unknown_error() -> None:
    quality = calibrate(table([0.8]), table([0.7]))
    (csf,) = quality.classes
    assert csf.error is None
    assert quality.points[0].predicted is None
    assert predicted_dice(0.9, csf) == pytest.approx(0.8)


def test_undefined_cases_and_classes_without_any_are_passed_over() -> None:
    nan = math.nan
    assert calibrate(table([nan, 0.8]), table([0.5, nan])).classes == ()
    (csf,) = calibrate(table([nan, 0.8]), table([0.5, 0.7])).classes
    assert csf.lowest == 0.7


def healthy(count: int, *, expected: float = 0.0) -> tuple[dict[str, float], dict[str, float]]:
    """Expected and reached Dice of cases without a class, in which nothing of it was found."""
    names = [f"h{number}" for number in range(count)]
    return dict.fromkeys(names, expected), dict.fromkeys(names, math.nan)


def test_a_class_may_be_absent_where_held_out_cases_without_it_are_empty_and_no_other() -> None:
    sick = [0.85 + 0.01 * number for number in range(8)]
    empty, undefined = healthy(30)

    def may_be_absent(expected: dict[str, float], reached: dict[str, float]) -> bool:
        of_sick = table(sick)["CSF"]
        (csf,) = calibrate({"CSF": {**of_sick, **expected}}, {"CSF": {**of_sick, **reached}}).classes
        return csf.may_be_absent

    assert not may_be_absent({}, {})  # every case has it
    assert may_be_absent(empty, undefined)
    assert may_be_absent(*healthy(1, expected=math.nan))
    assert may_be_absent({**empty, "found": 0.4}, {**undefined, "found": 0.0})  # a false positive is labelled
    for nothing in (0.0, math.nan):
        assert not may_be_absent({**empty, "missed": nothing}, {**undefined, "missed": 0.0})


def test_what_was_stored_before_says_nothing_of_absence() -> None:
    (csf,) = calibrate(table([0.6, 0.7]), table([0.5, 0.6])).classes
    stored = csf.model_dump(exclude={"may_be_absent"})
    assert ClassQuality.model_validate(stored) == csf


@pytest.mark.parametrize(
    ("predicted", "error", "low"), [(0.85, 0.01, False), (0.879, 0.01, True), (0.879, 0.03, False), (0.8, None, True)]
)
def test_low_is_clearly_below_every_held_out_case(predicted: float, error: float | None, low: bool) -> None:
    lowest = 0.9 if predicted > 0.85 else 0.85
    assert is_low(predicted, ClassQuality(name="x", intercept=0, slope=1, error=error, lowest=lowest)) == low


@pytest.mark.parametrize(("predicted", "low"), [(0.0, True), (0.499, True), (0.5, False), (math.nan, False)])
@pytest.mark.parametrize(("lowest", "error"), [(0.0, 0.4), (0.52, None), (-1.0, 0.0)])
def test_under_one_half_is_low_whatever_was_reached(predicted: float, low: bool, lowest: float, error: float | None) -> None:
    assert is_low(predicted, ClassQuality(name="x", intercept=0, slope=1, error=error, lowest=lowest)) == low


def test_networks_that_failed_on_held_out_cases_doubt_themselves() -> None:
    quality = calibrate(table([0.3, 0.4, 0.2]), table([0.0, 0.1, 0.0]))
    assert doubts({"CSF": 0.0}, quality) == ["Dice of CSF is probably 0.00 (under 0.5; held-out cases: at least 0.00)"]


def test_a_low_dice_above_one_half_is_told_from_held_out_cases_alone() -> None:
    quality = calibrate(table([0.8, 0.9, 0.85]), table([0.8, 0.9, 0.85]))
    assert doubts({"CSF": 0.7}, quality) == ["Dice of CSF is probably 0.70 (held-out cases: at least 0.80)"]
    assert doubts({"CSF": 0.8}, quality) == []
    assert doubts({"CSF": math.nan}, quality) == []
    assert doubts({}, quality) == []


def test_networks_less_sure_than_on_any_held_out_case_are_not_believed_beyond_what_was_calibrated() -> None:
    quality = calibrate(table([0.60, 0.65, 0.70, 0.62]), table([0.80, 0.79, 0.81, 0.82]))
    assert predicted_dice(0.1, quality.classes[0]) > 0.7  # the same for all that was seen
    assert doubts({"CSF": 0.1}, quality) == [
        "the networks expect a Dice of CSF of 0.10 only (held-out cases: at least 0.60)"
    ]
    assert doubts({"CSF": 0.31}, quality) == []
    assert doubts({"CSF": 0.0}, quality) == []  # nothing was given to the class


def test_numbers_by_name_leave_out_the_background() -> None:
    assert by_class(["CSF", "GM"], np.array([0.9, 0.5, 0.6])) == {"CSF": 0.5, "GM": 0.6}


def test_as_many_seeds_judge_as_every_fold_has() -> None:
    trained = {("unet", "0"): 3, ("unet", "1"): 2, ("unet", "2"): 4, ("sepres", "0"): 1}
    assert seeds_that_judge(trained) == {"unet": 2, "sepres": 1}
    assert seeds_that_judge({}) == {}


def test_whose_expectation_it_is_is_said() -> None:
    def basis(**seeds: int) -> str:
        return Quality(classes=(), points=(), seeds=seeds).basis

    assert basis() == basis(unet=1, sepres=1) == "the models of a fold, one of each network,"
    assert basis(unet=3) == "the models of a fold, 3 seeds of unet,"
    assert basis(unet=3, sepres=1) == "the models of a fold, 3 seeds of unet and one of sepres,"


@given(
    st.lists(st.tuples(st.floats(0.3, 1.0), st.floats(0.1, 1.0)), min_size=4, max_size=12),
    st.sampled_from([0.0, 0.9]),
)
def test_a_left_out_case_is_predicted_by_what_all_others_teach(pairs: list[tuple[float, float]], outlier: float) -> None:
    x, y = [pair[0] for pair in pairs] + [outlier], [pair[1] for pair in pairs] + [0.5]
    assume(np.ptp(np.sort(x)[1:]) > 1e-3)
    for index, point in enumerate(calibrate(table(x), table(y)).points):
        others_x, others_y = np.delete(x, index), np.delete(y, index)
        slope = max(np.cov(others_x, others_y, bias=True)[0, 1] / max(np.var(others_x), 1e-300), 0.0)
        line = others_y.mean() + slope * (x[index] - others_x.mean())
        offset = x[index] + (others_y - others_x).mean()
        by_hand = np.clip([line, offset], 0.0, 1.0)
        assert any(point.predicted == pytest.approx(each, abs=1e-9) for each in by_hand)


def test_others_that_are_all_alike_teach_an_offset() -> None:
    quality = calibrate(table([0.7, 0.7, 0.7, 0.7, 0.2]), table([0.6, 0.6, 0.6, 0.6, 0.3]))
    assert quality.points[-1].predicted == pytest.approx(0.1)  # .2 and the offset of the others, -.1


def test_each_class_is_fitted_once_whatever_the_number_of_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fit = quality_module._fit

    def counted(x: Values, y: Values, *, slope_allowed: bool) -> tuple[float, float]:
        fits.append(len(x))
        return fit(x, y, slope_allowed=slope_allowed)

    monkeypatch.setattr(quality_module, "_fit", counted)
    values = np.random.default_rng(0).uniform(0.5, 1.0, size=3_000).tolist()
    assert len(calibrate(table(values), table(values[::-1])).points) == 3_000
    assert fits == [3_000]
