"""Training batches: which slices, in which order, cut to patches and augmented.

Batches take turns among the views. Every batch is a function of (seed, epoch, number of the batch) and of nothing else, so
that any number of workers, and a run that was interrupted, see the same batches bit by bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from numpy.typing import NDArray

from autoseg.model.slices import with_adjacent_slices
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.augmentation import Augmentation
from autoseg.training.slice_selection import SlicePool, draw_epoch, slice_pools

_Voxel = TypeVar("_Voxel", np.float32, np.int16)


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
        self._ids = tuple(case for case, _ in cases)
        self._turns = Turns(len(plan.views), steps_per_epoch=plan.training.steps_per_epoch)
        self._seed = seed
        self._shown = [_shown(number, cases, plan) for number in range(len(plan.views))]
        self._orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # by view, of the latest epoch

    def __getitem__(self, address: tuple[int, int]) -> TrainingBatch:
        epoch, number = address
        view, turn = self._turns.at(epoch, number)
        shown = self._shown[view]
        generator = np.random.default_rng((self._seed, epoch, number))
        size = shown.view.batch_size
        chosen = self._order(epoch, view)[turn * size :][:size]
        sources = tuple((self._ids[case], int(index)) for case, index in chosen)
        patches = [_patch(shown.stacks[case], int(index), view=shown.view, generator=generator) for case, index in chosen]
        batch = shown.augmentation(
            {
                "data": np.stack([image for image, _ in patches]),  # (B, C, H, W)
                "seg": np.stack([labels for _, labels in patches]),  # (B, 1, H, W)
            },
            generator=generator,
        )
        images = torch.from_numpy(np.ascontiguousarray(batch["data"]))
        return TrainingBatch(images, torch.from_numpy(batch["seg"][:, 0].astype(np.int64)), sources, view)

    def _order(self, epoch: int, view: int) -> NDArray[np.int64]:
        """The slices of one view in one epoch, as rows of (case number, slice number); drawn once."""
        drawn, order = self._orders.get(view, (-1, np.zeros((0, 2), dtype=np.int64)))
        if drawn != epoch:
            wanted = self._turns.of(view, epoch) * self._shown[view].view.batch_size
            seed = (self._seed, epoch) if len(self._shown) == 1 else (self._seed, epoch, view)
            order = draw_epoch(self._shown[view].pools, count=wanted, generator=np.random.default_rng(seed))
            self._orders[view] = epoch, order
        return order


@dataclass(frozen=True)
class Turns:
    """Which view each step of a run shows: one after the other, from one epoch into the next.

    Attributes:
        views: how many there are.
        steps_per_epoch: how many steps an epoch has.
    """

    views: int
    steps_per_epoch: int

    def at(self, epoch: int, step: int) -> tuple[int, int]:
        """Number of the view that a step shows, and how often the epoch has shown it before."""
        return (epoch * self.steps_per_epoch + step) % self.views, step // self.views

    def of(self, view: int, epoch: int) -> int:
        """How many steps of an epoch show a view."""
        first = (view - epoch * self.steps_per_epoch) % self.views
        return max(-(-(self.steps_per_epoch - first) // self.views), 0)


@dataclass(frozen=True, eq=False)
class _Shown:
    """What one view shows of the training cases."""

    view: View
    stacks: tuple[SliceStack, ...]
    pools: tuple[SlicePool, ...]
    augmentation: Augmentation


def _shown(number: int, cases: Sequence[tuple[str, StoredCase]], plan: Plan) -> _Shown:
    view, stacks = plan.views[number], tuple(case.stack(number) for _, case in cases)
    augmentation = Augmentation(plan.augmentation, mirror_axes=view.mirror_axes)
    return _Shown(view, stacks, slice_pools(stacks, plan), augmentation)


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


def _pad(array: NDArray[_Voxel], patch_px: tuple[int, int], *, values: Sequence[float]) -> NDArray[_Voxel]:
    """Centre (C, h, w) in (C, H, W), filling channel c with values[c]."""
    if array.shape[1:] == patch_px:
        return array
    padded = [
        pad_nd_image(channel, patch_px, mode="constant", kwargs={"constant_values": value})
        for channel, value in zip(array, values, strict=True)
    ]
    return np.stack(padded)
