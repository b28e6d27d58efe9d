"""Where patches are cut from larger slices: some of them around a pixel of a class."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles.one_of_ranks import OneOf

from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.device_batches import DeviceBatches
from autoseg.training.patch_places import pixels_by_class

MakePlan = Callable[..., Plan]
MakeCase = Callable[..., StoredCase]
Make = Callable[[StoredCase, Plan], list[TrainingBatch]]
STEPS = 8


def labelled(case: StoredCase, label: NDArray[np.uint8]) -> list[tuple[str, StoredCase]]:
    return [("case", StoredCase((replace(case.stack(0), stored_label=label),)))]


def spots() -> NDArray[np.uint8]:
    """Two slices of 60 x 50: a large object and a single pixel of another class; and nothing."""
    label = np.zeros((2, 60, 50), dtype=np.uint8)
    label[0, 40:58, 2:20] = 1
    label[0, 5, 44] = 2
    return label


def of_host(case: StoredCase, plan: Plan) -> list[TrainingBatch]:
    batches = SliceBatches(labelled(case, spots()), plan=plan, seed=3)
    return [batches[0, step] for step in range(STEPS)]


def of_device(case: StoredCase, plan: Plan) -> list[TrainingBatch]:
    compute = Compute(torch.device("cpu"), bfloat16=False)
    with closing(DeviceBatches(labelled(case, spots()), plan=plan, seed=3, compute=compute)) as batches:
        return list(batches.epoch(0))


def plan_with(make_plan: MakePlan, fraction: float, *, patch_px: tuple[int, int] = (8, 8)) -> Plan:
    return make_plan(
        training={"foreground_patches": fraction, "steps_per_epoch": STEPS, "class_weights": [1, 1, 1], "seeding": "image"},
        data={"classes": [{"value": value, "name": name} for value, name in enumerate(["background", "organ", "lesion"])]},
        augmentation={"spatial_probability": 0.0, "intensity_probability": 0.0},
        view={"mirror_axes": [], "patch_px": list(patch_px), "batch_size": 32},
    )


def shown(batches: list[TrainingBatch], *, slice_number: int) -> NDArray[np.int64]:
    """How many pixels of each class the patches of a slice show, (N, 3)."""
    patches = [
        torch.bincount(labels.flatten(), minlength=3).numpy()
        for batch in batches
        for labels, (_, index) in zip(batch.labels, batch.sources, strict=True)
        if index == slice_number
    ]
    return np.stack(patches)


@pytest.mark.parametrize("make", [of_host, of_device])
def test_all_patches_show_a_class_each_as_often_where_all_are_asked_for(
    make: Make, make_plan: MakePlan, make_case: MakeCase
) -> None:
    case = make_case(0, slices=2, shape=(60, 50))
    batches = make(case, plan_with(make_plan, 1.0))
    found = shown(batches, slice_number=0)
    assert (found[:, 1:].sum(axis=1) > 0).all()
    assert 0.4 < (found[:, 2] > 0).mean() < 0.6
    assert len(shown(batches, slice_number=1)) == len(found) == STEPS * 16, "slices without a class are cut anywhere"


@pytest.mark.parametrize("make", [of_host, of_device])
def test_a_part_of_the_patches_does(make: Make, make_plan: MakePlan, make_case: MakeCase) -> None:
    case = make_case(0, slices=2, shape=(60, 50))
    lesion = {
        fraction: (shown(make(case, plan_with(make_plan, fraction)), slice_number=0)[:, 2] > 0).mean()
        for fraction in (0.0, 0.5)
    }
    assert lesion[0.0] < 0.1
    assert 0.15 < lesion[0.5] - lesion[0.0] < 0.35


def test_host_and_device_look_around_the_same_pixels(make_plan: MakePlan, make_case: MakeCase) -> None:
    case, plan = make_case(0, slices=2, shape=(60, 50)), plan_with(make_plan, 1.0)
    host, device = (shown(make(case, plan), slice_number=0)[:, 1:] > 0 for make in (of_host, of_device))
    assert np.array_equal(host, device)


def test_patches_that_hold_whole_slices_are_as_they_were(make_plan: MakePlan, make_case: MakeCase) -> None:
    case = make_case(0, slices=2, shape=(60, 50))
    all_shown, none = (of_host(case, plan_with(make_plan, fraction, patch_px=(60, 52))) for fraction in (1.0, 0.0))
    assert all(torch.equal(one.images, other.images) for one, other in zip(all_shown, none, strict=True))


def test_the_parts_of_all_ranks_are_the_batch_of_one(make_plan: MakePlan, make_case: MakeCase) -> None:
    case, plan = make_case(0, slices=2, shape=(60, 50)), plan_with(make_plan, 0.5)
    whole = of_host(case, plan)[1]
    parts = [SliceBatches(labelled(case, spots()), plan=plan, seed=3, ranks=OneOf(rank, 3))[0, 1] for rank in range(3)]
    assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)


class Watched(np.ndarray):
    """Remembers how large what is copied from it was."""

    largest = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(key, tuple) and any(isinstance(part, np.ndarray) for part in key):
            Watched.largest = max(Watched.largest, found.shape[-1] * found.shape[-2])
        return found


def test_no_more_is_copied_of_a_slice_than_its_patch_shows(make_plan: MakePlan, make_case: MakeCase) -> None:
    case = make_case(0, slices=2, shape=(60, 50))
    watched = StoredCase((replace(case.stack(0), stored_image=np.asarray(case.stack(0).image).view(Watched)),))
    Watched.largest = 0
    of_host(watched, plan_with(make_plan, 0.5))
    assert Watched.largest == 64


def test_a_class_of_many_pixels_is_looked_at_all_over() -> None:
    label = np.zeros((100, 80), dtype=np.uint8)
    label[10:90, 10:70] = 1
    label[0, 0], label[99] = 2, 3
    organ, lesion = pixels_by_class(label, classes=3)
    assert lesion.tolist() == [0]
    rows, columns = np.divmod(organ, 80)
    assert len(organ) == 128
    assert (label[rows, columns] == 1).all()
    assert (np.histogram2d(rows, columns, bins=4, range=[(10, 90), (10, 70)])[0] >= 4).all()


def test_a_slice_of_background_and_of_pixels_without_a_label_has_nothing_to_look_at() -> None:
    label = np.zeros((4, 4), dtype=np.uint16)
    label[2] = 3
    assert pixels_by_class(label, classes=3) == ()
