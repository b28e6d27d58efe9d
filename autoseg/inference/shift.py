"""A log-prior shift: one number per class, added to the logarithm of averaged probabilities; of regions, of their odds."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def shift(probabilities: NDArray[np.float32], log_shift: Sequence[float], *, exclusive: bool) -> None:
    """Shift probabilities in place.

    Args:
        probabilities: (K, ...), float32, in [0, 1]; afterwards p_k e^(s_k) / sum_j p_j e^(s_j), which sums to 1 over K. Of
            regions each for itself: p_k e^(s_k) / (p_k e^(s_k) + (1 - p_k) e^(s_0)), and p_0 what the likeliest leaves.
        log_shift: s, one number for each of the K classes; empty: nothing is done.
        exclusive: whether classes exclude one another; otherwise they are regions.
    """
    if not log_shift:
        return
    if not exclusive:
        _shift_odds(probabilities, log_shift)
        return
    for index, value in enumerate(log_shift):
        probabilities[index] *= np.float32(math.exp(value))
    total = probabilities.sum(axis=0)
    probabilities /= np.maximum(total, np.finfo(np.float32).tiny, out=total)


def shifted(probabilities: NDArray[np.float32], log_shift: Sequence[float], *, exclusive: bool) -> NDArray[np.float32]:
    """The same of a copy; the probabilities themselves where nothing is done."""
    if not log_shift:
        return probabilities
    copy = probabilities.copy()
    shift(copy, log_shift, exclusive=exclusive)
    return copy


def _shift_odds(probabilities: NDArray[np.float32], log_shift: Sequence[float]) -> None:
    background, *regions = probabilities
    background[...] = 0
    for channel, value in zip(regions, log_shift[1:], strict=True):
        inside = channel * np.float32(math.exp(value - log_shift[0]))
        np.divide(inside, inside + (1 - channel), out=channel)
        np.maximum(background, channel, out=background)
    np.subtract(1, background, out=background)


def describe(log_shift: Sequence[float], names: Sequence[str]) -> str:
    """A shift in words, such as "CSF -0.35, GM +0.10", by the names of all classes; "none" where nothing is done."""
    return ", ".join(f"{name} {value:+.2f}" for name, value in zip(names, log_shift, strict=False) if value) or "none"
