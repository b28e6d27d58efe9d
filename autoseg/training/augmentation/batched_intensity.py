"""Brightness, contrast and gamma of whole batches; one factor for all channels of an image."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.training.augmentation.batched import DATA, BatchedTransform, Drawn, Slices, per_image, where_changed
from autoseg.training.augmentation.draws import around_one, between

_EPSILON: Final = 1e-7
_EPSILON_STD: Final = 1e-8
"""Keep divisions finite. Source: batchgenerators' values, so that results agree with it."""

_IMAGE: Final = (1, 2, 3)
_CHANNEL: Final = (2, 3)


class BatchedBrightnessTransform(BatchedTransform):
    """Multiply intensities.

    Args:
        factor: smallest and largest factor.
        probability: fraction of images that are changed.
    """

    numbers = 2
    parameters: Mapping[str, int] = {"brightness": 1}

    def __init__(self, factor: tuple[float, float], *, probability: float) -> None:
        self._factor = factor
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64], slices: Slices) -> Drawn:  # noqa: ARG002
        """A factor per image."""
        factor = between(numbers[:, 1:2], self._factor)
        return {"brightness": np.where(numbers[:, :1] < self._probability, factor, 1.0)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        return {**batch, DATA: batch[DATA] * per_image(batch["brightness"])}


class BatchedContrastTransform(BatchedTransform):
    """Stretch or squeeze intensities about their mean, channel by channel, and keep them within their range.

    Args:
        factor: smallest and largest factor.
        probability: fraction of images that are changed.
    """

    numbers = 3
    parameters: Mapping[str, int] = {"contrast": 1}

    def __init__(self, factor: tuple[float, float], *, probability: float) -> None:
        self._factor = factor
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64], slices: Slices) -> Drawn:  # noqa: ARG002
        """A factor per image."""
        factor = around_one(numbers[:, 1:2], numbers[:, 2:3], self._factor)
        return {"contrast": np.where(numbers[:, :1] < self._probability, factor, 1.0)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        images, factor = batch[DATA], batch["contrast"]
        mean = images.mean(dim=_CHANNEL, keepdim=True)  # (B, C, 1, 1)
        low, high = images.amin(dim=_CHANNEL, keepdim=True), images.amax(dim=_CHANNEL, keepdim=True)
        changed = ((images - mean) * per_image(factor) + mean).clamp(low, high)
        return {**batch, DATA: where_changed(changed, images, parameters=factor, neutral=1.0)}


class BatchedGammaTransform(BatchedTransform):
    """Bend the intensity scale by an exponent; mean and standard deviation of the image stay.

    Args:
        exponent: smallest and largest exponent.
        probability: fraction of images that are changed.
    """

    numbers = 3
    parameters: Mapping[str, int] = {"gamma": 1}

    def __init__(self, exponent: tuple[float, float], *, probability: float) -> None:
        self._exponent = exponent
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64], slices: Slices) -> Drawn:  # noqa: ARG002
        """An exponent per image."""
        exponent = around_one(numbers[:, 1:2], numbers[:, 2:3], self._exponent)
        return {"gamma": np.where(numbers[:, :1] < self._probability, exponent, 1.0)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        images, exponent = batch[DATA], batch["gamma"]
        low = images.amin(dim=_IMAGE, keepdim=True)  # (B, 1, 1, 1)
        span = images.amax(dim=_IMAGE, keepdim=True) - low
        bent = torch.pow((images - low) / (span + _EPSILON), per_image(exponent)) * span + low
        changed = (bent - _mean(bent)) / (_std(bent) + _EPSILON_STD) * _std(images) + _mean(images)
        return {**batch, DATA: where_changed(changed, images, parameters=exponent, neutral=1.0)}


def _mean(images: torch.Tensor) -> torch.Tensor:
    return images.mean(dim=_IMAGE, keepdim=True)


def _std(images: torch.Tensor) -> torch.Tensor:
    return images.std(dim=_IMAGE, keepdim=True, correction=0)
