import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from autoseg import catalogue
from autoseg.data.labels import LabelEncoding
from autoseg.model.compute import Compute
from autoseg.model.encoding import RegionEncoding, TensorEncoding
from autoseg.model.padding import Padding
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.losses import LossOfSums, build_loss
from autoseg.training.validation import (
    SAMPLED_CASES,
    ValidationResult,
    class_counts,
    dice_of_classes,
    fullest_slice,
    mean_of_defined,
    validate,
)
from autoseg.training.validation_parts import ValidationPart, chosen_part

MakeCase = Callable[..., StoredCase]
MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)

VIEW = View(plane=None, spacing_mm=None, adjacent_slices=0, patch_px=(8, 8), mirror_axes=(), tta_axes=(), batch_size=4)
TWO = TensorEncoding(LabelEncoding((0, 1)))
NESTED = RegionEncoding(LabelEncoding((0, 1, 2), regions=((1, 2), (2,)), written=(1, 2)))


class Threshold(nn.Module):
    """Calls a pixel foreground where its first channel exceeds 1, and counts what it sees: slices, and sizes of batches."""

    def __init__(self) -> None:
        super().__init__()
        self.slices = 0
        self.seen = list[tuple[int, ...]]()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.slices += len(images)
        self.seen.append((len(images), *images.shape[2:]))
        return torch.cat([torch.ones_like(images), images], dim=1)  # (B, 2, H, W)


def whole(*cases: StoredCase) -> list[ValidationPart]:
    return [
        ValidationPart(number, VIEW, case.stack(0), np.arange(len(case.stack(0).label)), Padding(2))
        for number, case in enumerate(cases)
    ]


def result(network: nn.Module, *cases: StoredCase, batch_size: int = 3) -> ValidationResult:
    loss = build_loss("cross_entropy", class_weights=(1.0, 1.0), encoding=TWO, device=CPU.device)
    return validate(network, whole(*cases), loss=loss, encoding=TWO, batch_size=batch_size, compute=CPU)


def numbered(make_case: MakeCase) -> StoredCase:
    """A case of six slices whose fullest one is the fifth, and whose pixels say where they are."""
    case = make_case(0, slices=6, shape=(3, 4))
    case.stack(0).image[0] = np.arange(6 * 12, dtype=np.float32).reshape(6, 3, 4) / 36.0  # above 1 from slice 3, pixel 1
    case.stack(0).label[:] = 0
    case.stack(0).label[1, 0, :3] = 1
    case.stack(0).label[4, 1:] = 1
    return case


def test_scores_are_those_worked_out_by_hand(make_case: MakeCase) -> None:
    case = make_case(0, slices=2, shape=(1, 2))
    case.stack(0).image[0] = [[[0.0, 2.0]], [[2.0, 2.0]]]
    case.stack(0).label[:] = [[[0, 1]], [[0, 1]]]
    got = result(Threshold(), case)
    assert got.class_dice == (2 * 2 / (3 + 2),)
    assert got.dice == 0.8
    # Logits (1, p): the loss of the right class is log(1 + exp(-margin)), with margins 1, 1, -1, 1.
    assert got.loss == pytest.approx((3 * math.log1p(math.exp(-1)) + math.log1p(math.exp(1))) / 4)


def test_predictions_are_shifted_and_the_loss_is_not(make_case: MakeCase) -> None:
    case = make_case(0, slices=2, shape=(1, 2))
    case.stack(0).image[0] = [[[0.0, 2.0]], [[2.0, 4.0]]]
    case.stack(0).label[:] = [[[0, 1]], [[0, 1]]]
    shifted = replace(TWO, log_shift=(0.0, -1.5))
    loss = build_loss("cross_entropy", class_weights=(1.0, 1.0), encoding=shifted.of_losses, device=CPU.device)
    got = validate(Threshold(), whole(case), loss=loss, encoding=shifted, batch_size=3, compute=CPU)
    assert got.class_dice == (2 * 1 / (1 + 2),)
    assert got.loss == result(Threshold(), case).loss


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 16])
def test_a_sample_is_the_fullest_slice_with_its_prediction_and_reference(make_case: MakeCase, batch_size: int) -> None:
    case = numbered(make_case)
    network = Threshold()
    (sample,) = result(network, case, batch_size=batch_size).samples
    assert (sample.case, sample.index) == (0, 4)
    assert np.array_equal(sample.image, case.stack(0).image[0, 4])
    assert np.array_equal(sample.reference, [[0] * 4, [1] * 4, [1] * 4])
    assert np.array_equal(sample.prediction, np.ones((3, 4)))
    assert (sample.image.dtype, sample.prediction.dtype, sample.reference.dtype) == (np.float32, np.int16, np.int16)
    assert network.slices == 6  # no pass beyond those that are scored


def test_a_sample_owns_its_pixels(make_case: MakeCase) -> None:
    case = numbered(make_case)
    (sample,) = result(Threshold(), case).samples
    case.stack(0).image[:] = -1.0
    case.stack(0).label[:] = 0
    assert sample.image.min() > 0
    assert sample.reference.max() == 1


def test_only_the_first_cases_are_sampled(make_case: MakeCase) -> None:
    cases = [make_case(seed, slices=2, shape=(4, 4)) for seed in range(SAMPLED_CASES + 2)]
    assert [sample.case for sample in result(Threshold(), *cases).samples] == list(range(SAMPLED_CASES))
    assert [sample.case for sample in result(Threshold(), *cases[:2]).samples] == [0, 1]


def test_a_part_is_fixed_by_the_seed_and_spread_over_the_cases(make_plan: MakePlan, make_case: MakeCase) -> None:
    cases = [make_case(seed, slices=30, shape=(4, 4)) for seed in range(3)]
    plan = make_plan(training={"steps_per_epoch": 250})
    part = chosen_part(cases, plan=plan, seed=1)
    again, other = (chosen_part(cases, plan=plan, seed=seed) for seed in (1, 2))
    chosen = [each.slices.tolist() for each in part]
    assert sum(map(len, chosen)) == 40
    assert all(numbers == sorted(set(numbers)) and 0 <= numbers[0] <= numbers[-1] < 30 for numbers in chosen)
    assert [each.number for each in part] == [0, 1, 2]
    assert [each.slices.tolist() for each in again] == chosen
    assert [each.slices.tolist() for each in other] != chosen


def test_few_slices_are_all_looked_at_and_so_are_those_that_a_run_follows(make_plan: MakePlan, make_case: MakeCase) -> None:
    cases = [make_case(seed, slices=30, shape=(4, 4)) for seed in range(3)]
    steers = {"best_model": "validation_loss"}, {"early_stopping_patience": 5}, {"schedule": "plateau", "lr_patience": 5}
    for changes in steers:
        part = chosen_part(cases, plan=make_plan(training=changes), seed=0)
        assert [len(each.slices) for each in part] == [30, 30, 30]
    assert len(chosen_part(cases[:1], plan=make_plan(), seed=0)[0].slices) == 30
    assert chosen_part([], plan=make_plan(), seed=0) == []


def test_images_of_one_slice_keep_their_case(make_plan: MakePlan, make_case: MakeCase) -> None:
    cases = [make_case(seed, slices=1, shape=(4, 4)) for seed in range(50)]
    part = chosen_part(cases, plan=make_plan(), seed=0)
    assert len(part) == 32
    assert all(each.stack is cases[each.number].stack(0) for each in part)


def test_slices_are_extended_as_in_prediction(make_plan: MakePlan, make_case: MakeCase) -> None:
    class Sizes(Threshold):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[2:] == (20, 12)
            assert images[:, :, 18:].unique().tolist() == [pytest.approx(float(case.stack(0).image.min()))]
            return super().forward(images)

    case = make_case(0)  # slices of 18 x 11
    plain, extended = (
        result(Threshold(), case),
        chosen_part([case], plan=make_plan(prediction={"padding": "darkest"}), seed=0),
    )
    assert [part.padding.values for part in extended] == [(float(case.stack(0).image.min()),)]
    loss = build_loss("cross_entropy", class_weights=(1.0, 1.0), encoding=TWO, device=CPU.device)
    parts = [replace(part, padding=replace(part.padding, divisor=4)) for part in extended]
    got = validate(Sizes(), parts, loss=loss, encoding=TWO, batch_size=3, compute=CPU)
    assert (got.loss, got.class_dice) == (plain.loss, plain.class_dice)


def test_a_part_is_scored_as_a_case_of_those_slices_would_be(make_case: MakeCase) -> None:
    stack, network = numbered(make_case).stack(0), Threshold()
    loss = build_loss("cross_entropy", class_weights=(1.0, 1.0), encoding=TWO, device=CPU.device)
    numbers, seen = np.array([1, 2, 4]), list[int]()
    part = ValidationPart(7, VIEW, stack, numbers, Padding(2))
    given = {"loss": loss, "encoding": TWO, "batch_size": 2, "compute": CPU}
    got = validate(network, [part], seen=seen.append, **given)
    cut = StoredCase((SliceStack(stack.image[:, numbers], stack.label[numbers], stack.footprint),))
    alone = validate(network, whole(cut), **given)
    assert (got.loss, got.class_dice, got.slices) == (alone.loss, alone.class_dice, 3)
    assert seen == [2, 1]
    assert [(sample.case, sample.index) for sample in got.samples] == [(7, 4)]
    assert np.array_equal(got.samples[0].prediction, alone.samples[0].prediction)


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ((16, 16), [(2, 16, 16)] * 3),  # as large as four patches: four times the two of a training batch are two of these
        ((16, 8), [(4, 16, 8), (2, 16, 8)]),
        ((17, 16), [(1, 8, 8)] * 6 * 4 * 3),  # larger ones are seen in tiles, which overlap by half
    ],
)
def test_no_more_is_seen_at_once_than_takes_the_memory_of_a_training_step(
    make_case: MakeCase, shape: tuple[int, int], seen: list[tuple[int, ...]]
) -> None:
    network, case = Threshold(), make_case(0, slices=6, shape=shape)
    loss = build_loss("cross_entropy", class_weights=(1.0, 1.0), encoding=TWO, device=CPU.device)
    (part,) = whole(case)
    part = replace(part, view=VIEW.model_copy(update={"batch_size": 2}))
    got = validate(network, [part], loss=loss, encoding=TWO, batch_size=16, compute=CPU)
    assert network.seen == seen
    wide = replace(part, view=VIEW.model_copy(update={"patch_px": (32, 32)}))
    at_once = validate(network, [wide], loss=loss, encoding=TWO, batch_size=16, compute=CPU)
    assert got.slices == at_once.slices == 6
    assert got.class_dice == at_once.class_dice
    assert got.loss == pytest.approx(at_once.loss)


@pytest.mark.parametrize("encoding", [TWO, NESTED, TensorEncoding(LabelEncoding((0, 1), ignore=9))])
@pytest.mark.parametrize("name", ["cross_entropy", "dice", "cross_entropy_dice"])
def test_large_slices_are_scored_row_by_row_to_the_same_loss(
    make_case: MakeCase, encoding: TensorEncoding, name: catalogue.Loss
) -> None:
    case = make_case(0, slices=2, shape=(37, 16))
    if encoding.labels.ignore is not None:
        case.stack(0).label[:, 5:9] = encoding.labels.ignored
    channels, seen = encoding.labels.logits, list[tuple[int, ...]]()
    weights = (1.0, 2.0, 3.0)[: encoding.labels.channels]
    loss = build_loss(name, class_weights=weights, encoding=encoding, device=CPU.device)
    assert isinstance(loss, LossOfSums)
    of_sums = loss.sums

    def sums(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        assert logits.shape[2:] == target.shape[1:]
        seen.append(tuple(target.shape))
        return of_sums(logits, target)

    network = nn.Conv2d(1, channels, 1)
    (part,) = whole(case)
    results = [
        validate(network, [part], loss=each, encoding=encoding, batch_size=16, compute=CPU)
        for each in (replace(loss, sums=sums, alone=None), loss.__call__)  # the latter whole
    ]
    assert seen == [(1, 16, 16), (1, 16, 16), (1, 5, 16)] * 2
    assert results[0].loss == pytest.approx(results[1].loss, rel=1e-6)
    assert results[0].class_dice == results[1].class_dice
    for one, other in zip(results[0].samples, results[1].samples, strict=True):
        assert np.array_equal(one.prediction, other.prediction)


def test_the_fullest_slice_counts_every_class_and_takes_the_first_of_equals() -> None:
    label = np.zeros((4, 2, 3), dtype=np.uint8)
    assert fullest_slice(label) == 0
    label[1, 0, 0] = 9
    label[2, 0, :2] = [1, 2]
    label[3, 1, :2] = [3, 3]
    assert fullest_slice(label) == 2


def test_voxels_are_counted_where_they_are_right_predicted_and_wanted() -> None:
    prediction, target = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[0, 1], [1, 2]])
    four = TensorEncoding(LabelEncoding((0, 1, 2, 3)))
    assert class_counts(prediction, target, encoding=four).tolist() == [[1, 1, 1, 0], [1, 1, 2, 0], [1, 2, 1, 0]]


def test_a_voxel_counts_for_every_region_it_lies_in_and_for_none_where_nobody_labelled() -> None:
    nested = RegionEncoding(LabelEncoding((0, 1, 2), regions=((1, 2), (2,)), written=(1, 2), ignore=9))
    prediction, target = torch.tensor([[0, 1, 2], [2, 2, 0]]), torch.tensor([[0, 2, 2], [1, 3, 1]])
    #                 right      predicted  wanted
    assert class_counts(prediction, target, encoding=nested).tolist() == [[1, 3, 1], [2, 3, 2], [1, 4, 2]]


def test_a_class_that_is_nowhere_has_no_dice() -> None:
    dice = dice_of_classes(torch.tensor([[5, 3, 0], [6, 3, 0], [5, 4, 0]]))
    assert dice[0] == pytest.approx(2 * 3 / (4 + 3))
    assert math.isnan(dice[1])


def test_the_mean_leaves_out_what_is_undefined() -> None:
    assert mean_of_defined([math.nan, 0.5, 1.0]) == 0.75
    assert math.isnan(mean_of_defined([math.nan]))
    assert math.isnan(ValidationResult(0.0, (math.nan,)).dice)
