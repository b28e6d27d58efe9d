"""The torch side of `autoseg.data.labels`: what logits mean, for losses, validation and prediction."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autoseg.data.labels import LabelEncoding
from autoseg.planning.plan import Plan


@dataclass(frozen=True)
class TensorEncoding:
    """Logits, probabilities and targets of classes that exclude one another.

    Attributes:
        labels: the same for arrays.
        log_shift: added to the logits of the K classes before anything is made of them; empty: nothing.
    """

    labels: LabelEncoding
    log_shift: tuple[float, ...] = ()

    @classmethod
    def of(cls, plan: Plan) -> "TensorEncoding":
        """What the logits of networks mean that were trained under a plan.

        Their probabilities are divided by the weights of the cross-entropy to the power `prediction.prior_power`, and sum
        to 1 again: softmax(logits - power x ln w).

        Source: a network that minimises the weighted cross-entropy gives w_k p_k / sum_j w_j p_j in place of p_k; the power
        1 would undo that, as the adjustment of logits by Menon et al. (ICLR 2021) does for frequencies.
        """
        power = plan.prediction.prior_power
        return cls(plan.data.encoding, tuple(-power * math.log(weight) for weight in plan.training.class_weights if power))

    @property
    def of_losses(self) -> "TensorEncoding":
        """The same for losses, which see logits as networks give them."""
        return replace(self, log_shift=())

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities of logits, both (B, K, H, W): the softmax of the shifted ones, which sums to 1 over K."""
        return torch.softmax(self._shifted(logits), dim=1)  # (B, K, H, W)

    def prediction(self, logits: Tensor) -> Tensor:
        """What logits (B, K, H, W) speak for, as targets are: class indices (B, H, W), int64."""
        # The maximum with its place: on a CPU argmax alone takes seven times as long across channels.
        return self._shifted(logits).max(dim=1).indices  # (B, H, W)

    def memberships(self, target: Tensor, *, dtype: torch.dtype) -> Tensor:
        """Which channels a target (B, H, W) belongs to: (B, K, H, W), 1 where it does and 0 elsewhere."""
        return F.one_hot(target, self.labels.channels).movedim(-1, 1).to(dtype)  # (B, K, H, W)

    def activation(self) -> nn.Module:
        """`probabilities` as the last layer of an exported network."""
        return _ShiftedSoftmax(self.log_shift) if self.log_shift else nn.Softmax(dim=1)

    def _shifted(self, logits: Tensor) -> Tensor:
        return logits + _channels(self.log_shift, logits.device) if self.log_shift else logits  # (B, K, H, W)


class _ShiftedSoftmax(nn.Module):
    """Softmax over channels of which each is shifted by a constant."""

    shift: Tensor

    def __init__(self, shift: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift)[:, None, None])  # (K, 1, 1)

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits to probabilities, both (B, K, H, W)."""
        return torch.softmax(logits + self.shift, dim=1)  # (B, K, H, W)


@lru_cache(maxsize=64)
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One number per channel, (K, 1, 1), kept on the device, to which every copy would wait for it."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device)[:, None, None]
