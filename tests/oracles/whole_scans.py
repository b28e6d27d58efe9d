"""What the package does part by part, done for a whole scan at once: what its parts must add up to."""

import numpy as np
from numpy.typing import NDArray

from autoseg.data.labels import LabelEncoding
from autoseg.inference.quality import ExpectedDice
from autoseg.planning.sections import NormalisationStep
from autoseg.preprocessing.footprint import Footprint, empty_labels, empty_probabilities, put_labels, put_probabilities
from autoseg.preprocessing.intensity import scaling_of


def normalise(channel: NDArray[np.float32], step: NormalisationStep) -> NDArray[np.float32]:
    """One channel, (Z, Y, X), on a common scale."""
    return scaling_of(channel, step).apply(channel)


def restore_labels(probabilities: NDArray[np.float32], footprint: Footprint, encoding: LabelEncoding) -> NDArray[np.uint16]:
    """The label value of every voxel, (Z, Y, X), from probabilities of all slices, (K, S, H, W)."""
    assert probabilities.shape[1] == footprint.kept[0]
    labels = empty_labels(footprint, encoding)
    put_labels(labels, probabilities, footprint, encoding)
    return labels


def restore_probabilities(
    probabilities: NDArray[np.float32], footprint: Footprint, encoding: LabelEncoding
) -> NDArray[np.float32]:
    """The probability of every class at every voxel, (K, Z, Y, X), from those of all slices, (K, S, H, W)."""
    assert probabilities.shape[1] == footprint.kept[0]
    restored = empty_probabilities(footprint, encoding)
    put_probabilities(restored, probabilities, footprint)
    return restored


def expected_dice(probabilities: NDArray[np.float32], encoding: LabelEncoding) -> NDArray[np.float64]:
    """The Dice that probabilities of all slices, (K, S, H, W), expect of each class, (K,)."""
    expected = ExpectedDice(encoding)
    expected.add(probabilities)
    return expected.by_class()
