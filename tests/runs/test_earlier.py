"""Which of the earlier runs tell how fast a run will be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoseg.data.splits import Fold
from autoseg.planning.plan import Plan
from autoseg.runs.earlier import EarlierRun, expected_pace, on_same_hardware
from autoseg.runs.session import Session
from autoseg.runs.targets import Target
from autoseg.training.config import TrainConfig
from autoseg.training.history import EpochRecord
from autoseg.training.remaining import Costs
from autoseg.training.run_state import RunState, Stretch

MEMBERS = Fold(training=("a",), validation=())


def epoch(number: int, *, seconds: float, slices_per_s: float) -> EpochRecord:
    return EpochRecord(
        epoch=number, seconds=seconds, learning_rate=0.1, slices_per_s=slices_per_s, training_loss=0.5, training_dice=0.5,
        validation_loss=0.5, validation_dice=0.5, class_dice={},
    )  # fmt: skip


def trained_further(session: Session, *, first: str, last: str) -> EarlierRun:
    """A run of two epochs in one number format and one more in another, here, of batches of four slices."""
    one, other = (
        TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": precision})
        for precision in (first, last)
    )
    epochs = [
        epoch(1, seconds=10.0, slices_per_s=40.0),
        epoch(2, seconds=20.0, slices_per_s=40.0),
        epoch(3, seconds=40.0, slices_per_s=4.0),
    ]
    state = RunState(
        plan_digest="", data_key="", members=MEMBERS, config=one, computed_on=session.computed_on, epochs=epochs,
        stretches=(Stretch(config=one), Stretch(config=other, after_epochs=2)),
    )  # fmt: skip
    return EarlierRun(one.model, state, Path())


@pytest.fixture
def here(session: Callable[..., Session], make_plan: Callable[..., Plan]) -> Session:
    """A session that computes in float32, of a plan with 10 steps per epoch."""
    plan: Any = make_plan(training={"steps_per_epoch": 10})
    return replace(session(), plan=plan)


def test_the_pace_is_that_of_the_last_call_in_its_number_format(here: Session) -> None:
    of_old = trained_further(here, first="float32", last="bfloat16")
    of_new = trained_further(here, first="bfloat16", last="float32")
    assert on_same_hardware(here, [of_old, of_new]) == [of_new]
    pace = expected_pace(here, Target(of_new.id, MEMBERS), [of_old, of_new])
    assert pace is not None
    assert pace.costs == Costs(step_s=1.0, closing_s=10.0)  # 4 slices a second are a step of 4; 10 of the 20 s of the epoch
