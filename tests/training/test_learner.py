"""A step never asks its device for a value."""

import dataclasses
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


@pytest.mark.parametrize("architecture", ["unet", "sepres", "attention"])
def test_a_memory_format_that_changes_on_the_way_changes_no_value(make_plan: Callable[..., Plan], architecture: str) -> None:
    cpu = Compute(torch.device("cpu"), bfloat16=False)
    plan = make_plan(view={"adjacent_slices": 1})
    batch = TrainingBatch(torch.randn(2, 3, 16, 16), torch.ones(2, 16, 16, dtype=torch.int64), ())
    torch.manual_seed(0)
    learner = Learner(plan, architecture=architecture, compute=cpu)
    learner.step(batch, rate=0.1)

    def held() -> list[torch.Tensor]:
        moments = [value for entry in learner.optimiser.state.values() for value in entry.values()]
        return [*learner.network.state_dict().values(), *moments]

    before = [value.clone() for value in held()]
    for chosen in ("channels_last", "contiguous"):
        learner.use_memory_format(chosen)
        assert all(torch.equal(one, other) for one, other in zip(before, held(), strict=True))
        placed = Learner(plan, architecture=architecture, compute=dataclasses.replace(cpu, layout=chosen))
        placed.step(batch, rate=0.1)
        mine, theirs = (
            [weights.stride() for weights in each.network.parameters()]
            + [value.stride() for entry in each.optimiser.state.values() for value in entry.values()]
            for each in (learner, placed)
        )
        assert mine == theirs


def test_what_is_in_its_memory_format_stays_where_it_is(make_plan: Callable[..., Plan]) -> None:
    for chosen in ("contiguous", "channels_last"):
        compute = Compute(torch.device("cpu"), bfloat16=False, layout=chosen)
        learner = Learner(make_plan(), architecture="attention", compute=compute)
        places = [weights.data_ptr() for weights in learner.network.parameters()]
        learner.use_memory_format(chosen)
        assert places == [weights.data_ptr() for weights in learner.network.parameters()]


@pytest.mark.parametrize("deep_supervision", [False, True])
def test_at_half_resolution_a_network_sees_means_and_answers_for_all_four_pixels(
    make_plan: Callable[..., Plan], deep_supervision: bool
) -> None:
    plan = make_plan(network={"features": [4, 8, 8], "deep_supervision": deep_supervision}, view={"patch_px": [16, 12]})
    torch.manual_seed(0)
    learner = Learner(plan, architecture="unet", compute=Compute(torch.device("cpu"), bfloat16=False))
    seen: list[torch.Tensor] = []
    small, forward = torch.randn(2, 1, 8, 6), learner.network.forward_levels

    def noticed(slices: torch.Tensor) -> list[torch.Tensor]:
        seen.append(slices)
        return forward(slices)

    learner.network.forward_levels = noticed  # type: ignore[method-assign]
    labels = torch.randint(0, 2, (2, 16, 12))
    images = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = [level.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) for level in forward(small)]
    counts = learner.step(TrainingBatch(images, labels, ()), rate=0.1, half_resolution=True).counts
    assert torch.allclose(seen[0], small)
    prediction = expected[0].argmax(dim=1)
    assert counts[1].tolist() == torch.bincount(prediction.flatten(), minlength=2).tolist()
    assert counts[2].tolist() == torch.bincount(labels.flatten(), minlength=2).tolist()
