"""The torch side of `autoseg.data.labels`: what logits mean, for losses, validation and prediction.

`TensorEncoding.of` gives that of a plan: classes that exclude one another have a softmax, regions a sigmoid each.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor, nn

from autoseg.data.labels import REGION_THRESHOLD, LabelEncoding
from autoseg.planning.plan import Plan


@dataclass(frozen=True)
class TensorEncoding:
    """Logits, probabilities and targets of classes that exclude one another.

    Attributes:
        labels: the same for arrays.
        log_shift: added to the logarithms of the probabilities of the K classes; empty: nothing.
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
        shift = tuple(-power * math.log(weight) for weight in plan.training.class_weights if power)
        labels = plan.data.encoding
        return TensorEncoding(labels, shift) if labels.exclusive else RegionEncoding(labels, shift)

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

    def memberships(
        self, target: Tensor, *, dtype: torch.dtype, memory_format: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        """Which channels a target belongs to; a voxel without a label belongs to none.

        Args:
            target: (B, H, W), int64.
            dtype: of the answer.
            memory_format: of the answer; that of the maps it is combined with, or combining takes several times as long.

        Returns:
            (B, K, H, W), 1 where the target belongs to the channel and 0 elsewhere.
        """
        batch, rows, columns = target.shape
        shape = (batch, self.labels.channels, rows, columns)
        found = torch.empty(shape, dtype=dtype, device=target.device, memory_format=memory_format).zero_()  # (B, K, H, W)
        if self.labels.ignore is None:
            return found.scatter_(1, target[:, None], 1)
        places = target.clamp_max(self.labels.channels - 1)  # (B, H, W)
        return found.scatter_(1, places[:, None], self.labelled(target)[:, None].to(dtype))

    def labelled(self, target: Tensor) -> Tensor:
        """Which voxels of a target have a label: bool, of the same shape."""
        return target != self.labels.ignored

    def activation(self) -> nn.Module:
        """`probabilities` as the last layer of an exported network."""
        return _ShiftedSoftmax(self.log_shift) if self.log_shift else nn.Softmax(dim=1)

    def _shifted(self, logits: Tensor) -> Tensor:
        return logits + _channels(self.log_shift, logits.device) if self.log_shift else logits  # (B, K, H, W)


class RegionEncoding(TensorEncoding):
    """Logits, probabilities and targets of regions, which nest: K - 1 logits, one per region, in the order of the classes.

    The odds of a region are those of its logit, shifted by its number in `log_shift` less that of what is around it: those
    of a network that minimises the binary cross-entropy with weight w_r for voxels inside and w_s for those around are
    w_r / w_s times those of the prior, because it gives w_r p / (w_r p + w_s (1 - p)) in place of p.
    """

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probabilities (B, K, H, W) of logits (B, K - 1, H, W); the background has what the likeliest region leaves."""
        return _with_background(torch.sigmoid(self._shifted(logits)))  # (B, K, H, W)

    def prediction(self, logits: Tensor) -> Tensor:
        """The innermost region that logits (B, K - 1, H, W) speak for, as targets are: class indices (B, H, W), int64."""
        found = torch.sigmoid(self._shifted(logits)) > REGION_THRESHOLD  # (B, K - 1, H, W)
        indices = torch.zeros_like(found[:, 0], dtype=torch.int64)  # (B, H, W)
        for index in self.labels.written:
            indices = torch.where(found[:, index - 1], index, indices)
        return indices

    def memberships(
        self, target: Tensor, *, dtype: torch.dtype, memory_format: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        """Which channels a target (B, H, W) belongs to: (B, K, H, W), 1 for each region around it, 0 where ignored."""
        members = _members(self.labels, dtype, target.device)  # (K + 1, K)
        if memory_format == torch.channels_last:
            return members[target].movedim(-1, 1)  # (B, K, H, W)
        batch, rows, columns = target.shape
        places = target.reshape(batch, 1, -1).expand(-1, self.labels.channels, -1)  # (B, K, H W)
        found = members.T.expand(batch, -1, -1).gather(2, places)  # (B, K, H W)
        return found.reshape(batch, -1, rows, columns)  # (B, K, H, W)

    def activation(self) -> nn.Module:
        """`probabilities` as the last layer of an exported network."""
        return _ShiftedSigmoid(self._odds_shift)

    @property
    def _odds_shift(self) -> tuple[float, ...]:
        """Added to the logits of the K - 1 regions; empty: nothing."""
        if not self.log_shift:
            return ()
        pairs = zip(self.log_shift[1:], self.labels.around, strict=True)
        return tuple(shift - self.log_shift[around] for shift, around in pairs)

    def _shifted(self, logits: Tensor) -> Tensor:
        shift = self._odds_shift
        return logits + _channels(shift, logits.device) if shift else logits  # (B, K - 1, H, W)


class _ShiftedSoftmax(nn.Module):
    """Softmax over channels of which each is shifted by a constant."""

    shift: Tensor

    def __init__(self, shift: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift)[:, None, None])  # (K, 1, 1)

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits to probabilities, both (B, K, H, W)."""
        return torch.softmax(logits + self.shift, dim=1)  # (B, K, H, W)


class _ShiftedSigmoid(nn.Module):
    """Sigmoid per region, of logits that are each shifted by a constant, behind what they leave to the background."""

    shift: Tensor | None

    def __init__(self, shift: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift)[:, None, None] if shift else None)  # (K - 1, 1, 1)

    def forward(self, logits: Tensor) -> Tensor:
        """Map logits (B, K - 1, H, W) to probabilities (B, K, H, W)."""
        return _with_background(torch.sigmoid(logits if self.shift is None else logits + self.shift))


def _with_background(regions: Tensor) -> Tensor:
    """Probabilities of regions (B, K - 1, H, W) behind that of the background: (B, K, H, W)."""
    return torch.cat([1.0 - regions.amax(dim=1, keepdim=True), regions], dim=1)  # (B, K, H, W)


@lru_cache(maxsize=64)
def _members(labels: LabelEncoding, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Which classes every target is in, (K + 1, K), kept on the device."""
    with torch.inference_mode(mode=False):
        return torch.from_numpy(labels.members).to(device=device, dtype=dtype)


@lru_cache(maxsize=64)
def _channels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """One number per channel, (K, 1, 1), kept on the device, to which every copy would wait for it."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device)[:, None, None]
