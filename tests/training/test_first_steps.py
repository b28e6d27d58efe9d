from itertools import product
from typing import Any

import pytest
import torch

from autoseg.model.compute import Compute
from autoseg.training.first_steps import (
    DECISIVE,
    MEASURED_STEPS,
    STEPS_EACH,
    FirstSteps,
    Setting,
    settings_to_try,
    use_threads,
)


def on(*threads: int) -> list[Setting]:
    return [Setting(number, "contiguous") for number in threads]


def timed(first: FirstSteps, seconds: dict[int, float], *, steps: int) -> FirstSteps:
    """Some steps that take as long as their number of threads says."""
    for _ in range(steps):
        first.step_ended(seconds[first.next.threads])
    return first


def chosen_threads(first: FirstSteps) -> int | None:
    return first.chosen.threads if first.chosen else None


def test_threads_that_wait_for_each_other_are_noticed_after_one_step_each() -> None:
    first = timed(FirstSteps(on(1, 8)), {1: 0.3, 8: 3.0}, steps=2)
    assert (first.chosen, first.next.threads) == (None, 8)
    first.step_ended(3.0)
    assert (chosen_threads(first), first.next.threads) == (1, 1)
    assert str(first) == "1 thread (10.0 times as fast as 8 threads)"


def test_all_threads_are_taken_where_they_help() -> None:
    first = timed(FirstSteps(on(1, 2)), {1: 1.0, 2: 0.55}, steps=3)
    assert chosen_threads(first) == 2
    assert str(first) == "2 threads (1.8 times as fast as 1 thread)"


@pytest.mark.parametrize(("slower", "chosen"), [({1: 1.0, 4: 1.2}, 1), ({1: 1.2, 4: 1.0}, 4)])
def test_what_is_nearly_equal_takes_more_steps(slower: dict[int, float], chosen: int) -> None:
    first = FirstSteps(on(1, 4))
    timed(first, slower, steps=2 * STEPS_EACH)
    assert first.chosen is None
    timed(first, slower, steps=1)
    assert chosen_threads(first) == chosen
    assert first.step_s == slower[chosen]


def test_one_slow_step_among_others_decides_nothing() -> None:
    first = FirstSteps(on(1, 2))
    for seconds in (9.0, 1.0, 0.8, *[1.0, 0.8] * 2, 1.0, 9.0):  # the first reserves memory, the last was disturbed
        assert first.chosen is None
        first.step_ended(seconds)
    assert chosen_threads(first) == 2
    assert 1 / DECISIVE < 0.8


def test_the_pace_is_known_after_ten_steps_where_nothing_is_to_be_chosen() -> None:
    first = FirstSteps(on(3))
    assert first.chosen == first.next == Setting(3, "contiguous")
    timed(first, {3: 0.5}, steps=MEASURED_STEPS - 1)
    assert not first.complete
    timed(first, {3: 0.7}, steps=1)
    assert first.complete
    assert first.step_s == 0.5


EVERY = [Setting(*pair) for pair in product((1, 2), ("contiguous", "channels_last"))]


def stepped(first: FirstSteps, seconds: dict[Setting, float]) -> list[Setting]:
    """Steps until a setting is chosen; the first in each memory format is slow."""
    taken: list[Setting] = []
    while first.chosen is None:
        fresh = first.next.memory_format not in {setting.memory_format for setting in taken}
        taken.append(first.next)
        first.step_ended(9.0 if fresh else seconds[taken[-1]])
    return taken


@pytest.mark.parametrize("fastest", EVERY)
def test_the_fastest_of_all_settings_is_chosen_and_the_first_step_in_each_format_does_not_count(fastest: Setting) -> None:
    first = FirstSteps(EVERY)
    taken = stepped(first, {setting: 0.8 if setting == fastest else 1.0 for setting in EVERY})
    assert first.chosen == fastest
    assert first.step_s == 0.8
    assert {setting: taken.count(setting) for setting in EVERY} == {
        setting: STEPS_EACH + (setting.threads == 1) for setting in EVERY
    }


def test_what_is_far_slower_is_timed_once() -> None:
    first = FirstSteps(EVERY)
    taken = stepped(first, dict(zip(EVERY, (1.0, 0.7, 3.0, 3.0), strict=True)))
    assert first.chosen == Setting(1, "channels_last")
    assert (taken.count(EVERY[2]), taken.count(EVERY[3])) == (1, 1)
    assert str(first).startswith("1 thread, channels last (1.4 times as fast as 1 thread, contiguous) (4.3 times")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, EVERY),
        ({"threads": 2}, EVERY[2:]),
        ({"memory_format": "channels_last"}, [EVERY[1], EVERY[3]]),
        ({"by_the_clock": False}, [EVERY[2]]),
        ({"by_the_clock": False, "memory_format": "channels_last"}, [EVERY[3]]),
        ({"compute": Compute(torch.device("cpu"), bfloat16=True)}, [EVERY[1], EVERY[3]]),
        ({"compute": Compute(torch.device("cuda"), bfloat16=False)}, [EVERY[2]]),
    ],
)
def test_a_run_chooses_only_where_the_clock_ends_it_and_nothing_is_decided(
    given: dict[str, Any], expected: list[Setting]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cpu = Compute(torch.device("cpu"), bfloat16=False)
        asked: dict[str, Any] = {"threads": None, "memory_format": None, "compute": cpu, "by_the_clock": True}
        assert settings_to_try(**asked | given) == expected
    finally:
        torch.set_num_threads(before)


def test_threads_are_used() -> None:
    before = torch.get_num_threads()
    try:
        use_threads(3)
        assert torch.get_num_threads() == 3
    finally:
        use_threads(before)
