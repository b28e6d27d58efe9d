import math
from collections.abc import Sequence
from typing import Any

import pytest

from autoseg.data.splits import Fold
from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget
from autoseg.training.config import TrainConfig
from autoseg.training.history import EpochRecord
from autoseg.training.outlook import after_the_run, doubts, doubts_about, forecast, longer, too_short
from autoseg.training.remaining import Costs, remaining
from autoseg.training.run_state import RunState, Stretch

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


COSTS = Costs(step_s=0.4, closing_s=2.0)


def text(budget: Budget, section: TrainingSection) -> str:
    """What is said of a run of which half an epoch is done, after ten seconds."""
    left = remaining(budget, section, COSTS, steps_done=10, elapsed_s=10.0)
    return forecast(budget, section, left, steps_done=10, elapsed_s=10.0)


def test_what_fits_into_the_minutes_and_what_is_recommended(section: TrainingSection) -> None:
    # An epoch takes 20 x 0.4 s + 2 s; 50 s are left for five of them, and half an epoch is done.
    assert text(MINUTE, section) == "about 5.5 epochs of 20 steps fit into 60 s; 50 are recommended (--minutes 9)"
    assert text(Budget(None, 3600.0), section) == "about 359.5 epochs of 20 steps fit into 60 min"
    assert text(Budget(None, 5.0), section) == "about 0.5 epochs of 20 steps fit into 5 s"


def test_how_long_epochs_take(section: TrainingSection) -> None:
    assert text(Budget(100, None), section) == "5 epochs will take about 55 s"
    assert text(Budget(100, 300.0), section) == "5 epochs will take about 55 s"
    assert text(Budget(100, 30.0), section) == "2.5 of 5 epochs fit into 30 s, after which the run ends"
    patient = section.model_copy(update={"early_stopping_patience": 3})
    assert text(Budget(100, None), patient) == "5 epochs will take at most 55 s"


def test_what_comes_after_the_run() -> None:
    assert after_the_run(2, 100.0) == "; scoring 2 held-out cases then takes at least 1.67 min more"
    assert after_the_run(0, 100.0) == ""


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
    assert longer(MINUTE, steps=100, elapsed_s=58.0) == "Train it further: --continue --minutes 9"
    assert longer(MINUTE, steps=1000, elapsed_s=58.0) == "Train it further: --continue --minutes 1"
    assert longer(Budget(40, None), steps=40, elapsed_s=5.0) == (
        "Train it further, with --continue and a number of --epochs or --minutes"
    )


def trained_twice(first: dict[str, Any], last: dict[str, Any], *, losses: Sequence[float] = (0.5,) * 8) -> RunState:
    """A finished run of two calls of four epochs each, of 50 steps each."""
    one, other = (
        TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | length)
        for length in (first, last)
    )
    records = [
        record.model_copy(update={"validation_loss": loss}) for record, loss in zip(epochs([0.9] * 8), losses, strict=True)
    ]
    stretches = (Stretch(config=one), Stretch(config=other, after_epochs=4, after_steps=200, after_s=30.0))
    return RunState(
        plan_digest="", data_key="", members=Fold(training=("a",), validation=("b",)), config=one, finished=True,
        steps_taken=400, elapsed_s=60.0, epochs=records, stretches=stretches,
    )  # fmt: skip


CUT_SHORT = {"epochs": 20, "minutes": 0.5}


def test_a_run_that_was_trained_further_is_judged_by_its_last_call(make_plan: Any) -> None:
    section = make_plan(training={"steps_per_epoch": 50}).training
    assert doubts_about(trained_twice(CUT_SHORT, {"epochs": 4}), section) == []
    assert too_short(trained_twice(CUT_SHORT, {"epochs": 4}), section) is None
    last_cut = trained_twice({"epochs": 4}, CUT_SHORT)
    assert doubts_about(last_cut, section) == ["its time was up after 4 epochs, 200 of 1000 steps"]
    assert too_short(last_cut, section) == (
        "its time was up after 4 epochs, 200 of 1000 steps. "
        "Train it further, with --continue and a number of --epochs or --minutes"
    )


def test_a_call_has_its_own_patience(make_plan: Any) -> None:
    section = make_plan(training={"steps_per_epoch": 50, "early_stopping_patience": 3}).training
    falls = trained_twice(CUT_SHORT, CUT_SHORT, losses=[0.1, 0.2, 0.2, 0.2, 0.9, 0.8, 0.7, 0.6])
    assert doubts_about(falls, section) == ["its time was up after 4 epochs, 200 of 1000 steps"]
    stays = trained_twice(CUT_SHORT, CUT_SHORT, losses=[0.4, 0.3, 0.2, 0.1, 0.9, 0.9, 0.9, 0.9])
    assert doubts_about(stays, section) == []
