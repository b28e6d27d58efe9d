"""Trained models for arrays in memory: what `predict` does with files, without files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.errors import ImageError
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference.segmenter import Segmentation, Segmenter


@dataclass(frozen=True)
class LoadedModel:
    """One or more networks, ready to segment.

    Attributes:
        segmenter: the networks, their plans and the postprocessing of their label maps.
    """

    segmenter: Segmenter

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """What the values of a label map stand for, background first."""
        return self.segmenter.ensemble.data.classes

    def predict(
        self,
        volume: NDArray[Any],
        *,
        spacing_mm: Sequence[float],
        direction: Sequence[float] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
        with_probabilities: bool = False,
        with_uncertainty: bool = False,
    ) -> Segmentation:
        """Segment a scan.

        Args:
            volume: intensities, (Z, Y, X) or, for several channels, (C, Z, Y, X); (Y, X) or (C, Y, X) where the model was
                trained on 2D images. Any number type.
            spacing_mm: distance between voxels along the same spatial axes, in mm, > 0.
            direction: for volumes, nine direction cosines as SimpleITK's `GetDirection` gives them. The default says that
                X, Y and Z run towards left, posterior and superior. A wrong direction gives a wrong segmentation.
            with_probabilities: also give the probability of every class.
            with_uncertainty: also give the entropy and the Dice that is probably reached.

        Returns:
            `labels.array`, the data set's own label values, uint16, (Z, Y, X), Z being 1 for a 2D image; `warnings` of what
            is unusual; and what was asked for besides.

        Raises:
            ImageError: the array is not a scan this model reads: wrong axes or channels, NaN, infinite or complex values,
                spacings that are not positive, directions that are not at right angles.
            MemoryLimitError: segmenting it would take more memory than was allowed when the model was loaded.
        """
        ensemble = self.segmenter.ensemble
        flat = ensemble.for_images
        spatial = 2 if flat else 3
        channels = np.asarray(volume)
        if channels.ndim == spatial:
            channels = channels[np.newaxis]
        _check_direction(direction)
        _check(channels, spacing_mm, spatial=spatial, channels_wanted=len(ensemble.data.channels))
        if flat:
            channels = channels[:, np.newaxis]  # (C, 1, Y, X)
        spacing = (1.0, *spacing_mm) if flat else tuple(spacing_mm)
        geometry = Geometry(
            shape=(channels.shape[1], channels.shape[2], channels.shape[3]),
            spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            direction=tuple(float(cosine) for cosine in direction),
            dimensions=spatial,
        )
        self.segmenter.admit(geometry, 0, with_uncertainty=with_uncertainty)
        image = Image(array=channels.astype(np.float32), geometry=geometry)
        return self.segmenter.segment(image, with_probabilities=with_probabilities, with_uncertainty=with_uncertainty)


def _check(channels: NDArray[Any], spacing_mm: Sequence[float], *, spatial: int, channels_wanted: int) -> None:
    axes = "(Z, Y, X)" if spatial == 3 else "(Y, X)"
    if channels.ndim != spatial + 1 or 0 in channels.shape:
        raise _unfit("has not the axes of a scan", f"{axes}, or channels first", f"shape {channels.shape}")
    if len(channels) != channels_wanted:
        raise _unfit("has another number of channels than the model reads", f"{channels_wanted}", f"{len(channels)}")
    if channels.dtype.kind not in "buif" or not np.isfinite(channels.astype(np.float32)).all():
        raise _unfit("holds values that are no intensities", "finite real numbers", f"{channels.dtype}, or NaN or infinite")
    if len(spacing_mm) != spatial or not all(0 < side < np.inf for side in spacing_mm):
        raise _unfit("has no usable spacing", f"{spatial} numbers > 0, in mm, along {axes}", f"{tuple(spacing_mm)}")


def _check_direction(direction: Sequence[float]) -> None:
    cosines = np.asarray(direction, dtype=np.float64)
    if cosines.shape != (9,) or not np.allclose(cosines.reshape(3, 3) @ cosines.reshape(3, 3).T, np.eye(3), atol=1e-3):
        raise _unfit("has no usable direction", "nine direction cosines of axes at right angles", f"{tuple(direction)}")


def _unfit(what: str, expected: str, found: str) -> ImageError:
    return ImageError(f"the array {what}", expected=expected, found=found, remedy="See the help of LoadedModel.predict.")
