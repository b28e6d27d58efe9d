"""Resampling: weights worked out by hand, and what must hold for every size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from autoseg.preprocessing import resampling
from autoseg.preprocessing.resampling import resample_labels, resample_slices

SIZES = st.tuples(st.integers(1, 13), st.integers(1, 13))
PICTURES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 11), st.integers(1, 11)),
    elements=st.floats(-100, 100, width=32, allow_subnormal=False),
)
LABELS = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 2, 7])
)

MANY_CLASSES = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 17), st.integers(1, 17)), elements=st.integers(0, 60)
)


def one_by_one(labels: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Class indices on other pixels, where every class is resampled by itself, in all slices."""
    best = np.zeros((len(labels), *size_px), dtype=labels.dtype)
    largest = np.zeros(best.shape, dtype=np.float32)
    for index in np.unique(labels):
        fraction = resample_slices((labels == index).astype(np.float32), size_px)
        wins = fraction > largest
        best[wins], largest[wins] = index, fraction[wins]
    return best


def row(*values: float) -> NDArray[np.float32]:
    return np.array([[values]], dtype=np.float32)


def test_upsampling_interpolates_between_pixel_centres() -> None:
    # New centres lie at -1/4, 1/4, 3/4 and 5/4 of the old; beyond the outermost centre nothing is extrapolated.
    np.testing.assert_allclose(resample_slices(row(0, 8), (1, 4)), row(0, 2, 6, 8))


def test_downsampling_averages_with_triangular_weights() -> None:
    # Centres at 1/2 and 5/2, reach 2: distances 1/2, 1/2, 3/2 give weights 3/4, 3/4, 1/4, which sum to 7/4.
    np.testing.assert_allclose(resample_slices(row(7, 14, 28, 56), (1, 2)), row(13, 38), rtol=1e-6)


def test_rows_and_columns_are_independent() -> None:
    picture = np.array([[[0, 8], [0, 8], [0, 8]]], dtype=np.float32)
    np.testing.assert_allclose(resample_slices(picture, (3, 4)), np.repeat(row(0, 2, 6, 8), 3, axis=1))
    np.testing.assert_allclose(
        resample_slices(picture.transpose(0, 2, 1), (4, 3)), np.repeat(row(0, 2, 6, 8), 3, axis=1).transpose(0, 2, 1)
    )


@given(pictures=PICTURES)
def test_the_same_size_gives_the_same_values(pictures: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(resample_slices(pictures, (pictures.shape[1], pictures.shape[2])), pictures)


@given(pictures=PICTURES, size_px=SIZES)
def test_nothing_leaves_the_range_of_the_input(pictures: NDArray[np.float32], size_px: tuple[int, int]) -> None:
    result = resample_slices(pictures, size_px)
    assert result.dtype == np.float32
    assert result.shape == (len(pictures), *size_px)
    rounding = 1e-6 * float(np.abs(pictures).max())
    assert result.min() >= pictures.min() - rounding
    assert result.max() <= pictures.max() + rounding


@given(size=st.tuples(*[st.integers(1, 300)] * 2), new=st.tuples(*[st.integers(1, 300)] * 2))
def test_a_constant_stays_constant(size: tuple[int, int], new: tuple[int, int]) -> None:
    np.testing.assert_allclose(resample_slices(np.full((1, *size), 3.7, dtype=np.float32), new), 3.7, rtol=1e-6)


@given(pictures=PICTURES, size_px=SIZES)
def test_mirrored_pictures_give_mirrored_results(pictures: NDArray[np.float32], size_px: tuple[int, int]) -> None:
    mirrored = resample_slices(pictures[:, ::-1, ::-1], size_px)
    np.testing.assert_allclose(mirrored[:, ::-1, ::-1], resample_slices(pictures, size_px), atol=1e-4)


@given(old=st.integers(2, 60), new=st.integers(2, 60))
def test_the_field_of_view_stays(old: int, new: int) -> None:
    # A ramp of 1 per mm over a field of 1 mm per old pixel: away from the border, each new pixel shows its own position.
    ramp = (np.arange(old, dtype=np.float32) + 0.5).reshape(1, 1, old)
    result = resample_slices(ramp, (1, new)).ravel()
    centres = (np.arange(new) + 0.5) * old / new
    reach = max(old / new, 1.0)
    inside = (centres >= reach + 0.5) & (centres <= old - reach - 0.5)
    if old % new == 0 or old <= new:  # else the weights of a pixel are not balanced exactly
        np.testing.assert_allclose(result[inside], centres[inside], rtol=1e-5)
    np.testing.assert_allclose(result.mean(), old / 2, rtol=1e-5)


def test_a_smooth_picture_survives_up_and_down() -> None:
    y, x = np.mgrid[0:40, 0:50] + 0.5
    picture = (np.sin(2 * np.pi * y / 40) * np.cos(2 * np.pi * x / 50)).astype(np.float32)[np.newaxis]
    back = resample_slices(resample_slices(picture, (80, 75)), (40, 50))
    assert np.abs(back - picture).max() < 0.05


def test_detail_finer_than_the_new_pixels_becomes_grey() -> None:
    stripes = np.tile(np.array([0, 1], dtype=np.float32), 20).reshape(1, 1, 40)
    np.testing.assert_allclose(resample_slices(stripes, (1, 9)), 0.5, atol=0.07)


def test_leading_axes_are_free() -> None:
    probabilities = np.random.default_rng(0).random((3, 2, 5, 4), dtype=np.float32)
    together = resample_slices(probabilities, (8, 3))
    assert together.shape == (3, 2, 8, 3)
    np.testing.assert_array_equal(together[2, 1], resample_slices(probabilities[2, 1], (8, 3)))


@given(labels=LABELS, size_px=SIZES)
def test_labels_never_invent_a_class(labels: NDArray[np.uint8], size_px: tuple[int, int]) -> None:
    result = resample_labels(labels, size_px)
    assert result.dtype == labels.dtype
    assert result.shape == (len(labels), *size_px)
    for before, after in zip(labels, result, strict=True):
        assert set(np.unique(after)) <= set(np.unique(before))


@given(labels=LABELS, factors=st.tuples(st.integers(1, 2), st.integers(1, 2)))
def test_labels_on_half_the_pixel_size_are_the_old_pixels_repeated(
    labels: NDArray[np.uint8], factors: tuple[int, int]
) -> None:
    # A quarter of a pixel from its centre, the pixel's own class has a share of at least (3/4)^2 > 1/2.
    finer = resample_labels(labels, (labels.shape[1] * factors[0], labels.shape[2] * factors[1]))
    np.testing.assert_array_equal(finer, labels.repeat(factors[0], axis=1).repeat(factors[1], axis=2))


def test_the_largest_share_wins_and_of_equal_shares_the_lowest_class() -> None:
    labels = np.array([[[9, 4, 4]], [[9, 4, 9]]], dtype=np.uint16)
    assert resample_labels(labels, (1, 1)).ravel().tolist() == [4, 9]
    assert resample_labels(np.array([[[9, 4]]], dtype=np.uint16), (1, 1)).item() == 4


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_labels_of_equal_size_are_the_same(kind: type[np.generic]) -> None:
    labels = np.arange(12, dtype=kind).reshape(1, 3, 4)
    np.testing.assert_array_equal(resample_labels(labels, (3, 4)), labels)


@given(labels=MANY_CLASSES, size_px=st.tuples(st.integers(1, 25), st.integers(1, 25)))
def test_classes_resampled_together_are_those_resampled_one_by_one(
    labels: NDArray[np.uint8], size_px: tuple[int, int]
) -> None:
    np.testing.assert_array_equal(resample_labels(labels, size_px), one_by_one(labels, size_px))


@pytest.mark.parametrize("size_px", [(61, 93), (80, 100), (40, 93), (29, 37), (20, 25), (29, 93), (3, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("cell_px", [1, 3, 8])
def test_thin_classes_and_those_at_the_border_are_resampled_as_one_by_one(size_px: tuple[int, int], cell_px: int) -> None:
    rng = np.random.default_rng(cell_px)
    cells = rng.integers(0, 100, (4, 40 // cell_px + 1, 50 // cell_px + 1), dtype=np.uint8)
    labels = cells.repeat(cell_px, axis=1).repeat(cell_px, axis=2)[:, :40, :50]
    labels[:2, 17], labels[1:3, :, 31] = 101, 102  # a pixel thick
    labels[:, 0], labels[:, :, -1] = 103, 104
    labels[3, 20:, 20:] = 0
    np.testing.assert_array_equal(resample_labels(labels, size_px), one_by_one(labels, size_px))
    np.testing.assert_array_equal(resample_labels(np.asfortranarray(labels), size_px), one_by_one(labels, size_px))


@pytest.mark.parametrize("size_px", [(120, 120), (60, 60)], ids=["finer", "coarser"])
def test_many_small_classes_take_little_more_than_one(size_px: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    resampled = []

    def counted(slices: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.float32]:
        resampled.append(slices.size)
        return resample_slices(slices, size_px)

    labels = np.zeros((3, 90, 90), dtype=np.uint8)
    labels[1].reshape(10, 9, 10, 9)[:, 2:6, :, 2:6] = np.arange(1, 101, dtype=np.uint8).reshape(10, 1, 10, 1)
    labels[2, 10:20, 30:40] = 200
    expected = one_by_one(labels, size_px)
    monkeypatch.setattr(resampling, "resample_slices", counted)
    np.testing.assert_array_equal(resample_labels(labels, size_px), expected)
    # The background in each slice, the hundred classes together in one, and the class of the last.
    assert sum(resampled) == (3 + 1 + 1) * labels[0].size
