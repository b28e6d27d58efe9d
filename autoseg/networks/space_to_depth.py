"""Any network at half resolution: slices are rearranged on the way in, logits on the way out, and no pixel is lost."""

import torch.nn.functional as F
from torch import Tensor

from autoseg.networks.blocks import SegmentationNetwork, ShowsAttention, crop_levels, pad_to_multiple

_SIDE = 2
"""Pixels per side that become one."""


class SpaceToDepth(SegmentationNetwork):
    """Every 2x2 pixels become one with four times the channels, and the network's logits for it four pixels again.

    Full resolution, where a U-Net spends most of its time on few channels, has no convolution then; the number of weights
    hardly changes. Structures one pixel wide are harder to learn.

    Args:
        network: takes 4 C channels and gives 4 K classes.
        divisor: what the sides of slices must be multiples of.

    Source: the rearrangement of sub-pixel convolutions (Shi et al. 2016), at both ends of a network.
    """

    def __init__(self, network: SegmentationNetwork, *, divisor: int) -> None:
        super().__init__()
        self.network = network
        self.divisor = divisor

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        """Logits at every supervised resolution: see `SegmentationNetwork`."""
        levels = self.network.forward_levels(self._rearranged(slices))
        return self._logits(levels, slices)

    def _rearranged(self, slices: Tensor) -> Tensor:
        return F.pixel_unshuffle(pad_to_multiple(slices, self.divisor), _SIDE)  # (B, 4 C, H / 2, W / 2)

    def _logits(self, levels: list[Tensor], slices: Tensor) -> list[Tensor]:
        full = [F.pixel_shuffle(level, _SIDE) for level in levels]  # (B, K, H / 2^l, W / 2^l)
        return crop_levels(full, slices)


class SpaceToDepthWithAttention(SpaceToDepth):
    """The same around a network with attention gates."""

    network: ShowsAttention  # type: ignore[assignment]  # a module, too

    def forward_with_attention(self, slices: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Logits and attention coefficients: see `ShowsAttention`; one coefficient stands for 2x2 pixels."""
        levels, attention = self.network.forward_with_attention(self._rearranged(slices))
        doubled = [F.interpolate(level, scale_factor=_SIDE) for level in attention]  # (B, 1, H / 2^l, W / 2^l)
        return self._logits(levels, slices), crop_levels(doubled, slices)


def at_half_resolution(network: SegmentationNetwork, *, divisor: int) -> SegmentationNetwork:
    """The network between a stem and a head that rearrange pixels; it shows attention where the network does."""
    kind = SpaceToDepthWithAttention if isinstance(network, ShowsAttention) else SpaceToDepth
    return kind(network, divisor=divisor)
