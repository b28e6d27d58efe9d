"""Which numbers pass as labels; counts and positions worked out by hand."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from autoseg.errors import ImageError
from autoseg.images import label_values
from autoseg.images.label_values import ROUNDED, exact_labels, voxel_counts

FILE = Path("labels.nii.gz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_kept(dtype: type) -> None:
    labels, warnings = exact_labels(np.array([[[0, 3, 120]]], dtype=dtype), FILE, values=None)
    assert labels.dtype == np.uint16
    assert labels.tolist() == [[[0, 3, 120]]]
    assert warnings == ()


def test_the_largest_label_passes_and_the_next_does_not() -> None:
    assert exact_labels(np.array([[[65535]]]), FILE, values=None)[0].item() == 65535
    with pytest.raises(ImageError, match=r"found 65536 \(1 voxels\), the first at \(0, 0, 1\)"):
        exact_labels(np.array([[[0, 65536]]]), FILE, values=None)


def test_negative_labels_are_counted() -> None:
    with pytest.raises(ImageError, match=r"found -3 \(1 voxels\), -1 \(2 voxels\), the first at \(0, 1, 0\)"):
        exact_labels(np.array([[[0, 1], [-1, -1], [2, -3]]]), FILE, values=None)


@pytest.mark.parametrize("wrong", [0.5, 0.7, 0.998, 1.002, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fractions_are_refused(wrong: float, dtype: type) -> None:
    found = np.array([[[0.0, 1.0, wrong, wrong]]], dtype=dtype)
    with pytest.raises(ImageError, match=r"expected whole numbers, or values within 0\.001 of one; found .* \(2 voxels\)"):
        exact_labels(found, FILE, values=None)


@pytest.mark.parametrize("beside", [1.0000153, 0.9999, 0.999, 1.001, 1 - 1e-12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_nearly_whole_are_rounded_and_that_is_said(beside: float, dtype: type) -> None:
    found = np.array([[[0.0, beside, 119 + beside, -1e-4]]], dtype=dtype)
    labels, warnings = exact_labels(found, FILE, values=(0, 1, 120))
    assert labels.tolist() == [[[0, 1, 120, 0]]]
    assert warnings == (ROUNDED,)


def test_a_label_nearly_too_large_or_undeclared_is_what_it_is_nearly() -> None:
    with pytest.raises(ImageError, match=r"found 3 \(1 voxels\)"):
        exact_labels(np.array([[[0.0, 2.9999]]]), FILE, values=(0, 1, 2))
    with pytest.raises(ImageError, match=r"found 65536\.0 \(1 voxels\)"):
        exact_labels(np.array([[[0.0, 65535.9999]]]), FILE, values=None)


def test_undeclared_labels_are_counted() -> None:
    found = np.array([[[0, 1, 7, 7], [9, 0, 0, 2]]])
    with pytest.raises(
        ImageError,
        match=r"expected the declared values 0, 1, 2; found 7 \(2 voxels\), 9 \(1 voxels\), the first at \(0, 0, 2\)",
    ):
        exact_labels(found, FILE, values={2, 1, 0})


def test_counting_takes_no_64_bits_for_every_voxel() -> None:
    found = np.zeros((64, 128, 128), dtype=np.uint16)
    found[::2] = 3
    tracemalloc.start()
    labels, _ = exact_labels(found, FILE, values=(0, 3))
    highest_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(labels, found)
    assert highest_bytes < 2 * found.nbytes  # its copy, and little else


def test_voxels_are_counted_by_value() -> None:
    assert voxel_counts(np.array([[[0, 1]], [[3, 1]]], dtype=np.uint16), largest=4).tolist() == [1, 2, 0, 1, 0]
    assert voxel_counts(np.zeros((0, 2, 2), dtype=np.uint16)).tolist() == [0]


@pytest.mark.parametrize("shape", [(300_000,), (30, 100, 100), (300_000, 1, 1), (1, 300_000)])
def test_voxels_are_counted_many_at_a_time_whatever_their_shape(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.random.default_rng(0).integers(0, 5, shape).astype(np.uint16)
    calls, count = [], np.bincount
    monkeypatch.setattr(np, "bincount", lambda *args, **options: calls.append(1) or count(*args, **options))
    monkeypatch.setattr(label_values, "_COUNTED_AT_ONCE", 100_000)
    found = voxel_counts(labels)
    assert found.tolist() == [(labels == value).sum() for value in range(5)]
    assert len(calls) == 3


def test_declared_labels_need_not_all_occur() -> None:
    assert exact_labels(np.array([[[0, 4]]]), FILE, values=(0, 4, 9))[0].tolist() == [[[0, 4]]]


def test_a_long_list_of_values_is_shortened() -> None:
    with pytest.raises(ImageError, match=r"10 \(1 voxels\) and 2 more values"):
        exact_labels(np.arange(13).reshape(1, 1, 13), FILE, values=(0,))
