"""Which numbers pass as labels; counts and positions worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from autoseg.data.label_values import exact_labels
from autoseg.errors import ImageError

FILE = Path("labels.nii.gz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_kept(dtype: type) -> None:
    labels = exact_labels(np.array([[[0, 3, 120]]], dtype=dtype), FILE, values=None)
    assert labels.dtype == np.uint16
    assert labels.tolist() == [[[0, 3, 120]]]


def test_the_largest_label_passes_and_the_next_does_not() -> None:
    assert exact_labels(np.array([[[65535]]]), FILE, values=None).item() == 65535
    with pytest.raises(ImageError, match=r"found 65536 \(1 voxels\), the first at \(0, 0, 1\)"):
        exact_labels(np.array([[[0, 65536]]]), FILE, values=None)


def test_negative_labels_are_counted() -> None:
    with pytest.raises(ImageError, match=r"found -3 \(1 voxels\), -1 \(2 voxels\), the first at \(0, 1, 0\)"):
        exact_labels(np.array([[[0, 1], [-1, -1], [2, -3]]]), FILE, values=None)


@pytest.mark.parametrize("wrong", [0.5, np.nan, np.inf])
def test_fractions_are_refused(wrong: float) -> None:
    with pytest.raises(ImageError, match=rf"expected whole numbers; found {wrong} \(2 voxels\)"):
        exact_labels(np.array([[[0.0, 1.0, wrong, wrong]]]), FILE, values=None)


def test_undeclared_labels_are_counted() -> None:
    found = np.array([[[0, 1, 7, 7], [9, 0, 0, 2]]])
    with pytest.raises(
        ImageError,
        match=r"expected the declared values 0, 1, 2; found 7 \(2 voxels\), 9 \(1 voxels\), the first at \(0, 0, 2\)",
    ):
        exact_labels(found, FILE, values={2, 1, 0})


def test_declared_labels_need_not_all_occur() -> None:
    assert exact_labels(np.array([[[0, 4]]]), FILE, values=(0, 4, 9)).tolist() == [[[0, 4]]]


def test_a_long_list_of_values_is_shortened() -> None:
    with pytest.raises(ImageError, match=r"10 \(1 voxels\) and 2 more values"):
        exact_labels(np.arange(13).reshape(1, 1, 13), FILE, values=(0,))
