"""Contrast about the mean of the foreground, on the host."""

from typing import Any, Final

import numpy as np
from batchgenerators.transforms.abstract_transforms import AbstractTransform
from numpy.typing import NDArray

FOREGROUND: Final = "foreground"

ONE_VALUE: Final = 1e-3
"""Differences that resampling leaves in a background of one value, in normalised units. Source: chosen."""


class MarkForegroundTransform(AbstractTransform):  # type: ignore[misc]  # batchgenerators is not typed
    """Remember as `foreground` which voxels lie above the darkest value of their channel.

    A background of one value, and padding, do not. It comes before noise, after which nothing has one value any more.
    """

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Add `foreground`, (B, C, H, W), bool, to a batch."""
        images = batch["data"]
        return {**batch, FOREGROUND: images > images.min(axis=(2, 3), keepdims=True) + ONE_VALUE}


class ForegroundContrastTransform(AbstractTransform):  # type: ignore[misc]  # batchgenerators is not typed
    """Stretch or squeeze intensities about the mean of the foreground, as batchgenerators does about that of the image.

    Args:
        factor: smallest and largest factor on the distance from the mean, the same for all channels of an image.
        probability: fraction of images that are changed.
    """

    def __init__(self, factor: tuple[float, float], *, probability: float) -> None:
        self.factor = factor
        self.probability = probability

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data` (B, C, H, W) in place, and take `foreground` out."""
        foreground = batch.pop(FOREGROUND)
        for image, inside in zip(batch["data"], foreground, strict=True):
            if np.random.uniform() < self.probability:  # noqa: NPY002 - batchgenerators' way
                _change(image, inside, factor=self._draw())
        return batch

    def _draw(self) -> float:
        """A factor: half of them are below 1 where the limits allow it, as batchgenerators draws them."""
        low, high = self.factor
        if np.random.random() < 0.5 and low < 1:  # noqa: NPY002
            return float(np.random.uniform(low, 1))  # noqa: NPY002
        return float(np.random.uniform(max(low, 1), high))  # noqa: NPY002


def _change(image: NDArray[np.float32], inside: NDArray[np.bool_], *, factor: float) -> None:
    for channel, mask in zip(image, inside, strict=True):
        mean = (channel * mask).sum() / max(np.count_nonzero(mask), 1)
        changed = (channel - np.float32(mean)) * np.float32(factor) + np.float32(mean)
        np.clip(changed, channel.min(), channel.max(), out=channel)
