"""The augmentation of a plan on any device: parameters drawn on the host, applied to a whole batch in torch."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import Compose

from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.sections import MirrorAxis
from autoseg.training.augmentation.batched import BatchedTransform
from autoseg.training.augmentation.batched_blur import BatchedBlurTransform
from autoseg.training.augmentation.batched_intensity import (
    BatchedBrightnessTransform,
    BatchedContrastTransform,
    BatchedGammaTransform,
    BatchedShiftTransform,
    MarkForeground,
)
from autoseg.training.augmentation.batched_noise import BatchedNoiseTransform
from autoseg.training.augmentation.batched_spatial import DARKEST, BatchedSpatialTransform, Slices
from autoseg.training.augmentation.draws import numbers_of_images


class TorchAugmentation:
    """The random changes a plan names, from slices to patches.

    What an image becomes depends on seed, epoch and its position in the epoch; not on the batch, the process or, but for
    the last digits of floats, the device.

    Args:
        section: which changes.
        mirror_axes: in-plane axes that are flipped.
        patch_px: rows and columns of the patches.
        channels: of the images.
        seed: of the run.

    Raises:
        ValueError: the section names augmentations of one's own, which work on arrays of the host.
    """

    def __init__(
        self,
        section: AugmentationSection,
        *,
        mirror_axes: Sequence[MirrorAxis],
        patch_px: tuple[int, int],
        channels: int,
        seed: int,
    ) -> None:
        if section.additional:
            msg = f"augmentations of one's own work on the host: {', '.join(section.additional)}"
            raise ValueError(msg)
        self._spatial = BatchedSpatialTransform(section, mirror_axes=mirror_axes, patch_px=patch_px)
        self._intensity = tuple(_intensity(section, channels))
        self._compose = Compose([self._spatial, *self._intensity])
        self._seed = seed
        widths = dict(self._spatial.parameters)
        for transform in self._intensity:
            widths |= transform.parameters
        ends = accumulate(widths.values())
        self._columns = {name: slice(end - widths[name], end) for name, end in zip(widths, ends, strict=True)}

    def draw(self, slices: Slices, *, epoch: int, positions: range) -> torch.Tensor:
        """Draw what happens to images; nothing here needs a device.

        Args:
            slices: where they come from.
            epoch: number of the epoch.
            positions: positions of the images in the epoch, one after the other.

        Returns:
            a row per image, (B, P), float32, on the CPU: one tensor, so that it reaches a device in one copy.
        """
        counts = [self._spatial.numbers, *(transform.numbers for transform in self._intensity)]
        numbers = numbers_of_images(seed=self._seed, epoch=epoch, positions=positions, count=sum(counts))
        first, *others = np.split(numbers, np.cumsum(counts)[:-1], axis=1)
        drawn = self._spatial.draw(first, slices)
        for transform, part in zip(self._intensity, others, strict=True):
            drawn |= transform.draw(part)
        return torch.from_numpy(np.concatenate([drawn[name] for name in self._columns], axis=1).astype(np.float32))

    def apply(
        self, images: torch.Tensor, labels: torch.Tensor, parameters: torch.Tensor, *, darkest: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Make patches of slices, on the device where these are, without waiting for it.

        Args:
            images: slices in the upper left corners of a canvas, the rest of which has their darkest values,
                (B, C, H, W), float32.
            labels: class indices likewise, the rest background, (B, H, W), of any integer type.
            parameters: as drawn, (B, P), on the same device.
            darkest: value outside the slices, (B, C); None: the least of each image's channels.

        Returns:
            patches (B, C, h, w), float32, and their labels (B, h, w), of the type they had.
        """
        batch = {name: parameters[:, columns] for name, columns in self._columns.items()}
        if darkest is not None:
            batch[DARKEST] = darkest
        changed = self._compose(data=images, seg=labels[:, None], **batch)
        return changed["data"], changed["seg"][:, 0]


def _intensity(section: AugmentationSection, channels: int) -> Iterator[BatchedTransform]:
    """What changes intensities."""
    if section.contrast_about == "foreground" and "contrast" in section.active:
        yield MarkForeground()
    probability = section.intensity_probability
    noise = partial(BatchedNoiseTransform, (0.0, section.noise))
    transforms: dict[str, Callable[..., BatchedTransform]] = {
        "noise_std": noise,
        "noise_variance": noise,
        "blur_sigma_px": partial(BatchedBlurTransform, section.blur_sigma_px, channels=channels),
        "brightness": partial(BatchedBrightnessTransform, section.brightness),
        "brightness_shift": partial(BatchedShiftTransform, section.brightness_shift),
        "contrast": partial(BatchedContrastTransform, section.contrast),
        "gamma": partial(BatchedGammaTransform, section.gamma),
    }
    for key in section.active:
        yield transforms[key](probability=probability)
