"""Gaussian noise whose every value follows from the image's key and the place of the voxel.

A generator of torch gives other numbers on a GPU than on a CPU, and one that is seeded for each image would have to be
asked image by image. So numbers are made by mixing bits, which is the same anywhere; only the last digits of logarithm and
cosine differ between devices.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.training.augmentation.batched import DATA, BatchedTransform, Drawn, where_changed
from autoseg.training.augmentation.draws import between

_STD: Final = "noise_std"
_KEY: Final = "noise_key"
_KEYS: Final = 1 << 24
"""Different keys: as many as float32, in which parameters travel, counts one by one."""

_SECOND: Final = 0x3C6EF372
"""Sets the second number of a pair apart from the first. Source: twice the golden ratio's bits, as SplitMix counts."""


class BatchedNoiseTransform(BatchedTransform):
    """Add Gaussian noise, independent from voxel to voxel and channel to channel.

    Args:
        std: smallest and largest standard deviation.
        probability: fraction of images that are changed.
    """

    numbers = 3
    parameters: Mapping[str, int] = {_STD: 1, _KEY: 1}

    def __init__(self, std: tuple[float, float], *, probability: float) -> None:
        self._std = std
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:
        """A standard deviation and a key per image."""
        std = np.where(numbers[:, :1] < self._probability, between(numbers[:, 1:2], self._std), 0.0)
        return {_STD: std, _KEY: np.floor(numbers[:, 2:3] * _KEYS)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Add it to `data`."""
        images, std = batch[DATA], batch[_STD]
        noisy = images + std[:, :, None, None] * normal_numbers(batch[_KEY], images.shape[1:])
        return {**batch, DATA: where_changed(noisy, images, parameters=std, neutral=0.0)}


def normal_numbers(keys: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Numbers of a standard normal distribution.

    Args:
        keys: one for each image, (B, 1), float32, whole numbers in [0, 2^24).
        shape: of an image.

    Returns:
        (B, *shape), float32.

    Source: Box and Muller 1958, of uniform numbers with 24 bits: none lies further out than 5.8.
    """
    count = shape.numel()
    places = _mixed(torch.arange((count + 1) // 2, dtype=torch.int32, device=keys.device))  # (N / 2,)
    first = _mixed(keys.to(torch.int32))  # (B, 1)
    second = _mixed(first + _SECOND)
    radius = torch.sqrt(-2.0 * torch.log(_uniform(_mixed(places ^ first))))  # (B, N / 2)
    angle = 2.0 * torch.pi * _uniform(_mixed(places ^ second))
    pairs = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)  # (B, N)
    return pairs[:, :count].reshape(-1, *shape)


def _uniform(bits: torch.Tensor) -> torch.Tensor:
    """Mixed bits as numbers in (0, 1], float32."""
    return ((bits & 0xFFFFFF) + 1).to(torch.float32) * 2.0**-24


def _mixed(bits: torch.Tensor) -> torch.Tensor:
    """Every bit of an int32 made to depend on all of its bits; products keep their lower 32 bits.

    Source: the multipliers and shifts of Wellons' `lowbias32`, found by searching for the least bias.
    """
    bits = bits ^ ((bits >> 16) & 0xFFFF)  # a shift of int32 repeats the sign
    bits = bits * 0x7FEB352D
    bits = bits ^ ((bits >> 15) & 0x1FFFF)
    bits = bits * (0x846CA68B - (1 << 32))
    return bits ^ ((bits >> 16) & 0xFFFF)
