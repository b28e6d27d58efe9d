"""Distances between the surfaces of two masks, in millimetres: exact, and fast where the masks nearly agree.

Two masks worth comparing have most of their surface in common, and the rest lies a voxel or two apart. So each surface
voxel is first looked up where it is, then at the neighbouring places in the order of their distance; the first hit is
the distance, exactly. Only what is farther off goes to a k-d tree. Where a mask is full of speckles most of it is farther
off: then the nearest place is found for every voxel of the volume at once, by a distance transform.

Source: measured on three classes of a 256 x 256 x 128 brain scan (docs/reference/metrics.md).
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

_REACH_VOXELS: Final = 3
"""How far neighbours are looked up one by one.

Source: chosen among 1, 2, 3, 4 by the time for three brain tissues: .09 s with each for a good prediction; .38, .28,
.21, .17 s for one shifted by four voxels; .58, .55, .57, .65 s for one full of speckles.
"""


_SPECKLED: Final = 0.05
"""Fraction of a volume's voxels that, if they lie apart, are found by a distance transform.

Source: ours. In a volume of 256 x 256 x 128 voxels the transform took .8 s whatever the masks, the look-up of neighbours and
the tree together 1.8 us a voxel: equal at .05. A tenth of a brain's surface, which is .04 of it, lies apart in a good
prediction, all of it in one that is shifted by four voxels, and .2 of the volume in noise."""

_MOST_TRANSFORMED: Final = 1 << 26
"""Voxels of the largest volume that is transformed. Source: ours; that takes 1 GB of memory."""


_ROUNDING: Final = 1e-5
"""A distance counts as within a tolerance that it exceeds by no more than this fraction.

Source: ours; files hold voxel sizes in single precision and directions of about six digits, and a tolerance of one voxel
must not fail on the last of them."""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """How far apart two surfaces are: distances of all their voxels, from which every number is taken.

    Attributes:
        there_mm: from each voxel of the prediction's surface to the nearest of the reference's, (N,), float64, in mm, in no
            particular order; empty where a mask is empty.
        back_mm: from each voxel of the reference's surface to the nearest of the prediction's, (M,), likewise.
    """

    there_mm: NDArray[np.float64]
    back_mm: NDArray[np.float64]

    @property
    def hausdorff_mm(self) -> float:
        """The larger of the two directed maxima; NaN where a mask is empty."""
        return self._larger(np.max)

    @property
    def hausdorff95_mm(self) -> float:
        """The larger of the two directed 95th percentiles; NaN where a mask is empty."""
        return self._larger(partial(np.percentile, q=95))

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance: the mean of all distances of both directions; NaN where a mask is empty."""
        voxels = self.there_mm.size + self.back_mm.size
        return float((self.there_mm.sum() + self.back_mm.sum()) / voxels) if voxels else math.nan

    def fraction_within(self, tolerance_mm: float) -> float:
        """Fraction of the voxels of both surfaces that are no farther from the other than this; NaN where a mask is empty.

        Source: Nikolov et al. (2018), normalised surface Dice; on surface voxels (docs/reference/metrics.md).
        """
        voxels = self.there_mm.size + self.back_mm.size
        limit_mm = tolerance_mm * (1 + _ROUNDING)
        within = sum(np.count_nonzero(distances <= limit_mm) for distances in (self.there_mm, self.back_mm))
        return float(within / voxels) if voxels else math.nan

    def _larger(self, statistic: Callable[[NDArray[np.float64]], Any]) -> float:
        if not self.there_mm.size:
            return math.nan
        return float(max(statistic(self.there_mm), statistic(self.back_mm)))


UNDEFINED: Final = SurfaceDistances(np.empty(0), np.empty(0))
"""The distances where at least one mask is empty."""


def surface_distances(
    prediction: NDArray[np.bool_], reference: NDArray[np.bool_], *, spacing_mm: tuple[float, float, float]
) -> SurfaceDistances:
    """Distances between the surfaces of two masks.

    A surface voxel is a mask voxel with one of its six face neighbours outside the mask; beyond the border of the array
    all is outside. An axis of a single voxel has no neighbours: a 2D image, (1, Y, X), has its outline as surface.

    Args:
        prediction: mask, (Z, Y, X), bool.
        reference: mask of the same shape, bool.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm, > 0.

    Returns:
        the distances between voxel centres; `UNDEFINED` where a mask is empty.

    Raises:
        ValueError: the masks are not boolean volumes of one shape, or a spacing is not a positive number.

    Source: eq. 4 of the paper (Hausdorff distance); surface, percentile and average as in docs/reference/metrics.md.
    """
    _check(prediction, reference, spacing_mm)
    if not (prediction.any() and reference.any()):
        return UNDEFINED
    box = _bounding_box(prediction | reference)
    axes = [axis for axis, length in enumerate(prediction.shape) if length > 1]
    ours, theirs = (_surface(np.pad(mask[box], _REACH_VOXELS), axes) for mask in (prediction, reference))
    there = _directed_distances_mm(ours, theirs, spacing_mm=spacing_mm)
    back = _directed_distances_mm(theirs, ours, spacing_mm=spacing_mm)
    return SurfaceDistances(there, back)


def _check(prediction: NDArray[np.bool_], reference: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> None:
    if prediction.ndim != 3 or prediction.shape != reference.shape:
        msg = f"two volumes (Z, Y, X) of one shape are needed, not {prediction.shape} and {reference.shape}"
        raise ValueError(msg)
    if prediction.dtype != np.bool_ or reference.dtype != np.bool_:
        msg = f"boolean masks are needed, not {prediction.dtype} and {reference.dtype}"
        raise ValueError(msg)
    if len(spacing_mm) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing_mm):
        msg = f"three positive spacings in mm are needed, not {spacing_mm}"
        raise ValueError(msg)


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        occupied = np.flatnonzero(mask.any(axis=others))
        box.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return tuple(box)


def _surface(mask: NDArray[np.bool_], axes: list[int]) -> NDArray[np.bool_]:
    """Mask voxels with a face neighbour outside along one of the axes; the mask must not touch the array's border.

    An image of a single voxel has no axes: the voxel is its surface.
    """
    if not axes:
        return mask
    inner = mask.copy()
    for axis in axes:
        along = np.moveaxis(mask, axis, 0)
        np.moveaxis(inner, axis, 0)[1:-1] &= along[:-2] & along[2:]
    return mask & ~inner


def _directed_distances_mm(
    source: NDArray[np.bool_], target: NDArray[np.bool_], *, spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """From each voxel of one surface to the nearest of another, in no particular order.

    Args:
        source: surface, (Z, Y, X), bool, at least `_REACH_VOXELS` away from the array's border.
        target: surface, likewise, not empty.
        spacing_mm: along (Z, Y, X).

    Returns:
        one distance per source voxel, (N,), in mm.
    """
    lookup = target.ravel()
    searching = np.flatnonzero(source)  # indices into the flattened volume
    distances = []
    for step, distance_mm in _neighbourhood(source.shape, spacing_mm):
        found = lookup[searching + step]
        distances.append(np.full(np.count_nonzero(found), distance_mm))
        searching = searching[~found]
        if searching.size == 0:
            return np.concatenate(distances)
        if searching.size > _SPECKLED * source.size and source.size <= _MOST_TRANSFORMED:
            return np.concatenate([*distances, _transformed_mm(searching, target, spacing_mm=spacing_mm)])
    # An unbalanced tree is built in half the time, and points on a grid do not degenerate it.
    tree = cKDTree(np.argwhere(target) * spacing_mm, balanced_tree=False, compact_nodes=False)
    places = np.stack(np.unravel_index(searching, source.shape), axis=1)
    far, _ = tree.query(places * spacing_mm)
    return np.concatenate([*distances, far])


def _transformed_mm(
    searching: NDArray[np.int64], target: NDArray[np.bool_], *, spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """From some places, indices into the flattened volume, to the nearest of a surface: (N,), in mm."""
    nearest = ndimage.distance_transform_edt(~target, sampling=spacing_mm, return_distances=False, return_indices=True)
    squared_mm2 = np.zeros(searching.size)
    for along, place, step_mm in zip(nearest, np.unravel_index(searching, target.shape), spacing_mm, strict=True):
        squared_mm2 += (place * step_mm - along.ravel()[searching] * step_mm) ** 2
    distances_mm: NDArray[np.float64] = np.sqrt(squared_mm2)
    return distances_mm


def _neighbourhood(shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> Iterator[tuple[int, float]]:
    """Steps to the nearest places of a grid, the place itself first, then by rising distance.

    It ends before the first distance at which a place outside the cube of `_REACH_VOXELS` could be nearer.

    Yields:
        the step in a flattened array of that shape, and its length in mm.
    """
    reach = range(-_REACH_VOXELS, _REACH_VOXELS + 1)
    offsets = np.array(list(itertools.product(reach, repeat=3)))
    squared_mm2 = ((offsets * spacing_mm) ** 2).sum(axis=1)
    outside_mm2 = ((_REACH_VOXELS + 1) * min(spacing_mm)) ** 2
    steps = offsets @ (shape[1] * shape[2], shape[2], 1)
    for index in np.argsort(squared_mm2, kind="stable"):
        if squared_mm2[index] > outside_mm2:
            return
        yield int(steps[index]), math.sqrt(squared_mm2[index])
