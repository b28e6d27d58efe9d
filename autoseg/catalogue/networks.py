"""The networks a plan may be trained with. A new one is a module of its own and one line here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Protocol

from autoseg.catalogue.table import Entry, Table

_LANES: Final = 16
"""Channels that a convolution on a CPU works on at once, and fills up to. Source: 512-bit registers of 32-bit numbers."""

_COPIES: Final = 4
"""Numbers kept per weight: itself, its gradient, and the two moments of Adam."""


class BytesPerPixel(Protocol):
    """Memory that a network takes per pixel of a batch: what it keeps for the backward pass, or at once in prediction."""

    def __call__(self, features: Sequence[int], *, convolutions: int, expansion: float) -> float:
        """In bytes, at least as much as it takes, for the sizes of a plan's network section."""


class BytesOfWeights(Protocol):
    """Memory that the weights of a network take in training."""

    def __call__(self, features: Sequence[int], *, channels: int, convolutions: int, expansion: float) -> float:
        """In bytes, at least as much as they take, for input channels and the sizes of a plan's network section."""


def separable_bytes_per_pixel(features: Sequence[int], *, convolutions: int, expansion: float) -> float:
    """Memory that one pixel of a training slice takes in a network of separable blocks, in bytes.

    A separable block with inverse bottleneck keeps for the backward pass a convolution's output, its normalised and its
    activated form, twice at the expanded width and once at the plain one. Encoder and decoder have `convolutions`
    blocks each per level; a level has a quarter of the pixels of the one above; numbers have four bytes.

    Source: counted from the blocks' definition. It exceeds what the Sep-Res U-Net was measured to keep for the backward
    pass (saved tensors, 2 to 6 levels) by a factor of 1.04 to 1.8, which leaves room for gradients.
    """
    tensors = 2 * convolutions * 3 * (2 * expansion + 1)
    return 4 * tensors * sum(width * 0.25**level for level, width in enumerate(features))


def plain_prediction_bytes(features: Sequence[int], *, convolutions: int, expansion: float) -> float:  # noqa: ARG001
    """Memory that one pixel of a slice takes in a plain U-Net without gradients, in bytes, at most.

    Source: as of `separable_prediction_bytes`, without a hidden width.
    """
    return _prediction_bytes(features, hidden=0.0)


def separable_prediction_bytes(features: Sequence[int], *, convolutions: int, expansion: float) -> float:  # noqa: ARG001
    """Memory that one pixel of a slice takes in a network of separable blocks without gradients, in bytes, at most.

    Kept are the skips and the decoder's features of every level; at work is one block at a time, with its input, two forms
    of its hidden layer, and input and output of a convolution once more in the processor's own order.

    Source: counted from the blocks' definition, and checked against what processes were measured to take
    (docs/explanation/decisions.md).
    """
    return _prediction_bytes(features, hidden=max(expansion, 1.0))


def _prediction_bytes(features: Sequence[int], *, hidden: float) -> float:
    kept = sum(2 * width * 0.25**level for level, width in enumerate(features))
    at_work = 0.0
    for level, width in enumerate(features):
        ends = max(2 * width, features[max(level - 1, 0)])  # two joined, or what comes from the level above
        inside = hidden * ends
        reordered = 2 * _LANES * math.ceil(max(inside, ends) / _LANES)
        at_work = max(at_work, (2 * ends + 2 * inside + 2 * width + reordered) * 0.25**level)
    return 4 * (kept + at_work)


def bytes_of_weights(features: Sequence[int], *, channels: int, convolutions: int, expansion: float) -> float:
    """Memory that the weights of a U-Net of plain or separable blocks take in training, in bytes, at most.

    Every block is counted as the larger of the two kinds, every skip as concatenated, every level with a gate. A quarter
    is added for the heads, which depend on the classes.

    Args:
        features: channels per level.
        channels: of the input.
        convolutions: blocks per level.
        expansion: hidden width of a block, as a multiple of its input's.

    Source: counted from the blocks' definition.
    """

    def block(inside: int, outside: int) -> float:
        hidden = max(1, round(expansion * inside))
        separable = hidden * (inside + 9 + outside) + inside * outside + 4 * (hidden + outside)
        return max(9 * inside * outside + 2 * outside, separable)

    def stage(inside: int, outside: int) -> float:
        return block(inside, outside) + (convolutions - 1) * block(outside, outside)

    weights = stage(channels, features[0])
    for above, below in pairwise(features):
        gate = (4 * above + below + 4) * max(1, above // 2)
        weights += stage(above, below) + 4 * below * above + gate + stage(2 * above, above)
    return 4 * _COPIES * 1.25 * weights


@dataclass(frozen=True)
class NetworkEntry(Entry):
    """What is known about a network without building it.

    Attributes:
        implementation: a subclass of `autoseg.networks.blocks.SegmentationNetwork`, "module:name".
        title: its name in tables, figures and reports.
        phrase: how the methods paragraph names it: "a U-Net (Ronneberger et al. 2015)".
        references: the works that the phrase cites, in full.
        bytes_per_pixel: estimate of what it keeps for the backward pass; the default is that of the hungriest network here.
        prediction_bytes: estimate of what it takes per pixel at once without gradients; the default as above.
        bytes_of_weights: estimate of its weights, gradients and moments; the default covers every U-Net of these blocks.
    """

    title: str
    phrase: str
    references: tuple[str, ...] = ()
    bytes_per_pixel: BytesPerPixel = separable_bytes_per_pixel
    prediction_bytes: BytesPerPixel = separable_prediction_bytes
    bytes_of_weights: BytesOfWeights = bytes_of_weights


_RONNEBERGER: Final = (
    "Ronneberger O, Fischer P, Brox T (2015). U-Net: Convolutional Networks for Biomedical Image Segmentation. MICCAI."
)
_OKTAY: Final = "Oktay O, et al. (2018). Attention U-Net: Learning Where to Look for the Pancreas. arXiv:1804.03999."

_SEPRES: Final = "a U-Net of depthwise-separable residual blocks with inverse bottlenecks (Sep-Res U-Net)"
_ATTENTION: Final = "an Attention U-Net (Oktay et al. 2018) of depthwise-separable blocks"

NETWORKS: Final[Table[NetworkEntry]] = Table(
    "network",
    NetworkEntry,
    {
        "unet": NetworkEntry(
            "autoseg.networks.unet:UNet",
            "U-Net",
            "a U-Net (Ronneberger et al. 2015)",
            (_RONNEBERGER,),
            prediction_bytes=plain_prediction_bytes,
        ),
        "sepres": NetworkEntry("autoseg.networks.sepres:SepResUNet", "Sep-Res U-Net", _SEPRES),
        "attention": NetworkEntry("autoseg.networks.attention:AttentionUNet", "Attention U-Net", _ATTENTION, (_OKTAY,)),
    },
    group="autoseg.networks",
)
