"""How a channel's intensities are brought to a common scale: what `autoseg.catalogue.NORMALISATIONS` lists."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg import catalogue
from autoseg.images.moments import mean_and_std
from autoseg.planning.sections import NormalisationStep

Normalisation = Callable[[NDArray[np.float32], NormalisationStep], tuple[float, float]]
"""Takes a channel (Z, Y, X) and its step; gives what to subtract and what to divide by, in the scan's units."""


@dataclass(frozen=True)
class Scaling:
    """How the voxels of one channel are brought to a common scale, each on its own.

    Attributes:
        step: which normalisation, and its constants.
        centre: what is subtracted, in the scan's units.
        width: what is divided by; 0: nothing.
    """

    step: NormalisationStep
    centre: float
    width: float

    def apply(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        """A normalised copy of any part of the channel.

        Args:
            voxels: intensities in the scan's own units, any shape, float32.

        Returns:
            normalised intensities of the same shape, float32, within [-clip, clip] where the step has one. A constant
            channel becomes 0 everywhere. Where the step has a background, voxels of 0 get its value, and none a lower one.
        """
        scaled = self._scaled(voxels)
        if self.step.background is not None:
            np.maximum(scaled, np.float32(self.step.background), out=scaled)
            scaled[voxels == 0] = self.step.background
        return scaled

    def _scaled(self, voxels: NDArray[np.float32]) -> NDArray[np.float32]:
        step = self.step
        scaled = voxels
        if step.lower is not None or step.upper is not None:
            scaled = np.clip(scaled, step.lower, step.upper)
        scaled = scaled - np.float32(self.centre)
        scaled *= np.float32(1.0 / (self.width or 1.0))
        if step.clip is not None:
            np.clip(scaled, -step.clip, step.clip, out=scaled)
        return scaled


def scaling_of(channel: NDArray[np.float32], step: NormalisationStep) -> Scaling:
    """Find the scale of a channel, (Z, Y, X), float32, in the scan's own units."""
    statistics: Normalisation = catalogue.NORMALISATIONS.implementation(step.method)
    return Scaling(step, *statistics(channel, step))


def quantile_zscore(channel: NDArray[np.float32], step: NormalisationStep) -> tuple[float, float]:
    """Mean and standard deviation of the voxels > 0 that lie between their 25th and 75th quantile.

    Voxels <= 0 go through the same map (ours: the paper leaves them open); so the background of a skull-stripped scan
    stays clearly darker than tissue. Where more than half of the voxels have one value, so that nothing spreads between
    the quantiles, all voxels > 0 count; where these are all equal, all voxels.

    Source: eq. 1 of the paper.
    """
    positive = channel[channel > 0]
    if not positive.size:
        return zscore(channel, step)
    ranks = ((positive.size - 1) // 4, (3 * (positive.size - 1) + 3) // 4)
    positive.partition(ranks)  # in place, and the voxels are taken from the channel again: a scan may fill half the memory
    low, high = positive[list(ranks)]
    del positive
    centre, width = mean_and_std(channel[(channel > 0) & (channel >= low) & (channel <= high)])
    return (centre, width) if width > 0 else zscore(channel, step)


def zscore(channel: NDArray[np.float32], step: NormalisationStep) -> tuple[float, float]:  # noqa: ARG001
    """Mean and standard deviation of the voxels > 0, or of all voxels where those are none or all equal."""
    positive = channel[channel > 0]
    spread = positive.size > 0 and positive.min() < positive.max()
    return mean_and_std(positive if spread else channel.ravel())


def ct(channel: NDArray[np.float32], step: NormalisationStep) -> tuple[float, float]:  # noqa: ARG001
    """The data set's own mean and standard deviation: CT numbers mean the same in every scan.

    Source: nnU-Net's CT normalisation (Isensee et al. 2021); clipping to the 0.5 % and 99.5 % quantiles goes with it.
    """
    if step.mean is None or step.std is None:
        msg = "a plan with the normalisation `ct` has its constants"
        raise ValueError(msg)
    return step.mean, step.std


def unchanged(channel: NDArray[np.float32], step: NormalisationStep) -> tuple[float, float]:  # noqa: ARG001
    """Nothing to subtract, nothing to divide by."""
    return 0.0, 1.0
