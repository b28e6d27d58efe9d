"""Cut, pad, turn, scale, shift and mirror: all of it is one look at the slice per pixel of the patch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from batchgenerators.transforms.abstract_transforms import AbstractTransform
from numpy.typing import NDArray
from torch.nn import functional as F

from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.sections import MirrorAxis
from autoseg.training.augmentation import affine
from autoseg.training.augmentation.batched import DATA, SEG, Drawn
from autoseg.training.augmentation.cutting import starts
from autoseg.training.augmentation.draws import between

MATRIX: Final = "matrix"
DARKEST: Final = "darkest"


@dataclass(frozen=True)
class Slices:
    """Where images come from, as far as it decides how they are changed.

    Attributes:
        sizes_px: rows and columns of each slice, (B, 2), int64.
        spacing_mm: of its rows and columns, (B, 2), float64.
        canvas_px: rows and columns of the array in which all slices are handed over, each in its upper left corner.
        boxes_px: what each patch has to hold, or to lie within: along rows and columns the first pixel and the one after the
            last, (B, 2, 2), int64; None: every place is as good as another.
    """

    sizes_px: NDArray[np.int64]
    spacing_mm: NDArray[np.float64]
    canvas_px: tuple[int, int]
    boxes_px: NDArray[np.int64] | None = None


class BatchedSpatialTransform(AbstractTransform):  # type: ignore[misc]  # batchgenerators is not typed
    """From slices to patches, at random places, turned, scaled, shifted and mirrored.

    A slice that is larger than the patch is cut at a random place among those that are asked for, and one that is smaller is
    centred; so far as `training.batches` does it, too. But what a turned or shrunk patch shows beside the cut is
    the slice there, not padding. Images are interpolated linearly, labels by nearest neighbour. What comes in from outside
    a slice is its darkest value, channel by channel, and background, which is there in slices without a label, too.

    A batch may bring its darkest values as `darkest`, (B, C); else those of `data` are taken.

    Args:
        section: how much is turned, scaled and shifted.
        mirror_axes: in-plane axes that are reversed with probability 1/2.
        patch_px: rows and columns of the patches.
    """

    numbers = 9
    parameters: Mapping[str, int] = {MATRIX: 6}

    def __init__(
        self, section: AugmentationSection, *, mirror_axes: Sequence[MirrorAxis], patch_px: tuple[int, int]
    ) -> None:
        self._section = section
        self._mirror_axes = tuple(mirror_axes)
        self._patch_px = patch_px

    def draw(self, numbers: NDArray[np.float64], slices: Slices) -> Drawn:
        """Turn random numbers into one matrix per image, from patch to canvas, as its six entries.

        Args:
            numbers: (B, `numbers`), float64, uniform in [0, 1).
            slices: what will be changed.
        """
        section = self._section
        changed = numbers[:, 0] < section.spatial_probability
        low, high = np.log(section.scale)
        limit, reach = np.deg2rad(section.rotation_deg), 2 * section.shift_fraction
        matrix = affine.matrices(
            angle=np.where(changed, between(numbers[:, 1], (-limit, limit)), 0.0),
            zoom=np.where(changed, np.exp(between(numbers[:, 2], (low, high))), 1.0),
            shift=np.where(changed[:, np.newaxis], between(numbers[:, 3:5], (-reach, reach)), 0.0),
            sides=self._patch_px,
            aspect=slices.spacing_mm[:, 0] / slices.spacing_mm[:, 1] if section.rotation_unit == "mm" else 1.0,
        )
        coins = numbers[:, 5:7] < 0.5
        matrix = affine.flipped(
            matrix,
            rows=coins[:, 0] & ("rows" in self._mirror_axes),
            columns=coins[:, 1] & ("columns" in self._mirror_axes),
        )
        surplus = slices.sizes_px - np.array(self._patch_px)
        first = np.zeros_like(surplus)
        last = np.maximum(surplus, 0)
        if slices.boxes_px is not None:
            first, last = np.moveaxis(starts(slices.boxes_px, sides=np.array(self._patch_px), surplus=last), -1, 0)
        cut = first + np.floor(numbers[:, 7:9] * (last - first + 1)).astype(np.int64)
        start = np.where(surplus > 0, cut, -(-surplus // 2))  # padded, the smaller half comes first
        whole = affine.from_canvas(matrix, start=start, sides=self._patch_px, canvas=slices.canvas_px)
        return {MATRIX: whole.reshape(len(whole), 6)}

    def __call__(self, **batch: Any) -> dict[str, Any]:
        """Make patches of slices."""
        images, labels = batch[DATA], batch[SEG]
        grid = _grid(batch[MATRIX].view(-1, 2, 3), self._patch_px)  # (B, h, w, 2)
        darkest = batch[DARKEST] if DARKEST in batch else images.amin(dim=(2, 3))  # (B, C)
        warped = _sampled(images - darkest[:, :, None, None], grid, mode="bilinear") + darkest[:, :, None, None]
        nearest = _sampled(labels.to(images.dtype), grid, mode="nearest").to(labels.dtype)
        return {**batch, DATA: warped, SEG: nearest}


def _sampled(source: torch.Tensor, grid: torch.Tensor, *, mode: str) -> torch.Tensor:
    return F.grid_sample(source, grid, mode=mode, padding_mode="zeros", align_corners=False)


def _grid(matrix: torch.Tensor, sides: tuple[int, int]) -> torch.Tensor:
    """Where each pixel of the output is looked for, (B, H, W, 2).

    Not `affine_grid`: it multiplies matrices, which autocast and TensorFloat-32 make so coarse that pixels are missed.
    """
    rows, columns = (
        (2.0 * torch.arange(side, dtype=matrix.dtype, device=matrix.device) + 1.0) / side - 1.0 for side in sides
    )
    entries = matrix[:, :, :, None, None]  # (B, 2, 3, 1, 1)
    along = entries[:, :, 0] * columns + entries[:, :, 1] * rows[:, None] + entries[:, :, 2]  # (B, 2, H, W)
    return along.permute(0, 2, 3, 1)
