"""Voxels without a label: no loss, no gradient, no count and no slice knows them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from oracles.stopping import StopAfter

from autoseg import catalogue
from autoseg.data.labels import LabelEncoding
from autoseg.errors import PlanError, TrainingError
from autoseg.events import Events, Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.encoding import RegionEncoding, TensorEncoding
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.augmentation.batched_spatial import Slices
from autoseg.training.augmentation.cutting import starts
from autoseg.training.augmentation.device import TorchAugmentation
from autoseg.training.batches import SliceBatches
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.loop import train
from autoseg.training.losses import LossFunction, LossOfSums, _repeatable_sum, build_loss, over_levels
from autoseg.training.monitor import side_by_side
from autoseg.training.patch_places import labelled_box
from autoseg.training.slice_selection import slice_pools
from autoseg.training.validation import SampleSlice, class_counts, fullest_slice
from autoseg.training.validation_parts import chosen_part, whole

MakePlan = Callable[..., Plan]
MakeCase = Callable[..., StoredCase]

WEIGHTS = [1.0, 10.0, 3.0]
CPU = torch.device("cpu")
WITHOUT = 3
ALL_LABELLED = TensorEncoding(LabelEncoding((0, 1, 2)))
SOME_LABELLED = TensorEncoding(LabelEncoding((0, 1, 2), ignore=255))


def images(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, 3, 6, 4), generator=generator), torch.randint(3, (2, 6, 4), generator=generator)


REGIONS = {"regions": ((1, 2), (2,)), "written": (1, 2)}
NESTED = (RegionEncoding(LabelEncoding((0, 1, 2), **REGIONS)), RegionEncoding(LabelEncoding((0, 1, 2), **REGIONS, ignore=9)))  # type: ignore[arg-type]
"""Regions where every voxel is labelled, and where some are not."""


def built(name: str, encoding: TensorEncoding) -> LossFunction:
    return build_loss(name, class_weights=WEIGHTS, encoding=encoding, device=CPU)


def gradient(loss: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("encodings", [(ALL_LABELLED, SOME_LABELLED), NESTED], ids=["classes", "regions"])
@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_a_loss_is_that_of_the_labelled_part(name: str, encodings: tuple[TensorEncoding, TensorEncoding]) -> None:
    logits, target = images()
    logits = logits[:, : encodings[0].labels.logits]
    cut, cut_gradient = gradient(lambda part: built(name, encodings[0])(part, target[:, :2]), logits[:, :, :2])
    target[:, 2:] = WITHOUT
    value, whole_gradient = gradient(lambda every: built(name, encodings[1])(every, target), logits)
    torch.testing.assert_close(value, cut)
    torch.testing.assert_close(whole_gradient[:, :, :2], cut_gradient)
    assert whole_gradient[:, :, 2:].eq(0).all()


@pytest.mark.parametrize("encoding", [SOME_LABELLED, NESTED[1]], ids=["classes", "regions"])
@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_images_without_a_label_have_the_loss_0_and_no_gradient(name: str, encoding: TensorEncoding) -> None:
    logits, target = images()
    logits = logits[:, : encoding.labels.logits]
    value, found = gradient(lambda every: built(name, encoding)(every, torch.full_like(target, WITHOUT)), logits)
    assert float(value) == 0.0
    assert found.eq(0).all()


@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_where_every_voxel_has_a_label_an_ignore_value_changes_nothing(name: str) -> None:
    logits, target = images()
    (plain, plain_gradient), (other, other_gradient) = (
        gradient(lambda every, encoding=encoding: built(name, encoding)(every, target), logits)  # type: ignore[misc]
        for encoding in (ALL_LABELLED, SOME_LABELLED)
    )
    torch.testing.assert_close(other, plain)
    torch.testing.assert_close(other_gradient, plain_gradient)


@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_parts_of_a_batch_of_which_one_has_no_label_add_up(name: str) -> None:
    logits, target = images()
    target[0, :3], target[1] = WITHOUT, WITHOUT
    loss = built(name, SOME_LABELLED)
    assert isinstance(loss, LossOfSums)
    sums = loss.sums(logits[:1], target[:1]) + loss.sums(logits[1:], target[1:])
    torch.testing.assert_close(loss.value(sums), loss(logits, target))


def test_every_level_leaves_them_out() -> None:
    logits, target = images()
    target[:, 2:] = WITHOUT
    levels = [logits, logits[:, :, ::2, ::2], logits[:, :, ::4, ::4]]

    def total(changed: torch.Tensor) -> float:
        return float(over_levels(built("cross_entropy_dice", SOME_LABELLED))([changed, *levels[1:]], target))

    changed = logits.clone()
    changed[:, :, 2:] += 7.0
    assert total(changed) == total(logits)
    changed[:, :, :2] *= 2.0
    assert total(changed) != total(logits)


def test_the_cross_entropy_of_a_gpu_leaves_them_out_too() -> None:
    logits, target = images()
    target[:, 2:] = WITHOUT
    weights = torch.tensor([*WEIGHTS, 0.0])
    found, of_gpu = gradient(lambda every: _repeatable_sum(every, target, weights), logits)
    expected, of_cpu = gradient(
        lambda every: torch.nn.functional.cross_entropy(
            every, target, weight=torch.tensor(WEIGHTS), ignore_index=WITHOUT, reduction="sum"
        ),
        logits,
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(of_gpu, of_cpu)


def test_a_loss_that_does_not_know_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(catalogue.LOSSES["dice"], without_labels=False)
    monkeypatch.setattr(catalogue.LOSSES, "built_in", {**catalogue.LOSSES.built_in, "dice": entry})
    built("dice", ALL_LABELLED)
    with pytest.raises(PlanError, match=r"`dice` does not know voxels without a label"):
        built("dice", SOME_LABELLED)


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "bring-your-own-loss.md"


def test_the_page_on_losses_shows_how_one_leaves_them_out() -> None:
    module, _, changed = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[:3]
    before = re.search(r"^        return .*\n", module, flags=re.MULTILINE)
    assert before is not None
    place: dict[str, Any] = {}
    exec(module.replace(before[0], changed), place)  # noqa: S102 - the page's own code
    logits, target = images()
    loss = place["focal"](torch.tensor(WEIGHTS), SOME_LABELLED)
    cut, cut_gradient = gradient(lambda part: loss(part, target[:, :2]), logits[:, :, :2])
    target[:, 2:] = WITHOUT
    value, found = gradient(lambda every: loss(every, target), logits)
    torch.testing.assert_close(value, cut)
    torch.testing.assert_close(found[:, :, :2], cut_gradient)
    assert found[:, :, 2:].eq(0).all()


def test_counts_are_those_of_labelled_voxels() -> None:
    prediction, target = torch.tensor([0, 1, 1, 2, 2, 1]), torch.tensor([0, 1, 2, 2, 3, 3])
    assert class_counts(prediction, target, encoding=SOME_LABELLED).tolist() == [[1, 1, 1], [1, 2, 1], [1, 1, 2]]
    assert class_counts(prediction[:4], target[:4], encoding=ALL_LABELLED).tolist() == [[1, 1, 1], [1, 2, 1], [1, 1, 2]]


def sparse(make_plan: MakePlan, **training: Any) -> Plan:
    plan = make_plan(training=training) if training else make_plan()
    return plan.model_copy(update={"data": plan.data.model_copy(update={"ignore": 255})})


def unlabelled(case: StoredCase, slices: Sequence[int]) -> StoredCase:
    label = np.array(case.stack(0).label)
    label[list(slices)] = 2
    return StoredCase((replace(case.stack(0), stored_label=label),))


def test_slices_without_a_label_are_never_drawn(make_plan: MakePlan, make_case: MakeCase) -> None:
    plan = sparse(make_plan)
    case = unlabelled(make_case(0, slices=6), [0, 1, 4])
    (pool,) = slice_pools([case.stack(0)], plan)
    assert pool.slices.tolist() == [[0, 2], [0, 3], [0, 5]]
    assert [part.slices.tolist() for part in whole([case], plan)] == [[2, 3, 5]]
    rule = {"slices": {"rule": "foreground_weighted", "fraction": 0.5}}
    foreground, every = slice_pools([case.stack(0)], sparse(make_plan, **rule))
    assert set(foreground.slices[:, 1].tolist()) <= {2, 3, 5} == set(every.slices[:, 1].tolist())


def test_cases_without_any_label_cannot_be_learnt(make_plan: MakePlan, make_case: MakeCase) -> None:
    case = unlabelled(make_case(0, slices=2), [0, 1])
    with pytest.raises(TrainingError, match="no slice of the training cases has a labelled pixel"):
        slice_pools([case.stack(0)], sparse(make_plan))
    assert whole([case], sparse(make_plan)) == []


def test_a_validation_looks_at_some_of_the_labelled_slices_alone(make_plan: MakePlan, make_case: MakeCase) -> None:
    plan, labelled = sparse(make_plan), set(range(41, 80, 2))
    cases = [unlabelled(make_case(seed, slices=80, shape=(3, 4)), sorted({*range(80)} - labelled)) for seed in range(2)]
    chosen = [part.slices.tolist() for part in chosen_part(cases, plan=plan, seed=1)]
    assert sum(map(len, chosen)) == 32 < sum(len(part.slices) for part in whole(cases, plan))
    assert all(numbers == sorted(set(numbers)) and labelled.issuperset(numbers) for numbers in chosen)


@pytest.mark.parametrize(
    ("box", "side", "surplus", "expected"),
    [
        ((0, 20), 8, 12, [0, 12]),  # labelled throughout: anywhere
        ((9, 12), 8, 12, [4, 9]),  # holds all of it
        ((5, 18), 8, 12, [5, 10]),  # lies within it
        ((0, 2), 8, 12, [0, 0]),
        ((18, 20), 8, 12, [12, 12]),
    ],
)
def test_patches_are_cut_where_labels_are(box: tuple[int, int], side: int, surplus: int, expected: list[int]) -> None:
    assert starts(np.array(box), sides=np.array(side), surplus=np.array(surplus)).tolist() == expected


def test_the_labelled_box_of_a_slice() -> None:
    label = np.full((5, 6), 2)
    assert labelled_box(label, ignored=2).tolist() == [[0, 5], [0, 6]]
    label[1, 2], label[3, 4] = 0, 1
    assert labelled_box(label, ignored=2).tolist() == [[1, 4], [2, 5]]


def one_labelled_row(case: StoredCase) -> StoredCase:
    label: NDArray[np.uint8] = np.full_like(case.stack(0).label, 2)
    label[:, 15] = 0
    return StoredCase((replace(case.stack(0), stored_label=label),))


def test_patches_of_half_labelled_slices_hold_a_label(make_plan: MakePlan, make_case: MakeCase) -> None:
    plan = sparse(make_plan)
    view = plan.views[0].model_copy(update={"patch_px": (8, 8)})
    still = plan.augmentation.model_copy(update={"spatial_probability": 0.0})
    plan = plan.model_copy(update={"views": (view,), "augmentation": still})
    case = one_labelled_row(make_case(0, slices=6))
    for seed in range(3):
        batch = SliceBatches([("case", case)], plan=plan, seed=seed)[0, 0]
        assert (batch.labels != 2).flatten(1).any(dim=1).all()
    augmentation = TorchAugmentation(still, mirror_axes=(), patch_px=(8, 8), channels=1, seed=0)
    count, (_, rows, columns) = 20, case.stack(0).shape
    labels = torch.from_numpy(case.stack(0).label[[0] * count].astype(np.int16))
    boxes = np.repeat(labelled_box(labels[0].numpy(), ignored=2)[np.newaxis], count, axis=0)
    slices = Slices(np.full((count, 2), (rows, columns)), np.ones((count, 2)), (rows, columns), boxes)
    drawn = augmentation.draw(slices, epoch=0, positions=range(count))
    _, found = augmentation.apply(torch.zeros((count, 1, rows, columns)), labels, drawn)
    assert (found == 0).flatten(1).any(dim=1).all()


def test_the_fullest_slice_does_not_count_them() -> None:
    label = np.array([[[3, 3, 3]], [[0, 1, 0]], [[2, 1, 0]]])
    assert fullest_slice(label, classes=3) == 2


def test_a_tracker_shows_them_as_neither_class_nor_background() -> None:
    image = np.linspace(0.0, 1.0, 4, dtype=np.float32).reshape(2, 2)
    shown = side_by_side(SampleSlice(0, 0, image, np.zeros((2, 2), np.int16), np.array([[0, 1], [0, -1]], dtype=np.int16)))
    scan, reference = shown[:, :2], shown[:, 4:]
    assert (reference[:, 0] == scan[:, 0]).all()
    assert (reference[1, 1] < scan[1, 1]).all()
    assert (reference[1, 1] == reference[1, 1, 0]).all()


def test_an_interrupted_run_ends_with_the_same_bits(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    plan = sparse(make_plan)
    training = [(name, unlabelled(case, [0, 2, 3])) for name, case in fold.training]
    few = replace(fold, training=training, validation=[(name, unlabelled(case, [1])) for name, case in fold.validation])
    config = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32", "epochs": 3})

    def run(folder: Path, events: Events) -> list[float]:
        context = RunContext(folder, Compute(torch.device("cpu"), bfloat16=False), 0, events)
        return [epoch.validation_loss for epoch in train(plan, config, few, context=context).epochs]

    whole = run(tmp_path / "whole", Silent())
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", StopAfter(4))
    assert run(tmp_path / "parts", Silent()) == whole
    assert all(np.isfinite(whole))
    one, other = (load_bundle(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
