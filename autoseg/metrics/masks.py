"""What a metric is computed from: one class of one case, as predicted and as it should be."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autoseg.metrics.surface import SurfaceDistances, surface_distances
from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM


@dataclass(frozen=True, eq=False)
class Masks:
    """Two masks of one class.

    Attributes:
        prediction: (Z, Y, X), bool; Z is 1 for a 2D image.
        reference: (Z, Y, X), bool.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm.
        tolerance_mm: how far apart surfaces may be for the normalised surface Dice, > 0.
    """

    prediction: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    tolerance_mm: float = DEFAULT_TOLERANCE_MM

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Distances between the two surfaces, computed once for all metrics that need them."""
        return surface_distances(self.prediction, self.reference, spacing_mm=self.spacing_mm)
