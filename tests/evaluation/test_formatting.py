import math
from types import SimpleNamespace

import pytest

from autoseg.evaluation import formatting
from autoseg.evaluation.statistics import Interval

NAN = math.nan


@pytest.mark.parametrize("undefined", [None, NAN])
def test_what_is_undefined_says_so(undefined: float | None) -> None:
    nothing = SimpleNamespace(mean=undefined, low=undefined, high=undefined, cases=0)
    assert formatting.number(undefined, 3) == "n/a"
    assert formatting.interval(nothing, 3) == "n/a"
    assert formatting.bounds(nothing, 3) == ""
    assert formatting.change(undefined, 1.0, 3) == formatting.change(1.0, undefined, 3) == "n/a"


def test_digits_are_those_asked_for() -> None:
    assert formatting.number(2 / 3, 1) == "0.7"
    assert formatting.change(1.0, 2 / 3, 2) == "-0.33"
    assert formatting.change(1.0, 1.0, 2) == "+0.00"


def test_a_volume_that_two_decimals_would_hide_has_three_digits() -> None:
    found = [formatting.volume(ml) for ml in (None, NAN, 0.0, 1.1524e-06, 0.009876, 0.01, 0.3, 1234.567)]
    assert found == ["n/a", "n/a", "0.00", "1.15e-06", "0.00988", "0.01", "0.30", "1234.57"]


def test_a_mean_has_its_interval_where_there_is_one() -> None:
    assert formatting.interval(Interval(0.9, 0.85, 0.95, 3), 2) == "0.90 (0.85 to 0.95)"
    assert formatting.interval(Interval(0.9, NAN, NAN, 1), 2) == "0.90 (too few cases for an interval)"
    assert formatting.interval(Interval(4.0, 3.9, 4.1, 9), 1, unit="mm") == "4.0 mm (3.9 to 4.1)"
    assert formatting.interval(Interval(4.0, NAN, NAN, 1), 1, unit="mm") == "4.0 mm (too few cases for an interval)"
    assert formatting.interval(Interval(NAN, NAN, NAN, 0), 1, unit="mm") == "n/a"
    assert formatting.bounds(Interval(0.9, NAN, NAN, 1), 2) == "too few cases for an interval"
    assert formatting.bounds(Interval(0.9, 0.85, 0.95, 3), 1) == "0.8 to 0.9"


def test_a_column_of_means_says_once_that_there_are_too_few_cases() -> None:
    few, none, enough = Interval(0.9, NAN, NAN, 5), Interval(NAN, NAN, NAN, 0), Interval(0.8, 0.7, 0.9, 6)
    assert formatting.interval_column("Dice", [few, none], 2) == ("Dice (too few cases for an interval)", ["0.90", "n/a"])
    heading, cells = formatting.interval_column("Dice", [few, none, enough], 2)
    assert heading == "Dice (95 % interval)"
    assert cells == ["0.90 (too few cases for an interval); 5 cases", "n/a", "0.80 (0.70 to 0.90)"]
    assert formatting.mean_column([few, none, enough], 1) == ["0.9; 5 cases", "n/a", "0.8"]
    assert formatting.interval_column("Dice", [none], 2) == ("Dice", ["n/a"])


def test_a_mean_has_its_deviation_where_there_is_one() -> None:
    assert formatting.spread(0.9, 0.05, 2) == "0.90 +- 0.05"
    assert formatting.spread(0.9, NAN, 2) == "0.90"


def test_values_of_a_plan_are_json_but_text_is_text() -> None:
    assert formatting.plan_value("axial") == "axial"
    assert formatting.plan_value((1.0, None)) == "[1.0, null]"
