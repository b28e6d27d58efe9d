"""The Attention U-Net: separable residual blocks, and skips that the decoder's features open and close."""

from itertools import pairwise

import torch
import torch.nn.functional as F
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


class AttentionGate(nn.Module):
    """Additive attention: how much of a skip to let through, pixel by pixel.

    alpha = up(sigmoid(psi(ReLU(BN(W_x skip + W_g gating)))))

    W_x brings the skip to the coarser grid of the gating signal, where the two are compared; `up` brings the
    coefficients back, bilinearly, which keeps them in [0, 1]. BN takes the place of the original's first bias.

    Args:
        skip_channels: channels of the skip.
        gating_channels: channels of the gating signal.

    Source: Oktay et al. 2018, eq. 1 and 2 and fig. 2. Half the skip's width to compare in: chosen, because it is wide
    enough for one coefficient and keeps the gates to about a tenth of a training step.
    """

    def __init__(self, *, skip_channels: int, gating_channels: int) -> None:
        super().__init__()
        compared = max(1, skip_channels // 2)
        self.weigh_skip = nn.Conv2d(skip_channels, compared, kernel_size=2, stride=2, bias=False)
        self.weigh_gating = nn.Conv2d(gating_channels, compared, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(compared)
        self.psi = nn.Conv2d(compared, 1, kernel_size=1)

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        """Coefficients (B, 1, 2h, 2w) in [0, 1] for a skip (B, F, 2h, 2w) under a gating signal (B, G, h, w)."""
        agreement = F.relu_(self.norm(self.weigh_skip(skip) + self.weigh_gating(gating)))  # (B, F / 2, h, w)
        coefficients = torch.sigmoid(self.psi(agreement))  # (B, 1, h, w)
        return _enlarged(coefficients)  # (B, 1, 2h, 2w)


def _enlarged(maps: Tensor) -> Tensor:
    """Maps (B, 1, h, w) with rows and columns doubled, bilinearly."""
    if maps.device.type != "cuda":
        return F.interpolate(maps, scale_factor=2, mode="bilinear")
    return _doubled(_doubled(maps, axis=2), axis=3)


def _doubled(maps: Tensor, *, axis: int) -> Tensor:
    """The same along one axis, for a GPU, where torch's own has gradients that differ from run to run."""
    length = maps.shape[axis]
    before = torch.cat([maps.narrow(axis, 0, 1), maps.narrow(axis, 0, length - 1)], dim=axis)
    after = torch.cat([maps.narrow(axis, 1, length - 1), maps.narrow(axis, length - 1, 1)], dim=axis)
    pairs = torch.stack([torch.lerp(maps, before, 0.25), torch.lerp(maps, after, 0.25)], dim=axis + 1)
    return pairs.flatten(axis, axis + 1)


class AttentionUNet(SegmentationNetwork):
    """A U-Net of residual inverse bottlenecks whose gated skips are added to the decoder's features.

    Logits, not probabilities: see `UNet`.

    Args:
        in_channels: channels of a slice.
        classes: classes to tell apart, background included.
        size: widths, blocks per level (`convolutions`) and `expansion`; skips are always added, as in the paper.

    Source: section 3.2 of the paper, model 3, and Table 1, whose "skip connections" are read as residual connections.
    """

    def __init__(self, *, in_channels: int, classes: int, size: NetworkSection) -> None:
        super().__init__()
        blocks, expansion = size.convolutions, size.expansion
        steps_down, steps_up = list(pairwise(size.features)), list(pairwise(reversed(size.features)))
        self.divisor = size.divisor
        self.encoder = Encoder(
            [
                separable_stem(in_channels, size.features[0], blocks=blocks, expansion=expansion),
                *(separable_stage(above, width, blocks=blocks, expansion=expansion) for above, width in steps_down),
            ]
        )
        self.gates = nn.ModuleList(AttentionGate(skip_channels=width, gating_channels=below) for below, width in steps_up)
        self.upsamplers = nn.ModuleList(upsampler(below, width) for below, width in steps_up)
        self.decoder = nn.ModuleList(
            separable_stage(width, width, blocks=blocks, expansion=expansion) for _, width in steps_up
        )
        self.heads = Heads(size.features[:-1], classes, deep_supervision=size.deep_supervision)

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        """Logits at every supervised resolution: see `SegmentationNetwork`."""
        logits, _ = self.forward_with_attention(slices)
        return logits

    def forward_with_attention(self, slices: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Logits, and what the gates let through on the way to them.

        Args:
            slices: (B, C, H, W), any size.

        Returns:
            Logits as of `forward_levels`; attention coefficients in [0, 1], one map (B, 1, h, w) per skip from full
            resolution downwards, with h = ceil(H / 2^l) and w = ceil(W / 2^l): the padding is cut off.
        """
        *skips, features = self.encoder(pad_to_multiple(slices, self.divisor))
        levels: list[Tensor] = []
        attention: list[Tensor] = []
        ascent = zip(self.gates, self.upsamplers, self.decoder, reversed(skips), strict=True)
        for gate, upsample, stage, skip in ascent:
            coefficients = gate(skip, features)  # (B, 1, H / 2^l, W / 2^l)
            features = torch.addcmul(upsample(features), skip, coefficients)  # (B, F_l, H / 2^l, W / 2^l)
            features = stage(features)  # (B, F_l, H / 2^l, W / 2^l)
            levels.insert(0, features)
            attention.insert(0, coefficients)
        return crop_levels(self.heads(levels), slices), crop_levels(attention, slices)
