"""The slices of one DICOM series, read as one volume.

SimpleITK reads a series with a missing slice without complaint and stretches the others over the gap, ignores a sideways
shift, and rounds what a slice's own scaling makes of its pixels to the type of the first slice. So slices are compared
with each other and then read one by one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.formats.finite import check_finite
from autoseg.formats.grid import TOLERANCE_VOXELS
from autoseg.images.dicom.slice import ORIENTATION_TOLERANCE, Slice, open_slice
from autoseg.images.geometry import Geometry
from autoseg.images.volumes import Admit, Volumes
from autoseg.wording import counted, some

GAP_TOLERANCE: Final = 0.01
"""Slices may lie this fraction of their usual distance from where they should, besides rounding. Source: ours."""

ROUNDING_MM: Final = 0.01
"""What rounding may add to the distance of two slices: positions are often written with two decimals."""

MOST_GAP_TOLERANCE: Final = 0.1
"""Rounding included, no more than this fraction of the usual distance. Source: ours."""

_NAMED: Final = 3
"""So many places are named where slices are missing."""

SPACING_TOLERANCE: Final = 1e-3
"""The pixels of two slices may differ in size by this fraction. Source: ours."""


def read_slices(paths: Sequence[Path], *, admit: Admit | None = None) -> Volumes:
    """Read the slices of one series as one volume.

    Args:
        paths: its files in the order of the slices.
        admit: asked before any voxel is read.

    Returns:
        one volume, float32, each slice's own scaling applied.

    Raises:
        ImageError: a file is damaged, holds several slices or no grey values, or says what cannot be; a slice is missing,
            repeated or out of place; slices differ in size, orientation, spacing or the meaning of greys.
    """
    slices = [open_slice(path) for path in paths]
    geometry, first = _geometry(slices), slices[0]
    if admit is not None:
        admit(geometry, 0)
    array = np.empty((1, *geometry.shape), dtype=np.float32)
    for target, one in zip(array[0], slices, strict=True):
        target[:] = one.pixels()
    check_finite(array, paths)
    lossy = any(one.is_lossy for one in slices)
    warnings = (*first.warnings, *_drift_warnings(slices, geometry))
    return Volumes(array=array, geometry=geometry, warnings=warnings, owner=None, lossy=lossy)


def read_slices_geometry(paths: Sequence[Path]) -> Geometry:
    """Where the voxels of one series lie, from its headers alone.

    Raises:
        ImageError: as for `read_slices`, but for pixels that cannot be decoded.
    """
    return _geometry([open_slice(path) for path in paths])


def _geometry(slices: Sequence[Slice]) -> Geometry:
    """The grid of slices that make a volume."""
    first = slices[0]
    for one in slices:
        one.check()
        _check_alike(one, first)
    (gap_mm, rows_mm, columns_mm), origin_mm, direction = first.grid
    return Geometry(
        shape=(len(slices), *first.size_px),
        spacing_mm=(gap_mm if len(slices) == 1 else _gap_mm(slices), rows_mm, columns_mm),
        origin_mm=origin_mm,
        direction=direction,
    )


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


def _drift_warnings(slices: Sequence[Slice], geometry: Geometry) -> tuple[str, ...]:
    """Say how far slices lie beside the straight grid they make: steps that are nearly straight add up."""
    if len(slices) == 1:
        return ()
    first = slices[0]
    axes = np.column_stack([first.orientation[:3], first.orientation[3:], first.normal])  # X, Y, Z
    sides_mm = np.array(geometry.spacing_mm[::-1])
    apart_mm = (np.array([one.position_mm for one in slices]) - first.position_mm) @ axes  # (S, 3)
    apart_mm[:, 2] -= sides_mm[2] * np.arange(len(slices))
    voxels = np.abs(apart_mm) / sides_mm
    if (voxels <= TOLERANCE_VOXELS + ROUNDING_MM / sides_mm).all():
        return ()
    return (
        f"slices lie up to {voxels.max():.2g} voxels beside the straight grid they are taken for; the gantry may be tilted",
    )


def _unevenness(steps: NDArray[np.float64]) -> str:
    """What odd steps between slices mean, in units of the usual step."""
    if (steps < MOST_GAP_TOLERANCE).any():
        return "several slices of the series lie at one place"
    lacking = np.round(steps) - 1
    if (lacking > 0).all() and np.allclose(steps, lacking + 1, rtol=0, atol=MOST_GAP_TOLERANCE):
        return f"the series lacks {counted(int(lacking.sum()), 'slice')}"
    return "the slices of the series are not evenly spaced: some are missing or out of place"


def _gap_mm(slices: Sequence[Slice]) -> float:
    """The distance between slices, which must be everywhere the same and straight ahead."""
    steps_mm = np.diff([one.position_mm for one in slices], axis=0)  # (S - 1, 3)
    normal = slices[0].normal
    ahead_mm = steps_mm @ normal
    aside_mm = np.linalg.norm(steps_mm - np.outer(ahead_mm, normal), axis=1)
    usual_mm = float(np.median(ahead_mm))
    tolerance_mm = min(GAP_TOLERANCE * usual_mm + ROUNDING_MM, MOST_GAP_TOLERANCE * usual_mm)
    uneven = np.abs(ahead_mm - usual_mm) > tolerance_mm
    if usual_mm <= 0 or uneven.any():
        places = np.flatnonzero(uneven) if usual_mm > 0 else np.flatnonzero(ahead_mm <= 0)
        found = [f"{ahead_mm[index]:.4g} mm after {slices[index].path.name}" for index in places.tolist()]
        raise slices[places[0] + 1].mismatch(
            _unevenness(ahead_mm[places] / usual_mm if usual_mm > 0 else np.zeros(1)),
            f"{usual_mm:.4g} mm between slices",
            some(found, named=_NAMED),
        )
    if (aside_mm > tolerance_mm).any():
        index = int(np.argmax(aside_mm))
        raise slices[index + 1].mismatch(
            "the slices of the series do not lie straight above each other, as with a tilted gantry",
            f"at most {tolerance_mm:.2g} mm aside",
            f"{aside_mm[index]:.4g} mm aside of {slices[index].path.name}",
        )
    return float(ahead_mm.mean())
