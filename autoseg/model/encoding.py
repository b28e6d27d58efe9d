"""The torch side of `autoseg.data.labels`: what logits mean, for losses, validation and prediction."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autoseg.data.labels import LabelEncoding


@dataclass(frozen=True)
class TensorEncoding:
    """Logits, probabilities and targets of classes that exclude one another.

    Attributes:
        labels: the same for arrays.
    """

    labels: LabelEncoding

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of logits, both (B, K, H, W): their softmax, which sums to 1 over K."""
        return torch.softmax(logits, dim=1)  # (B, K, H, W)

    def prediction(self, logits: Tensor) -> Tensor:
        """What logits (B, K, H, W) speak for, as targets are: class indices (B, H, W), int64."""
        return logits.argmax(dim=1)  # (B, H, W)

    def memberships(self, target: Tensor, *, dtype: torch.dtype) -> Tensor:
        """Which channels a target (B, H, W) belongs to: (B, K, H, W), 1 where it does and 0 elsewhere."""
        return F.one_hot(target, self.labels.channels).movedim(-1, 1).to(dtype)  # (B, K, H, W)

    def activation(self) -> nn.Module:
        """`probabilities` as the last layer of an exported network."""
        return nn.Softmax(dim=1)
