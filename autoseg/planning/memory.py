"""How much memory training and prediction take, from a plan's numbers alone.

A plan is the same wherever it is made, so the networks of other packages have no part in what training takes.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autoseg.catalogue import NETWORKS, DeviceKind, NetworkEntry, Stem
from autoseg.planning.sections import NetworkSection

MEMORY_GB: Final[Mapping[DeviceKind, float]] = {"cpu": 4.0, "gpu": 8.0}
"""Memory target of a training step, where the machine does not tell more.

Source: 8 GB is what nnU-Net plans for; half of a laptop's 8 GB on a CPU."""

_STEP_FRACTION: Final = 0.8
"""Part of a GPU's memory that a training step may take.

Source: chosen; what a screen shows, the driver and the slices of a fold take the rest."""


SMALLEST_BOTTLENECK_PX: Final = 2
"""Pixels per side that networks pad slices to have at their bottleneck, at least: see `networks.blocks.pad_to_multiple`."""

_OWN: Final[Collection[NetworkEntry]] = tuple(NETWORKS.built_in.values())


def step_gb_of_gpu(total_gb: float) -> float:
    """Memory target of a training step on a GPU, in whole GB, so that cards of one kind have equal plans.

    Args:
        total_gb: the card's memory, in GB.
    """
    return float(max(1, math.floor(_STEP_FRACTION * total_gb)))


def bytes_per_pixel(
    features: Sequence[int],
    *,
    convolutions: int,
    expansion: float,
    stem: Stem = "plain",
    networks: Collection[NetworkEntry] = _OWN,
) -> float:
    """Memory that one pixel of a training slice takes, in bytes, for the hungriest of some networks."""
    if stem == "space_to_depth":  # the network has a quarter of the pixels, and no first level
        features = features[1:]
    pixel = max(network.bytes_per_pixel(features, convolutions=convolutions, expansion=expansion) for network in networks)
    return pixel if stem == "plain" else pixel / 4


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


@dataclass(frozen=True)
class StepBytes:
    """Memory that one step of training takes, in bytes.

    Attributes:
        per_pixel: for each pixel of a batch.
        weights: whatever the batch.
    """

    per_pixel: float
    weights: float

    def of(self, pixels: int) -> float:
        """In bytes, for a batch of so many pixels."""
        return pixels * self.per_pixel + self.weights

    def pixels_within(self, memory_gb: float) -> int:
        """Pixels that a batch may have, >= 0, for so much memory in GB."""
        return max(0, int((memory_gb * 1e9 - self.weights) / self.per_pixel))


def step_bytes(
    features: Sequence[int],
    *,
    channels: int,
    classes: int,
    convolutions: int,
    expansion: float,
    stem: Stem = "plain",
    networks: Collection[NetworkEntry] = _OWN,
) -> StepBytes:
    """What a step of training takes with the hungriest of some networks, of autoseg's own by default.

    Besides what the network keeps, these are the images, and for each class logits, probabilities, their gradients
    and the reference; where pixels are rearranged, images, logits and their gradients once more.
    """
    ends = 4.0 * (channels + 4 * classes)
    if stem == "space_to_depth":
        ends += 4.0 * (channels + 2 * classes)
    pixel = bytes_per_pixel(features, convolutions=convolutions, expansion=expansion, stem=stem, networks=networks) + ends
    rearranged = stem == "space_to_depth"
    weights = bytes_of_weights(
        features[1:] if rearranged else features,
        channels=4 * channels if rearranged else channels,
        convolutions=convolutions,
        expansion=expansion,
        networks=networks,
    )
    return StepBytes(pixel, weights)


def padded_side(side: int, divisor: int) -> int:
    """Pixels that networks extend a side of a slice to, so that every level halves evenly."""
    return max(SMALLEST_BOTTLENECK_PX, -(-side // divisor)) * divisor


def given_px(size_px: tuple[int, int], padding: str, divisor: int) -> tuple[int, int]:
    """Rows and columns in which slices of a size are given to networks, and cut into tiles if they are large.

    Args:
        size_px: rows and columns of a scan's slices.
        padding: `prediction.padding` of the plan; where borders are `replicated` networks do that themselves.
        divisor: of the network.
    """
    return size_px if padding == "replicated" else (padded_side(size_px[0], divisor), padded_side(size_px[1], divisor))


def predicted_slice_bytes(
    size: NetworkSection, *, channels: int, classes: int, seen_px: tuple[int, int], networks: Collection[NetworkEntry]
) -> float:
    """Memory that predicting one slice takes until its probabilities are there, in bytes, at most.

    Args:
        size: of the networks.
        channels: of their input.
        classes: background included.
        seen_px: rows and columns that a network sees at once: of the slice, or of a tile of it.
        networks: which are used, one after the other.

    Source: besides what a network takes, the padded images twice, and for each class logits (of every level with deep
    supervision), the finest once more in the processor's own order, and probabilities, their mirror image and their sum;
    where pixels are rearranged, images and logits once more.
    """
    padded = math.prod(padded_side(side, size.divisor) for side in seen_px)
    inside = size.inside
    pixel = max(
        network.prediction_bytes(inside.features, convolutions=size.convolutions, expansion=size.expansion)
        for network in networks
    )
    if size.stem == "space_to_depth":
        pixel = pixel / 4 + 4 * (channels + classes)
    logits = sum(0.25**level for level in range(len(inside.features) - 1)) if size.deep_supervision else 1.0
    return padded * (pixel + 4 * (2 * channels + (logits + 1) * classes)) + math.prod(seen_px) * 4 * 3 * classes
