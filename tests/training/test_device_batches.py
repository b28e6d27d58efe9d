"""Batches that a device makes, tried on the CPU: those that the host would make, wherever the slices lie."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from oracles.one_of_ranks import OneOf

from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.context import FoldData
from autoseg.training.device_batches import RESIDENT_FRACTION, DeviceBatches, fits

MakePlan = Callable[..., Plan]
MakeCase = Callable[..., StoredCase]
CPU = Compute(torch.device("cpu"), bfloat16=False)
STILL = {"spatial_probability": 0.0, "intensity_probability": 0.0}


def epochs_of(plan: Plan, fold: FoldData, *, epochs: Sequence[int] = (0, 1), resident: bool = True) -> list[TrainingBatch]:
    with closing(DeviceBatches(fold.training, plan=plan, seed=3, compute=CPU, resident=resident)) as batches:
        return [batch for epoch in epochs for batch in batches.epoch(epoch)]


def same(first: Sequence[TrainingBatch], second: Sequence[TrainingBatch]) -> bool:
    return all(
        torch.equal(one.images, other.images)
        and torch.equal(one.labels, other.labels)
        and (one.sources, one.view) == (other.sources, other.view)
        for one, other in zip(first, second, strict=True)
    )


def with_channels(case: StoredCase, channels: int) -> StoredCase:
    def widened(stack: SliceStack) -> SliceStack:
        image = np.concatenate([stack.image - number for number in range(channels)])
        darkest = tuple(float(channel.min()) for channel in image)
        return replace(stack, stored_image=image, footprint=stack.footprint.model_copy(update={"pad_value": darkest}))

    return StoredCase(tuple(map(widened, case.stacks)))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("adjacent", [0, 1, 2])
@pytest.mark.parametrize("resident", [True, False])
def test_without_augmentation_they_show_what_the_host_shows(
    make_plan: MakePlan, make_case: MakeCase, *, channels: int, adjacent: int, resident: bool
) -> None:
    """Slices of different sizes, padded and whole, with those beside them."""
    plan = make_plan(
        data={"channels": ["a", "b"][:channels]},
        preprocessing={"normalisation": [{"method": "none"}] * channels},
        augmentation=STILL,
        view={"mirror_axes": [], "patch_px": [20, 12], "adjacent_slices": adjacent},
    )
    cases = [with_channels(make_case(number, shape=shape), channels) for number, shape in enumerate([(18, 11), (20, 9)])]
    fold = FoldData(DataKeys(all_labelled=""), training=[(f"case{n}", case) for n, case in enumerate(cases)], validation=[])
    host = SliceBatches(fold.training, plan=plan, seed=3)
    for step, batch in enumerate(epochs_of(plan, fold, epochs=[1], resident=resident)):
        expected = host[1, step]
        assert (batch.sources, batch.view) == (expected.sources, expected.view)
        torch.testing.assert_close(batch.images, expected.images, rtol=0, atol=1e-5)
        assert torch.equal(batch.labels, expected.labels)
        assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int64)


def test_they_are_the_same_wherever_the_slices_lie(make_plan: MakePlan, fold: FoldData) -> None:
    plan = make_plan(view={"adjacent_slices": 1})
    assert same(epochs_of(plan, fold), epochs_of(plan, fold, resident=False))


def test_they_follow_from_seed_epoch_and_number_alone(make_plan: MakePlan, fold: FoldData) -> None:
    plan = make_plan()
    both = epochs_of(plan, fold, epochs=[0, 1])
    assert same(both[3:], epochs_of(plan, fold, epochs=[1]))
    assert not torch.equal(both[0].images, both[3].images)
    with closing(DeviceBatches(fold.training, plan=plan, seed=3, compute=CPU, resident=False)) as batches:
        assert len(list(islice(batches.epoch(0), 2))) == 2  # an epoch that is left early
        assert same(both[3:], list(batches.epoch(1)))


def test_they_take_turns_among_views_with_batches_of_their_own(make_plan: MakePlan, make_case: MakeCase) -> None:
    views = [
        {"plane": "axial", "patch_px": [16, 12], "batch_size": 4},
        {"plane": "coronal", "patch_px": [8, 12], "batch_size": 2},
    ]
    plan = make_plan(views=views, training={"steps_per_epoch": 5})

    def case(seed: int) -> StoredCase:
        stack = make_case(seed).stack(0)
        return StoredCase((stack, stack.turned((1, 0, 2))))

    fold = FoldData(DataKeys(all_labelled=""), training=[("a", case(0)), ("b", case(1))], validation=[])
    resident, streamed = epochs_of(plan, fold), epochs_of(plan, fold, resident=False)
    assert same(resident, streamed)
    assert [batch.view for batch in resident] == [number % 2 for number in range(10)]
    assert [tuple(batch.images.shape) for batch in resident[:2]] == [(4, 1, 16, 12), (2, 1, 8, 12)]


def test_slices_stay_on_the_host_where_the_device_has_no_room(
    make_plan: MakePlan, fold: FoldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks = [[case.stack(0) for _, case in fold.training]]
    slices, voxel = 3 * 7 * 18 * 11, 4 + 2
    for free, expected in ((slices * voxel / RESIDENT_FRACTION, True), (slices * voxel / RESIDENT_FRACTION - 8, False)):
        monkeypatch.setattr(Compute, "free_bytes", lambda _, free=free: int(free))
        assert fits(stacks, CPU) is expected
        assert DeviceBatches(fold.training, plan=make_plan(), seed=0, compute=CPU).resident is expected


def test_an_error_of_the_thread_that_gathers_reaches_the_training(
    make_plan: MakePlan, fold: FoldData, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = DeviceBatches(fold.training, plan=make_plan(), seed=3, compute=CPU, resident=False)
    with closing(batches):
        epoch = batches.epoch(0)
        next(epoch)
        monkeypatch.setattr("autoseg.training.device_batches._on_canvas", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(batches.epoch(1))


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("size", [2, 3])
def test_the_parts_of_all_ranks_are_the_batch_of_one(
    make_plan: MakePlan, fold: FoldData, size: int, *, resident: bool
) -> None:
    plan, whole = make_plan(), epochs_of(make_plan(), fold)
    parts = []
    for rank in range(size):
        ranks = OneOf(rank, size)
        made = DeviceBatches(fold.training, plan=plan, seed=3, compute=CPU, resident=resident, ranks=ranks)
        with closing(made) as batches:
            parts.append([batch for epoch in (0, 1) for batch in batches.epoch(epoch)])
    for number, expected in enumerate(whole):
        of_ranks = [part[number] for part in parts]
        assert {each.sources for each in of_ranks} == {expected.sources}
        images = torch.cat([each.images for each in of_ranks])
        torch.testing.assert_close(images, expected.images, rtol=0, atol=1e-5)  # a single image is computed differently
        assert torch.equal(torch.cat([each.labels for each in of_ranks]), expected.labels)
