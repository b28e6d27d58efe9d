"""The head of the synthetic cohort, drawn in millimetres.

Everything is a depth: the signed distance to a surface in mm, positive inside. A cerebrum is folded by sulci that cut
in from its surface and parted by a fissure; cerebellum, brain stem, deep nuclei and ventricles follow.

Points are stacked arrays (3, Z, Y, X) in mm from the middle of the head that grow towards superior, anterior and right.
The arithmetic is double precision in one thread, so that rounded results are the same on any machine.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field: TypeAlias = NDArray[np.float64]
Triple: TypeAlias = tuple[float, float, float]
Tube: TypeAlias = tuple[tuple[float, float, float, float], ...]
"""A chain of nodes (superior, anterior, right or lateral, radius) in mm."""

# Source of these and of all sizes below: drawn by eye after the proportions of an adult brain.
_LATERAL_VENTRICLE: Final[Tube] = (
    (5, 34, 11, 3.5), (13, 10, 8, 4.0), (12, -18, 12, 4.0), (8, -34, 20, 6.0), (2, -58, 22, 2.5)
)  # fmt: skip
_TEMPORAL_HORN: Final[Tube] = ((8, -34, 20, 4.0), (-12, -24, 31, 2.5), (-20, 4, 31, 2.0))
_CAUDATE: Final[Tube] = ((3, 25, 16, 7.0), (11, 0, 18, 4.5), (11, -20, 20, 3.0))
_STEM: Final[Tube] = ((-8, -8, 0, 13.0), (-36, -12, 0, 14.0), (-52, -22, 0, 9.0), (-78, -32, 0, 7.0))


@dataclass(frozen=True)
class Anatomy:
    """Depths of the parts of one head in mm, each (Z, Y, X).

    Attributes:
        cerebrum: depth below the cerebrum's outer surface.
        cortex: positive in its ribbon of grey matter.
        sulci: positive in the fluid of sulci and fissure.
        cerebellum: depth below the cerebellum's surface, where the cerebrum leaves it room.
        cerebellar_white: positive in its branching white matter.
        stem: depth inside the brain stem.
        nuclei: depth inside thalamus, lentiform nucleus and caudate.
        ventricles: depth inside the lateral, third and fourth ventricles.
        envelope: positive inside the mask that a skull-stripping tool leaves, which here and there cuts into the brain.
    """

    cerebrum: Field
    cortex: Field
    sulci: Field
    cerebellum: Field
    cerebellar_white: Field
    stem: Field
    nuclei: Field
    ventricles: Field
    envelope: Field


def draw_anatomy(rng: np.random.Generator, points: Field, spacing_mm: Triple) -> Anatomy:
    """Draw one head.

    Args:
        rng: decides on folds, thickness of the cortex, size of the ventricles and the rest.
        points: where in the head each voxel lies (3, Z, Y, X), in mm.
        spacing_mm: distance between voxels along (Z, Y, X), in mm.

    Returns:
        depths of its parts.
    """
    one_side = np.stack([points[0], points[1], np.abs(points[2])])
    cerebrum = _cerebrum(points, one_side)
    stem = _tube(points, _STEM)
    cerebellum = _ellipsoid(points, centre=(-46, -48, 0), radii=(23, 31, 48))
    ventricles = _ventricles(points, one_side, size=rng.uniform(1.3, 1.9))
    cut = np.minimum(_sulcal_distance(rng, points, cerebrum, spacing_mm), _fissure_distance(points))
    local = smooth_noise(rng, points, scale_mm=18)
    cortex = 5.2 + 0.6 * local - np.minimum(cerebrum, cut)
    sulci = 0.5 + np.clip(1 - cerebrum / 12, 0, 1) + 0.25 * local - cut  # they open towards the surface
    rim = -ventricles - 4  # white matter lines the ventricles
    folia = np.abs(smooth_noise(rng, points * _column((2.2, 1, 0.35)), scale_mm=14))
    surface = _smooth_union(_smooth_union(cerebrum, cerebellum, blend_mm=10), stem, blend_mm=10)
    return Anatomy(
        cerebrum=cerebrum,
        cortex=np.minimum(cortex, rim),
        sulci=np.minimum(sulci, rim),
        cerebellum=np.minimum(cerebellum, -cerebrum - 1),
        cerebellar_white=cerebellum - 5 - 6 * folia,
        stem=stem,
        nuclei=_nuclei(one_side),
        ventricles=ventricles,
        envelope=surface + 1.2 + 1.5 * smooth_noise(rng, points, scale_mm=25),
    )


def _cerebrum(points: Field, one_side: Field) -> Field:
    narrowing = np.stack([points[0], points[1], points[2] * (1 + points[1] / 900)])  # the frontal lobes are slimmer
    vault = _ellipsoid(narrowing, centre=(6, 0, 0), radii=(64, 86, 67))
    base = points[0] + 34 - 0.3 * np.maximum(0, -points[1] - 15)  # rises to the back, where the cerebellum lies below
    temporal = _ellipsoid(one_side, centre=(-30, 8, 40), radii=(20, 41, 22))
    lobes: Field = np.maximum(-_smooth_union(-vault, -base, blend_mm=14), temporal)
    return lobes


def _sulcal_distance(rng: np.random.Generator, points: Field, cerebrum: Field, spacing_mm: Triple) -> Field:
    """Distance to the nearest sulcus in mm.

    Sulci are the zeros of a noise that varies along the surface and hardly with depth, so they cut in at right angles;
    |noise| / |gradient| is the distance to first order. Each ends at a depth of its own.
    """
    radius = _length(points) + 1
    pattern = smooth_noise(rng, points * (0.25 + 46 / radius), scale_mm=10)
    along_z, along_y, along_x = (np.gradient(pattern, spacing_mm[axis], axis=axis) for axis in range(3))
    slope = np.sqrt(along_z**2 + along_y**2 + along_x**2)
    beside = np.abs(pattern) / np.maximum(slope, 0.02)
    below = np.maximum(0, cerebrum - 21 - 5 * smooth_noise(rng, points, scale_mm=30))
    distance: Field = np.sqrt(beside**2 + below**2)
    return distance


def _fissure_distance(points: Field) -> Field:
    """Distance in mm to the cleft between the hemispheres, which ends at the corpus callosum."""
    midplane = np.stack([points[0], points[1], np.zeros_like(points[2])])
    below = np.maximum(0, _ellipsoid(midplane, centre=(0, -4, 0), radii=(27, 48, 50)))
    distance: Field = np.sqrt(points[2] ** 2 + below**2)
    return distance


def _ventricles(points: Field, one_side: Field, *, size: float) -> Field:
    swollen = [tuple((*node[:3], size * node[3]) for node in tube) for tube in (_LATERAL_VENTRICLE, _TEMPORAL_HORN)]
    lateral = np.maximum(_tube(one_side, swollen[0]), _tube(one_side, swollen[1]))
    third = _ellipsoid(points, centre=(-8, -6, 0), radii=(9, 13, 2.0 * size))
    fourth = _ellipsoid(points, centre=(-42, -34, 0), radii=(11, 4.5 * size, 8))
    both: Field = np.maximum(lateral, np.maximum(third, fourth))
    return both


def _nuclei(one_side: Field) -> Field:
    thalamus = _ellipsoid(one_side, centre=(-2, -15, 12.5), radii=(13, 17, 10.5))
    lentiform = _ellipsoid(one_side, centre=(-2, 4, 27), radii=(13, 22, 8.5))
    all_three: Field = np.maximum(np.maximum(thalamus, lentiform), _tube(one_side, _CAUDATE))
    return all_three


def lesion_depth(rng: np.random.Generator, points: Field, spacing_mm: Triple, *, present: bool) -> Field:
    """Depth inside a ball of 45 voxels in white matter above the ventricles, in mm; -inf everywhere if not present."""
    centre = (rng.uniform(28, 36), rng.uniform(-30, 20), rng.choice((-1, 1)) * rng.uniform(20, 28))
    radius_mm = float(np.cbrt(45 * np.prod(spacing_mm) * 0.75 / np.pi))
    nowhere = np.full(points.shape[1:], -np.inf)
    return radius_mm - _length(points - _column(centre)) if present else nowhere


def smooth_noise(rng: np.random.Generator, points: Field, *, scale_mm: float) -> Field:
    """Smooth noise with zero mean and a standard deviation near 1: a quadratic spline over a random lattice.

    Args:
        rng: fills the lattice.
        points: where to evaluate it (3, Z, Y, X), in mm.
        scale_mm: pitch of the lattice; features are about twice as wide.

    Returns:
        noise (Z, Y, X).
    """
    nodes = int(np.ceil(280 / scale_mm)) + 4
    lattice = 2.4 * rng.standard_normal((nodes, nodes, nodes))
    place = points / scale_mm + (nodes - 1) / 2
    return np.asarray(ndimage.map_coordinates(lattice, place, order=2, prefilter=False, mode="mirror"))


def _ellipsoid(points: Field, *, centre: Triple, radii: Triple) -> Field:
    """Depth inside an ellipsoid in mm, to first order: (1 - k) k / |grad k| with k = |points / radii|."""
    axes = _column(radii)
    offset = points - _column(centre)
    level = _length(offset / axes) + 1e-6
    steepness = _length(offset / axes**2) + 1e-6 / min(radii)
    depth: Field = (1 - level) * level / steepness
    return depth


def _tube(points: Field, nodes: Tube) -> Field:
    """Depth in mm inside a chain of rounded segments whose radius changes evenly from node to node."""
    depth = np.full(points.shape[1:], -np.inf)
    for start, end in pairwise(nodes):
        axis = _column(end[:3]) - _column(start[:3])
        offset = points - _column(start[:3])
        along = np.clip(_dot(offset, axis) / _dot(axis, axis), 0, 1)
        radius = start[3] + along * (end[3] - start[3])
        depth = np.maximum(depth, radius - _length(offset - along * axis))
    return depth


def _smooth_union(first: Field, second: Field, *, blend_mm: float) -> Field:
    fraction = np.clip(0.5 + 0.5 * (first - second) / blend_mm, 0, 1)
    return mix(second, first, fraction) + blend_mm * fraction * (1 - fraction)


def mix(first: Field | float, second: Field | float, fraction: Field) -> Field:
    """Blend two fields: the first where `fraction` is 0, the second where it is 1."""
    return first + (second - first) * fraction


def _column(values: Triple) -> Field:
    return np.array(values, dtype=np.float64).reshape(3, 1, 1, 1)


def _dot(first: Field, second: Field) -> Field:
    product: Field = first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
    return product


def _length(vectors: Field) -> Field:
    return np.sqrt(_dot(vectors, vectors))
