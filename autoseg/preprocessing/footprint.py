"""The way back: slices, or parts of them, exactly onto the voxels of the scan they came from."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoseg.data.labels import LabelEncoding
from autoseg.preprocessing.resampling import resample_labels, resample_slices

Triple = tuple[int, int, int]
Box = tuple[slice, slice, slice]
"""Voxels of a scan from one number to another, along each of its axes."""

_Voxel = TypeVar("_Voxel", bound=np.generic)

_MOST_AT_ONCE: Final = 32
BYTES_AT_ONCE: Final = 1 << 26
"""Slices whose probabilities are resampled together, and what they may take, unless a single one takes more."""


class Footprint(BaseModel):
    """All that is needed to bring slices back onto the scan they came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: Triple = Field(description="the scan's voxels along (Z, Y, X)")
    axes: Triple = Field(description="the scan's axes across the slices, along rows and along columns")
    flipped: tuple[bool, bool, bool] = Field(description="whether each of these is reversed")
    start: Triple = Field(description="first voxel kept, along the reordered axes")
    stop: Triple = Field(description="the voxel after the last one kept")
    size_px: tuple[int, int] = Field(description="rows and columns of the slices after resampling")
    spacing_mm: tuple[float, float, float] = Field(description="of the slices: across, rows, columns")
    pad_value: tuple[float, ...] = Field(
        description="per channel: the darkest value, to extend slices with; empty where they are only predicted"
    )

    @property
    def kept(self) -> Triple:
        """Voxels kept along the reordered axes."""
        first, second, third = (stop - start for start, stop in zip(self.start, self.stop, strict=True))
        return first, second, third

    @property
    def resampled(self) -> bool:
        """Whether slices are on another pixel grid than the scan."""
        return self.kept[1:] != self.size_px


def oriented(volume: NDArray[_Voxel], axes: Sequence[int], flipped: Sequence[bool]) -> NDArray[_Voxel]:
    """A view of a volume (Z, Y, X) with its axes reordered, then reversed where they should be."""
    steps = tuple(slice(None, None, -1 if reverse else 1) for reverse in flipped)
    return volume.transpose(axes)[steps]


def kept_part(volume: NDArray[_Voxel], footprint: Footprint) -> NDArray[_Voxel]:
    """The part of a volume (Z, Y, X) that slices show, along the reordered axes: a view, for reading and writing."""
    box = tuple(slice(first, last) for first, last in zip(footprint.start, footprint.stop, strict=True))
    return oriented(volume, footprint.axes, footprint.flipped)[box]


def apply_to_labels(labels: NDArray[_Voxel], footprint: Footprint) -> NDArray[_Voxel]:
    """Turn a label map of the same scan, (Z, Y, X), into slices, (S, H, W)."""
    return np.ascontiguousarray(resample_labels(kept_part(labels, footprint), footprint.size_px))


def empty_labels(footprint: Footprint, encoding: LabelEncoding) -> NDArray[np.uint16]:
    """Background on the scan's own grid, (Z, Y, X), uint16."""
    return np.full(footprint.shape, encoding.background, dtype=np.uint16)


def empty_probabilities(footprint: Footprint, encoding: LabelEncoding) -> NDArray[np.float32]:
    """Certain background on the scan's own grid, (K, Z, Y, X), float32."""
    restored = np.empty((encoding.channels, *footprint.shape), dtype=np.float32)
    for channel, value in zip(restored, encoding.nothing, strict=True):
        channel[:] = value
    return restored


def put_labels(
    labels: NDArray[np.uint16],
    probabilities: NDArray[np.float32],
    footprint: Footprint,
    encoding: LabelEncoding,
    *,
    first: int = 0,
) -> None:
    """Write the label values of some slices into a label map.

    Args:
        labels: (Z, Y, X), changed in place.
        probabilities: of n slices, (K, n, H, W), float32.
        footprint: the way back.
        encoding: which value probabilities speak for.
        first: number of the first of these slices.
    """
    kept = kept_part(labels, footprint)
    for window, block in on_own_grid(probabilities, footprint, first=first):
        kept[window] = encoding.labels(block)


def put_probabilities(
    restored: NDArray[np.float32], probabilities: NDArray[np.float32], footprint: Footprint, *, first: int = 0
) -> None:
    """The same for probabilities, into (K, Z, Y, X)."""
    kept = [kept_part(channel, footprint) for channel in restored]
    for window, block in on_own_grid(probabilities, footprint, first=first):
        for channel, values in zip(kept, block, strict=True):
            channel[window] = values


def put_map(restored: NDArray[np.float32], values: NDArray[np.float32], footprint: Footprint, *, first: int = 0) -> None:
    """The same for one number per pixel, (n, H, W), into (Z, Y, X)."""
    kept = kept_part(restored, footprint)
    for window, block in on_own_grid(values[np.newaxis], footprint, first=first):
        kept[window] = block[0]


def on_own_grid(
    probabilities: NDArray[np.float32], footprint: Footprint, *, first: int = 0
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Channels (K, n, H, W) of some slices, a few slices at a time, on the scan's own pixel grid.

    Args:
        probabilities: channels of n slices.
        footprint: the way back.
        first: number of the first of these slices.

    Yields:
        numbers of slices, and their channels (K, s, h, w), float32.
    """
    last = first + probabilities.shape[1]
    if probabilities.shape[2:] != footprint.size_px or last > footprint.kept[0]:
        msg = f"slices {first} to {last} of {probabilities.shape[2:]} cannot return to a scan that gave {_given(footprint)}"
        raise ValueError(msg)
    pixels = max(footprint.kept[1] * footprint.kept[2], footprint.size_px[0] * footprint.size_px[1])
    step = min(max(BYTES_AT_ONCE // (4 * len(probabilities) * pixels), 1), _MOST_AT_ONCE)
    for start in range(0, probabilities.shape[1], step):
        block = probabilities[:, start : start + step]
        window = slice(first + start, first + start + block.shape[1])
        if footprint.resampled:
            block = resample_slices(block, (footprint.kept[1], footprint.kept[2]))
        yield window, block


def own_grid(footprints: Sequence[Footprint]) -> Footprint:
    """The way back from slices along the first axis of a scan, on its own voxels, which show all that its views show."""
    boxes = [whole_box(footprint) for footprint in footprints]
    start = tuple(min(box[axis].start for box in boxes) for axis in range(3))
    stop = tuple(max(box[axis].stop for box in boxes) for axis in range(3))
    one = footprints[0]
    spacing_mm = tuple(one.spacing_mm[one.axes.index(axis)] for axis in range(3))
    return Footprint(
        shape=one.shape,
        axes=(0, 1, 2),
        flipped=(False, False, False),
        start=start,
        stop=stop,
        size_px=(stop[1] - start[1], stop[2] - start[2]),
        spacing_mm=spacing_mm,
        pad_value=(),
    )


def on_own_axes(
    probabilities: NDArray[np.float32], footprint: Footprint, *, first: int = 0
) -> Iterator[tuple[Box, NDArray[np.float32]]]:
    """Channels (K, n, H, W) of some slices on the scan's own grid, a few slices at a time, along the scan's own axes.

    Args:
        probabilities: channels of n slices.
        footprint: the way back.
        first: number of the first of these slices.

    Yields:
        a box of the scan's voxels, along (Z, Y, X), and its channels (K, z, y, x), float32.
    """
    order = tuple(1 + footprint.axes.index(axis) for axis in range(3))
    steps = (slice(None), *(slice(None, None, -1 if reverse else 1) for reverse in footprint.flipped))
    for window, block in on_own_grid(probabilities, footprint, first=first):
        yield own_box(footprint, window), block[steps].transpose(0, *order)


def whole_box(footprint: Footprint) -> Box:
    """The voxels that all slices together show, along the scan's own axes, (Z, Y, X)."""
    return own_box(footprint, slice(0, footprint.kept[0]))


def own_box(footprint: Footprint, window: slice) -> Box:
    """The voxels that some of the slices show, along the scan's own axes, (Z, Y, X)."""
    first = footprint.start[0]
    starts, stops = (first + window.start, *footprint.start[1:]), (first + window.stop, *footprint.stop[1:])
    box: dict[int, slice] = {}
    for axis, reverse, start, stop in zip(footprint.axes, footprint.flipped, starts, stops, strict=True):
        size = footprint.shape[axis]
        box[axis] = slice(size - stop, size - start) if reverse else slice(start, stop)
    return box[0], box[1], box[2]


def shape_of(box: Box) -> Triple:
    """How many voxels a box has along each axis."""
    first, second, third = (side.stop - side.start for side in box)
    return first, second, third


def within(inner: Box, outer: Box) -> Box:
    """Where a box is in another one around it."""
    first, second, third = (
        slice(side.start - around.start, side.stop - around.start) for side, around in zip(inner, outer, strict=True)
    )
    return first, second, third


def shown_in(footprint: Footprint, box: Box) -> Box:
    """Which slices show a box of the scan's voxels, and which of their rows and columns on the scan's own pixels do."""
    shown = []
    for axis, reverse, start, stop in zip(footprint.axes, footprint.flipped, footprint.start, footprint.stop, strict=True):
        size = footprint.shape[axis]
        first, last = (size - box[axis].stop, size - box[axis].start) if reverse else (box[axis].start, box[axis].stop)
        shown.append(slice(max(first, start) - start, min(last, stop) - start))
    return shown[0], shown[1], shown[2]


def _given(footprint: Footprint) -> Triple:
    return (footprint.kept[0], *footprint.size_px)
