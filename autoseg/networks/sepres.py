"""The Sep-Res U-Net: separable convolutions in residual inverse bottlenecks."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from autoseg.networks.blocks import (
    Encoder,
    Heads,
    SegmentationNetwork,
    crop_levels,
    pad_to_multiple,
    separable_stage,
    separable_stem,
    upsampler,
)
from autoseg.planning.sections import NetworkSection


class SepResUNet(SegmentationNetwork):
    """A U-Net of residual inverse bottlenecks, with skips that are concatenated or added.

    Logits, not probabilities: see `UNet`. Added skips halve the width of the first block of every decoder level, and
    take about two thirds of the time of concatenated ones.

    Args:
        in_channels: channels of a slice.
        classes: classes to tell apart, background included.
        size: widths, blocks per level (`convolutions`), `expansion`, and how `skips` join.

    Source: section 3.2 of the paper, model 2, and Table 1, whose "skip connections" are read as residual connections.
    """

    def __init__(self, *, in_channels: int, classes: int, size: NetworkSection) -> None:
        super().__init__()
        blocks, expansion = size.convolutions, size.expansion
        steps_down, steps_up = list(pairwise(size.features)), list(pairwise(reversed(size.features)))
        self.divisor = size.divisor
        self.concatenates = size.skips == "concatenate"
        joined = 2 if self.concatenates else 1
        self.encoder = Encoder(
            [
                separable_stem(in_channels, size.features[0], blocks=blocks, expansion=expansion),
                *(separable_stage(above, width, blocks=blocks, expansion=expansion) for above, width in steps_down),
            ]
        )
        self.upsamplers = nn.ModuleList(upsampler(below, width) for below, width in steps_up)
        self.decoder = nn.ModuleList(
            separable_stage(joined * width, width, blocks=blocks, expansion=expansion) for _, width in steps_up
        )
        self.heads = Heads(size.features[:-1], classes, deep_supervision=size.deep_supervision)

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        """Logits at every supervised resolution: see `SegmentationNetwork`."""
        *skips, features = self.encoder(pad_to_multiple(slices, self.divisor))
        levels: list[Tensor] = []
        for upsample, stage, skip in zip(self.upsamplers, self.decoder, reversed(skips), strict=True):
            features = self._join(skip, upsample(features))
            features = stage(features)  # (B, F_l, H / 2^l, W / 2^l)
            levels.insert(0, features)
        return crop_levels(self.heads(levels), slices)  # (B, K, ceil(H / 2^l), ceil(W / 2^l))

    def _join(self, skip: Tensor, upsampled: Tensor) -> Tensor:
        if self.concatenates:
            return torch.cat([skip, upsampled], dim=1)  # (B, 2 F_l, H / 2^l, W / 2^l)
        return skip + upsampled  # (B, F_l, H / 2^l, W / 2^l)
