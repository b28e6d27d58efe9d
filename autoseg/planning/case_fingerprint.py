"""One labelled case in numbers.

Numbers are rounded to six significant digits: the last digits of a mean depend on the processor's vector width, and a
plan must not.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from autoseg.data.dataset import Case, LabelClass
from autoseg.errors import ImageError
from autoseg.formats.checksum import image_checksum
from autoseg.images.geometry import ANATOMICAL_AXES, Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.images.label_values import voxel_counts
from autoseg.images.moments import mean_and_std
from autoseg.planning.mirroring import MirrorImage, class_extents, mirror_image
from autoseg.planning.tilt import measured_tilt

T = TypeVar("T")
AnatomicalAxis = Literal["left-right", "posterior-anterior", "inferior-superior"]
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""First voxel and the one after the last, along the array axes (Z, Y, X)."""

_DIGITS: Final = 6
_QUANTILES: Final = (0.005, 0.25, 0.5, 0.75, 0.995)
_QUANTILE_SAMPLE: Final = 10_000_000
"""Quantiles of larger foregrounds are taken from evenly spaced voxels.

Source: chosen, because sorting them all would take longer than reading the file, and ten million suffice."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IntensityStatistics(_Document):
    """Intensities of a group of voxels, in the scan's units."""

    voxels: int = Field(ge=1, description="size of the group")
    mean: float
    std: float = Field(ge=0, description="standard deviation")
    minimum: float
    percentile_00_5: float
    percentile_25: float
    percentile_50: float
    percentile_75: float
    percentile_99_5: float
    maximum: float


class ChannelStatistics(_Document):
    """One channel's intensities over the two foregrounds that normalisations use; null where a foreground is empty."""

    positive: IntensityStatistics | None = Field(description="voxels > 0")
    labelled: IntensityStatistics | None = Field(description="voxels whose label is > 0")


class Unlabelled(_Document):
    """What of a case has no label."""

    voxels: int = Field(ge=1, description="voxels without a label")
    labelled_slices: tuple[int, int, int] = Field(description="slices across each axis (Z, Y, X) that have a labelled voxel")


class CaseFingerprint(_Document):
    """One labelled case in numbers."""

    id: str
    image_sha256: tuple[str, ...] = Field(min_length=1, description="checksum of each image file")
    label_sha256: str
    voxels_sha256: str | None = Field(
        default=None,
        description="digest of the scan's voxels, to recognise copies; null: measured by version 0.1",
    )
    shape: tuple[int, int, int] = Field(description="voxels along (Z, Y, X)")
    spacing_mm: tuple[float, float, float] = Field(description="along (Z, Y, X)")
    dimensions: int = Field(description="3, or 2 for a single image")
    axes: tuple[AnatomicalAxis, AnatomicalAxis, AnatomicalAxis] = Field(description="nearest to (Z, Y, X)")
    tilt_degrees: tuple[float, float, float] | None = Field(
        default=None,
        description="rotation of the image's axes against the nearest of the patient's, about left-right, "
        "posterior-anterior and inferior-superior; null: a 2D image, or not measured (before 0.2)",
    )
    channels: tuple[ChannelStatistics, ...] = Field(min_length=1)
    colours: bool = Field(default=False, description="whether they are red, green and blue of one file")
    class_voxels: dict[int, int] = Field(description="voxels of each label value over the whole, uncropped scan")
    nonzero_voxels: int = Field(ge=1, description="voxels other than 0 in any channel")
    nonzero_box: Box = Field(description="smallest box around them")
    unlabelled: Unlabelled | None = Field(default=None, description="what has no label; null: every voxel has one")
    label_box: Box | None = Field(description="smallest box around the labels > 0; null: there are none")
    label_margin_px: int = Field(ge=0, description="voxels by which the labels leave the nonzero box, at the worst side")
    symmetry: tuple[float, float, float] | None = Field(
        description="per axis (Z, Y, X): Dice of the labels with their own mirror image inside the label box, mean "
        "over the classes present, background excluded; null: no labels"
    )
    swapped: tuple[bool, bool, bool] | None = Field(
        default=None,
        description="per axis (Z, Y, X): whether two classes there lie more on each other's mirror image than on their own, "
        "as left and right of a pair do; null: no labels, or not measured (before 0.2)",
    )
    class_offsets: dict[int, tuple[float, float, float]] | None = Field(
        default=None,
        description="per label value and axis (Z, Y, X): how far the middle of the smallest box around it lies from that of "
        "the nonzero box, as a fraction of its length; > 0 towards left, posterior or superior, in 2D images along the "
        "axis; null: no labels, or not measured (before 0.2)",
    )

    def voxels_of(self, label: LabelClass) -> int:
        """Voxels of a class; those of a region have one of its values."""
        return sum(self.class_voxels.get(value, 0) for value in label.label_values)


def measure(case: Case, image: Image, labels: LabelMap, *, ignore: int | None = None) -> CaseFingerprint:
    """Put one case into numbers. Voxels without a label count for no number of the labels.

    Args:
        case: a labelled case; its files' checksums become part of the fingerprint.
        image: its image, on the grid of the labels.
        labels: its label map, 0 is background.
        ignore: label value of voxels without a label; None: there are none.

    Raises:
        ValueError: the case has no label map.
        ImageError: a channel is constant, so that nothing could be learnt from it.
    """
    if case.label is None:
        msg = f"case {case.id} has no label map"
        raise ValueError(msg)
    refuse_constant_channels(case, image)
    labelled = None if ignore is None else labels.array != ignore
    if labelled is None or labelled.all():
        labelled, known = None, labels.array
    else:
        known = np.where(labelled, labels.array, np.uint16(0))
    nonzero, foreground = np.any(image.array != 0, axis=0), known > 0
    nonzero_box = _bounding_box(nonzero)
    label_box = _bounding_box(foreground) if foreground.any() else None
    inside = known[_slices(label_box)] if label_box else known[:0]
    counts = _foreground_voxels(inside)
    geometry = image.geometry
    in_mirrors = _in_mirrors(inside, None if labelled is None else labelled[_slices(label_box)]) if label_box else None
    return CaseFingerprint(
        id=case.id,
        image_sha256=tuple(image_checksum(path) for path in case.images),
        label_sha256=image_checksum(case.label),
        shape=geometry.shape,
        spacing_mm=_triple(_rounded(spacing) for spacing in geometry.spacing_mm),
        dimensions=geometry.dimensions,
        tilt_degrees=measured_tilt(geometry),
        axes=_triple(ANATOMICAL_AXES[axis] for axis in geometry.anatomical_axes()),
        channels=tuple(
            ChannelStatistics(
                positive=intensity_statistics(channel[channel > 0]), labelled=intensity_statistics(channel[foreground])
            )
            for channel in image.array
        ),
        colours=image.colours,
        class_voxels={0: _voxels(labelled, known) - sum(counts.values()), **counts},
        unlabelled=None if labelled is None else _unlabelled(labelled),
        nonzero_voxels=int(np.count_nonzero(nonzero)),
        nonzero_box=nonzero_box,
        label_box=label_box,
        label_margin_px=_margin_px(label_box, nonzero_box) if label_box else 0,
        symmetry=in_mirrors and _triple(_rounded(each.dice) for each in in_mirrors),
        swapped=in_mirrors and _triple(each.swapped for each in in_mirrors),
        class_offsets=_class_offsets(inside, label_box, nonzero_box, geometry) if label_box else None,
    )


def refuse_constant_channels(case: Case, image: Image) -> None:
    """Require that every channel of a training case has contrast; of colours one is enough, as in images of stained cells.

    Raises:
        ImageError: one has none.
    """
    array = image.array
    constant = [index for index, channel in enumerate(array) if channel.min() == channel.max()]
    if not constant or (image.colours and len(constant) < len(array)):
        return
    index = constant[0]
    raise ImageError(
        "every voxel has the same value, so there is nothing to learn from",
        where=case.images[index] if len(case.images) == len(array) else f"{case.images[0]}, channel {index}",
        expected="an image with contrast",
        found=f"{array[index].flat[0]:g} everywhere",
        remedy="Replace the file, or take the case out of the training data.",
    )


def intensity_statistics(values: NDArray[np.float32]) -> IntensityStatistics | None:
    """Put a group of voxels, of any number, into numbers; None for none."""
    if not values.size:
        return None
    sample = values[:: -(-values.size // _QUANTILE_SAMPLE)]
    low, lower, median, upper, high = (_rounded(value) for value in np.quantile(sample, _QUANTILES))
    mean, std = mean_and_std(values)
    return IntensityStatistics(
        voxels=values.size,
        mean=_rounded(mean),
        std=_rounded(std),
        minimum=_rounded(values.min()),
        percentile_00_5=low,
        percentile_25=lower,
        percentile_50=median,
        percentile_75=upper,
        percentile_99_5=high,
        maximum=_rounded(values.max()),
    )


def _voxels(labelled: NDArray[np.bool_] | None, labels: NDArray[np.uint16]) -> int:
    """Voxels of a scan that have a label."""
    return labels.size if labelled is None else int(np.count_nonzero(labelled))


def _unlabelled(labelled: NDArray[np.bool_]) -> Unlabelled:
    slices = _triple(int(labelled.any(axis=tuple({0, 1, 2} - {axis})).sum()) for axis in range(3))
    return Unlabelled(voxels=int(np.count_nonzero(~labelled)), labelled_slices=slices)


def _foreground_voxels(labels: NDArray[np.uint16]) -> dict[int, int]:
    counts = voxel_counts(labels)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value > 0}


def _in_mirrors(
    labels: NDArray[np.uint16], labelled: NDArray[np.bool_] | None
) -> tuple[MirrorImage, MirrorImage, MirrorImage]:
    return _triple(mirror_image(labels, labelled, axis=axis) for axis in range(3))


def _class_offsets(
    inside: NDArray[np.uint16], label_box: Box, nonzero_box: Box, geometry: Geometry
) -> dict[int, tuple[float, float, float]]:
    """Where the classes in the label box lie in the nonzero box, whichever way volumes are stored."""
    signs = (1, 1, 1) if geometry.dimensions == 2 else geometry.axis_signs()
    return {
        value: _triple(
            _rounded(sign * (start + stop + 2 * corner - low - high) / (2 * (high - low)))
            for sign, (start, stop), (corner, _), (low, high) in zip(signs, extents, label_box, nonzero_box, strict=True)
        )
        for value, extents in class_extents(inside).items()
    }


def _bounding_box(mask: NDArray[np.bool_]) -> Box:
    return _triple(_extent(np.any(mask, axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))


def _extent(occupied: NDArray[np.bool_]) -> tuple[int, int]:
    places = np.flatnonzero(occupied)
    return int(places[0]), int(places[-1]) + 1


def _slices(box: Box) -> tuple[slice, ...]:
    return tuple(slice(start, stop) for start, stop in box)


def _margin_px(inner: Box, outer: Box) -> int:
    sides = zip(inner, outer, strict=True)
    return max(max(0, first[0] - start, stop - first[1]) for (start, stop), first in sides)


def _rounded(value: Any) -> float:
    return float(f"{float(value):.{_DIGITS}g}")


def _triple(values: Iterable[T]) -> tuple[T, T, T]:
    first, second, third = values
    return first, second, third
