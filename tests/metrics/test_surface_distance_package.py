"""The package surface-distance as an oracle: equal on its own definition, and how far ours lies from it.

Its surface lies between voxels, at the corners of eight of them, and its elements count by their areas. Ours are voxels that
count alike. docs/reference/metrics.md has the figures that are bounded here.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import surface_distance
from numpy.typing import NDArray
from scipy import ndimage
from surface_distance.lookup_tables import create_table_neighbour_code_to_surface_area

from autoseg.metrics import surface
from autoseg.metrics.surface import surface_distances

Mask = NDArray[np.bool_]
SPACINGS = ((1.0, 1.0, 1.0), (1.5, 0.9375, 0.9375), (3.0, 0.5, 0.5))


def blobs(seed: int) -> tuple[Mask, Mask]:
    """A mask and one that a network might give: smooth, mostly equal, inside the image."""
    generator = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(generator.standard_normal((24, 30, 36)), 3)
    other = field + 0.15 * ndimage.gaussian_filter(generator.standard_normal(field.shape), 1.5)
    inside = np.pad(np.ones((20, 26, 32), bool), 2)
    return (field > 0.02) & inside, (other > 0.02) & inside


def theirs(prediction: Mask, reference: Mask, spacing_mm: tuple[float, float, float]) -> Mapping[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports from where scipy no longer wants it to
        found: Mapping[str, Any] = surface_distance.compute_surface_distances(reference, prediction, spacing_mm)
    return found


def codes(mask: Mask, box: tuple[slice, ...]) -> NDArray[np.uint8]:
    """For each corner of voxels, which of the eight around it are in the mask, as its tables number them."""
    padded = np.pad(mask[box], 1).astype(np.uint8)
    offsets = [(z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    shape = [length - 1 for length in padded.shape]
    found = np.zeros(shape, np.uint8)
    for bit, offset in zip((128, 64, 32, 16, 8, 4, 2, 1), offsets, strict=True):
        window = tuple(slice(start, start + length) for start, length in zip(offset, shape, strict=True))
        found += bit * padded[window]
    return np.pad(found, surface._REACH_VOXELS)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("seed", range(3))
def test_on_its_own_definition_our_distances_give_the_same(seed: int, spacing_mm: tuple[float, float, float]) -> None:
    pair = blobs(seed)
    box = surface._bounding_box(pair[0] | pair[1])
    areas = create_table_neighbour_code_to_surface_area(spacing_mm)
    ours, others = (codes(mask, box) for mask in pair)
    of_element: list[tuple[float, float]] = []
    for codes_here, codes_there in ((ours, others), (others, ours)):
        target = (codes_there > 0) & (codes_there < 255)
        for code in np.unique(codes_here[(codes_here > 0) & (codes_here < 255)]):
            distances = surface._directed_distances_mm(codes_here == code, target, spacing_mm=spacing_mm)
            of_element += [(float(areas[code]), float(distance)) for distance in distances]
    weights, distances_mm = np.array(of_element).T
    expected = theirs(*pair, spacing_mm)
    assert len(of_element) == expected["distances_gt_to_pred"].size + expected["distances_pred_to_gt"].size
    assert distances_mm.max() == pytest.approx(surface_distance.compute_robust_hausdorff(expected, 100), rel=1e-12)
    for tolerance_mm in (0.4, 0.9, 1.6, 2.9):  # at no distance between two corners
        found = weights[distances_mm <= tolerance_mm].sum() / weights.sum()
        assert found == pytest.approx(surface_distance.compute_surface_dice_at_tolerance(expected, tolerance_mm), rel=1e-12)


@pytest.mark.parametrize("spacing_mm", SPACINGS)
def test_ours_lies_as_far_from_it_as_documented(spacing_mm: tuple[float, float, float]) -> None:
    pixel_mm = sorted(spacing_mm)[1]
    differences = {pixel_mm: 0.0, 2 * pixel_mm: 0.0, 4.0: 0.0}
    for seed in range(4):
        pair = blobs(seed)
        ours, expected = surface_distances(*pair, spacing_mm=spacing_mm), theirs(*pair, spacing_mm)
        for tolerance_mm, largest in differences.items():
            other = surface_distance.compute_surface_dice_at_tolerance(expected, tolerance_mm)
            differences[tolerance_mm] = max(largest, abs(ours.fraction_within(tolerance_mm) - other))
    one, two, many = differences.values()
    assert 0.02 < one < 0.08  # another definition, and the figures of the page are not empty words
    assert two < 0.045
    assert many < 0.007
