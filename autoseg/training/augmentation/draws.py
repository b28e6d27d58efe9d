"""The random numbers of images: each image's depend on seed, epoch and its position in the epoch alone.

They are drawn on the host, for a whole batch in one go, so that any device, and any number of processes, applies the same
changes; and no device is waited for.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORDS_PER_COUNT: Final = 4
"""64-bit numbers that Philox makes of one value of its counter."""

CHANGES: Final = 1
"""Sets the numbers that change images apart from others of the same images, and from those that order an epoch."""


def numbers_of_images(*, seed: int, epoch: int, positions: range, count: int, stream: int = CHANGES) -> NDArray[np.float64]:
    """Uniform numbers for some of an epoch's images.

    Args:
        seed: of the run, >= 0.
        epoch: its number, >= 0.
        positions: the images' positions in the epoch, one after the other.
        count: numbers per image.
        stream: what they are for; other numbers for each.

    Returns:
        (B, count), float64, in [0, 1): the same row for the same position, whichever others are asked for with it.

    Source: Philox, a counter-based generator (Salmon et al. 2011): its numbers can be had from any place of the sequence.
    """
    if positions.step != 1:
        msg = f"positions have to follow one another, not by steps of {positions.step}"
        raise ValueError(msg)
    key = np.random.SeedSequence((seed, epoch, stream)).generate_state(2, np.uint64)
    counts = -(-count // _WORDS_PER_COUNT)
    generator = np.random.Generator(np.random.Philox(key=key, counter=positions.start * counts))
    drawn: NDArray[np.float64] = generator.random((len(positions), counts * _WORDS_PER_COUNT))
    return drawn[:, :count]


def between(numbers: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) as uniform numbers between two limits."""
    return limits[0] + (limits[1] - limits[0]) * numbers


def around_one(coin: NDArray[np.float64], numbers: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Uniform numbers as factors, half of them below and half above 1 where the limits allow both.

    Source: batchgenerators draws the factors of contrast and gamma in this way.
    """
    low, high = limits
    above = between(numbers, (max(low, 1.0), high))
    return np.where(coin < 0.5, between(numbers, (low, 1.0)), above) if low < 1.0 else above
