"""Probabilities as 8-bit numbers, as they are stored of held-out cases: a quarter of the size, and errors below 0.002."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LARGEST: Final = 255

SMALLEST: Final = 0.5 / _LARGEST
"""The smallest probability that is not stored as 0."""


def encode(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities in [0, 1] as whole numbers in [0, 255]; the shape stays."""
    return np.rint(probabilities * _LARGEST).astype(np.uint8)


def decode_mean(encoded: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.float32]:
    """The mean of probabilities that were encoded: of networks that count alike, each the mean of its own arrays.

    Args:
        encoded: by network at least one array, all of one shape, whole numbers in [0, 255].

    Returns:
        float32, in [0, 1].

    Raises:
        ValueError: there are none.
    """
    if not encoded:
        msg = "an average needs networks"
        raise ValueError(msg)
    parts = math.lcm(*(len(arrays) for arrays in encoded))  # whole numbers add up exactly
    count = parts * len(encoded)
    dtype = np.uint16 if count * _LARGEST <= np.iinfo(np.uint16).max else np.uint32
    total = np.zeros(encoded[0][0].shape, dtype)
    for arrays in encoded:
        for one in arrays:
            total += one if parts == len(arrays) else one * dtype(parts // len(arrays))
    mean: NDArray[np.float32] = total.astype(np.float32)
    mean /= np.float32(_LARGEST * count)
    return mean
