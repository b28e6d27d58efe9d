import numpy as np
import pytest

from autoseg.data.display import COLOURS, colour, content_box, grey_levels, intensity_window, rgb


def test_colours_differ_from_each_other_and_from_black_and_white() -> None:
    assert len({rgb(name) for name in COLOURS} | {(0, 0, 0), (255, 255, 255)}) == len(COLOURS) + 2


def test_more_classes_than_colours_begin_again() -> None:
    assert colour(len(COLOURS)) == colour(0) != colour(1)


def test_a_colour_is_red_green_and_blue() -> None:
    assert rgb("#0072B2") == (0, 114, 178)


def test_a_single_bright_voxel_does_not_darken_the_rest() -> None:
    pixels = np.linspace(0, 1, 1000)
    pixels[0] = 1e6
    low, high = intensity_window([pixels, np.array([np.nan, np.inf])])
    assert 0 < low < 0.02
    assert 0.98 < high < 1.01


def test_nothing_finite_has_a_window_all_the_same() -> None:
    assert intensity_window([np.array([np.nan])]) == (0.0, 1.0)


def test_grey_levels_reach_from_black_to_white() -> None:
    assert grey_levels(np.array([[-50.0, 50.0], [50.0, -50.0]])).tolist() == [[0, 255], [255, 0]]
    assert not grey_levels(np.full((2, 3, 4), 7.0)).any()


@pytest.mark.parametrize("value", [1e6, -1e6])
def test_what_lies_outside_the_window_is_cut(value: float) -> None:
    image = np.append(np.linspace(0, 1, 1000), value)
    assert grey_levels(image)[-1] == (255 if value > 0 else 0)


def test_the_box_holds_all_that_is_bright_or_labelled_with_a_margin() -> None:
    image = np.zeros((30, 40))
    image[10, 20] = 1
    labels = np.zeros((30, 40), int)
    labels[12, 1] = 3
    assert content_box(image, [labels]) == (slice(6, 17), slice(0, 25))
    assert content_box(image, []) == (slice(6, 15), slice(16, 25))


def test_where_nothing_is_to_be_seen_all_is_shown() -> None:
    assert content_box(np.ones((3, 4, 5)), [np.zeros((3, 4, 5), int)]) == (slice(0, 3), slice(0, 4), slice(0, 5))
