"""How much memory segmenting a scan takes, known before any of it is taken; and parts so small that it stays within a limit.

Whole scans are segmented at once where that fits. Where it does not, as many slices as fit are taken at a time, and at the
least one slice: what that takes, with the scan itself and its results, is the least a scan can be segmented with. Where
several views are averaged, their probabilities add up in memory or, if that does not fit, in a file.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from autoseg.catalogue import NetworkEntry
from autoseg.errors import MemoryLimitError
from autoseg.planning.memory import given_px, padded_side, predicted_slice_bytes
from autoseg.planning.plan import Plan
from autoseg.planning.sections import View
from autoseg.planning.slicing import seen_at_once
from autoseg.preprocessing.footprint import BYTES_AT_ONCE, Footprint, Triple
from autoseg.wording import counted

MEMORY_GB: Final = 4.0
"""What segmenting may take unless told otherwise. Source: half of a laptop's 8 GB, as in training."""

_PROGRAM_BYTES: Final = 0.5e9
"""The program and its libraries. Source: 0.45 GB were measured with torch and SimpleITK loaded and used once."""

_MARGIN: Final = 1.1
"""Source: ours; what allocators keep for themselves."""

_FLOAT: Final = 4
_DOUBLE: Final = 8
_LABEL: Final = 2
_COPIES_OF_A_PART: Final = 4
"""Of the slices that return to the scan's grid at once: cut out, resampled along rows, along columns, and compared."""

SLAB_BYTES: Final = 1 << 24
"""Of the sums that are looked at together, unless a single slice takes more.
Source: chosen; scans in work at a time each take several such."""

_COPIES_OF_A_SLAB: Final = 6
"""Of a part of the sums: as it is read and written, and the classes that win in it, their masks and entropy, which for two
classes take three times as much as the probabilities."""


@dataclass(frozen=True)
class Blocks:
    """In how small parts a scan is segmented.

    Attributes:
        slices: that are predicted before what they show goes on.
        batch: slices that a network sees at once.
        bytes: memory that everything takes at most.
    """

    slices: int
    batch: int
    bytes: float

    def windows(self, total: int) -> Iterator[slice]:
        """Numbers of the slices of each part, of a scan with so many."""
        return (slice(first, min(first + self.slices, total)) for first in range(0, total, self.slices))


@dataclass(frozen=True)
class Slices:
    """The slices of a scan, as far as memory is concerned.

    Attributes:
        number: how many.
        size_px: rows and columns as networks see them.
        own_px: rows and columns on the scan's own grid.
    """

    number: int
    size_px: tuple[int, int]
    own_px: tuple[int, int]


def slices_of(footprint: Footprint) -> Slices:
    """The slices of a scan, by the way back from them."""
    return Slices(footprint.kept[0], footprint.size_px, (footprint.kept[1], footprint.kept[2]))


@dataclass(frozen=True)
class Limits:
    """What segmenting may take.

    Attributes:
        bytes: of the main memory.
        device_bytes: of the memory of a device that has its own; None: there is none.
    """

    bytes: float
    device_bytes: float | None = None


def share_gb(memory_gb: float, scans: int) -> float:
    """What each of several scans in work at a time may take, in GB, the program included, which they share."""
    program_gb = _PROGRAM_BYTES / 1e9
    return program_gb + max(memory_gb - program_gb, 0.0) / scans


@dataclass(frozen=True)
class Demand:
    """What decides how much memory segmenting through one view takes.

    Attributes:
        plan: of the networks.
        view: that they look through.
        networks: what is known about each network that takes part.
        weights_bytes: of all networks together.
        folds: of the cross-validation that the networks stem from: their probabilities are averaged fold by fold.
        judged: whether a Dice is expected of the probabilities.
        entropy: whether a map of it is wanted.
        probabilities: whether the probabilities of all classes are to be there at once.
        shifted: whether they are shifted: then a copy is judged.
        averaged: whether they are averaged with those of other passes on the scan's own grid.
        sums: volumes of the probabilities of all classes that add up in memory; 0: they do in a file.
    """

    plan: Plan
    view: View
    networks: tuple[NetworkEntry, ...]
    weights_bytes: int
    folds: int = 1
    judged: bool = False
    entropy: bool = False
    probabilities: bool = False
    shifted: bool = False
    averaged: bool = False
    sums: int = 0

    def parts(self, shape: Triple, slices: Slices, *, limits: Limits) -> Blocks:
        """The largest parts that stay within limits; the smallest there are where none does."""
        present = self._while_predicting(float(shape[0]) * shape[1] * shape[2]) + self._slab(shape)

        def fits(number: int, batch: int) -> bool:
            if limits.device_bytes is not None and self._forward(slices, batch) > limits.device_bytes:
                return False
            return present + self._block(slices, number, batch, limits) <= limits.bytes

        number, batch = slices.number, min(self.plan.prediction.batch_size, slices.number)
        if not fits(number, batch):
            while batch > 1 and not fits(batch, batch):
                batch = -(-batch // 2)
            number = batch  # and then whole batches, so that networks see the same ones whatever the parts
            while number + batch <= slices.number and fits(number + batch, batch):
                number += batch
        return Blocks(number, batch, present + self._block(slices, number, batch, limits))

    def blocks(self, shape: Triple, slices: Slices, *, limits: Limits, stored_bytes: int = 0) -> Blocks:
        """The largest parts that stay within limits, if everything else does, too.

        Args:
            shape: of the scan, (Z, Y, X).
            slices: made of it.
            limits: what may be taken.
            stored_bytes: of one voxel in each of the scan's files; 0: they are read bit by bit, or were.

        Raises:
            MemoryLimitError: not even one slice at a time does.
        """
        parts = self.parts(shape, slices, limits=limits)
        besides = self._besides(shape, stored_bytes=stored_bytes)
        needed = max(parts.bytes, *besides)
        there = self._forward(slices, parts.batch)
        if limits.device_bytes is not None and there > limits.device_bytes:
            remedy = "Free memory of the device, or use --device cpu."
            raise self._refusal(
                "the networks take more memory than the device has free", shape, slices, there, remedy=remedy
            )
        if needed > limits.bytes:
            remedy = (
                f"At most {limits.bytes / 1e9:g} GB may be taken. Where the machine has it, allow more (--memory "
                f"{_rounded_up_gb(needed):g}); otherwise cut the scan, or ask for a model of fewer classes or levels."
            )
            raise self._refusal("segmenting takes more memory than it may", shape, slices, needed, remedy=remedy)
        return replace(parts, bytes=needed)

    def _while_predicting(self, voxels: float) -> float:
        """What is there while networks are at work, besides the part they work on."""
        return _PROGRAM_BYTES + self.weights_bytes + voxels * (self._scan + self._results)

    def _besides(self, shape: Triple, *, stored_bytes: int) -> Iterator[float]:
        """What is there before and after networks are at work."""
        voxels = float(shape[0]) * shape[1] * shape[2]
        program, channels = _PROGRAM_BYTES + self.weights_bytes, len(self.plan.data.channels)
        # A reader holds a file's bytes twice, or once beside the array made of them and a mask of what is finite.
        yield program + voxels * channels * max(2 * stored_bytes, stored_bytes + _FLOAT + 1)
        yield program + voxels * (self._scan + 2 * _FLOAT)  # the voxels that statistics are taken of
        # A mask, framed, and the numbers of its components; this is more than a label map that is written, or statistics.
        yield program + voxels * (self._scan + self._results + 3 + _FLOAT)
        if self.probabilities:
            yield program + voxels * (self._scan + self._results + (_FLOAT + 1) * self._classes)
        yield program + voxels * (self._scan + self._results) + self._slab(shape)

    def _slab(self, shape: Triple) -> float:
        """What it takes to add to a part of the sums, or to see what it says, along the scan's first axis."""
        if not self.averaged:
            return 0.0
        one = float(shape[1]) * shape[2] * _FLOAT * self._classes
        return _MARGIN * (_COPIES_OF_A_SLAB + self.shifted) * max(one, min(float(SLAB_BYTES), shape[0] * one))

    @property
    def _classes(self) -> int:
        return len(self.plan.data.classes)

    @property
    def _scan(self) -> int:
        """Bytes of a voxel of the scan."""
        return _FLOAT * len(self.plan.data.channels)

    @property
    def _results(self) -> int:
        """Bytes of a voxel of the results."""
        volumes = max(self.sums, 1 if self.probabilities else 0)
        return _LABEL + (_FLOAT if self.entropy else 0) + _FLOAT * self._classes * volumes

    def _block(self, slices: Slices, number: int, batch: int, limits: Limits) -> float:
        """What a part takes from its slices to their results."""
        classes = self._classes
        pixels = float(slices.size_px[0]) * slices.size_px[1]
        own = float(slices.own_px[0]) * slices.own_px[1]
        sums = (1 if self.folds == 1 else 2) + (1 if self.shifted and not self.averaged else 0)
        shown = number + 2 * self.view.adjacent_slices
        held = pixels * _FLOAT * (number * sums * classes + shown * 3 * len(self.plan.data.channels))
        held += self._resampling(slices)
        # A device's own memory takes what networks do, and this one the probabilities that come back.
        predicted = self._forward(slices, batch) if limits.device_bytes is None else batch * pixels * _FLOAT * classes
        looked_at = (self.judged or self.entropy) and not self.averaged
        judged = number * pixels * (_FLOAT * classes + 16) if looked_at else 0.0
        in_file = self.averaged and not self.sums  # to which classes are added one by one, each of all slices at once
        largest = max(pixels, own) * _FLOAT * (1 if in_file else classes)
        returned = _COPIES_OF_A_PART * max(largest, min(float(BYTES_AT_ONCE), number * largest))
        returned += number * own * _FLOAT if in_file else 0.0
        return _MARGIN * (held + max(predicted, judged, returned))

    def _resampling(self, slices: Slices) -> float:
        """Weights of old pixels in new ones, there and back, while they are computed in 64 bits."""
        if slices.size_px == slices.own_px:
            return 0.0
        pairs = [float(old) * new for old, new in zip(slices.own_px, slices.size_px, strict=True)]
        return 2 * _FLOAT * sum(pairs) + 3 * _DOUBLE * max(pairs)

    def _forward(self, slices: Slices, batch: int) -> float:
        """What networks take to predict a batch."""
        plan = self.plan
        given = given_px(slices.size_px, plan.prediction.padding, plan.network.divisor)
        seen_px = seen_at_once(given, self.view.patch_px)
        one = predicted_slice_bytes(
            plan.network, channels=plan.input_channels, classes=self._classes, seen_px=seen_px, networks=self.networks
        )
        pixels = float(slices.size_px[0]) * slices.size_px[1]
        one += pixels * _FLOAT * 3 * plan.input_channels  # with the adjacent slices beside it
        if seen_px != given:  # tiles are gathered
            one += pixels * _FLOAT * 3 * self._classes
        return batch * one

    def _refusal(self, what: str, shape: Triple, slices: Slices, needed: float, *, remedy: str) -> MemoryLimitError:
        size = self.plan.network
        rows, columns = slices.size_px
        given = given_px(slices.size_px, self.plan.prediction.padding, size.divisor)
        seen = (padded_side(side, size.divisor) for side in seen_at_once(given, self.view.patch_px))
        return MemoryLimitError(
            what,
            found=f"{_rounded_up_gb(needed):g} GB for {' x '.join(map(str, shape))} voxels, slices of {rows} x {columns} "
            f"pixels, {self._classes} classes, and networks of {len(size.features)} levels, to which a slice or a tile "
            f"of it has {' x '.join(map(str, seen))} pixels",
            remedy=remedy,
        )


def require_weights(sizes: Sequence[int], *, memory_gb: float, where: Path | str) -> None:
    """Require networks to fit into memory, before any weights are read.

    Args:
        sizes: of each network's weights, in bytes.
        memory_gb: what may be taken, in GB, the program included.
        where: what they are read from.

    Raises:
        MemoryLimitError: they do not.
    """
    # While a network is loaded, its file's bytes and the tensors made of them are there beside it.
    needed = _PROGRAM_BYTES + sum(sizes) + 2 * max(sizes, default=0)
    if needed > memory_gb * 1e9:
        raise MemoryLimitError(
            "the weights of the networks take more memory than they may",
            where=where,
            expected=f"at most {memory_gb:g} GB",
            found=f"{_rounded_up_gb(needed):g} GB for {counted(len(sizes), 'network')}",
            remedy=f"Where the machine has it, allow more (--memory {_rounded_up_gb(needed):g}).",
        )


def _rounded_up_gb(needed: float) -> float:
    """In GB, to one decimal."""
    return math.ceil(needed / 1e8) / 10
