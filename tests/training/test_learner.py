"""A step never asks its device for a value."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.training.batches import TrainingBatch
from autoseg.training.learner import Learner


class _Valueless(Compute):
    """A device on which every tensor has a shape and no values: reading one is an error."""

    def autocast(self) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "cross_entropy_dice"])
@pytest.mark.parametrize("architecture", ["unet", "sepres", "attention"])
def test_a_step_reads_nothing_back_from_the_device(make_plan: Callable[..., Plan], architecture: str, loss: str) -> None:
    plan = make_plan(training={"loss": loss, "grad_clip_norm": 1.0}, network={"deep_supervision": True})
    learner = Learner(plan, architecture=architecture, compute=_Valueless(torch.device("meta"), bfloat16=False))
    batch = TrainingBatch(torch.zeros(2, plan.input_channels, 16, 16), torch.zeros(2, 16, 16, dtype=torch.int64), ())
    counts = learner.no_counts()
    result = learner.step(batch, rate=0.1)
    counts += result.counts
    assert (result.loss.shape, result.loss.device.type, counts.device.type) == ((), "meta", "meta")
