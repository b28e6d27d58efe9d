"""Training batches: which slices, in which order, cut to patches and augmented.

Batches take turns among the views. Every batch is a function of (seed, epoch, number of the batch) and of nothing else, so
that any number of workers, and a run that was interrupted, see the same batches bit by bit. Where the plan's seeding is
`image`, every image is one of (seed, epoch, position in the epoch), whichever batch it is in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from numpy.typing import NDArray

from autoseg.model.slices import with_adjacent_slices
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.augmentation import Augmentation, Batch
from autoseg.training.slice_order import SliceOrder

_Voxel = TypeVar("_Voxel", np.float32, np.int16)

_IMAGES: Final = 1
"""Sets the random numbers of images apart from those of orders and batches."""


@dataclass(frozen=True)
class TrainingBatch:
    """Images to learn from.

    Attributes:
        images: (B, C, H, W), float32, normalised intensities.
        labels: (B, H, W), int64, class indices.
        sources: case id and slice number of every image, to name them when something goes wrong.
        view: number of the view that shows them.
    """

    images: torch.Tensor
    labels: torch.Tensor
    sources: tuple[tuple[str, int], ...]
    view: int = 0

    def pin_memory(self) -> "TrainingBatch":
        """Move to page-locked memory, from which a GPU copies faster; called by the loader."""
        return replace(self, images=self.images.pin_memory(), labels=self.labels.pin_memory())


class SliceBatches:
    """All batches of a run, addressed by (epoch, number)."""

    def __init__(self, cases: Sequence[tuple[str, StoredCase]], *, plan: Plan, seed: int) -> None:
        self._order = SliceOrder(cases, plan=plan, seed=seed)
        self._seed = seed
        self._by_image, self._most = plan.training.seeding == "image", plan.largest_batch
        self._shown = [
            _Shown(
                view,
                [case.stack(number) for _, case in cases],
                Augmentation(plan.augmentation, mirror_axes=view.mirror_axes),
            )
            for number, view in enumerate(plan.views)
        ]

    def __getitem__(self, address: tuple[int, int]) -> TrainingBatch:
        shown, (epoch, number) = self._order[address], address
        view = self._shown[shown.view]
        if self._by_image:
            first = number * self._most  # views may have batches of different sizes
            made = [
                view.batch(shown.chosen[place : place + 1], generator=self._generator(epoch, first + place))
                for place in range(len(shown.chosen))
            ]
        else:
            made = [view.batch(shown.chosen, generator=np.random.default_rng((self._seed, *address)))]
        images, labels = (np.concatenate([batch[key] for batch in made]) for key in ("data", "seg"))
        return TrainingBatch(
            torch.from_numpy(images), torch.from_numpy(labels[:, 0].astype(np.int64)), shown.sources, shown.view
        )

    def _generator(self, epoch: int, position: int) -> np.random.Generator:
        """The randomness of the image at some position of an epoch."""
        return np.random.default_rng((self._seed, epoch, position, _IMAGES))


@dataclass(frozen=True, eq=False)
class _Shown:
    """What one view shows of the training cases."""

    view: View
    stacks: Sequence[SliceStack]
    augmentation: Augmentation

    def batch(self, chosen: NDArray[np.int64], *, generator: np.random.Generator) -> Batch:
        """Some slices, rows of (case number, slice number), as patches."""
        patches = [_patch(self.stacks[case], int(index), view=self.view, generator=generator) for case, index in chosen]
        return self.augmentation(
            {
                "data": np.stack([image for image, _ in patches]),  # (B, C, H, W)
                "seg": np.stack([labels for _, labels in patches]),  # (B, 1, H, W)
            },
            generator=generator,
            aspect=np.array([_aspect(self.stacks[case]) for case, _ in chosen]),
        )


def _patch(
    stack: SliceStack, index: int, *, view: View, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """One slice cut or padded to the patch: image (C, H, W) and labels (1, H, W), at a random place."""
    image = with_adjacent_slices(stack.image, [index], adjacent_slices=view.adjacent_slices)[0]
    labels = np.asarray(stack.label[index], dtype=np.int16)[np.newaxis]
    for axis, side in enumerate(view.patch_px, start=1):
        surplus = image.shape[axis] - side
        if surplus > 0:
            start = int(generator.integers(surplus + 1))
            window = (slice(None),) * axis + (slice(start, start + side),)
            image, labels = image[window], labels[window]
    darkest = np.repeat(stack.footprint.pad_value, 2 * view.adjacent_slices + 1)
    return _pad(image, view.patch_px, values=darkest.tolist()), _pad(labels, view.patch_px, values=(0,))


def _aspect(stack: SliceStack) -> float:
    """Height of a pixel over its width."""
    _, rows, columns = stack.footprint.spacing_mm
    return rows / columns


def _pad(array: NDArray[_Voxel], patch_px: tuple[int, int], *, values: Sequence[float]) -> NDArray[_Voxel]:
    """Centre (C, h, w) in (C, H, W), filling channel c with values[c]."""
    if array.shape[1:] == patch_px:
        return array
    padded = [
        pad_nd_image(channel, patch_px, mode="constant", kwargs={"constant_values": value})
        for channel, value in zip(array, values, strict=True)
    ]
    return np.stack(padded)
