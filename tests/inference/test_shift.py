import numpy as np
import pytest

from autoseg.inference.shift import describe, shift, shifted


def test_a_shift_by_hand() -> None:
    probabilities = np.array([[0.5, 1.0, 0.0], [0.5, 0.0, 1.0]], np.float32)
    shift(probabilities, (0.0, float(np.log(3))), exclusive=True)
    np.testing.assert_allclose(probabilities, [[0.25, 1.0, 0.0], [0.75, 0.0, 1.0]], rtol=1e-6)


def test_without_one_nothing_is_done() -> None:
    probabilities = np.full((2, 3), 0.4, np.float32)  # whose sums are not 1
    shift(probabilities, (), exclusive=True)
    assert (probabilities == np.float32(0.4)).all()
    assert shifted(probabilities, (), exclusive=True) is probabilities


def test_a_shifted_copy_leaves_the_probabilities() -> None:
    probabilities = np.full((2, 3), 0.5, np.float32)
    assert shifted(probabilities, (0.0, 1.0), exclusive=True)[1].min() > 0.7
    assert (probabilities == 0.5).all()


def test_where_all_classes_are_stored_as_0_nothing_is_divided_by_it() -> None:
    probabilities = np.zeros((2, 1), np.float32)
    shift(probabilities, (0.0, 1.0), exclusive=True)
    assert not probabilities.any()


def test_other_numbers_than_classes_are_a_mistake() -> None:
    with pytest.raises(IndexError):
        shift(np.zeros((2, 1), np.float32), (0.0, 0.1, 0.2), exclusive=True)


def test_a_shift_in_words() -> None:
    names = ("background", "CSF", "GM", "WM")
    assert describe((0.0, -0.35, 0.1, 0.0), names) == "CSF -0.35, GM +0.10"
    assert describe((), names) == "none"
