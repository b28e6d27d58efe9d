"""The losses that `autoseg.catalogue.LOSSES` lists.

Each is a function of the class weights, (K,), float32, and of the encoding, which says what logits and targets mean.
It gives a `LossFunction`.
"""

from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch.nn import functional as F

from autoseg import catalogue
from autoseg.model.encoding import TensorEncoding

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes logits (B, K, H, W) and class indices (B, H, W), gives a scalar."""

LevelsLoss = Callable[[Sequence[torch.Tensor], torch.Tensor], torch.Tensor]
"""Takes logits at every supervised level, from full resolution downwards, and class indices (B, H, W)."""

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
    """
    weights = torch.tensor(class_weights, dtype=torch.float32, device=device)
    loss: LossFunction = catalogue.LOSSES.build(name, weights=weights, encoding=encoding)
    return loss


def over_levels(loss: LossFunction) -> LevelsLoss:
    """Deep supervision: a loss at every level, each with half the weight of the one above; the weights sum to 1.

    A coarser level is compared with every second, fourth, ... pixel of the labels. A single level gives the loss itself.

    Source: weights as in nnU-Net (Isensee et al. 2021); the lowest decoder level takes part, which is ours.
    """

    def total(levels: Sequence[torch.Tensor], target: torch.Tensor) -> torch.Tensor:
        weights = [0.5**depth for depth in range(len(levels))]
        parts = [
            weight * loss(logits, target[:, :: 2**depth, :: 2**depth])
            for depth, (weight, logits) in enumerate(zip(weights, levels, strict=True))
        ]
        return torch.stack(parts).sum() / sum(weights)

    return total


def weighted_cross_entropy(weights: torch.Tensor, encoding: TensorEncoding) -> LossFunction:  # noqa: ARG001 - as all losses
    """Weighted categorical cross-entropy, averaged over voxels by their weights.

    Source: eq. 2 of the paper, -sum w y log(y_hat). The paper leaves the normalisation open; dividing by the sum of the
    voxels' weights keeps the loss independent of image size and of the weights' scale.
    """

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if logits.device.type == "cpu":
            return F.cross_entropy(logits, target, weight=weights)
        return _repeatable_cross_entropy(logits, target, weights)

    return loss


def _repeatable_cross_entropy(logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The same for a GPU, where torch's own sums in whatever order threads arrive, so that no run can be repeated."""
    right = torch.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]  # (B, H, W)
    weight = weights[target]  # (B, H, W)
    return -(weight * right).sum() / weight.sum()


def soft_dice(weights: torch.Tensor, encoding: TensorEncoding) -> LossFunction:  # noqa: ARG001 - every loss is built alike
    """One minus the mean soft Dice of the foreground classes, each pooled over the batch.

    Source: Milletari et al. 2016 (V-Net), with softmax probabilities and without squares; pooled over the batch because
    a single slice often lacks a class.
    """

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        probabilities = encoding.probabilities(logits)  # (B, K, H, W)
        reference = encoding.memberships(target, dtype=probabilities.dtype)  # (B, K, H, W)
        overlap = (probabilities * reference).sum(dim=(0, 2, 3))[1:]  # (K - 1,)
        size = (probabilities + reference).sum(dim=(0, 2, 3))[1:]  # (K - 1,)
        return 1.0 - ((2.0 * overlap + _DICE_SMOOTHING) / (size + _DICE_SMOOTHING)).mean()

    return loss


def cross_entropy_and_dice(weights: torch.Tensor, encoding: TensorEncoding) -> LossFunction:
    """Sum of the weighted cross-entropy and the soft Dice loss."""
    cross_entropy, dice = weighted_cross_entropy(weights, encoding), soft_dice(weights, encoding)

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return cross_entropy(logits, target) + dice(logits, target)

    return loss
