from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.dicom_files import write_series

from autoseg.data.dicom import find_series, is_dicom
from autoseg.data.image import read_series
from autoseg.errors import ImageError


@pytest.fixture
def volume() -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(0, 300, size=(6, 20, 24)).astype(np.int16)


def series_of(folder: Path) -> tuple[Path, ...]:
    (series,) = find_series(list(folder.iterdir()))
    return series.files


def test_dicom_is_known_by_its_content(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    paths = write_series(tmp_path / "scan", volume)
    assert all(is_dicom(path) for path in paths)
    (tmp_path / "notes.dcm").write_bytes(b"not an image")
    assert not is_dicom(tmp_path / "notes.dcm")


def test_slices_come_in_the_order_of_their_positions_not_of_their_names(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume)
    image = read_series(series_of(tmp_path))
    np.testing.assert_array_equal(image.array[0], volume)
    assert image.array.dtype == np.float32


def test_the_volume_lies_where_the_series_says(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume)
    geometry = read_series(series_of(tmp_path)).geometry
    assert geometry.shape == (6, 20, 24)
    assert geometry.spacing_mm == pytest.approx((1.5, 0.9, 0.8))
    assert geometry.origin_mm == pytest.approx((-10.0, 20.0, 30.0))


def test_series_in_one_folder_are_told_apart(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, number=12)
    write_series(tmp_path, volume[:4], number=3, names="other{:d}")
    assert [(series.number, len(series.files)) for series in find_series(list(tmp_path.iterdir()))] == [("3", 4), ("12", 6)]


def test_a_missing_slice_is_not_stretched_over(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, left_out=[3])
    with pytest.raises(ImageError, match=r"missing, repeated or out of place.*1\.5 mm between slices.*3 mm after"):
        read_series(series_of(tmp_path))


@pytest.mark.parametrize("height", [33.0, 34.1])
def test_a_repeated_or_shifted_slice_is_refused(tmp_path: Path, volume: NDArray[np.int16], height: float) -> None:
    write_series(tmp_path, volume, heights_mm={3: height})
    with pytest.raises(ImageError, match="missing, repeated or out of place"):
        read_series(series_of(tmp_path))


def test_rounded_positions_are_even_enough(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, heights_mm={3: 34.51})
    assert read_series(series_of(tmp_path)).geometry.shape == (6, 20, 24)


def test_slices_of_different_size_are_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, left_out=[5])
    write_series(tmp_path, np.zeros((6, 20, 30), np.int16), left_out=[0, 1, 2, 3, 4])
    with pytest.raises(ImageError, match="differ in size"):
        read_series(series_of(tmp_path))


def test_a_cut_off_file_is_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    path = write_series(tmp_path, volume)[2]
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ImageError):
        read_series(series_of(tmp_path))


def test_a_file_that_is_dicom_in_name_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM" + b"nonsense" * 20)
    with pytest.raises(ImageError, match="IM0001"):
        find_series([tmp_path / "IM0001"])
