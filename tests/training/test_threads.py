import pytest
import torch

from autoseg.training.threads import DECISIVE, MEASURED_STEPS, STEPS_EACH, FirstSteps, use_threads


def timed(first: FirstSteps, seconds: dict[int, float], *, steps: int) -> FirstSteps:
    """Some steps that take as long as their number of threads says."""
    for _ in range(steps):
        first.step_ended(seconds[first.next])
    return first


def test_threads_that_wait_for_each_other_are_noticed_after_one_step_each() -> None:
    first = timed(FirstSteps((1, 8)), {1: 0.3, 8: 3.0}, steps=2)
    assert (first.threads, first.next) == (None, 8)
    first.step_ended(3.0)
    assert (first.threads, first.next) == (1, 1)
    assert str(first) == "1 thread (10.0 times as fast as 8)"


def test_all_threads_are_taken_where_they_help() -> None:
    first = timed(FirstSteps((1, 2)), {1: 1.0, 2: 0.55}, steps=3)
    assert first.threads == 2
    assert str(first) == "2 threads (1.8 times as fast as 1)"


@pytest.mark.parametrize(("slower", "chosen"), [({1: 1.0, 4: 1.2}, 1), ({1: 1.2, 4: 1.0}, 4)])
def test_what_is_nearly_equal_takes_more_steps(slower: dict[int, float], chosen: int) -> None:
    first = FirstSteps((1, 4))
    timed(first, slower, steps=2 * STEPS_EACH)
    assert first.threads is None
    timed(first, slower, steps=1)
    assert first.threads == chosen
    assert first.step_s == slower[chosen]


def test_one_slow_step_among_others_decides_nothing() -> None:
    first = FirstSteps((1, 2))
    for seconds in (9.0, 1.0, 0.8, *[1.0, 0.8] * 2, 1.0, 9.0):  # the first reserves memory, the last was disturbed
        assert first.threads is None
        first.step_ended(seconds)
    assert first.threads == 2
    assert 1 / DECISIVE < 0.8


def test_the_pace_is_known_after_ten_steps_where_nothing_is_to_be_chosen() -> None:
    first = FirstSteps((3,))
    assert (first.threads, first.next) == (3, 3)
    timed(first, {3: 0.5}, steps=MEASURED_STEPS - 1)
    assert not first.complete
    timed(first, {3: 0.7}, steps=1)
    assert first.complete
    assert first.step_s == 0.5


def test_threads_are_used() -> None:
    before = torch.get_num_threads()
    try:
        use_threads(3)
        assert torch.get_num_threads() == 3
    finally:
        use_threads(before)
