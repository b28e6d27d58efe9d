"""Where the voxels of an image lie in the patient."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.formats.grid import TOLERANCE_VOXELS, Affine, agree, voxels_apart
from autoseg.formats.nifti_placement import NiftiPlacement

ANATOMICAL_AXES: Final = ("left-right", "posterior-anterior", "inferior-superior")
"""The patient's axes in the order of SimpleITK's physical coordinates (x, y, z)."""

_TIE: Final = 1e-3
"""Direction cosines that differ by less are equal, which at 45 degrees is .08 degrees: headers are rounded."""

_RANKING: Final = np.array([1.0, 0.755, 0.570])
"""Source: ours; in no ratio of small whole numbers, so that no axes at right angles and at common angles rank alike."""

_PLACING: Final = {"spacing_mm": " mm (Z, Y, X)", "origin_mm": " mm (x, y, z)", "direction": ""}
"""What places the voxels of a shape, with its unit in messages."""


@dataclass(frozen=True)
class Geometry:
    """Shape, spacing, origin and orientation of an image.

    Attributes:
        shape: voxels along the array axes (Z, Y, X); a 2D image has Z = 1.
        spacing_mm: distance between voxel centres along the array axes (Z, Y, X), in mm, > 0.
        origin_mm: physical position (x, y, z) of the first voxel, in mm, in SimpleITK's LPS coordinates.
        direction: direction cosines as SimpleITK gives them: nine numbers of a 3 x 3 matrix, row by row, whose
            columns belong to the image axes X, Y, Z.
        dimensions: 3, or 2 for an image that is a single slice.
        spacing_stated: whether a file states the spacing; False: it is a picture, and 1 mm stands for a pixel.
        printed_mm: then, the size of a pixel along (Y, X) by a resolution that is only a hint for printing, if any.
        placement: what a header of NIfTI or ANALYZE says in other words, to be written with whatever lies on this grid; None
            where there was none, and in every copy that `dataclasses.replace` makes, because it would not be true there.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    dimensions: int = 3
    spacing_stated: bool = field(default=True, compare=False)
    printed_mm: tuple[float, float] | None = field(default=None, compare=False)
    placement: NiftiPlacement | None = field(default=None, init=False, compare=False, repr=False)

    def stated_as(self, placement: NiftiPlacement | None) -> "Geometry":
        """The same grid, as a header of NIfTI or ANALYZE states it."""
        stated = replace(self)
        object.__setattr__(stated, "placement", placement)
        return stated

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def anatomical_axes(self) -> tuple[int, int, int]:
        """For each array axis (Z, Y, X), the patient axis it lies nearest to.

        Returns:
            three different indices into `ANATOMICAL_AXES`. An oblique image is given its nearest axes, each used once.
            Voxels of the same patient get the same axes in whatever order and direction they are stored.
        """
        cosines = self._columns()
        nearness = np.abs(cosines)
        assigned: dict[int, int] = {}
        for _ in range(3):  # the most certain pair first
            ties = np.argwhere(nearness >= nearness.max() - _TIE).tolist()
            patient, image = max(ties, key=lambda pair: (-pair[0], _rank(cosines[:, pair[1]], pair[0])))
            assigned[image] = patient
            nearness[patient, :] = -1.0
            nearness[:, image] = -1.0
        return assigned[2], assigned[1], assigned[0]

    def axis_signs(self) -> tuple[int, int, int]:
        """For each array axis (Z, Y, X), +1 if its index grows towards left, posterior or superior, else -1."""
        columns = self._columns()
        signs = [1 if columns[patient, 2 - axis] >= 0 else -1 for axis, patient in enumerate(self.anatomical_axes())]
        return signs[0], signs[1], signs[2]

    @property
    def tilt_degrees(self) -> tuple[float, float, float] | None:
        """How the image's axes are turned against the patient's axes that they lie nearest to.

        Returns:
            the rotation in degrees about left-right, posterior-anterior and inferior-superior: its axis, as long as its
            angle. None for a 2D image.
        """
        if self.dimensions == 2:
            return None
        turned = np.empty((3, 3))
        for axis, (patient, sign) in enumerate(zip(self.anatomical_axes(), self.axis_signs(), strict=True)):
            turned[:, patient] = sign * self._columns()[:, 2 - axis]
        # Of a rotation: sin(angle) times its axis, and cos(angle).
        swapped = turned - turned.T
        sine = np.array([swapped[2, 1], swapped[0, 2], swapped[1, 0]]) / 2
        cosine = (np.trace(turned) - 1) / 2
        length = float(np.linalg.norm(sine))
        x, y, z = np.degrees(np.arctan2(length, cosine) * sine / (length or 1.0)).tolist()
        return x, y, z

    @property
    def affine(self) -> Affine:
        """Voxel indices (X, Y, Z, 1) to their position (x, y, z) in mm, (3, 4)."""
        return np.column_stack([self._columns() * self.spacing_mm[::-1], self.origin_mm])

    def difference(self, other: "Geometry") -> str:
        """Say in words how another geometry differs; an empty string where it does not.

        Geometries are equal where no corner of the grid lies further apart than `TOLERANCE_VOXELS` along any of its axes,
        however small or large the voxels are.
        """
        if self.shape != other.shape:
            return f"shape {self.shape} and {other.shape} (Z, Y, X)"
        apart = self._voxels_apart(other)
        if (apart <= TOLERANCE_VOXELS).all():
            return ""
        # Named is what alone would move the corners furthest.
        moved = {name: self._voxels_apart(replace(self, **{name: getattr(other, name)})).max() for name in _PLACING}
        name = max(_PLACING, key=lambda name: float(moved[name]))
        one, another = (tuple(float(f"{number:.9g}") for number in getattr(grid, name)) for grid in (self, other))
        return (
            f"{name.removesuffix('_mm')} {one} and {another}{_PLACING[name]}: up to {apart.max():.3g} voxels apart along "
            f"{'XYZ'[int(apart.argmax())]}, tolerance {TOLERANCE_VOXELS}"
        )

    def agreeing_statements(self, other: "Geometry") -> tuple[str, str] | None:
        """Which statement of its file puts its voxels where one of another geometry's file puts its own; None: none does.

        Headers may state two orientations, or none, and which is read says nothing about which was meant.
        """
        if self.shape != other.shape:
            return None
        for (own, affine), (others, another) in product(self.statements(), list(other.statements())):
            if agree(affine, another, shape=self._xyz):
                return own, others
        return None

    @property
    def contradictory(self) -> bool:
        """Whether its file states orientations that put voxels in different places."""
        (_, first), *others = self.statements()
        return not all(agree(first, other, shape=self._xyz) for _, other in others)

    def statements(self) -> Iterator[tuple[str, Affine]]:
        """Where readers of its file may put its voxels: what is followed here, then every orientation that is stated."""
        yield "orientation", self.affine
        if self.placement is not None:
            yield from self.placement.statements(self._xyz)

    @property
    def _xyz(self) -> tuple[int, int, int]:
        depth, height, width = self.shape
        return width, height, depth

    def _voxels_apart(self, other: "Geometry") -> NDArray[np.float64]:
        return voxels_apart(self.affine, other.affine, shape=self._xyz)

    def _columns(self) -> NDArray[np.float64]:
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)


def _rank(line: NDArray[np.float64], patient: int) -> float:
    """A number for an image axis as the line that it is in the patient, whichever way it runs.

    Of two that lie equally near to a patient axis it prefers one by their other components alone, so that the order in which
    axes are stored decides nothing.
    """
    return float(np.copysign(1.0, line[patient]) * (line @ _RANKING))
