"""How far intensity alone goes: the best thresholds, found with the truth at hand."""

import numpy as np
from numpy.typing import NDArray


def best_thresholds(scan: NDArray[np.int16], labels: NDArray[np.uint8]) -> tuple[float, NDArray[np.int64]]:
    """The best that any three thresholds, chosen with the truth at hand, can do on one scan.

    Intensities below the first threshold are background, then follow CSF, grey and white matter. Every triple of cut
    points between whole intensities is covered: for each second threshold, the best first and third are independent.

    Returns:
        mean Dice over CSF, grey and white matter, and the three thresholds (first intensity of each class).
    """
    counts = np.stack([np.bincount(scan[labels == value], minlength=int(scan.max()) + 1) for value in range(4)])
    below = np.pad(counts.cumsum(axis=1), ((0, 0), (1, 0)))  # [class, t]: voxels of the class with intensity < t
    cuts = np.arange(below.shape[1])
    low, high = np.meshgrid(cuts, cuts, indexing="ij")

    def dice(value: int, start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.float64]:
        hits = below[value, stop] - below[value, start]
        predicted = below[:, stop].sum(axis=0) - below[:, start].sum(axis=0)
        overlap: NDArray[np.float64] = 2 * hits / np.maximum(1, predicted + below[value, -1])
        return np.where(start <= stop, overlap, -np.inf)

    csf = dice(1, low, high)
    grey_white = dice(2, low, high) + dice(3, high, np.full_like(high, cuts[-1]))
    second = int(np.argmax(csf.max(axis=0) + grey_white.max(axis=1)))
    first, third = int(np.argmax(csf[:, second])), int(np.argmax(grey_white[second]))
    return float(csf[first, second] + grey_white[second, third]) / 3, np.array([first, second, third])
