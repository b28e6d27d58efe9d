"""The losses that `autoseg.catalogue.LOSSES` lists.

Each is a function of the class weights, (K,), float32, and of the encoding, which says what logits and targets mean.
It gives a `LossFunction`; one that is made of sums over pixels, as `LossOfSums`, costs least where several ranks train.

A target of K, one beyond the classes, is a voxel without a label. It adds nothing to any sum, so that nothing is learnt from
it; images without a single labelled voxel have the loss 0. No data set without an ignore value has such targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional as F

from autoseg import catalogue
from autoseg.model.encoding import TensorEncoding
from autoseg.planning.rules import refuse_loss
from autoseg.training.joining import joined
from autoseg.training.ranks import ALONE, Ranks

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes logits (B, L, H, W) and targets (B, H, W), gives a scalar; L is the number of classes K, or of regions K - 1."""

LevelsLoss = Callable[[Sequence[torch.Tensor], torch.Tensor], torch.Tensor]
"""Takes logits at every supervised level, from full resolution downwards, and class indices (B, H, W)."""


@dataclass(frozen=True)
class LossOfSums:
    """A loss that needs nothing of a batch but sums over its pixels, so that ranks have to tell one another only these.

    Attributes:
        sums: of logits (B, K, H, W) and class indices (B, H, W): (N,), float32; those of two halves of a batch add up.
        value: the loss, a scalar, of sums (N,).
        alone: the loss of all images of a batch, where that is computed in another way when one process has them; else None.
    """

    sums: LossFunction
    value: Callable[[torch.Tensor], torch.Tensor]
    alone: LossFunction | None = None

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss of these images alone."""
        return self.alone(logits, target) if self.alone else self.value(self.sums(logits, target))


_NO_WEIGHT: Final = torch.finfo(torch.float32).tiny
"""What a sum of weights is divided by where no voxel is labelled: 0 stays 0, and its gradient too."""

_DICE_SMOOTHING: Final = 1.0
"""Voxels added to numerator and denominator, so that a class absent from a batch has a defined, small gradient.

Source: ours; one voxel is far below the size of any class in a batch.
"""


def build_loss(
    name: catalogue.Loss, *, class_weights: Sequence[float], encoding: TensorEncoding, device: torch.device
) -> LossFunction:
    """Make the loss that a plan names.

    Args:
        name: key of `autoseg.catalogue.LOSSES`.
        class_weights: weight of each class in the cross-entropy, background first.
        encoding: what logits and targets mean.
        device: where the logits will be.

    Raises:
        PlanError: there are regions, or voxels without a label, and the loss does not know them.
    """
    refuse_loss(name, encoding.labels)
    weights = torch.tensor(class_weights, dtype=torch.float32, device=device)
    loss: LossFunction = catalogue.LOSSES.build(name, weights=weights, encoding=encoding)
    return loss


def over_levels(loss: LossFunction, ranks: Ranks = ALONE) -> LevelsLoss:
    """Deep supervision: a loss at every level, each with half the weight of the one above; the weights sum to 1.

    A coarser level is compared with every second, fourth, ... pixel of the labels. A single level gives the loss itself.

    Args:
        loss: of one level.
        ranks: whose images together are the batch; each gets the loss of all of them.

    Source: weights as in nnU-Net (Isensee et al. 2021); the lowest decoder level takes part, which is ours.
    """

    def total(levels: Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        weights = [0.5**depth for depth in range(len(levels))]
        pairs = [(logits, target[:, :: 2**depth, :: 2**depth]) for depth, logits in enumerate(levels)]
        parts = [weight * value for weight, value in zip(weights, _of_batch(loss, pairs, ranks), strict=True)]
        return torch.stack(parts).sum() / sum(weights)

    return total


def _of_batch(
    loss: LossFunction, pairs: Sequence[tuple[torch.Tensor, torch.Tensor]], ranks: Ranks
) -> Sequence[torch.Tensor]:
    """The loss of every pair of logits and targets, over the images of all ranks."""
    if ranks.size == 1:
        return [loss(logits, target) for logits, target in pairs]
    if not isinstance(loss, LossOfSums):
        return [loss(joined(logits, ranks), joined(target, ranks)) for logits, target in pairs]
    sums = ranks.total(torch.stack([loss.sums(logits, target) for logits, target in pairs]))  # (levels, N): told in one go
    return [loss.value(of_level) for of_level in sums]


def weighted_cross_entropy(weights: torch.Tensor, encoding: TensorEncoding) -> LossOfSums:
    """Weighted categorical cross-entropy, averaged over labelled voxels by their weights; of regions the binary one.

    Source: eq. 2 of the paper, -sum w y log(y_hat). The paper leaves the normalisation open; dividing by the sum of the
    voxels' weights keeps the loss independent of image size and of the weights' scale.
    """
    if not encoding.labels.exclusive:
        return _of_regions(weights, encoding)
    some_without = encoding.labels.ignore is not None
    if some_without:
        weights = F.pad(weights, (0, 1))  # (K + 1,): 0 for voxels without a label

    def sums(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.stack([_summed_cross_entropy(logits, target, weights), weights[target].sum()])  # (2,)

    def value(sums: torch.Tensor) -> torch.Tensor:
        return sums[0] / (sums[1].clamp_min(_NO_WEIGHT) if some_without else sums[1])

    def alone(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if logits.device.type == "cpu" and not some_without:
            return F.cross_entropy(logits, target, weight=weights)
        return value(sums(logits, target))

    return LossOfSums(sums, value, alone)


def _of_regions(weights: torch.Tensor, encoding: TensorEncoding) -> LossOfSums:
    """Binary cross-entropy of regions, summed over regions and averaged over labelled voxels by their weights.

    A voxel weighs as much as the innermost region that it lies in, in the part of every region: where a region ends, both
    sides are then about as dear.
    """
    some_without = encoding.labels.ignore is not None
    if some_without:
        weights = F.pad(weights, (0, 1))  # (K + 1,): 0 for voxels without a label

    def sums(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        inside = _memberships(encoding, target, like=logits)[:, 1:]  # (B, K - 1, H, W)
        wrong = F.softplus(logits) - inside * logits  # (B, K - 1, H, W): -ln p inside, -ln(1 - p) outside
        weight = weights[target]  # (B, H, W)
        return torch.stack([(weight * wrong.sum(dim=1)).sum(), weight.sum()])  # (2,)

    def value(sums: torch.Tensor) -> torch.Tensor:
        return sums[0] / (sums[1].clamp_min(_NO_WEIGHT) if some_without else sums[1])

    return LossOfSums(sums, value)


def _summed_cross_entropy(logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The sum of the weighted cross-entropy over voxels; weights are those of the K classes, and of voxels without one."""
    if logits.device.type == "cpu":
        classes = logits.shape[1]
        return F.cross_entropy(logits, target, weight=weights[:classes], ignore_index=classes, reduction="sum")
    return _repeatable_sum(logits, target, weights)


def _repeatable_sum(logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The same for a GPU, where torch's own sums in whatever order threads arrive, so that no run can be repeated."""
    classes = logits.shape[1]
    found = target if len(weights) == classes else target.clamp_max(classes - 1)  # whose weight is 0 then
    right = torch.log_softmax(logits, dim=1).gather(1, found[:, None])[:, 0]  # (B, H, W)
    return -(weights[target] * right).sum()


def soft_dice(weights: torch.Tensor, encoding: TensorEncoding) -> LossOfSums:  # noqa: ARG001 - every loss is built alike
    """One minus the mean soft Dice of the foreground classes or regions, each pooled over the batch's labelled voxels.

    Source: Milletari et al. 2016 (V-Net), with probabilities and without squares; pooled over the batch because
    a single slice often lacks a class.
    """

    def sums(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        probabilities = encoding.probabilities(logits)  # (B, K, H, W)
        reference = _memberships(encoding, target, like=probabilities)  # (B, K, H, W)
        if encoding.labels.ignore is not None:
            probabilities = probabilities * encoding.labelled(target)[:, None]
        overlap = (probabilities * reference).sum(dim=(0, 2, 3))[1:]  # (K - 1,)
        size = (probabilities + reference).sum(dim=(0, 2, 3))[1:]  # (K - 1,)
        return torch.cat([overlap, size])  # (2 K - 2,)

    def value(sums: torch.Tensor) -> torch.Tensor:
        overlap, size = sums.chunk(2)  # (K - 1,) each
        return 1.0 - ((2.0 * overlap + _DICE_SMOOTHING) / (size + _DICE_SMOOTHING)).mean()

    return LossOfSums(sums, value)


def _memberships(encoding: TensorEncoding, target: torch.Tensor, *, like: torch.Tensor) -> torch.Tensor:
    """Which channels targets (B, H, W) belong to, (B, K, H, W), as numbers that lie in memory as those of `like` do."""
    channels_last = like.is_contiguous(memory_format=torch.channels_last) and not like.is_contiguous()
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return encoding.memberships(target, dtype=like.dtype, memory_format=memory_format)


def cross_entropy_and_dice(weights: torch.Tensor, encoding: TensorEncoding) -> LossOfSums:
    """Sum of the weighted cross-entropy and the soft Dice loss."""
    cross_entropy, dice = weighted_cross_entropy(weights, encoding), soft_dice(weights, encoding)

    def sums(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.cat([cross_entropy.sums(logits, target), dice.sums(logits, target)])  # (2 + 2 K - 2,)

    def value(sums: torch.Tensor) -> torch.Tensor:
        return cross_entropy.value(sums[:2]) + dice.value(sums[2:])

    def alone(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits, target) + dice(logits, target)

    return LossOfSums(sums, value, alone)
