import math
from types import SimpleNamespace

import pytest

from autoseg.evaluation import formatting
from autoseg.evaluation.statistics import Interval

NAN = math.nan


@pytest.mark.parametrize("undefined", [None, NAN])
def test_what_is_undefined_says_so(undefined: float | None) -> None:
    nothing = SimpleNamespace(mean=undefined, low=undefined, high=undefined)
    assert formatting.number(undefined, 3) == "n/a"
    assert formatting.interval(nothing, 3) == "n/a"
    assert formatting.bounds(nothing, 3) == ""
    assert formatting.change(undefined, 1.0, 3) == formatting.change(1.0, undefined, 3) == "n/a"


def test_digits_are_those_asked_for() -> None:
    assert formatting.number(2 / 3, 1) == "0.7"
    assert formatting.change(1.0, 2 / 3, 2) == "-0.33"
    assert formatting.change(1.0, 1.0, 2) == "+0.00"


def test_a_mean_has_its_interval_where_there_is_one() -> None:
    assert formatting.interval(Interval(0.9, 0.85, 0.95, 3), 2) == "0.90 (0.85 to 0.95)"
    assert formatting.interval(Interval(0.9, NAN, NAN, 1), 2) == "0.90"
    assert formatting.bounds(Interval(0.9, 0.85, 0.95, 3), 1) == "0.8 to 0.9"


def test_a_mean_has_its_deviation_where_there_is_one() -> None:
    assert formatting.spread(0.9, 0.05, 2) == "0.90 +- 0.05"
    assert formatting.spread(0.9, NAN, 2) == "0.90"


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_items_become_part_of_a_sentence(items: list[str], text: str) -> None:
    assert formatting.listing(items) == text
    assert formatting.listing(items, last="or") == text.replace("and", "or")


def test_values_of_a_plan_are_json_but_text_is_text() -> None:
    assert formatting.plan_value("axial") == "axial"
    assert formatting.plan_value((1.0, None)) == "[1.0, null]"


def test_another_word_may_stand_for_what_is_undefined() -> None:
    assert formatting.number(float("nan"), 2, undefined="nan") == "nan"
    assert formatting.spread(float("nan"), float("nan"), 2, undefined="nan") == "nan"
    assert formatting.spread(0.5, 0.25, 2, undefined="nan") == "0.50 +- 0.25"
