"""What a metric is computed from: one class of one case, as predicted and as it should be."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.metrics.surface import UNDEFINED, SurfaceDistances, surface_distances
from autoseg.metrics.tolerance import DEFAULT_TOLERANCE_MM


@dataclass(frozen=True, eq=False)
class Masks:
    """Two masks of one class, of an image or of a part of it that holds both: all beyond is outside them.

    Attributes:
        prediction: (Z, Y, X), bool; Z is 1 for a 2D image.
        reference: (Z, Y, X), bool.
        spacing_mm: distance between voxel centres along (Z, Y, X), in mm.
        tolerance_mm: how far apart surfaces may be for the normalised surface Dice, > 0.
        throughout: whether every voxel has a label; both masks are cut to those that have one, and where the cut runs there
            is no surface that anybody drew.
    """

    prediction: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    tolerance_mm: float = DEFAULT_TOLERANCE_MM
    throughout: bool = True

    @cached_property
    def distances(self) -> SurfaceDistances:
        """Distances between the two surfaces, computed once for all metrics that need them; none if not `throughout`."""
        if not self.throughout:
            return UNDEFINED
        return surface_distances(self.prediction, self.reference, spacing_mm=self.spacing_mm)


def labelled_part(reference: NDArray[np.integer[Any]], *, ignore: int | None) -> NDArray[np.bool_] | None:
    """Where a label map has a label, of its shape; None: everywhere."""
    if ignore is None:
        return None
    labelled = reference != ignore
    return None if labelled.all() else labelled
