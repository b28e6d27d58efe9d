"""Losses that are read together: what comes back, and which batch is named."""

import math

import pytest
import torch

from autoseg.data.splits import Fold
from autoseg.errors import TrainingError
from autoseg.training.config import TrainConfig
from autoseg.training.history import StepRecord
from autoseg.training.run_state import RunState
from autoseg.training.unread import READ_EVERY, TakenStep, UnreadSteps

STATE = RunState(
    plan_digest="plan",
    data_key="data",
    members=Fold(training=("a", "b"), validation=()),
    config=TrainConfig(architecture="unet", fold="0", precision="float32"),
)


def taken(number: int, loss: float) -> TakenStep:
    return TakenStep(number, number / 2, 0.25, loss=torch.tensor(loss), sources=((f"case{number}", number),))


def test_what_was_added_is_read_once() -> None:
    unread = UnreadSteps([None], STATE)
    assert unread.read() == []
    unread.add(taken(1, 0.1))
    unread.add(taken(2, 0.2))
    first, second = unread.read()
    assert first == StepRecord(step=1, seconds=0.5, learning_rate=0.25, loss=float(torch.tensor(0.1)))
    assert (second.step, second.loss) == (2, float(torch.tensor(0.2)))
    assert unread.read() == []


def test_they_are_due_in_time() -> None:
    unread = UnreadSteps([None], STATE)
    for number in range(READ_EVERY):
        assert not unread.due
        unread.add(taken(number, 1.0))
    assert unread.due


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_loss_that_is_not_finite_is_named(bad: float) -> None:
    unread = UnreadSteps([None], STATE)
    for number, loss in enumerate([1.0, 2.0, bad, math.nan, 1.0], start=7):
        unread.add(taken(number, loss))
    with pytest.raises(TrainingError, match=rf"became {bad} in step 9, on: case9 slice 9\."):
        unread.read()


def test_where_there_are_several_views_the_plane_is_named() -> None:
    unread = UnreadSteps(["axial", "coronal"], STATE)
    unread.add(TakenStep(1, 0.5, 0.25, torch.tensor(math.nan), sources=(("a", 3), ("b", 4)), view=1))
    with pytest.raises(TrainingError, match=r"on: a coronal slice 3, b coronal slice 4\."):
        unread.read()
