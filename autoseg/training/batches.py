"""Training batches: which slices, in which order, cut to patches and augmented.

Batches take turns among the views. Every batch is a function of (seed, epoch, number of the batch) and of nothing else, so
that any number of workers, and a run that was interrupted, see the same batches bit by bit. Where the plan's seeding is
`image`, every image is one of (seed, epoch, position in the epoch), whichever batch it is in. Ranks share each batch: it is
the same whatever their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Final, TypeVar

import numpy as np
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from numpy.typing import NDArray

from autoseg.model.slices import with_adjacent_slices
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.augmentation import Augmentation, Batch, Randomness
from autoseg.training.augmentation.cutting import starts
from autoseg.training.patch_places import PatchPlaces
from autoseg.training.ranks import ALONE, Place, Ranks, own_part
from autoseg.training.slice_order import ShownSlices, SliceOrder

_Voxel = TypeVar("_Voxel", np.float32, np.int16)

_IMAGES: Final = 1
"""Sets the random numbers of images apart from those of orders and batches."""


@dataclass(frozen=True)
class TrainingBatch:
    """Images to learn from: a batch, or one rank's part of it.

    Attributes:
        images: (B, C, H, W), float32, normalised intensities.
        labels: (B, H, W), int64, class indices.
        sources: case id and slice number of every image of the whole batch, to name them when something goes wrong.
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
    """All batches of a run, or one rank's part of each, addressed by (epoch, number).

    Args:
        cases: ids and arrays of the training cases.
        plan: how slices are shown and changed.
        seed: of all randomness.
        ranks: share each batch.

    Raises:
        TrainingError: no slice is what the plan asks for.
    """

    def __init__(self, cases: Sequence[tuple[str, StoredCase]], *, plan: Plan, seed: int, ranks: Ranks = ALONE) -> None:
        self._order = SliceOrder(cases, plan=plan, seed=seed)
        self._seed = seed
        self._place = Place(ranks.rank, ranks.size)  # which, unlike the ranks themselves, goes along to other processes
        self._by_image = plan.training.seeding == "image"
        self._shown = [
            _Shown(
                view,
                [case.stack(number) for _, case in cases],
                Augmentation(plan.augmentation, mirror_axes=view.mirror_axes),
                PatchPlaces([case.stack(number) for _, case in cases], patch_px=view.patch_px, plan=plan, seed=seed),
            )
            for number, view in enumerate(plan.views)
        ]

    def __getitem__(self, address: tuple[int, int]) -> TrainingBatch:
        shown, part = self._order[address], slice(None)
        if self._by_image:
            shown = shown.part_of(self._place)
        else:  # images of a batch that has one source of random numbers are made together
            own = own_part(len(shown.chosen), self._place)
            part = slice(own.start, own.stop)
        randomness = self._randomness(*address, positions=shown.positions)
        batch = self._shown[shown.view].batch(shown, randomness, epoch=address[0])
        images = torch.from_numpy(np.ascontiguousarray(batch["data"][part]))
        labels = torch.from_numpy(batch["seg"][part, 0].astype(np.int64))
        return TrainingBatch(images, labels, shown.sources, shown.view)

    def _randomness(self, epoch: int, number: int, *, positions: range) -> Randomness:
        """The randomness of a batch, or of each of its images."""
        if not self._by_image:
            return np.random.default_rng((self._seed, epoch, number))
        return [np.random.default_rng((self._seed, epoch, position, _IMAGES)) for position in positions]


@dataclass(frozen=True, eq=False)
class _Shown:
    """What one view shows of the training cases."""

    view: View
    stacks: Sequence[SliceStack]
    augmentation: Augmentation
    places: PatchPlaces

    def batch(self, shown: ShownSlices, randomness: Randomness, *, epoch: int) -> Batch:
        """Some slices as patches."""
        each = repeat(randomness) if isinstance(randomness, np.random.Generator) else randomness
        boxes = self.places.boxes(shown, epoch=epoch)
        patches = [
            _patch(self.stacks[case], int(index), view=self.view, generator=generator, box=box)
            for (case, index), generator, box in zip(
                shown.chosen, each, repeat(None) if boxes is None else boxes, strict=False
            )
        ]
        return self.augmentation(
            {
                "data": np.stack([image for image, _ in patches]),  # (B, C, H, W)
                "seg": np.stack([labels for _, labels in patches]),  # (B, 1, H, W)
            },
            generator=randomness,
            aspect=np.array([_aspect(self.stacks[case]) for case, _ in shown.chosen]),
        )


def _patch(
    stack: SliceStack, index: int, *, view: View, generator: np.random.Generator, box: NDArray[np.int64] | None
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """One slice cut or padded to the patch, which holds the box or lies within it: image (C, H, W) and labels (1, H, W)."""
    _, *size_px = stack.shape
    rows, columns = (
        _window(size, side, generator=generator, box=None if box is None else box[axis])
        for axis, (size, side) in enumerate(zip(size_px, view.patch_px, strict=True))
    )
    image = with_adjacent_slices(stack.image[:, :, rows, columns], [index], adjacent_slices=view.adjacent_slices)[0]
    labels = np.asarray(stack.label[index, rows, columns], dtype=np.int16)[np.newaxis]
    darkest = np.repeat(stack.footprint.pad_value, 2 * view.adjacent_slices + 1)
    return _pad(image, view.patch_px, values=darkest.tolist()), _pad(labels, view.patch_px, values=(0,))


def _window(size: int, side: int, *, generator: np.random.Generator, box: NDArray[np.int64] | None) -> slice:
    """What a patch shows along one axis of a slice: all of it, or so many pixels, with a box along the axis, (2,)."""
    surplus = size - side
    if surplus <= 0:
        return slice(size)
    first, last = (0, surplus) if box is None else starts(box, sides=np.array(side), surplus=np.array(surplus)).tolist()
    start = first + int(generator.integers(last - first + 1))
    return slice(start, start + side)


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
