from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles.one_of_ranks import OneOf

from autoseg.catalogue import AUGMENTATIONS
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.preprocessing.stored import StoredCase
from autoseg.preprocessing.views import axis_order
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.context import FoldData
from autoseg.training.slice_order import SliceOrder, Turns
from autoseg.training.slice_selection import draw_epoch

MakePlan = Callable[..., Plan]
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-augmentation.md"


def all_batches(plan: Plan, fold: FoldData, *, epochs: int = 2, seed: int = 3) -> list[TrainingBatch]:
    batches = SliceBatches(fold.training, plan=plan, seed=seed)
    steps = range(plan.training.steps_per_epoch)
    return [batches[epoch, step] for epoch in range(epochs) for step in steps]


def test_batches_do_not_depend_on_global_generators_and_leave_them_alone(make_plan: MakePlan, fold: FoldData) -> None:
    np.random.seed(1)  # noqa: NPY002 - the global generator is what this is about
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = all_batches(make_plan(), fold)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    second = all_batches(make_plan(), fold)
    assert all(torch.equal(one.images, other.images) for one, other in zip(first, second, strict=True))


def test_seeds_and_epochs_differ(make_plan: MakePlan, fold: FoldData) -> None:
    plan = make_plan()
    one, other = all_batches(plan, fold, seed=1), all_batches(plan, fold, seed=2)
    assert not torch.equal(one[0].images, other[0].images)
    assert one[0].sources != one[3].sources


def test_an_epoch_passes_over_every_slice_before_any_comes_again(make_plan: MakePlan, fold: FoldData) -> None:
    plan = make_plan(training={"steps_per_epoch": 6})  # 24 images from 21 slices
    sources = [source for batch in all_batches(plan, fold, epochs=1) for source in batch.sources]
    assert len(set(sources[:21])) == 21
    assert len(sources) == 24


def test_without_augmentation_a_patch_is_the_slice_padded_with_its_darkest_value(
    make_plan: MakePlan, make_case: Callable[..., StoredCase]
) -> None:
    still = {"spatial_probability": 0.0, "intensity_probability": 0.0}
    plan = make_plan(augmentation=still, view={"mirror_axes": [], "patch_px": [20, 12]})
    case = make_case(4, shape=(18, 11))
    fold = FoldData(DataKeys(all_labelled=""), training=[("one", case)], validation=[])
    batch = all_batches(plan, fold, epochs=1)[0]
    assert batch.images.shape == (4, 1, 20, 12)
    assert batch.images.dtype == torch.float32
    assert batch.labels.dtype == torch.int64
    for image, labels, (_, index) in zip(batch.images, batch.labels, batch.sources, strict=True):
        np.testing.assert_array_equal(image[0, 1:19, :11], case.stack(0).image[0, index])
        np.testing.assert_array_equal(labels[1:19, :11], case.stack(0).label[index])
        assert image[0, 0].unique().tolist() == pytest.approx([case.stack(0).footprint.pad_value[0]])
        assert labels[:, 11].sum() == 0


@pytest.mark.parametrize(("seeding", "shown"), [("image", [(1, 1, 16, 12)] * 4), ("batch", [(4, 1, 16, 12)])])
def test_an_augmentation_of_ones_own_is_shown_what_its_page_says(
    make_plan: MakePlan, fold: FoldData, monkeypatch: pytest.MonkeyPatch, seeding: str, shown: list[tuple[int, ...]]
) -> None:
    seen = list[tuple[int, ...]]()

    def own(**batch: Any) -> dict[str, Any]:
        seen.append(batch["data"].shape)
        assert batch["seg"].shape == (len(batch["data"]), 1, *batch["data"].shape[2:])
        assert (batch["data"].dtype, batch["seg"].dtype) == (np.float32, np.int16)
        return batch

    monkeypatch.setattr(AUGMENTATIONS, "_registered", {"own": ()})
    monkeypatch.setattr(AUGMENTATIONS, "build", lambda _: own)
    plan = make_plan(augmentation={"additional": ["own"]}, training={"seeding": seeding})
    batch = SliceBatches(fold.training, plan=plan, seed=0)[0, 0]
    assert batch.images.shape == (4, 1, 16, 12)
    assert seen == shown
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "Plans of recipe `auto` show it one image at a time, B = 1 (`training.seeding` is `image`)" in page
    assert "those of recipe `paper` show it the whole batch (`batch`)" in page


def test_larger_slices_are_cut_at_different_places(make_plan: MakePlan, make_case: Callable[..., StoredCase]) -> None:
    still = {"spatial_probability": 0.0, "intensity_probability": 0.0}
    plan = make_plan(augmentation=still, view={"mirror_axes": [], "patch_px": [8, 8], "batch_size": 16})
    case = make_case(4, slices=1, shape=(18, 18))
    fold = FoldData(DataKeys(all_labelled=""), training=[("one", case)], validation=[])
    images = all_batches(plan, fold, epochs=1)[0].images
    windows = {
        (row, column)
        for image in images
        for row in range(11)
        for column in range(11)
        if np.array_equal(image[0], case.stack(0).image[0, 0, row : row + 8, column : column + 8])
    }
    assert len(windows) > 3


# Several views.

PLANES = ("axial", "coronal", "sagittal")


def three_views(make_plan: MakePlan, **training: object) -> Plan:
    patches = ([16, 12], [8, 12], [8, 16])
    views = [{"plane": plane, "patch_px": patch} for plane, patch in zip(PLANES, patches, strict=True)]
    return make_plan(views=views, training=training)


def seen_in(make_case: Callable[..., StoredCase], plan: Plan) -> FoldData:
    def case(seed: int) -> StoredCase:
        stack = make_case(seed).stack(0)
        return StoredCase(tuple(stack.turned(axis_order(plan.views[0], view)) for view in plan.views))

    return FoldData(DataKeys(all_labelled=""), training=[(f"case{seed}", case(seed)) for seed in range(2)], validation=[])


@pytest.mark.parametrize("steps", [2, 3, 4, 7])
def test_steps_take_turns_among_the_views_from_epoch_to_epoch(
    make_plan: MakePlan, make_case: Callable[..., StoredCase], steps: int
) -> None:
    plan = three_views(make_plan, steps_per_epoch=steps)
    batches = all_batches(plan, seen_in(make_case, plan), epochs=3)
    assert [batch.view for batch in batches] == [number % 3 for number in range(3 * steps)]
    assert {batch.images.shape[2:] for batch in batches if batch.view == 2} == {(8, 16)}
    turns = Turns(3, steps_per_epoch=steps)
    for epoch in range(3):
        shown = [turns.at(epoch, step) for step in range(steps)]
        assert [sum(view == number for view, _ in shown) for number in range(3)] == [turns.of(n, epoch) for n in range(3)]
        assert len(set(shown)) == steps


def test_every_view_passes_over_all_its_slices(make_plan: MakePlan, make_case: Callable[..., StoredCase]) -> None:
    plan = three_views(make_plan, steps_per_epoch=3 * 9)  # 2 cases of 18 coronal slices: 9 batches of 4
    batches = all_batches(plan, seen_in(make_case, plan), epochs=1)
    coronal = [source for batch in batches if batch.view == 1 for source in batch.sources]
    assert len(set(coronal)) == len(coronal) == 36
    assert {index for _, index in coronal} == set(range(18))


def test_a_batch_depends_on_its_address_alone(make_plan: MakePlan, make_case: Callable[..., StoredCase]) -> None:
    plan = three_views(make_plan, steps_per_epoch=4)
    fold = seen_in(make_case, plan)
    one, other = (SliceBatches(fold.training, plan=plan, seed=1) for _ in range(2))
    addresses = [(epoch, step) for epoch in range(2) for step in range(4)]
    first = {address: one[address] for address in addresses}
    for address in reversed(addresses):
        again = other[address]
        assert torch.equal(again.images, first[address].images)
        assert again.sources == first[address].sources


def test_seeded_by_image_an_image_does_not_depend_on_its_batch(make_plan: MakePlan, fold: FoldData) -> None:
    runs = {
        size: all_batches(
            make_plan(view={"batch_size": size}, training={"seeding": "image", "steps_per_epoch": 12 // size}), fold
        )
        for size in (4, 2, 1)
    }
    assert {size: {len(batch.images) for batch in batches} for size, batches in runs.items()} == {4: {4}, 2: {2}, 1: {1}}
    for size in (2, 1):
        for of in (batch_images, batch_labels):
            assert torch.equal(of(runs[4]), of(runs[size]))


def batch_images(batches: list[TrainingBatch]) -> torch.Tensor:
    return torch.cat([batch.images for batch in batches])


def batch_labels(batches: list[TrainingBatch]) -> torch.Tensor:
    return torch.cat([batch.labels for batch in batches])


def test_seeded_by_image_equal_slices_are_changed_differently(
    make_plan: MakePlan, make_case: Callable[..., StoredCase]
) -> None:
    plan = make_plan(training={"seeding": "image"}, augmentation={"spatial_probability": 1.0})
    fold = FoldData(DataKeys(all_labelled=""), training=[("one", make_case(4, slices=1))], validation=[])
    images = torch.cat([batch.images for batch in all_batches(plan, fold)])  # one slice, again and again
    assert len({tuple(image.flatten().tolist()) for image in images}) == len(images)


@pytest.mark.parametrize("seeding", ["image", "batch"])
@pytest.mark.parametrize("size", [2, 3])
def test_the_parts_of_all_ranks_are_the_batch_of_one(
    make_plan: MakePlan, make_case: Callable[..., StoredCase], size: int, seeding: str
) -> None:
    plan = three_views(make_plan, steps_per_epoch=3, seeding=seeding)
    fold = seen_in(make_case, plan)
    whole = SliceBatches(fold.training, plan=plan, seed=1)
    ranks = [SliceBatches(fold.training, plan=plan, seed=1, ranks=OneOf(rank, size)) for rank in range(size)]
    for step in range(3):
        parts, expected = [each[1, step] for each in ranks], whole[1, step]
        assert {part.sources for part in parts} == {expected.sources}  # whoever fails can name them all
        assert torch.equal(batch_images(parts), expected.images)
        assert torch.equal(batch_labels(parts), expected.labels)


@pytest.mark.parametrize("views", [1, 3])
def test_the_order_of_an_epoch_is_drawn_once_for_each_view(
    make_plan: MakePlan, fold: FoldData, monkeypatch: pytest.MonkeyPatch, views: int
) -> None:
    planes = [{"plane": plane, "patch_px": [8, 8]} for plane in ("axial", "coronal", "sagittal")[:views]]
    plan = make_plan(views=planes, training={"steps_per_epoch": 12})
    cases = [(name, StoredCase((case.stack(0),) * views)) for name, case in fold.training]
    drawn: list[int] = []

    def counted(*arguments: Any, count: int, generator: np.random.Generator) -> Any:
        drawn.append(count)
        return draw_epoch(*arguments, count=count, generator=generator)

    monkeypatch.setattr("autoseg.training.slice_order.draw_epoch", counted)
    order = SliceOrder(cases, plan=plan, seed=0)
    for epoch in range(2):
        for number in range(12):
            order[epoch, number]
    assert len(drawn) == 2 * views
    assert sum(drawn) == sum(len(order[epoch, number].chosen) for epoch in range(2) for number in range(12))
