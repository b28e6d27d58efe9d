import time

from autoseg.training.durations import clock_time, duration

NOON = time.mktime((2026, 11, 26, 12, 0, 0, 0, 0, -1))
"""Of a Thursday, wherever this is."""


def test_lengths_of_time() -> None:
    assert [duration(seconds) for seconds in (0.4, 89.0, 150.0, 9000.0)] == ["0 s", "89 s", "2.5 min", "2.5 h"]


def test_points_of_time_name_the_day_where_it_is_another() -> None:
    assert clock_time(NOON + 2.5 * 3600, now=NOON) == "14:30"
    assert clock_time(NOON + 13 * 3600, now=NOON) == f"{time.strftime('%a', time.localtime(NOON + 86_400))} 01:00"
    assert clock_time(NOON + 28 * 86_400, now=NOON) == f"24 {time.strftime('%b', time.localtime(NOON + 28 * 86_400))} 12:00"
