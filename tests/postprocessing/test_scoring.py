import math

import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.statistics import Interval, defined
from autoseg.metrics.table import METRICS, table_metrics
from autoseg.postprocessing.scoring import as_estimate, case_means, estimate, score_of, with_undefined
from autoseg.postprocessing.selection import Estimate

NAN = math.nan


def case(name: str, *, csf: tuple[float, float], gm: tuple[float, float]) -> CaseMetrics:
    """A case with Dice and Hausdorff distance of two classes."""
    classes = []
    for value, (label, (dice, hausdorff_mm)) in enumerate({"CSF": csf, "GM": gm}.items(), start=1):
        volume_ml = 0.0 if math.isnan(dice) else 77.0
        numbers = {**dict.fromkeys(METRICS, volume_ml), "dice": dice, "hausdorff_mm": hausdorff_mm}
        classes.append(ClassMetrics(value=value, name=label, numbers=numbers))
    return CaseMetrics(name, tuple(classes))


CASES = (
    case("b", csf=(0.8, 4.0), gm=(1.0, 2.0)),  # means .9 and 3
    case("a", csf=(0.6, NAN), gm=(NAN, NAN)),  # means .6 and none
)


def test_a_score_is_the_mean_over_cases_of_their_means_over_classes() -> None:
    score = score_of(CASES)
    assert score.dice.mean == pytest.approx(0.75)  # over the classes it would be (.7 + 1) / 2 = .85
    assert score.dice.cases == 2
    assert (score.dice.low, score.dice.high) == (None, None)  # of two cases
    assert score.hausdorff_mm == Estimate(mean=3.0, low=None, high=None, cases=1)


def test_each_class_is_averaged_over_the_cases_that_define_it() -> None:
    csf, gm = score_of(CASES).classes
    assert (csf.name, gm.name) == ("CSF", "GM")
    assert csf.dice.mean == pytest.approx(0.7)
    assert csf.hausdorff_mm == Estimate(mean=4.0, low=None, high=None, cases=1)
    assert gm.dice == Estimate(mean=1.0, low=None, high=None, cases=1)
    assert gm.hausdorff_mm == Estimate(mean=2.0, low=None, high=None, cases=1)


def test_a_score_holds_every_metric_of_tables() -> None:
    score = score_of(CASES)
    for metric in table_metrics():
        assert getattr(score, metric) == estimate(case_means(CASES, metric), metric)
        of_class = [case.classes[1].number(metric) for case in CASES]
        assert getattr(score.classes[1], metric) == estimate(of_class, metric)


def test_means_keep_the_order_of_the_cases() -> None:
    assert case_means(CASES, "dice") == pytest.approx([0.9, 0.6])
    assert case_means(CASES, "hausdorff_mm") == pytest.approx([3.0, NAN], nan_ok=True)


def test_a_mean_distance_names_the_classes_that_have_none_in_some_cases() -> None:
    missed = (case("b", csf=(0.8, 4.0), gm=(1.0, 2.0)), case("a", csf=(0.6, 3.0), gm=(0.0, NAN)))
    found = tuple(case(name, csf=(0.8, 4.0), gm=(1.0, 2.0)) for name in "ab")
    scores = [score_of(missed), score_of(found)]
    assert with_undefined(["3.00; 1 case", "3.00"], scores) == ["3.00; 1 case (GM partly undefined)", "3.00"]


def test_a_mean_distance_names_the_classes_that_have_none_in_any_case() -> None:
    scores = [score_of(tuple(case(name, csf=(0.0, NAN), gm=(0.5, gm_mm)) for name, gm_mm in (("a", 2.0), ("b", NAN))))]
    assert with_undefined(["n/a"], scores) == ["n/a (CSF undefined; GM partly undefined)"]


def test_a_case_scored_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="several scores"):
        case_means([CASES[0], CASES[0]], "dice")


def test_a_number_defined_for_no_case_is_null() -> None:
    assert estimate([NAN, NAN], "dice") == Estimate(mean=None, low=None, high=None, cases=0)


def test_six_cases_have_an_interval_within_what_is_possible() -> None:
    found = estimate([1.0, 1.0, 1.0, 1.0, 1.0, 0.4], "dice")
    assert found.mean == pytest.approx(0.9)
    assert found.low is not None
    assert 0 < found.low < 0.8
    assert found.high == 1.0


def test_documents_hold_null_for_nan_and_keep_zero() -> None:
    assert defined(NAN) is None
    assert defined(0.0) == 0.0
    assert as_estimate(Interval(0.0, NAN, 0.25, cases=3)) == Estimate(mean=0.0, low=None, high=0.25, cases=3)
