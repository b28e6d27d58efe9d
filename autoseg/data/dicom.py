"""DICOM series: found in a folder, and read as one volume.

SimpleITK reads a series with a missing slice without complaint and stretches the others over the gap, ignores a sideways
shift, and rounds what a slice's own scaling makes of its pixels to the type of the first slice. So slices are compared
with each other and then read one by one.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dicom_slice import ORIENTATION_TOLERANCE, Slice, open_slice
from autoseg.data.geometry import Geometry
from autoseg.data.image import Image
from autoseg.errors import ImageError
from autoseg.formats.finite import check_finite

GAP_TOLERANCE: Final = 0.01
"""Slices may lie this fraction of their usual distance from where they should, besides rounding. Source: ours."""

ROUNDING_MM: Final = 0.01
"""What rounding may add to the distance of two slices: positions are often written with two decimals."""

MOST_GAP_TOLERANCE: Final = 0.1
"""Rounding included, no more than this fraction of the usual distance. Source: ours."""

SPACING_TOLERANCE: Final = 1e-3
"""The pixels of two slices may differ in size by this fraction. Source: ours."""

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"


@dataclass(frozen=True)
class Series:
    """The files of one acquisition.

    Attributes:
        number: its number in the examination, as DICOM has it; empty where it has none.
        files: in the order of the slices.
    """

    number: str
    files: tuple[Path, ...]


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its content: the letters DICM after 128 bytes.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return stream.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC


def find_series(paths: Sequence[Path]) -> tuple[Series, ...]:
    """Group DICOM files of one folder by series.

    Args:
        paths: DICOM files; what is no image, such as a report or the table of contents of a disc, is skipped.

    Returns:
        the series by rising number.

    Raises:
        ImageError: a file cannot be read.
    """
    members: defaultdict[str, list[Slice]] = defaultdict(list)
    for path in sorted(paths):
        if (found := open_slice(path)) is not None:
            members[found.series_uid].append(found)
    series = [
        Series(number=slices[0].series_number, files=tuple(found.path for found in _in_order(slices)))
        for slices in members.values()
    ]
    return tuple(sorted(series, key=lambda one: (one.number.zfill(12), one.files)))


def read_series(paths: Sequence[Path]) -> Image:
    """Read the slices of one series as one volume.

    Args:
        paths: its files in the order of the slices.

    Returns:
        the scan, with one channel, each slice's own scaling applied.

    Raises:
        ImageError: a file is damaged, holds several slices or no grey values, or says what cannot be; a slice is missing,
            repeated or out of place; slices differ in size, orientation, spacing or the meaning of greys.
    """
    slices = [_opened(path) for path in paths]
    first = slices[0]
    for one in slices:
        one.check()
        _check_alike(one, first)
    (gap_mm, rows_mm, columns_mm), origin_mm, direction = first.grid
    geometry = Geometry(
        shape=(len(slices), *first.size_px),
        spacing_mm=(gap_mm if len(slices) == 1 else _gap_mm(slices), rows_mm, columns_mm),
        origin_mm=origin_mm,
        direction=direction,
    )
    array = np.empty((1, *geometry.shape), dtype=np.float32)
    for target, one in zip(array[0], slices, strict=True):
        target[:] = one.pixels()
    check_finite(array, paths)
    return Image(array=array, geometry=geometry, warnings=first.warnings, source=paths[0].parent)


def _opened(path: Path) -> Slice:
    if (found := open_slice(path)) is None:
        raise ImageError("a DICOM file without an image", where=path, remedy="Give the files of one series of images.")
    return found


def _check_alike(one: Slice, first: Slice) -> None:
    """Require a slice to be like the first."""
    if one.size_px != first.size_px:
        raise one.mismatch("the slices of the series differ in size", first.size_px, one.size_px)
    if one.greys != first.greys:
        raise one.mismatch("the slices of the series differ in the meaning of their greys", first.greys, one.greys)
    if one is first:  # alone it need not say where it lies
        return
    if not np.allclose(one.spacing_mm, first.spacing_mm, rtol=SPACING_TOLERANCE, atol=0):
        raise one.mismatch("the slices of the series differ in the size of their pixels", first.spacing_mm, one.spacing_mm)
    if np.abs(one.orientation - first.orientation).max() > ORIENTATION_TOLERANCE:
        raise one.mismatch("the slices of the series are not parallel", first.orientation, one.orientation)


def _gap_mm(slices: Sequence[Slice]) -> float:
    """The distance between slices, which must be everywhere the same and straight ahead."""
    steps_mm = np.diff([one.position_mm for one in slices], axis=0)  # (S - 1, 3)
    normal = _normal(slices[0])
    ahead_mm = steps_mm @ normal
    aside_mm = np.linalg.norm(steps_mm - np.outer(ahead_mm, normal), axis=1)
    usual_mm = float(np.median(ahead_mm))
    tolerance_mm = min(GAP_TOLERANCE * usual_mm + ROUNDING_MM, MOST_GAP_TOLERANCE * usual_mm)
    uneven = np.abs(ahead_mm - usual_mm) > tolerance_mm
    if usual_mm <= 0 or uneven.any():
        index = int(np.argmax(uneven))
        raise slices[index + 1].mismatch(
            "a slice of the series is missing, repeated or out of place",
            f"{usual_mm:.4g} mm between slices",
            f"{ahead_mm[index]:.4g} mm after {slices[index].path.name}",
        )
    if (aside_mm > tolerance_mm).any():
        index = int(np.argmax(aside_mm))
        raise slices[index + 1].mismatch(
            "the slices of the series do not lie straight above each other, as with a tilted gantry",
            f"at most {tolerance_mm:.2g} mm aside",
            f"{aside_mm[index]:.4g} mm aside of {slices[index].path.name}",
        )
    return float(ahead_mm.mean())


def _in_order(slices: Sequence[Slice]) -> list[Slice]:
    """By position along the slices' common normal; files without a position keep the order of their names."""
    if not all(one.has_position for one in slices):
        return list(slices)
    return sorted(slices, key=lambda one: (float(one.position_mm @ _normal(one)), one.path))


def _normal(one: Slice) -> NDArray[np.float64]:
    return np.cross(one.orientation[:3], one.orientation[3:])
