"""Rotation, scaling and shifting on the host, for a whole batch in one go."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import AbstractTransform
from numpy.typing import NDArray
from torch.nn import functional as F

from autoseg.training.augmentation import affine

ASPECT: Final = "aspect"

Uniform = Callable[..., Any]
"""`uniform` of a generator of numpy, or of numpy's global one."""


class BatchSpatialTransform(AbstractTransform):  # type: ignore[misc]  # batchgenerators is not typed
    """Rotate, scale and shift images in one pass over the batch.

    Images are interpolated linearly, labels by nearest neighbour. What comes in from outside an image is its darkest
    value, channel by channel, and background.

    A batch that brings the height of each image's pixels over their width as `aspect`, (B,), is turned in millimetres;
    others are turned in pixels.

    Args:
        probability: fraction of images that are changed; the others keep their exact values.
        rotation_deg: largest angle in either direction.
        scale: smallest and largest magnification; drawn so that shrinking and enlarging are equally likely.
        shift_fraction: largest displacement as a fraction of the image's sides.
    """

    def __init__(
        self, *, probability: float, rotation_deg: float, scale: tuple[float, float], shift_fraction: float
    ) -> None:
        self.probability = probability
        self.rotation_deg = rotation_deg
        self.scale = scale
        self.shift_fraction = shift_fraction

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Change a batch of `data` (B, C, H, W) and `seg` (B, 1, H, W) in place, drawing as batchgenerators does."""
        return self.apply(batch, self.draw(len(batch["data"]), uniform=np.random.uniform))

    def draw(self, count: int, *, uniform: Uniform) -> NDArray[np.float64]:
        """What happens to images: whether they are changed, angle in radians, magnification, shift along (x, y): (B, 5)."""
        changed = uniform(size=count) < self.probability
        angle = np.deg2rad(uniform(-self.rotation_deg, self.rotation_deg, count))
        zoom = np.exp(uniform(np.log(self.scale[0]), np.log(self.scale[1]), count))
        moved = uniform(-2 * self.shift_fraction, 2 * self.shift_fraction, (count, 2))
        return np.column_stack([changed, angle, zoom, moved])

    def apply(self, batch: dict[str, Any], drawn: NDArray[np.float64]) -> dict[str, Any]:
        """Change a batch in place as it was drawn; `aspect` is taken out."""
        height, width = batch["data"].shape[-2:]
        aspect = batch.pop(ASPECT, None)
        chosen = np.flatnonzero(drawn[:, 0])
        if not chosen.size:
            return batch
        _, angle, zoom, across, down = drawn[chosen].T
        matrices = affine.matrices(
            angle=angle,
            zoom=zoom,
            shift=np.column_stack([across, down]),
            sides=(height, width),
            aspect=1.0 if aspect is None else aspect[chosen],
        )
        size = [len(chosen), 1, height, width]
        grid = F.affine_grid(torch.from_numpy(matrices.astype(np.float32)), size, align_corners=False)  # (B, H, W, 2)
        batch["data"][chosen] = _warp_images(batch["data"][chosen], grid)
        batch["seg"][chosen] = _warp_labels(batch["seg"][chosen], grid)
        return batch


def _warp_images(images: NDArray[np.float32], grid: torch.Tensor) -> NDArray[np.float32]:
    darkest = images.min(axis=(2, 3), keepdims=True)  # (B, C, 1, 1)
    source = torch.from_numpy(images - darkest)
    warped = F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    result: NDArray[np.float32] = warped.numpy() + darkest
    return result


def _warp_labels(labels: NDArray[np.int16], grid: torch.Tensor) -> NDArray[np.int16]:
    source = torch.from_numpy(labels.astype(np.float32))
    warped = F.grid_sample(source, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    result: NDArray[np.int16] = warped.numpy().astype(np.int16)
    return result
