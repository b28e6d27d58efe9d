"""Distances between grids, worked out by hand, of affines that need not be at right angles."""

import numpy as np
import pytest

from autoseg.formats.grid import TOLERANCE_VOXELS, agree, voxels_apart

SHAPE = (10, 20, 30)


def affine(
    *, spacing: tuple[float, float, float] = (2.0, 1.0, 0.5), at: tuple[float, float, float] = (0, 0, 0)
) -> np.ndarray:
    return np.column_stack([np.diag(spacing), at])


def test_a_shift_counts_in_the_voxels_of_each_axis() -> None:
    apart = voxels_apart(affine(), affine(at=(0.1, 0.1, 0.1)), shape=SHAPE)
    np.testing.assert_allclose(apart, (0.05, 0.1, 0.2))


def test_a_spacing_counts_at_the_outer_corner() -> None:
    # The last outer corner lies 9.5 voxels from the first centre: 9.5 * .02 mm are .095 of 2 mm.
    apart = voxels_apart(affine(), affine(spacing=(2.02, 1.0, 0.5)), shape=SHAPE)
    np.testing.assert_allclose(apart, (0.095, 0.0, 0.0), atol=1e-12)
    assert agree(affine(), affine(spacing=(2.02, 1.0, 0.5)), shape=SHAPE)
    assert not agree(affine(), affine(spacing=(2.022, 1.0, 0.5)), shape=SHAPE)


def test_sheared_grids_agree_with_themselves_alone() -> None:
    sheared = affine()
    sheared[0, 1] = 0.3
    assert agree(sheared, sheared, shape=SHAPE)
    assert not agree(sheared, affine(), shape=SHAPE)


@pytest.mark.parametrize("number", [0.0, np.inf, np.nan, 1e308])
def test_what_is_no_grid_agrees_with_none(number: float) -> None:
    assert not agree(affine(spacing=(number, 1.0, 0.5)), affine(), shape=SHAPE)
    assert not agree(affine(), affine(at=(number or np.inf, 0.0, 0.0)), shape=SHAPE)


def test_the_tolerance_is_a_tenth() -> None:
    assert TOLERANCE_VOXELS == 0.1
