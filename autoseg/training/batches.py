"""Training batches: which slices, in which order, cut to patches and augmented.

Every batch is a function of (seed, epoch, number of the batch) and of nothing else, so that any number of workers, and a
run that was interrupted, see the same batches bit by bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from numpy.typing import NDArray

from autoseg.model.slices import with_adjacent_slices
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.augmentation import Augmentation
from autoseg.training.slice_selection import draw_epoch, slice_pools

_Voxel = TypeVar("_Voxel", np.float32, np.int16)


@dataclass(frozen=True)
class TrainingBatch:
    """Images to learn from.

    Attributes:
        images: (B, C, H, W), float32, normalised intensities.
        labels: (B, H, W), int64, class indices.
        sources: case id and slice number of every image, to name them when something goes wrong.
    """

    images: torch.Tensor
    labels: torch.Tensor
    sources: tuple[tuple[str, int], ...]

    def pin_memory(self) -> "TrainingBatch":
        """Move to page-locked memory, from which a GPU copies faster; called by the loader."""
        return TrainingBatch(self.images.pin_memory(), self.labels.pin_memory(), self.sources)


class SliceBatches:
    """All batches of a run, addressed by (epoch, number)."""

    def __init__(self, cases: Sequence[tuple[str, StoredCase]], *, plan: Plan, seed: int) -> None:
        self._cases = tuple(cases)
        self._steps_per_epoch = plan.training.steps_per_epoch
        self._view = plan.view
        self._augmentation = Augmentation(plan.augmentation, mirror_axes=plan.view.mirror_axes)
        self._seed = seed
        self._pools = slice_pools(self._cases, plan)

    def __getitem__(self, address: tuple[int, int]) -> TrainingBatch:
        epoch, number = address
        generator = np.random.default_rng((self._seed, epoch, number))
        size = self._view.batch_size
        chosen = self._order(epoch)[number * size :][:size]
        sources = tuple((self._cases[case][0], int(index)) for case, index in chosen)
        patches = [self._patch(self._cases[case][1], int(index), generator=generator) for case, index in chosen]
        batch = self._augmentation(
            {
                "data": np.stack([image for image, _ in patches]),  # (B, C, H, W)
                "seg": np.stack([labels for _, labels in patches]),  # (B, 1, H, W)
            },
            generator=generator,
        )
        images = torch.from_numpy(np.ascontiguousarray(batch["data"]))
        return TrainingBatch(images, torch.from_numpy(batch["seg"][:, 0].astype(np.int64)), sources)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The slices of one epoch, as rows of (case number, slice number)."""
        wanted = self._steps_per_epoch * self._view.batch_size
        return draw_epoch(self._pools, count=wanted, generator=np.random.default_rng((self._seed, epoch)))

    def _patch(
        self, case: StoredCase, index: int, *, generator: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """One slice cut or padded to the patch: image (C, H, W) and labels (1, H, W), at a random place."""
        image = with_adjacent_slices(case.image, [index], adjacent_slices=self._view.adjacent_slices)[0]
        labels = np.asarray(case.label[index], dtype=np.int16)[np.newaxis]
        patch = self._view.patch_px
        for axis, side in enumerate(patch, start=1):
            surplus = image.shape[axis] - side
            if surplus > 0:
                start = int(generator.integers(surplus + 1))
                window = (slice(None),) * axis + (slice(start, start + side),)
                image, labels = image[window], labels[window]
        darkest = np.repeat(case.footprint.pad_value, 2 * self._view.adjacent_slices + 1)
        return _pad(image, patch, values=darkest.tolist()), _pad(labels, patch, values=(0,))


def _pad(array: NDArray[_Voxel], patch_px: tuple[int, int], *, values: Sequence[float]) -> NDArray[_Voxel]:
    """Centre (C, h, w) in (C, H, W), filling channel c with values[c]."""
    if array.shape[1:] == patch_px:
        return array
    padded = [
        pad_nd_image(channel, patch_px, mode="constant", kwargs={"constant_values": value})
        for channel, value in zip(array, values, strict=True)
    ]
    return np.stack(padded)
