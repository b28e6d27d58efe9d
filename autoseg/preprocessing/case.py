"""One scan on its way to the network: canonical slices, cut to what matters, on the plan's pixel grid, normalised."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from autoseg import catalogue
from autoseg.errors import ImageError, PlanError
from autoseg.images.geometry import ANATOMICAL_AXES, Geometry
from autoseg.images.image import Image
from autoseg.planning.sections import PreprocessingSection, View
from autoseg.planning.slicing import PLANE_AXES
from autoseg.preprocessing.footprint import Footprint, Triple, oriented
from autoseg.preprocessing.intensity import Scaling, scaling_of
from autoseg.preprocessing.resampling import resample_slices

_Voxel = TypeVar("_Voxel", bound=np.generic)

_CANONICAL_SIGN: Final = {"left-right": 1, "posterior-anterior": 1, "inferior-superior": -1}
"""Which way indices grow: towards left, posterior (as SimpleITK's coordinates) and inferior, so that slices have the
orientation in which they are usually shown."""

_NUMBERS_AT_ONCE: Final = 1 << 20
"""Intensities looked at together, unless a single slice has more. Source: chosen; 4 MiB are little."""

_MOST_VOXELS: Final = 1 << 31
"""Of one channel on another pixel grid.

Source: chosen; a scan of 512 x 512 x 2048 voxels with its pixels halved, 8 GiB as float32."""

_MOST_WEIGHTS: Final = 1 << 28
"""Of one side's old pixels in its new ones. Source: chosen; 16384 pixels on 16384, for which resampling takes 2 GiB."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan as a network sees it.

    Attributes:
        array: normalised slices, (C, S, H, W), float32.
        footprint: the way back.
    """

    array: NDArray[np.float32]
    footprint: Footprint


@dataclass(frozen=True, eq=False)
class CutScan:
    """A scan whose slices are made when they are asked for.

    Attributes:
        channels: intensities along the reordered axes, each (S', H', W'): views of the scan.
        scalings: how each is normalised.
        footprint: the way back, without `pad_value`.
    """

    channels: tuple[NDArray[np.float32], ...]
    scalings: tuple[Scaling, ...]
    footprint: Footprint

    def part(self, window: slice) -> NDArray[np.float32]:
        """Some of the slices, as a network sees them: (C, n, H, W), float32."""
        start, stop = self.footprint.start, self.footprint.stop
        box = (
            slice(start[0] + window.start, start[0] + window.stop),
            *(slice(first, last) for first, last in zip(start[1:], stop[1:], strict=True)),
        )
        parts = [scaling.apply(channel[box]) for channel, scaling in zip(self.channels, self.scalings, strict=True)]
        if self.footprint.resampled:
            parts = [resample_slices(part, self.footprint.size_px) for part in parts]
        return np.stack(parts)  # (C, n, H, W)

    def darkest(self) -> tuple[float, ...]:
        """Of each channel, the darkest value of all slices: the `pad_value` of what `apply` makes of the scan.

        To learn it every slice is made, the first time that it is asked for.
        """
        return self._darkest

    @cached_property
    def _darkest(self) -> tuple[float, ...]:
        slices, rows, columns = self.footprint.kept
        pixels = max(rows * columns, self.footprint.size_px[0] * self.footprint.size_px[1])
        step = max(_NUMBERS_AT_ONCE // (len(self.channels) * pixels), 1)
        parts = (self.part(slice(first, min(first + step, slices))) for first in range(0, slices, step))
        least = np.min([part.min(axis=(1, 2, 3)) for part in parts], axis=0)
        return tuple(float(value) for value in least)


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
    cut = cut_slices(image, section, view=view)
    array = cut.part(slice(0, cut.footprint.kept[0]))
    darkest = tuple(float(channel.min()) for channel in array)  # as of CutScan.darkest
    return Prepared(array, cut.footprint.model_copy(update={"pad_value": darkest}))


def cut_slices(image: Image, section: PreprocessingSection, *, view: View) -> CutScan:
    """Find out how a scan becomes slices, and make none yet: arguments and errors as of `apply`."""
    _refuse_volume_as_image(image, view.plane)
    axes, flipped = _orientation(image.geometry, view.plane)
    channels = tuple(oriented(channel, axes, flipped) for channel in image.array)
    start, stop = _kept_box(channels, section)
    footprint = _footprint(image.geometry, view, axes=axes, flipped=flipped, start=start, stop=stop)
    # Statistics are those of the whole scan: what is cut away decides nothing about intensities.
    scalings = tuple(scaling_of(channel, step) for channel, step in zip(channels, section.normalisation, strict=True))
    return CutScan(channels, scalings, footprint)


def whole_footprint(geometry: Geometry, *, view: View) -> Footprint:
    """The way back from the slices of a scan of which nothing is cut away.

    Raises:
        PlanError: the plan's pixels are so small that the slices would fill any memory.
    """
    axes, flipped = _orientation(geometry, view.plane)
    first, second, third = (geometry.shape[axis] for axis in axes)
    return _footprint(geometry, view, axes=axes, flipped=flipped, start=(0, 0, 0), stop=(first, second, third))


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
    return oriented(volume, axes, flipped), (first, second, third)


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


def _kept_box(channels: Sequence[NDArray[np.float32]], section: PreprocessingSection) -> tuple[Triple, Triple]:
    """The box to keep, along the reordered axes: first voxel, and the one after the last."""
    shape = channels[0].shape
    whole: tuple[Triple, Triple] = ((0, 0, 0), (shape[0], shape[1], shape[2]))
    if section.crop == "none":
        return whole
    occupied = channels[0] != 0
    for channel in channels[1:]:
        occupied |= channel != 0
    if not occupied.any():
        return whole
    start, stop = [], []
    for axis, length in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        indices = np.flatnonzero(occupied.any(axis=others))
        start.append(max(int(indices[0]) - section.crop_margin_px, 0))
        stop.append(min(int(indices[-1]) + 1 + section.crop_margin_px, length))
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def _footprint(
    geometry: Geometry, view: View, *, axes: Triple, flipped: tuple[bool, bool, bool], start: Triple, stop: Triple
) -> Footprint:
    size_px, spacing_mm = _grid(geometry, view.spacing_mm, axes=axes, start=start, stop=stop)
    return Footprint(
        shape=geometry.shape,
        axes=axes,
        flipped=flipped,
        start=start,
        stop=stop,
        size_px=size_px,
        spacing_mm=spacing_mm,
        pad_value=(),
    )


def _grid(
    geometry: Geometry, wanted_mm: tuple[float, float] | None, *, axes: Triple, start: Triple, stop: Triple
) -> tuple[tuple[int, int], tuple[float, float, float]]:
    """Rows and columns of the slices, and their spacing (across, rows, columns) in mm."""
    spacing_mm = geometry.spacing_mm
    if wanted_mm is not None and geometry.printed_mm is not None:
        # Plans for pictures name no spacing, but those of 0.1 may: it took resolutions for printing for sizes.
        spacing_mm = (1.0, *geometry.printed_mm)
    across, rows, columns = (spacing_mm[axis] for axis in axes)
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
