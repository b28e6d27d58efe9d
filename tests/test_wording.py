import time

import pytest

from autoseg.wording import clock_time, counted, counted_of, duration, from_to, in_words, listing, some

NOON = time.mktime((2026, 11, 26, 12, 0, 0, 0, 0, -1))
"""Of a Thursday, wherever this is."""


def test_lengths_of_time() -> None:
    assert [duration(seconds) for seconds in (0.4, 89.0, 150.0, 9000.0)] == ["0 s", "89 s", "2.5 min", "2.5 h"]


def test_points_of_time_name_the_day_where_it_is_another() -> None:
    assert clock_time(NOON + 2.5 * 3600, now=NOON) == "14:30"
    assert clock_time(NOON + 13 * 3600, now=NOON) == f"{time.strftime('%a', time.localtime(NOON + 86_400))} 01:00"
    assert clock_time(NOON + 28 * 86_400, now=NOON) == f"24 {time.strftime('%b', time.localtime(NOON + 28 * 86_400))} 12:00"


def test_things_are_counted_in_singular_and_plural() -> None:
    assert [counted(number, "case") for number in (0, 1, 2, 1200)] == [
        "0 cases",
        "1 case",
        "2 cases",
        "1,200 cases",
    ]
    assert counted(2, "axis", plural="axes") == "2 axes"
    assert [in_words(number) for number in (0, 1, 12, 13, 1300)] == ["no", "one", "twelve", "13", "1,300"]


def test_a_part_is_counted_with_the_whole() -> None:
    assert [counted_of(number, 3, "case") for number in (0, 2, 3)] == ["0 of 3 cases", "2 of 3 cases", "3 cases"]


def test_a_range_without_a_length_is_a_number() -> None:
    assert [from_to(1, 1.25), from_to(12, 12.001), from_to(0.0, 0.4, ".0f")] == ["1 to 1.25", "12", "0"]
    assert from_to(1000, 2000, ",.0f") == from_to(1000, 2000) == "1,000 to 2,000"


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_items_become_part_of_a_sentence(items: list[str], text: str) -> None:
    assert listing(items) == text
    assert listing(items, last="or") == text.replace("and", "or")


def test_the_first_of_many_are_named() -> None:
    names = [f"case_{number}" for number in range(8)]
    assert some(names) == "case_0, case_1, case_2, case_3, case_4 and 3 more"
    assert some(names[:2], named=2) == "case_0, case_1"
    assert some(names[:3], named=2) == "case_0, case_1 and 1 more"
