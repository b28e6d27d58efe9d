"""Probabilities as 8-bit numbers, as they are stored of held-out cases: a quarter of the size, and errors below 0.002."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LARGEST: Final = 255

SMALLEST: Final = 0.5 / _LARGEST
"""The smallest probability that is not stored as 0."""


def encode(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Probabilities in [0, 1] as whole numbers in [0, 255]; the shape stays."""
    return np.rint(probabilities * _LARGEST).astype(np.uint8)


def decode_mean(encoded: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """The mean of probabilities that were encoded.

    Args:
        encoded: at least one and at most 257 arrays of one shape, whole numbers in [0, 255].

    Returns:
        float32, in [0, 1].

    Raises:
        ValueError: there are none.
    """
    total: NDArray[np.uint16] | None = None
    count = 0
    for one in encoded:
        total = one.astype(np.uint16) if total is None else np.add(total, one, out=total)
        count += 1
    if total is None:
        msg = "an average needs networks"
        raise ValueError(msg)
    mean: NDArray[np.float32] = total.astype(np.float32)
    mean /= np.float32(_LARGEST * count)
    return mean
