"""Training batches made on the device: it is told which slices and what happens to them, and does the rest itself.

The slices of a fold lie in its memory where they fit. Where they do not, a thread gathers those of the next batch and sends
them while the device computes. Every batch is a function of (seed, epoch, number), wherever the slices lie.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from autoseg.model.compute import Compute
from autoseg.model.recording import Recorded
from autoseg.model.slices import adjacent_numbers
from autoseg.model.uploading import Uploaded, Uploader
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training.augmentation.batched_spatial import Slices
from autoseg.training.augmentation.device import TorchAugmentation
from autoseg.training.batches import TrainingBatch
from autoseg.training.patch_places import PatchPlaces
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.slice_order import ShownSlices, SliceOrder

RESIDENT_FRACTION: Final = 0.4
"""Part of a device's free memory that slices may fill.

Source: chosen: the rest is for training steps; ten scans of a brain take a hundredth of a GPU's memory."""


class DeviceBatches:
    """The batches of a run, epoch by epoch, made on the device.

    Args:
        cases: ids and arrays of the training cases.
        plan: how slices are shown and changed.
        seed: of all randomness.
        compute: the device.
        resident: whether the slices are to lie in its memory; None: where they fit.
        ranks: share each batch.

    Raises:
        TrainingError: no slice is what the plan asks for.
        ValueError: the plan names augmentations of one's own, which work on arrays of the host.
    """

    def __init__(
        self,
        cases: Sequence[tuple[str, StoredCase]],
        *,
        plan: Plan,
        seed: int,
        compute: Compute,
        resident: bool | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self._order, self._ranks = SliceOrder(cases, plan=plan, seed=seed), ranks
        self._steps = plan.training.steps_per_epoch
        self._uploader = Uploader(compute)
        stacks = [[case.stack(number) for _, case in cases] for number in range(len(plan.views))]
        self.resident = fits(stacks, compute) if resident is None else resident
        self._shown = [
            _Shown(shown, view, plan=plan, seed=seed, compute=compute, resident=self.resident)
            for shown, view in zip(stacks, plan.views, strict=True)
        ]
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """The batches of one epoch, in order."""
        ahead: Future[_Request] | None = None
        for step in range(self._steps):
            request = self._request(number, step) if ahead is None else ahead.result()
            if not self.resident and step + 1 < self._steps:
                ahead = self._thread.submit(self._request, number, step + 1)
            images, labels = self._shown[request.shown.view].make(*request.uploaded.arrived())
            yield TrainingBatch(images, labels, request.shown.sources, request.shown.view)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _request(self, epoch: int, step: int) -> "_Request":
        """What the device needs for one batch, on its way there."""
        shown = self._order[epoch, step].part_of(self._ranks)
        view = self._shown[shown.view]
        parameters = view.draw(shown, epoch=epoch)
        return _Request(shown, self._uploader.send([*view.slices.asked(shown.chosen), *parameters]))


@dataclass(frozen=True)
class _Request:
    shown: ShownSlices
    uploaded: Uploaded


class _Shown:
    """What one view shows of the training cases, and how the device makes batches of it."""

    def __init__(
        self, stacks: Sequence[SliceStack], view: View, *, plan: Plan, seed: int, compute: Compute, resident: bool
    ) -> None:
        self._places = PatchPlaces(stacks, patch_px=view.patch_px, plan=plan, seed=seed)
        self._canvas_px = _canvas_px(stacks)
        self._sizes_px = np.array([stack.shape[1:] for stack in stacks], dtype=np.int64)  # (cases, 2)
        self._spacing_mm = np.array([stack.footprint.spacing_mm[1:] for stack in stacks])  # (cases, 2)
        darkest = np.array([stack.footprint.pad_value for stack in stacks], dtype=np.float32)
        self._darkest = np.repeat(darkest, 2 * view.adjacent_slices + 1, axis=1)  # (cases, C (2 N + 1))
        self._augmentation = TorchAugmentation(
            plan.augmentation,
            mirror_axes=view.mirror_axes,
            patch_px=view.patch_px,
            channels=plan.input_channels,
            seed=seed,
        )
        kind = ResidentSlices if resident else StreamedSlices
        self.slices: _SlicesOfView = kind(
            stacks, canvas_px=self._canvas_px, adjacent_slices=view.adjacent_slices, compute=compute
        )
        self._recorded = Recorded(self._make, recorder=compute.recorder())

    def draw(self, shown: ShownSlices, *, epoch: int) -> list[torch.Tensor]:
        """What happens to slices, and what surrounds them: (B, P) and (B, C), float32."""
        cases = shown.chosen[:, 0]
        boxes_px = self._places.boxes(shown, epoch=epoch)
        slices = Slices(self._sizes_px[cases], self._spacing_mm[cases], self._canvas_px, boxes_px)
        drawn = self._augmentation.draw(slices, epoch=epoch, positions=shown.positions)
        return [drawn, torch.from_numpy(self._darkest[cases])]

    def make(self, *sent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Patches (B, C, h, w), float32, and their labels (B, h, w), int64, of what was sent to the device."""
        images, labels = self._recorded(*sent)
        return images, labels

    def _make(self, *sent: torch.Tensor) -> tuple[torch.Tensor, ...]:
        *asked, parameters, darkest = sent
        images, labels = self.slices.shown(*asked)
        patches, classes = self._augmentation.apply(images, labels, parameters, darkest=darkest)
        return patches, classes.long()


class _SlicesOfView(Protocol):
    """The slices of all training cases as one view shows them, each in the upper left corner of a canvas."""

    def asked(self, chosen: NDArray[np.int64]) -> list[torch.Tensor]:
        """What to send to the device so that it has some slices: rows of (case number, slice number), (B, 2)."""

    def shown(self, *asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """On the device, of what was sent: images (B, C (2 N + 1), H, W), float32, and labels (B, H, W)."""


class ResidentSlices:
    """Slices that lie in the device's memory; batches are numbers of slices.

    Args:
        stacks: the training cases as one view shows them.
        canvas_px: rows and columns of what holds each slice.
        adjacent_slices: on either side, that are shown with each.
        compute: the device.
    """

    def __init__(
        self, stacks: Sequence[SliceStack], *, canvas_px: tuple[int, int], adjacent_slices: int, compute: Compute
    ) -> None:
        depths = np.array([stack.shape[0] for stack in stacks])
        self._depths, self._firsts = depths, np.cumsum(depths) - depths
        self._adjacent = adjacent_slices
        channels, total = stacks[0].channels, int(depths.sum())
        device = compute.device
        self._images = torch.empty((total, channels, *canvas_px), dtype=torch.float32, device=device)
        self._labels = torch.empty((total, *canvas_px), dtype=_LABELS, device=device)
        for first, stack in zip(self._firsts, stacks, strict=True):
            images, labels = _on_canvas(stack, range(stack.shape[0]), canvas_px)
            self._images[first : first + len(images)] = images.to(device)
            self._labels[first : first + len(labels)] = labels.to(device)

    def asked(self, chosen: NDArray[np.int64]) -> list[torch.Tensor]:
        """Places of slices and of those beside them, (B, 2 N + 1), int64."""
        case, index = chosen[:, 0], chosen[:, 1]
        beside = adjacent_numbers(index, adjacent_slices=self._adjacent, slices=self._depths[case])
        return [torch.from_numpy(self._firsts[case][:, np.newaxis] + beside)]

    def shown(self, *asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The slices at some places: see `_SlicesOfView`."""
        (places,) = asked
        stacked = self._images.index_select(0, places.flatten())  # (B (2 N + 1), C, H, W)
        together = stacked.view(*places.shape, *stacked.shape[1:]).transpose(1, 2)  # (B, C, 2 N + 1, H, W)
        return together.flatten(1, 2), self._labels.index_select(0, places[:, self._adjacent])


class StreamedSlices:
    """Slices that stay where they are stored; batches are gathered on the host and sent. Arguments as `ResidentSlices`."""

    def __init__(
        self, stacks: Sequence[SliceStack], *, canvas_px: tuple[int, int], adjacent_slices: int, compute: Compute
    ) -> None:
        self._stacks, self._canvas_px, self._adjacent = stacks, canvas_px, adjacent_slices
        self._pinned = compute.device.type == "cuda"

    def asked(self, chosen: NDArray[np.int64]) -> list[torch.Tensor]:
        """The slices themselves: images (B, C, 2 N + 1, H, W), float32, and labels (B, H, W)."""
        sides = 2 * self._adjacent + 1
        channels = self._stacks[0].channels
        images = torch.empty((len(chosen), channels, sides, *self._canvas_px), pin_memory=self._pinned)
        labels = torch.empty((len(chosen), *self._canvas_px), dtype=_LABELS, pin_memory=self._pinned)
        for place, (case, index) in enumerate(chosen):
            stack = self._stacks[case]
            beside = adjacent_numbers(np.array([index]), adjacent_slices=self._adjacent, slices=np.array([stack.shape[0]]))[
                0
            ]
            found, classes = _on_canvas(stack, beside.tolist(), self._canvas_px)  # (2 N + 1, C, H, W)
            images[place], labels[place] = found.transpose(0, 1), classes[self._adjacent]
        return [images, labels]

    def shown(self, *asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The slices that were sent: see `_SlicesOfView`."""
        images, labels = asked
        return images.flatten(1, 2), labels


_LABELS: Final = torch.int16
"""Class indices on the device. Source: ours; no plan has more classes than it counts."""


def fits(stacks: Sequence[Sequence[SliceStack]], compute: Compute) -> bool:
    """Whether the slices of all views fit into a device's memory beside what training takes there."""
    free = compute.free_bytes()
    return free is None or sum(map(_resident_bytes, stacks)) <= RESIDENT_FRACTION * free


def uncut_bytes(cases: Sequence[tuple[str, StoredCase]], plan: Plan) -> int:
    """What the slices of a batch take in a device's memory before they are cut to patches, in bytes, through any view.

    Args:
        cases: ids and arrays of the training cases.
        plan: how slices are shown.
    """
    found = 0
    for number, view in enumerate(plan.views):
        stacks = [case.stack(number) for _, case in cases]
        rows, columns = _canvas_px(stacks)
        voxel = 4 * stacks[0].channels * (2 * view.adjacent_slices + 1) + _LABELS.itemsize
        found = max(found, view.batch_size * rows * columns * voxel)
    return found


def canvas_excess(cases: Sequence[tuple[str, StoredCase]], plan: Plan) -> float:
    """By how many times slices grow, on average, as all have to be as large as the largest; of the view with the most.

    Args:
        cases: ids and arrays of the training cases.
        plan: how slices are shown.
    """
    found = 1.0
    for number in range(len(plan.views)):
        stacks = [case.stack(number) for _, case in cases]
        slices = sum(stack.shape[0] for stack in stacks)
        found = max(found, slices * math.prod(_canvas_px(stacks)) / sum(math.prod(stack.shape) for stack in stacks))
    return found


def _resident_bytes(stacks: Sequence[SliceStack]) -> int:
    rows, columns = _canvas_px(stacks)
    voxel: int = 4 * stacks[0].channels + _LABELS.itemsize
    return sum(stack.shape[0] for stack in stacks) * rows * columns * voxel


def _canvas_px(stacks: Sequence[SliceStack]) -> tuple[int, int]:
    """Rows and columns that hold every slice."""
    return max(stack.shape[1] for stack in stacks), max(stack.shape[2] for stack in stacks)


def _on_canvas(
    stack: SliceStack, numbers: Sequence[int] | range, canvas_px: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Some slices of a case in upper left corners: images (n, C, H, W), float32, and labels (n, H, W)."""
    image, label = stack.image, stack.label  # opened once
    channels, _, rows, columns = image.shape
    images = np.empty((len(numbers), channels, *canvas_px), dtype=np.float32)
    labels = np.zeros((len(numbers), *canvas_px), dtype=np.int16)
    images[...] = np.array(stack.footprint.pad_value, dtype=np.float32)[:, np.newaxis, np.newaxis]
    for place, number in enumerate(numbers):
        images[place, :, :rows, :columns] = image[:, number]
        labels[place, :rows, :columns] = label[number]
    return torch.from_numpy(images), torch.from_numpy(labels)
