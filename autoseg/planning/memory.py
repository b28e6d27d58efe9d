"""How much memory training takes, from a plan's numbers alone, for the hungriest of autoseg's own networks.

A plan is the same wherever it is made, so the networks of other packages have no part in it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from autoseg.catalogue import NETWORKS, DeviceKind, NetworkEntry

MEMORY_GB: Final[Mapping[DeviceKind, float]] = {"cpu": 4.0, "gpu": 8.0}
"""Memory target of a training step. Source: 8 GB is what nnU-Net plans for; half of a laptop's 8 GB on a CPU."""


_OWN: Final[Collection[NetworkEntry]] = tuple(NETWORKS.built_in.values())


def bytes_per_pixel(
    features: Sequence[int], *, convolutions: int, expansion: float, networks: Collection[NetworkEntry] = _OWN
) -> float:
    """Memory that one pixel of a training slice takes, in bytes, for the hungriest of some networks."""
    return max(network.bytes_per_pixel(features, convolutions=convolutions, expansion=expansion) for network in networks)


def bytes_of_weights(
    features: Sequence[int],
    *,
    channels: int,
    convolutions: int,
    expansion: float,
    networks: Collection[NetworkEntry] = _OWN,
) -> float:
    """Memory that the weights of a network in training take, in bytes, at most, for the largest of some networks."""
    return max(
        network.bytes_of_weights(features, channels=channels, convolutions=convolutions, expansion=expansion)
        for network in networks
    )


def training_step_bytes(
    features: Sequence[int],
    *,
    channels: int,
    classes: int,
    convolutions: int,
    expansion: float,
    patch_px: tuple[int, int],
    batch_size: int,
    networks: Collection[NetworkEntry] = _OWN,
) -> float:
    """Memory that one step of training takes, in bytes, for the hungriest of some networks, of autoseg's own by default.

    Besides what the network keeps, these are the images, and for each class logits, probabilities, their gradients
    and the reference.
    """
    ends = 4.0 * (channels + 4 * classes)
    pixel = bytes_per_pixel(features, convolutions=convolutions, expansion=expansion, networks=networks) + ends
    weights = bytes_of_weights(
        features, channels=channels, convolutions=convolutions, expansion=expansion, networks=networks
    )
    return batch_size * math.prod(patch_px) * pixel + weights
