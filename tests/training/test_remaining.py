"""What is left of a run, against sums made by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from autoseg.planning.plan import Plan
from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget
from autoseg.training.history import EpochRecord
from autoseg.training.remaining import Costs, Remaining, costs_of, planned_costs, remaining

MakePlan = Callable[..., Plan]
COSTS = Costs(step_s=0.4, closing_s=2.0, scoring_s=7.0)
"""An epoch of 20 steps takes 10 s, one at half resolution 4 s."""


@pytest.fixture
def section(make_plan: MakePlan) -> TrainingSection:
    return make_plan(training={"steps_per_epoch": 20}).training


@pytest.fixture
def half(section: TrainingSection) -> TrainingSection:
    return section.model_copy(update={"half_resolution_fraction": 0.5})


def test_epochs_take_their_time_and_scoring_comes_on_top(section: TrainingSection) -> None:
    left = remaining(Budget(100, None), section, COSTS)
    assert left == Remaining(epochs=5.0, training_s=50.0, scoring_s=7.0)
    assert left.seconds == 57.0
    begun = remaining(Budget(100, None), section, COSTS, steps_done=30, elapsed_s=99.0)
    assert (begun.epochs, begun.training_s) == (5.0, 35.0)


def test_the_clock_ends_a_run_by_minutes_and_epochs_are_those_that_fit(section: TrainingSection) -> None:
    left = remaining(Budget(None, 60.0), section, COSTS, steps_done=10, elapsed_s=10.0)
    assert left == Remaining(epochs=5.5, training_s=50.0, scoring_s=7.0)
    assert remaining(Budget(None, 60.0), section, COSTS, steps_done=10, elapsed_s=70.0).training_s == 0.0


def test_the_clock_may_cut_epochs_short(section: TrainingSection) -> None:
    left = remaining(Budget(100, 30.0), section, COSTS)
    assert left == Remaining(epochs=3.0, training_s=30.0, scoring_s=7.0, cut_short=True)
    assert not remaining(Budget(100, 50.0), section, COSTS).cut_short


def test_steps_at_half_resolution_take_a_quarter(half: TrainingSection) -> None:
    # Two epochs of 4 s and two of 10 s; after one of them, one of 4 s and two of 10 s.
    assert remaining(Budget(80, None), half, COSTS).training_s == 28.0
    assert remaining(Budget(80, None), half, COSTS, steps_done=20).training_s == 24.0
    # 30 s at half resolution hold 7.5 epochs, 30 s without it 3.
    assert remaining(Budget(None, 60.0), half, COSTS).epochs == 10.5
    # Half of 10 epochs at 4 s are over after 20 s; 10 s more hold one.
    cut = remaining(Budget(200, 30.0), half, COSTS)
    assert (cut.epochs, cut.cut_short) == (6.0, True)


def test_a_run_without_an_end_is_none(section: TrainingSection) -> None:
    with pytest.raises(ValueError, match="length in steps or in seconds"):
        remaining(Budget(None, None), section, COSTS)


def epochs(seconds: Sequence[float], *, slices_per_s: float = 80.0) -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch=number, seconds=at, learning_rate=0.1, slices_per_s=slices_per_s, training_loss=0.5, training_dice=0.5,
            validation_loss=0.5, validation_dice=0.5, class_dice={},
        )
        for number, at in enumerate(seconds, start=1)
    ]  # fmt: skip


def of_run(records: Sequence[EpochRecord], **changes: Any) -> Costs | None:
    return costs_of(records, **{"slices_per_step": 8.0, "steps_per_epoch": 20, "at_half": False, "after": 0, **changes})


def test_the_pace_of_a_run_follows_from_its_epochs() -> None:
    # 80 slices a second are 10 steps of 8; 20 of them take 2 s of the 5 s of an epoch. The last epoch was cut short.
    found = of_run(epochs([60.0, 65.0, 70.0, 75.0, 76.0]))
    assert found == Costs(step_s=0.1, closing_s=3.0)
    assert of_run(epochs([60.0, 65.0, 70.0]), at_half=True) == Costs(step_s=0.4, closing_s=3.0)
    assert of_run(epochs([60.0])) == Costs(step_s=0.1, closing_s=0.0)


def test_the_pace_of_a_run_that_was_trained_further_is_that_of_its_last_call() -> None:
    # Three epochs of 2 s of steps and 3 s more, then two of 4 s and 1 s, of which the clock cut the last one short.
    records = [*epochs([60.0, 65.0, 70.0]), *epochs([0.0, 0.0, 0.0, 75.0, 76.0], slices_per_s=40.0)[3:]]
    assert of_run(records, after=3) == Costs(step_s=0.2, closing_s=1.0)
    assert of_run(records[:4], after=3) == Costs(step_s=0.2, closing_s=1.0)
    assert of_run(records, after=5) is None


def test_a_run_whose_pace_was_not_measured_tells_none() -> None:
    assert of_run([]) is None
    assert of_run(epochs([1.0, 2.0], slices_per_s=float("nan"))) is None


def test_the_speed_that_a_plan_recorded_tells_the_time_of_a_step(make_plan: MakePlan) -> None:
    assert planned_costs(make_plan()) is None
    # 4 slices of 16 x 12 pixels are 768; a network of 4 features takes an eighth of the time of one of 16.
    found = planned_costs(make_plan(inputs={"minutes": 5.0, "speed_kpx_s": 0.768}))
    assert found == Costs(step_s=pytest.approx(1.0 / 8))


def test_steps_take_longer_on_fewer_threads_and_no_shorter_on_more() -> None:
    measured = Costs(step_s=1.0, closing_s=3.0, scoring_s=5.0)
    assert measured.on_fewer_threads(2, measured_on=8) == Costs(step_s=4.0, closing_s=3.0, scoring_s=5.0)
    assert measured.on_fewer_threads(8, measured_on=1) == measured
