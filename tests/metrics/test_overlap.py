import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autoseg.metrics.overlap import dice, volume_ml

masks = hnp.arrays(np.bool_, (3, 4, 5), elements=st.booleans())


def row(drawing: str) -> np.ndarray:
    return np.array([[[voxel == "#" for voxel in drawing]]])


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("####..", "####..", 1.0),
        ("##....", "....##", 0.0),
        ("####..", "..####", 0.5),  # 2 * 2 / (4 + 4)
        ("#.....", "###...", 0.5),  # 2 * 1 / (1 + 3)
        ("......", "###...", 0.0),
        ("###...", "......", 0.0),
    ],
)
def test_dice_of_drawn_masks(prediction, reference, expected):
    assert dice(row(prediction), row(reference)) == expected


def test_dice_of_two_empty_masks_is_undefined():
    assert math.isnan(dice(row("..."), row("...")))


def test_dice_refuses_masks_of_different_shapes_that_would_broadcast():
    with pytest.raises(ValueError, match="different shapes"):
        dice(np.ones((1, 2, 3), bool), np.ones((2, 2, 3), bool))


@given(masks, masks)
def test_dice_is_symmetric_and_a_share(first, second):
    value = dice(first, second)
    if first.any() or second.any():
        assert 0 <= value <= 1
        assert value == dice(second, first)
        assert (value == 1) == np.array_equal(first, second)
    else:
        assert math.isnan(value)


def test_volume_counts_voxels_in_millilitres():
    # 4 voxels of 1.5 x 1 x 0.5 mm: 3 mm3
    assert volume_ml(row("####.."), spacing_mm=(1.5, 1.0, 0.5)) == pytest.approx(0.003)
    assert volume_ml(row("......"), spacing_mm=(1.5, 1.0, 0.5)) == 0
