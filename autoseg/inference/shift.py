"""A log-prior shift: one number per class, added to the logarithm of averaged probabilities."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def shift(probabilities: NDArray[np.float32], log_shift: Sequence[float]) -> None:
    """Shift probabilities in place.

    Args:
        probabilities: (K, ...), float32, in [0, 1]; afterwards p_k e^(s_k) / sum_j p_j e^(s_j), which sums to 1 over K.
        log_shift: s, one number for each of the K classes; empty: nothing is done.
    """
    if not log_shift:
        return
    for index, value in enumerate(log_shift):
        probabilities[index] *= np.float32(math.exp(value))
    total = probabilities.sum(axis=0)
    probabilities /= np.maximum(total, np.finfo(np.float32).tiny, out=total)


def shifted(probabilities: NDArray[np.float32], log_shift: Sequence[float]) -> NDArray[np.float32]:
    """The same of a copy; the probabilities themselves where nothing is done."""
    if not log_shift:
        return probabilities
    copy = probabilities.copy()
    shift(copy, log_shift)
    return copy


def describe(log_shift: Sequence[float], names: Sequence[str]) -> str:
    """A shift in words, such as "CSF -0.35, GM +0.10", by the names of all classes; "none" where nothing is done."""
    return ", ".join(f"{name} {value:+.2f}" for name, value in zip(names, log_shift, strict=False) if value) or "none"
