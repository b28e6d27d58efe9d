"""Where the voxels of an image lie in the patient."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ANATOMICAL_AXES: Final = ("left-right", "posterior-anterior", "inferior-superior")
"""The patient's axes in the order of SimpleITK's physical coordinates (x, y, z)."""


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
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    dimensions: int = 3

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def anatomical_axes(self) -> tuple[int, int, int]:
        """For each array axis (Z, Y, X), the patient axis it lies nearest to.

        Returns:
            three different indices into `ANATOMICAL_AXES`. An oblique image is given its nearest axes, each used once.
        """
        columns = np.abs(self._columns())
        assigned: dict[int, int] = {}
        for _ in range(3):  # the most certain pair first
            patient, image = np.unravel_index(np.argmax(columns), columns.shape)
            assigned[int(image)] = int(patient)
            columns[patient, :] = -1.0
            columns[:, image] = -1.0
        return assigned[2], assigned[1], assigned[0]

    def axis_signs(self) -> tuple[int, int, int]:
        """For each array axis (Z, Y, X), +1 if its index grows towards left, posterior or superior, else -1."""
        columns = self._columns()
        signs = [1 if columns[patient, 2 - axis] >= 0 else -1 for axis, patient in enumerate(self.anatomical_axes())]
        return signs[0], signs[1], signs[2]

    def difference(
        self,
        other: "Geometry",
        *,
        tolerance_spacing: float = 1e-3,
        tolerance_mm: float = 0.1,
        tolerance_direction: float = 1e-3,
    ) -> str:
        """Say in words how another geometry differs; an empty string where it does not.

        Args:
            other: what to compare with.
            tolerance_spacing: relative difference of spacings that still counts as equal.
            tolerance_mm: distance between origins that still counts as equal.
            tolerance_direction: difference between direction cosines that still counts as equal.

        Source: tolerances are ours: tools that round headers to single precision or four decimals stay below them, and a
        shift of a tenth of a millimetre moves no voxel of a usual scan.
        """
        if self.shape != other.shape:
            return f"shape {self.shape} and {other.shape} (Z, Y, X)"
        if not np.allclose(self.spacing_mm, other.spacing_mm, rtol=tolerance_spacing, atol=0):
            return f"spacing {self.spacing_mm} and {other.spacing_mm} mm (Z, Y, X), tolerance {tolerance_spacing:.1%}"
        if np.abs(np.subtract(self.origin_mm, other.origin_mm)).max() > tolerance_mm:
            return f"origin {self.origin_mm} and {other.origin_mm} mm (x, y, z), tolerance {tolerance_mm} mm"
        if np.abs(np.subtract(self.direction, other.direction)).max() > tolerance_direction:
            return f"direction {self.direction} and {other.direction}, tolerance {tolerance_direction}"
        return ""

    def _columns(self) -> NDArray[np.float64]:
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)
