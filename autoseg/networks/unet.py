"""The baseline: a plain 2D U-Net."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from autoseg.networks.blocks import (
    Encoder,
    Heads,
    SegmentationNetwork,
    crop_levels,
    pad_to_multiple,
    plain_stage,
    upsampler,
)
from autoseg.planning.sections import NetworkSection


class UNet(SegmentationNetwork):
    """Convolution - BN - ReLU blocks, max-pooling down, transposed convolutions up, concatenated skips.

    The head gives logits. The paper writes "sigmoid" but trains a categorical loss on classes that exclude one another,
    so probabilities are their softmax. Loss and prediction take it where they need it, in a numerically safe form.

    Args:
        in_channels: channels of a slice.
        classes: classes to tell apart, background included.
        size: widths, `convolutions` per level and `deep_supervision`; the rest does not concern this network.

    Source: section 3.2 of the paper, model 1, after Ronneberger et al. 2015, with padded convolutions and BN.
    """

    def __init__(self, *, in_channels: int, classes: int, size: NetworkSection) -> None:
        super().__init__()
        steps_down = list(pairwise((in_channels, *size.features)))
        steps_up = list(pairwise(reversed(size.features)))
        self.divisor = size.divisor
        self.encoder = Encoder(plain_stage(above, width, convolutions=size.convolutions) for above, width in steps_down)
        self.upsamplers = nn.ModuleList(upsampler(below, width) for below, width in steps_up)
        self.decoder = nn.ModuleList(plain_stage(2 * width, width, convolutions=size.convolutions) for _, width in steps_up)
        self.heads = Heads(size.features[:-1], classes, deep_supervision=size.deep_supervision)

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        """Logits at every supervised resolution: see `SegmentationNetwork`."""
        *skips, features = self.encoder(pad_to_multiple(slices, self.divisor))
        levels: list[Tensor] = []
        for upsample, stage, skip in zip(self.upsamplers, self.decoder, reversed(skips), strict=True):
            features = torch.cat([skip, upsample(features)], dim=1)  # (B, 2 F_l, H / 2^l, W / 2^l)
            features = stage(features)  # (B, F_l, H / 2^l, W / 2^l)
            levels.insert(0, features)
        return crop_levels(self.heads(levels), slices)  # (B, K, ceil(H / 2^l), ceil(W / 2^l))
