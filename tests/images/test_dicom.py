from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from oracles.dicom_exports import export
from oracles.dicom_files import IMPLICIT, PLAIN, RUN_LENGTHS, dicom_file, slice_elements, write_series
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate

from autoseg.errors import ImageError
from autoseg.formats.dicom_files import is_dicom
from autoseg.images.dicom.series import find_series
from autoseg.images.image import read_series

POSITION, ORIENTATION, SPACING = "0020|0032", "0020|0037", "0028|0030"
SLOPE, INTERCEPT, GREYS = "0028|1053", "0028|1052", "0028|0004"


@pytest.fixture
def volume() -> NDArray[np.int16]:
    return np.random.default_rng(0).integers(0, 300, size=(6, 20, 24)).astype(np.int16)


def series_of(folder: Path) -> tuple[Path, ...]:
    (series,) = find_series(list(folder.iterdir())).scans
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


def test_a_missing_slice_is_not_stretched_over(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, left_out=[3])
    with pytest.raises(ImageError, match=r"the series lacks 1 slice.*1\.5 mm between slices.*3 mm after IM0004"):
        read_series(series_of(tmp_path))


def test_all_places_of_missing_slices_are_named(tmp_path: Path) -> None:
    write_series(tmp_path, np.zeros((20, 4, 4), np.int16), left_out=[2, 3, 8, 11, 15])
    message = r"the series lacks 5 slices.*4\.5 mm after IM0019, 3 mm after IM0013, 3 mm after IM0010 and 1 more"
    with pytest.raises(ImageError, match=message):
        read_series(series_of(tmp_path))


@pytest.mark.parametrize(
    ("height", "complaint"), [(33.0, "several slices of the series lie at one place"), (34.1, "not evenly")]
)
def test_a_repeated_or_shifted_slice_is_refused(
    tmp_path: Path, volume: NDArray[np.int16], height: float, complaint: str
) -> None:
    write_series(tmp_path, volume, changes={3: {POSITION: f"-10\\20\\{height}"}})
    with pytest.raises(ImageError, match=complaint):
        read_series(series_of(tmp_path))


def test_rounded_positions_are_even_enough(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, changes={3: {POSITION: r"-10\20\34.51"}})
    assert read_series(series_of(tmp_path)).geometry.shape == (6, 20, 24)


def test_thin_slices_at_rounded_positions_are_even_enough(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    changes = {index: {POSITION: f"-10\\20\\{0.625 * index:.2f}"} for index in range(6)}
    write_series(tmp_path, volume, changes=changes)
    assert read_series(series_of(tmp_path)).geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.002)


def test_a_missing_slice_of_a_tiny_volume_is_found(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, spacing_mm=(0.01, 0.01, 0.01), left_out=[3])
    with pytest.raises(ImageError, match=r"the series lacks 1 slice"):
        read_series(series_of(tmp_path))


@pytest.mark.parametrize("syntax", [PLAIN, IMPLICIT, RUN_LENGTHS])
def test_every_slice_has_its_own_scaling(tmp_path: Path, volume: NDArray[np.int16], syntax: str) -> None:
    """The first slice needs whole numbers only, the others fractions, or more than 16 bits hold."""
    slopes = (1, 0.5, 0.25, 1000, -3, 0.01)
    changes = {index: {SLOPE: str(slope), INTERCEPT: str(index)} for index, slope in enumerate(slopes)}
    write_series(tmp_path, volume, changes=changes, syntax=syntax)
    expected = volume * np.array(slopes)[:, None, None] + np.arange(6)[:, None, None]
    np.testing.assert_allclose(read_series(series_of(tmp_path)).array[0], expected, rtol=1e-6)


WRONG: dict[str, tuple[dict[str, str | None], str]] = {
    "pixels of another size": ({SPACING: r"2\2"}, "differ in the size of their pixels; expected 0.9, 0.8; found 2, 2"),
    "pixels of unknown size": ({SPACING: None}, "size of the pixels, is missing or damaged; expected 2 number"),
    "pixels of no size": ({SPACING: r"0\0"}, "size of the pixels, cannot be true"),
    "pixels of negative size": ({SPACING: r"-1\1"}, "size of the pixels, cannot be true"),
    "inverted greys": ({GREYS: "MONOCHROME1"}, "differ in the meaning of their greys"),
    "no scale": ({SLOPE: "0", INTERCEPT: "0"}, "slope of the scaling, cannot be true; expected not 0"),
    "scale of NaN": ({SLOPE: "nan", INTERCEPT: "0"}, "slope of the scaling, is missing or damaged"),
    "infinite offset": ({SLOPE: "1", INTERCEPT: "1e999"}, "intercept of the scaling, is missing or damaged"),
    "offset in words": ({SLOPE: "1", INTERCEPT: "none"}, "intercept of the scaling, is missing or damaged"),
    "turned": ({ORIENTATION: r"0\1\0\1\0\0"}, "not parallel"),
    "skew axes": ({ORIENTATION: r"1\0\0\1\1\0"}, "orientation of the slice, cannot be true"),
    "no axes": ({ORIENTATION: r"0\0\0\0\0\0"}, "orientation of the slice, cannot be true"),
    "unknown axes": ({ORIENTATION: None}, "orientation of the slice, is missing or damaged"),
    "nowhere": ({POSITION: None}, "position of the slice, is missing or damaged"),
    "shifted aside": ({POSITION: r"-7\20\34.5"}, "straight above each other.*0.025 mm aside; found 3 mm aside of IM0004"),
    "several slices": ({"0028|0008": "2"}, "several slices in one DICOM file"),
    "colours": (
        {"0028|0002": "3", GREYS: "RGB", "0028|0100": "8", "0028|0101": "8", "0028|0102": "7"},
        "not a scalar image",
    ),
}


@pytest.mark.parametrize(("change", "complaint"), WRONG.values(), ids=WRONG.keys())
def test_a_slice_that_does_not_fit_is_refused(
    tmp_path: Path, volume: NDArray[np.int16], change: dict[str, str | None], complaint: str
) -> None:
    """As file names run against the order of slices, slice 3 of six is IM0003."""
    paths = write_series(tmp_path, volume, changes={3: change})
    with pytest.raises(ImageError, match=complaint) as caught:
        read_series(paths)
    assert caught.value.where == str(tmp_path / "IM0003")


@pytest.mark.parametrize(("aside_mm", "warned"), [(0.0, False), (0.002, False), (0.02, True)])
def test_steps_that_are_nearly_straight_are_said_to_add_up(tmp_path: Path, aside_mm: float, *, warned: bool) -> None:
    slices = np.random.default_rng(0).integers(0, 300, size=(31, 20, 24)).astype(np.int16)
    changes = {index: {POSITION: f"-10\\{20 + aside_mm * index:.3f}\\{30 + 1.5 * index}"} for index in range(31)}
    write_series(tmp_path, slices, changes=changes)
    warnings = read_series(series_of(tmp_path)).warnings
    # Thirty steps of .02 mm are .6 mm, two thirds of a row of .9 mm.
    assert any("up to 0.67 voxels beside the straight grid" in warning for warning in warnings) == warned


def test_a_tilted_gantry_is_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    """SimpleITK makes the slices thicker and forgets the tilt."""
    changes = {index: {POSITION: f"-10\\{20 + 0.5 * index}\\{30 + 1.5 * index}"} for index in range(6)}
    write_series(tmp_path, volume, changes=changes)
    with pytest.raises(ImageError, match="tilted gantry"):
        read_series(series_of(tmp_path))


def test_slices_along_an_oblique_normal_lie_straight(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    tilt = np.radians(20)
    normal = np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    changes = {
        index: {
            POSITION: "\\".join(f"{number:.3f}" for number in index * 1.5 * normal),
            ORIENTATION: f"1\\0\\0\\0\\{np.cos(tilt):.4f}\\{np.sin(tilt):.4f}",
        }
        for index in range(6)
    }
    write_series(tmp_path, volume, changes=changes)
    geometry = read_series(series_of(tmp_path)).geometry
    assert geometry.spacing_mm == pytest.approx((1.5, 0.9, 0.8), abs=1e-3)
    np.testing.assert_allclose(np.reshape(geometry.direction, (3, 3))[:, 2], normal, atol=1e-3)


def test_inverted_greys_are_turned_and_said(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, changes={index: {GREYS: "MONOCHROME1"} for index in range(6)})
    image = read_series(series_of(tmp_path))
    assert np.corrcoef(image.array.ravel(), volume.ravel())[0, 1] == pytest.approx(-1)
    assert any("MONOCHROME1" in note for note in image.warnings)


def test_a_slice_alone_need_not_say_where_it_lies_and_how_large_it_is(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    (path,) = write_series(tmp_path, volume[:1], changes={0: {POSITION: None, ORIENTATION: None, SPACING: None}})
    image = read_series([path])
    assert image.geometry.spacing_mm[1:] == (1.0, 1.0)
    assert any("taken for 1 mm" in note for note in image.warnings)


def test_slices_of_different_size_are_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    write_series(tmp_path, volume, left_out=[5])
    write_series(tmp_path, np.zeros((6, 20, 30), np.int16), left_out=[0, 1, 2, 3, 4])
    with pytest.raises(ImageError, match="differ in size"):
        read_series(series_of(tmp_path))


@pytest.mark.parametrize("syntax", [PLAIN, IMPLICIT, RUN_LENGTHS])
@pytest.mark.parametrize("lost", [1, 2, 300, 900])
def test_a_cut_off_file_is_refused(tmp_path: Path, volume: NDArray[np.int16], lost: int, syntax: str) -> None:
    path = write_series(tmp_path, volume, syntax=syntax)[2]
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(ImageError, match=r"cut off|cannot be read as DICOM"):
        read_series(series_of(tmp_path))


def test_pixels_that_are_fewer_than_promised_are_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    """What SimpleITK makes of them is whatever the memory held."""
    paths = write_series(tmp_path, volume)
    elements = slice_elements(2, shape=(20, 24), spacing_mm=(1.5, 0.9, 0.8), origin_mm=(-10, 20, 30), number=7)
    paths[2].write_bytes(dicom_file(elements, volume[2].tobytes()[:-100]))
    with pytest.raises(ImageError, match="cut off; expected 960 bytes; found 860 bytes"):
        read_series(paths)
    paths[2].write_bytes(dicom_file(elements, volume[2].tobytes() + bytes(100)))
    np.testing.assert_array_equal(read_series(paths).array[0], volume)


def test_pixels_that_look_like_pixel_data_are_whole(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    volume[:, :, ::3] = 0x7FE0
    volume[:, :, 1::3] = 0x0010
    paths = write_series(tmp_path, volume)
    np.testing.assert_array_equal(read_series(paths).array[0], volume)
    paths[0].write_bytes(paths[0].read_bytes()[:-2])
    with pytest.raises(ImageError, match=r"cut off|cannot be read as DICOM"):
        read_series(paths)


def test_a_file_that_is_dicom_in_name_only_is_refused(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(bytes(128) + b"DICM" + b"nonsense" * 20)
    with pytest.raises(ImageError, match="IM0001"):
        read_series([tmp_path / "IM0001"])


def test_files_without_a_position_keep_the_order_of_their_names_and_are_refused(
    tmp_path: Path, volume: NDArray[np.int16]
) -> None:
    paths = write_series(tmp_path, volume, changes={3: {POSITION: None}})
    assert series_of(tmp_path) == tuple(sorted(paths))
    with pytest.raises(ImageError, match="position of the slice, is missing"):
        read_series(sorted(paths))


def test_what_is_no_image_or_no_longer_there_is_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    path = write_series(tmp_path, volume)[0]
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\x20\x00\x0d\x00")] + b"\x40\x00\x30\xa7SQ" + bytes(6))
    with pytest.raises(ImageError, match="without an image"):
        read_series([path])
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read \\(No such file"):
        read_series([path])


# Stored in other ways


@pytest.mark.parametrize(
    ("compressor", "syntax"), [("JPEG", "1.2.840.10008.1.2.4.70"), ("JPEG2000", "1.2.840.10008.1.2.4.90")]
)
def test_compressed_slices_are_read_exactly(tmp_path: Path, volume: NDArray[np.int16], compressor: str, syntax: str) -> None:
    """Written by the library that reads them: no other here compresses, and pydicom reads what it makes of run lengths."""
    paths = export(tmp_path, volume)
    for path in paths:
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(path))
        writer.KeepOriginalImageUIDOn()
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.Execute(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    assert dcmread(paths[0]).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_series(series_of(tmp_path)).array[0], volume)


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.201", "lossless high-throughput JPEG 2000"),
        ("1.2.840.10008.1.2.4.102", r"1\.2\.840\.10008\.1\.2\.4\.102"),
        ("1.2.840.10008.1.2.4.70", "lossless JPEG"),
    ],
)
def test_pixels_that_cannot_be_decoded_are_refused_by_the_name_of_their_compression(
    tmp_path: Path, volume: NDArray[np.int16], syntax: str, name: str
) -> None:
    (path,) = export(tmp_path, volume[:1])
    document = dcmread(path)
    document.file_meta.TransferSyntaxUID = syntax
    document.PixelData = encapsulate([b"no image at all "])
    document["PixelData"].is_undefined_length = True
    document.save_as(path)
    with pytest.raises(ImageError, match=f"cannot be read as DICOM, stored as {name} .*dcm2niix"):
        read_series([path])


def test_deflated_files_are_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    (path,) = export(tmp_path, volume[:1])
    document = dcmread(path)
    document.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    document.save_as(path)
    with pytest.raises(ImageError, match=r"\(deflated\), which readers do not support"):
        read_series([path])


NO_SLICES: dict[str, tuple[dict[str, Any], str]] = {
    "enhanced": (
        {"NumberOfFrames": 2},
        r"several slices in one DICOM file \(enhanced or multi-frame DICOM\).*found 2 frames",
    ),
    "mosaic": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "a mosaic of slices in one image"),
    "table of greys": (
        {"ModalityLUTSequence": [Dataset()]},
        "greys that a table gives their meaning, which is not applied",
    ),
    "segmentation": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, r"without an image.*segmentation \(SEG\).*3D Slicer"),
}


@pytest.mark.parametrize(("elements", "complaint"), NO_SLICES.values(), ids=NO_SLICES.keys())
def test_what_is_no_slice_is_refused_by_what_it_is(
    tmp_path: Path, volume: NDArray[np.int16], elements: dict[str, Any], complaint: str
) -> None:
    paths = export(tmp_path, volume[:1], **elements)
    with pytest.raises(ImageError, match=complaint):
        read_series(paths)


def test_a_file_without_rows_is_refused(tmp_path: Path, volume: NDArray[np.int16]) -> None:
    paths = write_series(tmp_path, volume, changes={2: {"0028|0010": None}})
    with pytest.raises(ImageError, match=r"\(0028,0010\), rows, is missing"):
        read_series(paths)
