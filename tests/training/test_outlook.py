import math
from typing import Any

import pytest

from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget
from autoseg.training.history import EpochRecord
from autoseg.training.outlook import after_the_run, doubts, duration, forecast, longer

MINUTE = Budget(steps=None, seconds=60.0)


@pytest.fixture
def section(make_plan: Any) -> TrainingSection:
    return make_plan(training={"steps_per_epoch": 20}).training


def epochs(dice: list[float], **classes: float) -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch=number, seconds=1.0, learning_rate=0.1, slices_per_s=1.0, training_loss=0.5, training_dice=value,
            validation_loss=0.5, validation_dice=value, class_dice=classes or {"CSF": value},
        )
        for number, value in enumerate(dice, start=1)
    ]  # fmt: skip


def test_what_fits_into_the_minutes_and_what_is_recommended(section: TrainingSection) -> None:
    # An epoch takes 20 x 0.4 s + 2 s; 50 s are left for five of them, and half an epoch is done.
    text = forecast(MINUTE, section, step_s=0.4, closing_s=2.0, elapsed_s=10.0, steps_done=10)
    assert text == "about 5.5 epochs of 20 steps fit into 60 s; 50 are recommended (--minutes 9)"
    half = section.model_copy(update={"half_resolution_fraction": 0.5})
    given: dict[str, Any] = {"step_s": 0.1, "closing_s": 0.0, "elapsed_s": 0.0, "steps_done": 4}
    # 30 s at .1 s a step and 30 s at .4 s are 300 and 75 steps
    assert forecast(MINUTE, half, **given, half_resolution_steps=4).startswith("about 18.9 epochs of 20 steps")
    # Of 400 steps, 196 more of .1 s and 200 of .4 s
    assert forecast(Budget(400, None), half, **given, half_resolution_steps=4) == "20 epochs will take about 1.66 min"
    assert forecast(Budget(400, None), half, **given) == "20 epochs will take about 40 s"
    hour = forecast(Budget(None, 3600.0), section, step_s=0.4, closing_s=2.0, elapsed_s=10.0, steps_done=10)
    assert hour == "about 359.5 epochs of 20 steps fit into 60 min"


def test_how_long_epochs_take(section: TrainingSection) -> None:
    given: dict[str, Any] = {"step_s": 0.4, "closing_s": 2.0, "elapsed_s": 10.0, "steps_done": 10}
    assert forecast(Budget(100, None), section, **given) == "5 epochs will take about 55 s"
    assert forecast(Budget(100, 300.0), section, **given) == "5 epochs will take about 55 s"
    assert forecast(Budget(100, 30.0), section, **given) == "5 epochs will take about 55 s, but the run ends after 30 s"


def test_what_comes_after_the_run() -> None:
    assert after_the_run(2, 100.0) == "; scoring 2 held-out case(s) then takes at least 1.67 min more"
    assert after_the_run(0, 100.0) == ""


def test_lengths_of_time() -> None:
    assert [duration(seconds) for seconds in (0.4, 89.0, 150.0, 9000.0)] == ["0 s", "89 s", "2.5 min", "2.5 h"]


SETTLED = [0.3, 0.7, 0.8, 0.83, 0.85, 0.86, 0.865, 0.87]


def test_a_settled_run_is_not_doubted() -> None:
    assert doubts(epochs(SETTLED), steps=160, budget=MINUTE, stopped_early=False) == []


@pytest.mark.parametrize(
    ("run", "steps", "budget", "reason"),
    [
        (epochs(SETTLED, CSF=0.9, WM=0.04), 160, MINUTE, "WM is hardly found"),
        (epochs(SETTLED, CSF=0.0, WM=0.04), 160, MINUTE, "CSF, WM are hardly found"),
        (epochs(SETTLED[:2]), 40, MINUTE, "it took only 40 steps"),
        (epochs([0.1, 0.2, 0.3, 0.4]), 160, MINUTE, "its training Dice still rose, by 0.10 in the last quarter"),
        (epochs(SETTLED), 160, Budget(240, 60.0), "its time was up after 8 epochs, 160 of 240 steps"),
    ],
)
def test_reasons_to_doubt(run: list[EpochRecord], steps: int, budget: Budget, reason: str) -> None:
    assert doubts(run, steps=steps, budget=budget, stopped_early=False) == [reason]


def test_a_run_that_its_rule_ended_is_doubted_only_for_classes_it_did_not_find() -> None:
    assert doubts(epochs([0.1, 0.2, 0.3, 0.4]), steps=20, budget=Budget(400, None), stopped_early=True) == []
    assert doubts(epochs(SETTLED, WM=0.0), steps=20, budget=MINUTE, stopped_early=True) == ["WM is hardly found"]


def test_a_class_that_does_not_occur_is_no_reason_to_doubt() -> None:
    undefined = epochs(SETTLED, WM=math.nan)
    assert doubts(undefined, steps=160, budget=MINUTE, stopped_early=False) == []


def test_what_to_do_about_it() -> None:
    assert longer(MINUTE, steps=100, elapsed_s=58.0) == "Train it again for longer: --minutes 10 --restart"
    assert longer(MINUTE, steps=1000, elapsed_s=58.0) == "Train it again for longer: --minutes 2 --restart"
    assert longer(Budget(40, None), steps=40, elapsed_s=5.0) == (
        "Train it again for longer: more --epochs or --minutes, and --restart"
    )
