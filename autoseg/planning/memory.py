"""How much memory training takes, from a plan's numbers alone."""

import math
from collections.abc import Sequence
from typing import Final

_COPIES: Final = 4
"""Numbers kept per weight: itself, its gradient, and the two moments of Adam."""


def bytes_per_pixel(features: Sequence[int], *, convolutions: int, expansion: float) -> float:
    """Memory that one pixel of a training picture takes, in bytes, for the hungriest of the networks.

    A separable block with inverse bottleneck keeps for the backward pass a convolution's output, its normalised and its
    activated form, twice at the expanded width and once at the plain one. Encoder and decoder have `convolutions`
    blocks each per level; a level has a quarter of the pixels of the one above; numbers have four bytes.

    Source: counted from the blocks' definition. It exceeds what the Sep-Res U-Net, the hungriest, was measured to keep
    for the backward pass (saved tensors, 2 to 6 levels) by a factor of 1.04 to 1.8, which leaves room for gradients.
    """
    tensors = 2 * convolutions * 3 * (2 * expansion + 1)
    return 4 * tensors * sum(width * 0.25**level for level, width in enumerate(features))


def bytes_of_weights(features: Sequence[int], *, channels: int, convolutions: int, expansion: float) -> float:
    """Memory that the weights of a network in training take, in bytes, at most; for the largest of the networks.

    A block is never wider at its ends than twice the widest of its level and the two beside it, because skips are
    concatenated. It holds a plain convolution of 3 x 3, or two of 1 x 1 around one hidden width, or both.

    Args:
        features: channels per level.
        channels: of the input.
        convolutions: blocks per level.
        expansion: hidden width of a block, as a multiple of its input's.

    Source: counted from the blocks' definition, every block at its level's largest.
    """
    widths = (channels, *features, features[-1])
    weights = 0.0
    for level in range(1, len(widths) - 1):
        widest = max(widths[level - 1 : level + 2])
        ends, hidden = 2 * widest * widest, 2 * max(expansion, 1.0) * widest
        weights += 2 * convolutions * (10 * ends + hidden * (3 * widest + 9)) + 4 * ends
    return 4 * _COPIES * weights


def training_step_bytes(
    features: Sequence[int],
    *,
    channels: int,
    classes: int,
    convolutions: int,
    expansion: float,
    patch_px: tuple[int, int],
    batch_size: int,
) -> float:
    """Memory that one step of training takes, in bytes, for the hungriest of the networks.

    Besides what the network keeps, these are the pictures, and for each class logits, probabilities, their gradients
    and the reference.
    """
    ends = 4.0 * (channels + 4 * classes)
    pixel = bytes_per_pixel(features, convolutions=convolutions, expansion=expansion) + ends
    weights = bytes_of_weights(features, channels=channels, convolutions=convolutions, expansion=expansion)
    return batch_size * math.prod(patch_px) * pixel + weights
