"""Brightness, contrast and gamma of whole batches; one number for all channels of an image."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri

from autoseg.training.augmentation.batched import DATA, BatchedTransform, Drawn, per_image, where_changed
from autoseg.training.augmentation.draws import around_one, between
from autoseg.training.augmentation.foreground import FOREGROUND, ONE_VALUE

_EPSILON: Final = 1e-7
_EPSILON_STD: Final = 1e-8
"""Keep divisions finite. Source: batchgenerators' values, so that results agree with it."""

_LEAST: Final = 2.0**-54
"""Less than any uniform number in (0, 1); for 0, which is not the quantile of any number."""

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

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:
        """A factor per image."""
        factor = between(numbers[:, 1:2], self._factor)
        return {"brightness": np.where(numbers[:, :1] < self._probability, factor, 1.0)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        return {**batch, DATA: batch[DATA] * per_image(batch["brightness"])}


class BatchedShiftTransform(BatchedTransform):
    """Add a normally distributed number to intensities.

    Args:
        std: its standard deviation.
        probability: fraction of images that are changed.
    """

    numbers = 2
    parameters: Mapping[str, int] = {"brightness_shift": 1}

    def __init__(self, std: float, *, probability: float) -> None:
        self._std = std
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:
        """A number per image."""
        added = self._std * ndtri(np.maximum(numbers[:, 1:2], _LEAST))
        return {"brightness_shift": np.where(numbers[:, :1] < self._probability, added, 0.0)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        return {**batch, DATA: batch[DATA] + per_image(batch["brightness_shift"])}


class MarkForeground(BatchedTransform):
    """Remember which voxels lie above the darkest value of their channel: a background of one value, or padding, does not.

    It comes before noise, after which nothing has one value any more.
    """

    numbers = 0
    parameters: Mapping[str, int] = {}

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:  # noqa: ARG002
        """Nothing."""
        return {}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Add `foreground`, (B, C, H, W), bool."""
        images = batch[DATA]
        return {**batch, FOREGROUND: images > images.amin(dim=_CHANNEL, keepdim=True) + ONE_VALUE}


class _AroundOneTransform(BatchedTransform):
    """A change by one number per image, which is below 1 as often as above; 1 is neutral.

    Args:
        limits: smallest and largest number.
        probability: fraction of images that are changed.
    """

    numbers = 3
    name: str

    def __init__(self, limits: tuple[float, float], *, probability: float) -> None:
        self.parameters = {self.name: 1}
        self._limits = limits
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:
        """A number per image."""
        drawn = around_one(numbers[:, 1:2], numbers[:, 2:3], self._limits)
        return {self.name: np.where(numbers[:, :1] < self._probability, drawn, 1.0)}


class BatchedContrastTransform(_AroundOneTransform):
    """Stretch or squeeze intensities about their mean, channel by channel, and keep them within their range.

    Where the batch says what its `foreground` is, the mean is that of the foreground.

    Args:
        limits: smallest and largest factor.
        probability: fraction of images that are changed.
    """

    name = "contrast"

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        images, factor, foreground = batch[DATA], batch["contrast"], batch.pop(FOREGROUND, None)
        mean = _mean_of(images, foreground)  # (B, C, 1, 1)
        low, high = images.amin(dim=_CHANNEL, keepdim=True), images.amax(dim=_CHANNEL, keepdim=True)
        changed = ((images - mean) * per_image(factor) + mean).clamp(low, high)
        return {**batch, DATA: where_changed(changed, images, parameters=factor, neutral=1.0)}


class BatchedGammaTransform(_AroundOneTransform):
    """Bend the intensity scale by an exponent; mean and standard deviation of the image stay.

    Args:
        limits: smallest and largest exponent.
        probability: fraction of images that are changed.
    """

    name = "gamma"

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        images, exponent = batch[DATA], batch["gamma"]
        low = images.amin(dim=_IMAGE, keepdim=True)  # (B, 1, 1, 1)
        span = images.amax(dim=_IMAGE, keepdim=True) - low
        bent = torch.pow((images - low) / (span + _EPSILON), per_image(exponent)) * span + low
        changed = (bent - _mean(bent)) / (_std(bent) + _EPSILON_STD) * _std(images) + _mean(images)
        return {**batch, DATA: where_changed(changed, images, parameters=exponent, neutral=1.0)}


def _mean_of(images: torch.Tensor, foreground: torch.Tensor | None) -> torch.Tensor:
    if foreground is None:
        return images.mean(dim=_CHANNEL, keepdim=True)
    total = (images * foreground).sum(dim=_CHANNEL, keepdim=True)
    return total / foreground.sum(dim=_CHANNEL, keepdim=True).clamp_min(1)


def _mean(images: torch.Tensor) -> torch.Tensor:
    return images.mean(dim=_IMAGE, keepdim=True)


def _std(images: torch.Tensor) -> torch.Tensor:
    return images.std(dim=_IMAGE, keepdim=True, correction=0)
