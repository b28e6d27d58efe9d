"""Gaussian blur of whole batches, each channel of each image with a width of its own."""

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from autoseg.training.augmentation.batched import DATA, BatchedTransform, Drawn, where_changed
from autoseg.training.augmentation.draws import between

_SIGMA: Final = "blur_sigma_px"
_TRUNCATE: Final = 4.0
"""Kernels end after so many sigma. Source: scipy's `gaussian_filter`, which batchgenerators calls."""


class BatchedBlurTransform(BatchedTransform):
    """Blur images; beyond their border they are thought mirrored.

    Args:
        sigma_px: smallest and largest sigma.
        channels: of the images.
        probability: fraction of images that are changed.
    """

    def __init__(self, sigma_px: tuple[float, float], *, channels: int, probability: float) -> None:
        self.numbers = 1 + channels
        self.parameters = {_SIGMA: channels}
        self._sigma_px = sigma_px
        self._probability = probability

    def draw(self, numbers: NDArray[np.float64]) -> Drawn:
        """A sigma for each channel of each image."""
        sigma = between(numbers[:, 1:], self._sigma_px)
        return {_SIGMA: np.where(numbers[:, :1] < self._probability, sigma, 0.0)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change `data`."""
        images, sigma = batch[DATA], batch[_SIGMA]
        kernels = _kernels(sigma.reshape(-1, 1), radius=int(_TRUNCATE * self._sigma_px[1] + 0.5))  # (B C, K)
        flat = images.reshape(1, -1, *images.shape[2:])  # (1, B C, H, W)
        blurred = _convolved(_convolved(flat, kernels[:, None, :, None], axis=2), kernels[:, None, None, :], axis=3)
        changed = blurred.reshape(images.shape)
        return {**batch, DATA: where_changed(changed, images, parameters=sigma, neutral=0.0)}


def _kernels(sigma: torch.Tensor, *, radius: int) -> torch.Tensor:
    """One kernel per row of sigma (N, 1), as scipy makes it, within 2 radius + 1 taps: (N, K)."""
    distance = torch.arange(-radius, radius + 1, dtype=sigma.dtype, device=sigma.device)
    weights = torch.exp(-0.5 * (distance / sigma.clamp_min(1e-6)) ** 2)
    weights = weights * (distance.abs() <= torch.floor(_TRUNCATE * sigma + 0.5))
    return weights / weights.sum(dim=1, keepdim=True)


def _convolved(flat: torch.Tensor, kernels: torch.Tensor, *, axis: int) -> torch.Tensor:
    """Every channel of (1, N, H, W) with its own kernel along one axis."""
    length, radius = flat.shape[axis], kernels.shape[axis] // 2
    places = torch.arange(-radius, length + radius, device=flat.device) % (2 * length)  # ... 1 0 | 0 1 2 | 2 1 ...
    mirrored = torch.minimum(places, 2 * length - 1 - places)
    return F.conv2d(flat.index_select(axis, mirrored), kernels, groups=flat.shape[1])
