"""The random changes of a plan on the host: batchgenerators' own transforms, but for the spatial one."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypedDict

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import AbstractTransform, Compose
from batchgenerators.transforms.color_transforms import (
    BrightnessMultiplicativeTransform,
    BrightnessTransform,
    ContrastAugmentationTransform,
    GammaTransform,
)
from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
from batchgenerators.transforms.spatial_transforms import MirrorTransform
from numpy.typing import NDArray
from torch.nn import functional as F

from autoseg import catalogue
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.sections import MirrorAxis
from autoseg.training.augmentation import affine
from autoseg.training.augmentation.batched import BatchedTransform
from autoseg.training.augmentation.batched_intensity import BatchedContrastTransform, MarkForeground

_ASPECT: Final = "aspect"
_MIRROR_AXIS: Final[dict[MirrorAxis, int]] = {"rows": 0, "columns": 1}


class Batch(TypedDict):
    """Images and their class indices, as batchgenerators passes them on."""

    data: NDArray[np.float32]
    seg: NDArray[np.int16]


class Augmentation:
    """The random changes a plan names, applied to one batch at a time.

    The same generator state gives the same batch in any process: batchgenerators draws from the global generators of
    numpy and of Python, so both are seeded for the duration of a call and put back afterwards.
    """

    def __init__(self, section: AugmentationSection, *, mirror_axes: Sequence[MirrorAxis]) -> None:
        self._transform = Compose(
            [*_transforms(section, mirror_axes), *map(catalogue.AUGMENTATIONS.build, section.additional)]
        )
        self._turns_mm = section.spatial_probability > 0 and section.rotation_unit == "mm"

    def __call__(self, batch: Batch, *, generator: np.random.Generator, aspect: NDArray[np.float64]) -> Batch:
        """Change a batch.

        Args:
            batch: `data` (B, C, H, W) float32, `seg` (B, 1, H, W) int16; may be changed in place.
            generator: where all randomness comes from.
            aspect: height of each image's pixels over their width, (B,).

        Returns:
            a batch of the same shapes and types.
        """
        beside = {_ASPECT: aspect} if self._turns_mm else {}
        with _seeded(int(generator.integers(2**32))):
            changed = self._transform(**batch, **beside)
        return {"data": changed["data"].astype(np.float32, copy=False), "seg": changed["seg"]}


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
        """Change a batch of `data` (B, C, H, W) and `seg` (B, 1, H, W) in place."""
        count = len(batch["data"])
        chosen = np.flatnonzero(np.random.uniform(size=count) < self.probability)  # noqa: NPY002 - batchgenerators' way
        height, width = batch["data"].shape[-2:]
        matrices = self._matrices(count, (height, width), aspect=batch.pop(_ASPECT, 1.0))[chosen]
        if chosen.size:
            size = [len(chosen), 1, height, width]
            grid = F.affine_grid(torch.from_numpy(matrices), size, align_corners=False)  # (B, H, W, 2)
            batch["data"][chosen] = _warp_images(batch["data"][chosen], grid)
            batch["seg"][chosen] = _warp_labels(batch["seg"][chosen], grid)
        return batch

    def _matrices(self, count: int, sides: tuple[int, int], *, aspect: NDArray[np.float64] | float) -> NDArray[np.float32]:
        """One affine matrix (2 x 3) per image, from output to input, in grid_sample's coordinates (x, y) in [-1, 1]."""
        uniform = np.random.uniform
        angle = np.deg2rad(uniform(-self.rotation_deg, self.rotation_deg, count))
        zoom = np.exp(uniform(np.log(self.scale[0]), np.log(self.scale[1]), count))
        moved = uniform(-2 * self.shift_fraction, 2 * self.shift_fraction, (count, 2))
        return affine.matrices(angle=angle, zoom=zoom, shift=moved, sides=sides, aspect=aspect).astype(np.float32)


class _InTorch(AbstractTransform):  # type: ignore[misc]  # batchgenerators is not typed
    """A transform of tensors, among those of arrays: it draws from the global generator of numpy, as they do."""

    def __init__(self, transform: BatchedTransform) -> None:
        self._transform = transform

    def __call__(self, **batch: Any) -> dict[str, Any]:
        numbers = np.random.uniform(size=(len(batch["data"]), self._transform.numbers))  # noqa: NPY002 - their way
        drawn = {name: values.astype(np.float32) for name, values in self._transform.draw(numbers).items()}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in (batch | drawn).items()}
        return {name: tensor.numpy() for name, tensor in self._transform(**tensors).items() if name not in drawn}


def _transforms(section: AugmentationSection, mirror_axes: Sequence[MirrorAxis]) -> Iterator[AbstractTransform]:
    if section.spatial_probability:
        yield BatchSpatialTransform(
            probability=section.spatial_probability,
            rotation_deg=section.rotation_deg,
            scale=section.scale,
            shift_fraction=section.shift_fraction,
        )
    if mirror_axes:
        yield MirrorTransform(axes=tuple(_MIRROR_AXIS[axis] for axis in mirror_axes))
    if section.intensity_probability:
        yield from _intensity(section, probability=section.intensity_probability)


def _intensity(section: AugmentationSection, *, probability: float) -> Iterator[AbstractTransform]:
    about_foreground = section.contrast_about == "foreground" and section.contrast != (1.0, 1.0)
    if about_foreground:
        yield _InTorch(MarkForeground())
    if std := section.noise_std or section.noise_variance:  # what batchgenerators calls variance is a standard deviation
        yield GaussianNoiseTransform(noise_variance=(0, std), p_per_sample=probability)
    if section.blur_sigma_px[1]:
        yield GaussianBlurTransform(blur_sigma=section.blur_sigma_px, p_per_sample=probability)
    if section.brightness != (1.0, 1.0):
        yield BrightnessMultiplicativeTransform(
            multiplier_range=section.brightness, per_channel=False, p_per_sample=probability
        )
    if section.brightness_shift:
        yield BrightnessTransform(0.0, section.brightness_shift, per_channel=False, p_per_sample=probability)
    if about_foreground:
        yield _InTorch(BatchedContrastTransform(section.contrast, probability=probability))
    elif section.contrast != (1.0, 1.0):
        yield ContrastAugmentationTransform(section.contrast, per_channel=False, p_per_sample=probability)
    if section.gamma != (1.0, 1.0):
        yield GammaTransform(gamma_range=section.gamma, retain_stats=True, p_per_sample=probability)


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


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - batchgenerators draws from it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
