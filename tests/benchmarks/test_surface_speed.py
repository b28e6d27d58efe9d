"""How long surface distances take on three classes of a brain-sized volume, beside the plain method."""

import math
import time

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from autoseg.metrics.surface import surface_distances

SPACING_MM = (0.9375, 0.9375, 1.5)


def label_maps(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """A prediction that errs at the borders, and a folded, nested anatomy: three classes in 256 x 256 x 128 voxels."""
    generator = np.random.default_rng(0)
    shape = (256, 256, 128)
    axes = (np.linspace(-1.25, 1.25, length) for length in shape)
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
    folds = ndimage.gaussian_filter(generator.standard_normal(shape), 4)
    depth = 1 - radius + 0.15 * folds / folds.std()
    errors = ndimage.gaussian_filter(generator.standard_normal(shape), 1.5)
    borders = [0.0, 0.25, 0.85]
    return np.digitize(depth + noise * errors / errors.std(), borders), np.digitize(depth, borders)


def plain(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Hausdorff distance by erosion and two full k-d trees."""
    surfaces = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * SPACING_MM for mask in (prediction, reference)]
    trees = [cKDTree(surface) for surface in surfaces]
    return max(trees[1].query(surfaces[0])[0].max(), trees[0].query(surfaces[1])[0].max())


def compare(title: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Time ours and the plain method; both must find the same."""
    start = time.perf_counter()
    found = [surface_distances(*pair, spacing_mm=SPACING_MM).hausdorff_mm for pair in pairs]
    took_s = time.perf_counter() - start
    start = time.perf_counter()
    expected = [plain(*pair) for pair in pairs]
    plain_s = time.perf_counter() - start
    print(f"{title}: {took_s:.2f} s; plain, HD only: {plain_s:.2f} s")
    assert all(math.isclose(ours, theirs, rel_tol=1e-12) for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.benchmark
@pytest.mark.parametrize("noise", [0.01, 0.04, 0.2])
def test_three_classes_of_a_brain_sized_volume(noise):
    prediction, reference = label_maps(noise)
    pairs = [(prediction == value, reference == value) for value in (1, 2, 3)]
    dice = [2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) for ours, theirs in pairs]
    compare(f"Dice {', '.join(f'{value:.2f}' for value in dice)}", pairs)


@pytest.mark.benchmark
def test_a_mask_full_of_noise():
    """What a network that has learnt nothing gives: three classes, each scattered over the whole volume."""
    _, reference = label_maps(0.01)
    prediction = np.random.default_rng(0).integers(0, 4, reference.shape)
    compare("noise", [(prediction == value, reference == value) for value in (1, 2, 3)])
