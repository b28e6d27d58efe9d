"""One scan on its way to the network and back.

There: slices in a canonical orientation, cut to what matters, on the plan's pixel grid, normalised. Back: exactly onto
the scan's own voxels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoseg import catalogue
from autoseg.data.geometry import ANATOMICAL_AXES, Geometry
from autoseg.data.image import Image
from autoseg.data.labels import LabelEncoding
from autoseg.errors import ImageError, PlanError
from autoseg.planning.sections import PreprocessingSection, View
from autoseg.planning.slicing import PLANE_AXES
from autoseg.preprocessing.intensity import normalise
from autoseg.preprocessing.resampling import resample_labels, resample_slices

Triple = tuple[int, int, int]
_Voxel = TypeVar("_Voxel", bound=np.generic)

_CANONICAL_SIGN: Final = {"left-right": 1, "posterior-anterior": 1, "inferior-superior": -1}
"""Which way indices grow: towards left, posterior (as SimpleITK's coordinates) and inferior, so that slices have the
orientation in which they are usually shown."""

_MOST_VOXELS: Final = 1 << 31
"""Of one channel on another pixel grid.

Source: chosen; a scan of 512 x 512 x 2048 voxels with its pixels halved, 8 GiB as float32."""

_MOST_WEIGHTS: Final = 1 << 28
"""Of one side's old pixels in its new ones. Source: chosen; 16384 pixels on 16384, for which resampling takes 2 GiB."""

_SLICES_AT_ONCE: Final = 32
"""Slices whose probabilities are resampled together, which bounds memory."""


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
    pad_value: tuple[float, ...] = Field(description="per channel: the darkest value, to extend slices with")

    @property
    def kept(self) -> Triple:
        """Voxels kept along the reordered axes."""
        first, second, third = (stop - start for start, stop in zip(self.start, self.stop, strict=True))
        return first, second, third

    @property
    def resampled(self) -> bool:
        """Whether slices are on another pixel grid than the scan."""
        return self.kept[1:] != self.size_px


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan as a network sees it.

    Attributes:
        array: normalised slices, (C, S, H, W), float32.
        footprint: the way back.
    """

    array: NDArray[np.float32]
    footprint: Footprint


def apply(image: Image, section: PreprocessingSection, *, view: View) -> Prepared:
    """Turn a scan into slices.

    Args:
        image: the scan, (C, Z, Y, X), float32.
        section: the plan's preprocessing.
        view: how to cut it.

    Returns:
        slices, (C, S, H, W), and the way back.

    Raises:
        ImageError: the scan is a volume and the plan is for 2D images.
        PlanError: the plan's pixels are so small that the slices would fill any memory.
        ValueError: the scan and the plan have different numbers of channels.
    """
    _refuse_volume_as_image(image, view.plane)
    axes, flipped = _orientation(image.geometry, view.plane)
    oriented = [_oriented(channel, axes, flipped) for channel in image.array]
    start, stop = _kept_box(oriented, section)
    box = tuple(slice(first, last) for first, last in zip(start, stop, strict=True))
    size_px, spacing_mm = _grid(image.geometry, view.spacing_mm, axes=axes, start=start, stop=stop)
    # Statistics are those of the whole scan: what is cut away decides nothing about intensities.
    normalised = [normalise(channel, step)[box] for channel, step in zip(oriented, section.normalisation, strict=True)]
    if size_px != normalised[0].shape[1:]:
        normalised = [resample_slices(channel, size_px) for channel in normalised]
    array = np.stack(normalised)  # (C, S, H, W)
    footprint = Footprint(
        shape=image.geometry.shape,
        axes=axes,
        flipped=flipped,
        start=start,
        stop=stop,
        size_px=size_px,
        spacing_mm=spacing_mm,
        pad_value=tuple(float(channel.min()) for channel in array),
    )
    return Prepared(array, footprint)


def apply_to_labels(labels: NDArray[_Voxel], footprint: Footprint) -> NDArray[_Voxel]:
    """Turn a label map of the same scan, (Z, Y, X), into slices, (S, H, W)."""
    return np.ascontiguousarray(resample_labels(_kept(labels, footprint), footprint.size_px))


def restore_labels(probabilities: NDArray[np.float32], footprint: Footprint, encoding: LabelEncoding) -> NDArray[np.uint16]:
    """The label value of every voxel of the scan.

    Args:
        probabilities: (K, S, H, W), float32.
        footprint: the way back.
        encoding: which value probabilities speak for.

    Returns:
        label values, (Z, Y, X), uint16; background wherever the scan was cut away.
    """
    labels = np.full(footprint.shape, encoding.background, dtype=np.uint16)
    kept = _kept(labels, footprint)
    for window, block in _on_own_grid(probabilities, footprint):
        kept[window] = encoding.labels(block)
    return labels


def restore_probabilities(
    probabilities: NDArray[np.float32], footprint: Footprint, encoding: LabelEncoding
) -> NDArray[np.float32]:
    """The probability of every class at every voxel of the scan.

    Args:
        probabilities: (K, S, H, W), float32.
        footprint: the way back.
        encoding: says what is probable where the scan was cut away.

    Returns:
        (K, Z, Y, X), float32; background has probability 1 wherever the scan was cut away.
    """
    restored = np.empty((len(probabilities), *footprint.shape), dtype=np.float32)  # (K, Z, Y, X)
    for channel, value in zip(restored, encoding.nothing, strict=True):
        channel[:] = value
    kept = [_kept(channel, footprint) for channel in restored]
    for window, block in _on_own_grid(probabilities, footprint):
        for channel, values in zip(kept, block, strict=True):
            channel[window] = values
    return restored


def restore_map(values: NDArray[np.float32], footprint: Footprint) -> NDArray[np.float32]:
    """One number per pixel, (S, H, W), float32, on the scan's own grid, (Z, Y, X); 0 wherever the scan was cut away."""
    restored = np.zeros(footprint.shape, dtype=np.float32)
    kept = _kept(restored, footprint)
    for window, block in _on_own_grid(values[np.newaxis], footprint):
        kept[window] = block[0]
    return restored


def canonical(volume: NDArray[_Voxel], geometry: Geometry) -> tuple[NDArray[_Voxel], tuple[float, float, float]]:
    """A volume as images show it, with its spacing.

    Args:
        volume: voxels in the scan's own axes, (Z, Y, X).
        geometry: where they lie.

    Returns:
        a view, (Z, Y, X), whose indices grow towards inferior, posterior and left, and its spacing along these axes in mm.
        A 2D image stays as it is.
    """
    axes, flipped = _orientation(geometry, "axial")
    first, second, third = (geometry.spacing_mm[axis] for axis in axes)
    return _oriented(volume, axes, flipped), (first, second, third)


def _refuse_volume_as_image(image: Image, plane: catalogue.Plane | None) -> None:
    """Refuse to cut a volume along whichever axis it is stored by."""
    geometry = image.geometry
    if plane is None and geometry.dimensions == 3 and geometry.shape[0] != 1:
        raise ImageError(
            "a volume, and the plan is for 2D images (`plane` of its view is null)",
            where=image.source,
            expected="one slice",
            found=f"{geometry.shape[0]} slices",
            remedy="Give its slices as images of their own, or use a plan made from volumes.",
        )


def _orientation(geometry: Geometry, plane: catalogue.Plane | None) -> tuple[Triple, tuple[bool, bool, bool]]:
    """Which array axes lie across slices, along rows and along columns, and which of them run the wrong way.

    A 2D image is one slice of whatever plane.
    """
    if plane is None or geometry.dimensions == 2:
        return (0, 1, 2), (False, False, False)
    patient = [ANATOMICAL_AXES[axis] for axis in geometry.anatomical_axes()]
    signs = geometry.axis_signs()
    across, rows, columns = (patient.index(name) for name in PLANE_AXES[plane])
    first, second, third = (signs[axis] != _CANONICAL_SIGN[patient[axis]] for axis in (across, rows, columns))
    return (across, rows, columns), (first, second, third)


def _oriented(volume: NDArray[_Voxel], axes: Sequence[int], flipped: Sequence[bool]) -> NDArray[_Voxel]:
    """A view of a volume (Z, Y, X) with its axes reordered, then reversed where they should be."""
    steps = tuple(slice(None, None, -1 if reverse else 1) for reverse in flipped)
    return volume.transpose(axes)[steps]


def _kept_box(channels: Sequence[NDArray[np.float32]], section: PreprocessingSection) -> tuple[Triple, Triple]:
    """The box to keep, along the reordered axes: first voxel, and the one after the last."""
    shape = channels[0].shape
    whole: tuple[Triple, Triple] = ((0, 0, 0), (shape[0], shape[1], shape[2]))
    if section.crop == "none":
        return whole
    occupied = np.logical_or.reduce([channel != 0 for channel in channels])
    if not occupied.any():
        return whole
    start, stop = [], []
    for axis, length in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        indices = np.flatnonzero(occupied.any(axis=others))
        start.append(max(int(indices[0]) - section.crop_margin_px, 0))
        stop.append(min(int(indices[-1]) + 1 + section.crop_margin_px, length))
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def _grid(
    geometry: Geometry, wanted_mm: tuple[float, float] | None, *, axes: Triple, start: Triple, stop: Triple
) -> tuple[tuple[int, int], tuple[float, float, float]]:
    """Rows and columns of the slices, and their spacing (across, rows, columns) in mm."""
    across, rows, columns = (geometry.spacing_mm[axis] for axis in axes)
    height, width = (last - first for first, last in zip(start[1:], stop[1:], strict=True))
    if wanted_mm is None:
        return (height, width), (across, rows, columns)
    # The least of the two, because the quotient of two floats may be infinite.
    size = (
        max(1, round(min(height * rows / wanted_mm[0], _MOST_VOXELS))),
        max(1, round(min(width * columns / wanted_mm[1], _MOST_VOXELS))),
    )
    slices = stop[0] - start[0]
    if size != (height, width) and not _affordable((slices, height, width), size):
        raise PlanError(
            "spacing_mm of the view makes pixels so small that the slices of a scan would fill any memory",
            expected=f"at most {_MOST_VOXELS} voxels, and {_MOST_WEIGHTS} pairs of old and new pixels along a side",
            found=f"{slices} slices of {height} x {width} pixels that would become {size[0]} x {size[1]}",
            remedy="Raise spacing_mm of the view in plan.json, or check the spacing in the scan's header.",
        )
    return size, (across, height * rows / size[0], width * columns / size[1])


def _affordable(kept: Triple, size: tuple[int, int]) -> bool:
    """Whether slices of some size can be made of a scan's voxels (across, rows, columns)."""
    across, rows, columns = kept
    return (
        across * size[0] * size[1] <= _MOST_VOXELS and rows * size[0] <= _MOST_WEIGHTS and columns * size[1] <= _MOST_WEIGHTS
    )


def _on_own_grid(probabilities: NDArray[np.float32], footprint: Footprint) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Probabilities (K, s, h, w) of a few slices at a time on the scan's own pixel grid."""
    expected = (footprint.kept[0], *footprint.size_px)
    if probabilities.shape[1:] != expected:
        msg = f"slices of shape {probabilities.shape[1:]} cannot return to a scan that gave {expected}"
        raise ValueError(msg)
    for first in range(0, probabilities.shape[1], _SLICES_AT_ONCE):
        window = slice(first, first + _SLICES_AT_ONCE)
        block = probabilities[:, window]
        if footprint.resampled:
            block = resample_slices(block, (footprint.kept[1], footprint.kept[2]))
        yield window, block


def _kept(volume: NDArray[_Voxel], footprint: Footprint) -> NDArray[_Voxel]:
    """The part of a volume (Z, Y, X) that slices show, along the reordered axes: a view, for reading and writing."""
    box = tuple(slice(first, last) for first, last in zip(footprint.start, footprint.stop, strict=True))
    return _oriented(volume, footprint.axes, footprint.flipped)[box]
