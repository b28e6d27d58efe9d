import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from autoseg import catalogue
from autoseg.data.labels import LabelEncoding
from autoseg.errors import PlanError
from autoseg.model.encoding import RegionEncoding, TensorEncoding
from autoseg.training.losses import LossOfSums, _repeatable_sum, build_loss, over_levels

TWO = TensorEncoding(LabelEncoding((0, 1)))
THREE = TensorEncoding(LabelEncoding((0, 1, 2)))


@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_every_loss_of_the_table_is_a_finite_number_with_a_gradient(name: str) -> None:
    logits = torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    loss = build_loss(name, class_weights=[1.0, 2.0, 3.0], encoding=THREE, device=torch.device("cpu"))(logits, target)
    loss.backward()
    assert loss.shape == ()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    assert catalogue.LOSSES[name].phrase


def test_weighted_cross_entropy_follows_equation_2() -> None:
    logits = torch.zeros((1, 2, 1, 2))  # both classes equally likely everywhere: -log(1/2) per voxel
    logits[0, 1, 0, 1] = math.log(3.0)  # the second voxel has class 1 with probability 3/4
    target = torch.tensor([[[0, 1]]])
    loss = build_loss("cross_entropy", class_weights=[1.0, 10.0], encoding=TWO, device=torch.device("cpu"))
    expected = (1.0 * math.log(2.0) + 10.0 * -math.log(0.75)) / 11.0
    assert float(loss(logits, target)) == pytest.approx(expected)


def test_soft_dice_is_near_zero_for_a_sure_and_right_prediction_and_near_one_for_a_wrong_one() -> None:
    target = torch.zeros((1, 20, 20), dtype=torch.int64)
    target[:, 5:15, 5:15] = 1
    right = torch.stack([(target == 0), (target == 1)], dim=1).float() * 40
    loss = build_loss("dice", class_weights=[1.0, 1.0], encoding=TWO, device=torch.device("cpu"))
    assert float(loss(right, target)) == pytest.approx(0.0, abs=1e-3)
    assert float(loss(-right, target)) > 0.99


def test_soft_dice_worked_out_by_hand() -> None:
    target = torch.tensor([[[1, 1, 0, 0]]])
    logits = torch.zeros((1, 2, 1, 4))  # probability 1/2 everywhere
    # overlap 2 * 1/2 = 1, sizes 4 * 1/2 + 2 = 4, smoothing 1: 1 - (2 + 1) / (4 + 1)
    loss = build_loss("dice", class_weights=[1.0, 1.0], encoding=TWO, device=torch.device("cpu"))
    assert float(loss(logits, target)) == pytest.approx(0.4)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "labels", [LabelEncoding((0, 1, 2)), LabelEncoding((0, 1, 2), regions=((1, 2), (2,)), written=(1, 2))]
)
def test_probabilities_are_combined_with_maps_that_lie_in_memory_as_they_do(
    labels: LabelEncoding, memory_format: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = TensorEncoding if labels.exclusive else RegionEncoding
    made, memberships = list[torch.Tensor](), kind.memberships

    def noted(self: TensorEncoding, target: torch.Tensor, **how: Any) -> torch.Tensor:
        made.append(memberships(self, target, **how))
        return made[-1]

    monkeypatch.setattr(kind, "memberships", noted)
    loss = build_loss("cross_entropy_dice", class_weights=(1.0,) * 3, encoding=kind(labels), device=torch.device("cpu"))
    logits = torch.randn(2, labels.logits, 4, 6).contiguous(memory_format=memory_format).requires_grad_()
    loss(logits, torch.randint(3, (2, 4, 6))).backward()
    probabilities = kind(labels).probabilities(logits)
    combined = [probabilities] if labels.exclusive else [logits, probabilities]
    assert [_order(found) for found in made] == [_order(maps) for maps in combined]
    assert all(found.dtype == torch.float32 for found in made)


def _order(maps: torch.Tensor) -> list[int]:
    """The axes by how far apart in memory their neighbours are."""
    return sorted(range(maps.dim()), key=maps.stride, reverse=True)


def test_the_sum_is_the_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, weights = torch.randn((2, 3, 8, 8), generator=generator), [1.0, 2.0, 3.0]
    target = torch.randint(0, 3, (2, 8, 8), generator=generator)
    parts = {
        name: float(build_loss(name, class_weights=weights, encoding=THREE, device=torch.device("cpu"))(logits, target))
        for name in ("cross_entropy", "dice", "cross_entropy_dice")
    }
    assert parts["cross_entropy_dice"] == pytest.approx(parts["cross_entropy"] + parts["dice"])


def test_class_weights_weigh_classes_and_not_their_common_scale() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 3, 8, 8), generator=generator)
    target = torch.randint(0, 3, (2, 8, 8), generator=generator)
    first, tenfold, other = (
        float(build_loss("cross_entropy", class_weights=weights, encoding=THREE, device=torch.device("cpu"))(logits, target))
        for weights in ([1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [3.0, 2.0, 1.0])
    )
    assert first == pytest.approx(tenfold)
    assert first != pytest.approx(other)


def test_a_single_level_has_the_loss_itself() -> None:
    logits = torch.randn((2, 3, 8, 8), generator=torch.Generator().manual_seed(2))
    target = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(3))
    loss = build_loss("cross_entropy_dice", class_weights=[1.0, 2.0, 3.0], encoding=THREE, device=torch.device("cpu"))
    assert torch.equal(over_levels(loss)([logits], target), loss(logits, target))


def test_each_level_weighs_half_of_the_one_above() -> None:
    seen = []

    def counting(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(target)
        return logits.mean()

    target = torch.arange(35).reshape(1, 5, 7)
    levels = [torch.full((1, 2, 5, 7), 7.0), torch.full((1, 2, 3, 4), 14.0), torch.full((1, 2, 2, 2), 28.0)]
    assert float(over_levels(counting)(levels, target)) == pytest.approx((7 + 14 / 2 + 28 / 4) / (1 + 1 / 2 + 1 / 4))
    assert seen[1].tolist() == [[[0, 2, 4, 6], [14, 16, 18, 20], [28, 30, 32, 34]]]
    assert seen[2].tolist() == [[[0, 4], [28, 32]]]


@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_a_loss_of_sums_is_that_of_the_batch_and_its_halves_add_up(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((3, 3, 5, 4), generator=generator, requires_grad=True)
    target = torch.randint(3, (3, 5, 4), generator=generator)
    loss = build_loss(name, class_weights=[1.0, 10.0, 3.0], encoding=THREE, device=torch.device("cpu"))
    assert isinstance(loss, LossOfSums)
    expected = loss(logits, target)
    found = loss.value(loss.sums(logits[:1], target[:1]) + loss.sums(logits[1:], target[1:]))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(value, logits)[0] for value in (found, expected)))


def test_the_cross_entropy_of_a_gpu_is_that_of_a_cpu_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 5, 4), generator=generator, requires_grad=True)
    target = torch.randint(3, (2, 5, 4), generator=generator)
    weights = torch.tensor([1.0, 10.0, 3.0])
    expected = torch.nn.functional.cross_entropy(logits, target, weight=weights, reduction="sum")
    found = _repeatable_sum(logits, target, weights)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (found, expected)))


REGIONS = RegionEncoding(LabelEncoding((0, 1, 2), regions=((1, 2), (2,)), written=(1, 2), ignore=9))
CPU = torch.device("cpu")


def test_the_cross_entropy_of_regions_by_hand() -> None:
    """In the part of every region voxels weigh as much as their innermost one, and those without a label nothing."""
    logits = torch.logit(torch.tensor([[0.8, 0.9, 0.4], [0.3, 0.6, 0.5]]))[None, :, None, :]  # (1, 2, 1, 3)
    target = torch.tensor([[[1, 2, 3]]])  # in the outer region, in both, unlabelled
    loss = build_loss("cross_entropy", class_weights=[1.0, 2.0, 5.0], encoding=REGIONS, device=CPU)
    summed = -(2 * (math.log(0.8) + math.log(0.7)) + 5 * (math.log(0.9) + math.log(0.6)))
    assert float(loss(logits, target)) == pytest.approx(summed / (2 + 5), rel=1e-6)


def test_the_cross_entropy_of_regions_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (4 * torch.randn((2, 2, 5, 6), generator=generator)).requires_grad_()
    target = torch.randint(0, 3, (2, 5, 6), generator=generator)
    inside = torch.stack([target > 0, target > 1], dim=1).float()
    weights = torch.tensor([1.0, 2.0, 5.0])[target]
    expected = F.binary_cross_entropy_with_logits(logits, inside, weight=weights[:, None], reduction="sum") / weights.sum()
    loss = build_loss("cross_entropy", class_weights=[1.0, 2.0, 5.0], encoding=REGIONS, device=CPU)(logits, target)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, logits), torch.autograd.grad(expected, logits))


def test_the_dice_of_regions_takes_a_voxel_into_every_region_around_it() -> None:
    target = torch.tensor([[[0, 1, 2, 2]]])
    sure = 40.0 * torch.stack([target > 0, target > 1], dim=1).float() - 20.0
    loss = build_loss("dice", class_weights=[1.0, 1.0, 1.0], encoding=REGIONS, device=CPU)
    assert float(loss(sure, target)) == pytest.approx(0.0, abs=1e-6)
    inner_missing = sure.clone()
    inner_missing[:, 1] = -20.0  # of (2 * 0 + 1) / (2 + 1), the other being whole
    assert float(loss(inner_missing, target)) == pytest.approx(1 - (1 + 1 / 3) / 2, rel=1e-5)


def test_a_loss_that_does_not_know_regions_is_refused_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(catalogue.LOSSES["dice"], regions=False)
    monkeypatch.setattr(catalogue.LOSSES, "built_in", {**catalogue.LOSSES.built_in, "dice": entry})
    with pytest.raises(PlanError, match="does not know regions"):
        build_loss("dice", class_weights=[1.0, 1.0, 1.0], encoding=REGIONS, device=CPU)
    build_loss("dice", class_weights=[1.0, 1.0, 1.0], encoding=THREE, device=CPU)


@pytest.mark.parametrize("name", catalogue.LOSSES)
def test_losses_of_regions_have_gradients_and_halves_of_a_batch_add_up(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((4, 2, 8, 8), generator=generator).requires_grad_()
    target = torch.randint(0, 3, (4, 8, 8), generator=generator)
    loss = build_loss(name, class_weights=[1.0, 2.0, 3.0], encoding=REGIONS, device=CPU)
    assert isinstance(loss, LossOfSums)
    whole = loss(logits, target)
    (gradient,) = torch.autograd.grad(whole, logits)
    assert (gradient.abs().sum(dim=(0, 2, 3)) > 0).all()
    torch.testing.assert_close(loss.value(loss.sums(logits[:2], target[:2]) + loss.sums(logits[2:], target[2:])), whole)
