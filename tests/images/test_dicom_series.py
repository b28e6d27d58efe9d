"""Which scans lie in folders of DICOM files: each whole, each once, each by a name of its own."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.dicom_exports import AXIAL, CORONAL, SAGITTAL, export
from oracles.empty_files import touch

from autoseg.errors import ImageError
from autoseg.formats.checksum import image_checksum
from autoseg.images.dicom.scan import name_scans
from autoseg.images.dicom.series import FoundSeries, find_series
from autoseg.images.image import read_image, read_labels, read_series
from autoseg.images.sources import read_geometry

VOLUME = np.arange(6 * 8 * 9, dtype=np.int16).reshape(6, 8, 9)
OTHER = VOLUME[::-1].copy()


def search(place: Path) -> FoundSeries:
    return find_series([path for path in place.rglob("*") if path.is_file()])


def named(place: Path) -> dict[str, Any]:
    """What every scan is: its volume, or what is wrong with it."""
    found = search(place).scans
    names = name_scans(found, folder_name=lambda folder: "_".join(folder.relative_to(place.parent).parts))
    return {
        name: str(scan.error) if scan.error else read_series(scan.files).array[0]
        for name, scan in zip(names, found, strict=True)
    }


def assert_named(place: Path, **expected: NDArray[np.int16]) -> None:
    found = named(place)
    assert sorted(found) == sorted(expected)
    for name, volume in expected.items():
        np.testing.assert_array_equal(found[name], volume)


def warnings(place: Path) -> str:
    return "; ".join(warning for scan in search(place).scans for warning in scan.warnings)


# Put together


@pytest.mark.parametrize("folders", [("a", "b"), ("a", "a/deep/er"), ("PA0/ST0/SE0", "PA0/ST0/SE1")])
def test_a_series_over_two_folders_is_one_scan(tmp_path: Path, folders: tuple[str, str]) -> None:
    export(tmp_path / "ada" / folders[0], VOLUME, left_out=[3, 4, 5])
    export(tmp_path / "ada" / folders[1], VOLUME, left_out=[0, 1, 2])
    (scan,) = search(tmp_path).scans
    np.testing.assert_array_equal(read_series(scan.files).array[0], VOLUME)
    assert "its slices lie in 2 folders" in scan.warnings
    assert scan.folder.is_relative_to(tmp_path / "ada")


def test_slices_that_alternate_between_folders_are_one_scan(tmp_path: Path) -> None:
    export(tmp_path / "ada" / "even", VOLUME, left_out=[1, 3, 5])
    export(tmp_path / "ada" / "odd", VOLUME, left_out=[0, 2, 4])
    assert_named(tmp_path / "ada", ada=VOLUME)


@pytest.mark.parametrize(
    ("left_out", "numbers"), [([0, 1, 2], "from 4 to 6"), ([1, 3, 5], "from 1 to 5"), ([0, 2, 4], "from 2 to 6")]
)
def test_half_a_series_alone_is_doubted(tmp_path: Path, left_out: list[int], numbers: str) -> None:
    """Even slices that lack their odd neighbours look like thick slices, but for their numbers."""
    export(tmp_path, VOLUME, left_out=left_out)
    assert f"its 3 slices are numbered {numbers}: others may be missing, or lie elsewhere" in warnings(tmp_path)


def test_one_slice_of_a_series_alone_is_doubted(tmp_path: Path) -> None:
    export(tmp_path, VOLUME, left_out=[0, 1, 3, 4, 5])
    assert "its only slice has the number 3: others may be missing, or lie elsewhere" in warnings(tmp_path)


def test_slices_that_each_claim_a_series_of_their_own_are_no_scans(tmp_path: Path) -> None:
    for index in range(6):
        export(tmp_path / "ada", VOLUME, series=f"series {index}", left_out=[other for other in range(6) if other != index])
    (text,) = named(tmp_path / "ada").values()
    assert "claim to be of several series, single ones among them; expected one series; found 6 slices in 6 series" in text


def test_a_slice_that_claims_another_series_is_missed(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, one_by_one={5: {"SeriesInstanceUID": "1.2.3"}})
    (text,) = named(tmp_path / "ada").values()
    assert "IM0006: slices that look like one stack" in text
    assert "found 6 slices in 2 series" in text


def test_files_of_one_series_that_name_two_patients_are_refused(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, one_by_one={index: {"PatientID": "case-2"} for index in (3, 4, 5)})
    (text,) = named(tmp_path / "ada").values()
    assert "the files of one series name several patients" in text


# Copies


def test_copies_are_left_out_wherever_they_lie(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME)
    shutil.copytree(tmp_path / "ada", tmp_path / "ada" / "backup")
    shutil.copy(tmp_path / "ada" / "IM0003", tmp_path / "ada" / "IM0003 (copy)")
    assert_named(tmp_path / "ada", ada=VOLUME)
    assert "7 copies of its slices are left out" in warnings(tmp_path)


def test_where_some_slices_lie_twice_the_fuller_folder_names_the_scan(tmp_path: Path) -> None:
    export(tmp_path / "all" / "a", VOLUME, left_out=[2, 3, 4, 5])
    export(tmp_path / "all" / "b", VOLUME)
    assert_named(tmp_path / "all", all_b=VOLUME)


def test_copies_with_identifiers_of_their_own_are_left_out(tmp_path: Path) -> None:
    """As an archive makes them that numbers anew what it gets twice."""
    export(tmp_path / "ada", VOLUME)
    one_by_one = {index: {"SOPInstanceUID": f"1.2.3.{index}", "InstanceNumber": 100 + index} for index in range(6)}
    export(tmp_path / "ada", VOLUME, left_out=[0, 5], names="copy{:d}", one_by_one=one_by_one)
    assert_named(tmp_path / "ada", ada=VOLUME)
    assert "4 copies of slices of its series are left out" in warnings(tmp_path)


def test_a_damaged_copy_of_a_slice_harms_nothing(tmp_path: Path) -> None:
    path = export(tmp_path / "ada", VOLUME)[2]
    path.with_name("copy").write_bytes(path.read_bytes()[:-100])
    assert_named(tmp_path / "ada", ada=VOLUME)
    assert "1 copies of its slices are left out" in warnings(tmp_path)


def test_different_slices_of_one_identity_are_no_copies(tmp_path: Path) -> None:
    export(tmp_path / "ada" / "a", VOLUME)
    export(tmp_path / "ada" / "b", OTHER)
    (text,) = named(tmp_path / "ada").values()
    assert "another slice than" in text
    assert "with the same identity" in text


def test_different_slices_at_one_place_are_no_copies(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME)
    export(
        tmp_path / "ada",
        OTHER,
        left_out=[0, 1, 4, 5],
        names="copy{:d}",
        one_by_one={2: {"SOPInstanceUID": "1.2"}, 3: {"SOPInstanceUID": "1.3"}},
    )
    (scan,) = search(tmp_path).scans
    with pytest.raises(Exception, match="several slices of the series lie at one place"):
        read_series(scan.files)


# Taken apart

DIFFERENCES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "time points": ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}, "time1", "time2"),
    "echoes": ({"EchoNumbers": 1, "EchoTime": 2.5}, {"EchoNumbers": 2, "EchoTime": 5}, "echo1", "echo2"),
    "echo times": ({"EchoTime": 2.46}, {"EchoTime": 7.38}, "TE2.46", "TE7.38"),
    "b-values": ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}, "b0", "b1000"),
    "b-value that one lacks": ({}, {"DiffusionBValue": 1000.0}, "", "b1000"),
    "inversion times": ({"InversionTime": 100}, {"InversionTime": 2500}, "TI100", "TI2500"),
    "directions": (
        {"DiffusionBValue": 700.0, "DiffusionGradientOrientation": [1.0, 0.0, 0.0]},
        {"DiffusionBValue": 700.0, "DiffusionGradientOrientation": [0.0, 1.0, 0.0]},
        "direction1",
        "direction2",
    ),
    "magnitude and phase": (
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        "M",
        "P",
    ),
    "kernels": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}, "B30f", "B70f"),
    "acquisitions": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}, "acquisition1", "acquisition2"),
    "moments": ({"AcquisitionTime": "101500"}, {"AcquisitionTime": "101730.5"}, "time1", "time2"),
    "nothing but their numbers": ({}, {}, "volume1", "volume2"),
}


@pytest.mark.parametrize(("one", "other", "name", "other_name"), DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_volumes_in_one_series_are_told_apart(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], name: str, other_name: str
) -> None:
    export(tmp_path / "ada", VOLUME, **one)
    export(tmp_path / "ada", OTHER, start=7, **other)
    prefix = f"ada_{name}" if name else "ada"
    assert_named(tmp_path / "ada", **{prefix: VOLUME, f"ada_{other_name}": OTHER})
    assert "its series holds 2" in warnings(tmp_path)


def test_two_time_points_are_called_that(tmp_path: Path) -> None:
    export(tmp_path, VOLUME, AcquisitionTime="101500")
    export(tmp_path, OTHER, start=7, AcquisitionTime="101730.5")
    assert "its series holds 2 time points: this is time1" in warnings(tmp_path)


def test_elements_that_tell_volumes_apart_only_together(tmp_path: Path) -> None:
    volumes = {}
    for number, (echo, kind) in enumerate([(1, "M"), (1, "P"), (2, "M"), (2, "P")]):
        volumes[f"ada_echo{echo}_{kind}"] = VOLUME + number
        export(
            tmp_path / "ada",
            VOLUME + np.int16(number),
            start=1 + 6 * number,
            EchoNumbers=echo,
            ImageType=["ORIGINAL", "PRIMARY", kind],
        )
    assert_named(tmp_path / "ada", **volumes)


def test_a_time_point_that_was_broken_off_fails_alone(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, TemporalPositionIdentifier=1)
    export(tmp_path / "ada", OTHER, start=7, TemporalPositionIdentifier=2, left_out=[4, 5])
    found = named(tmp_path / "ada")
    np.testing.assert_array_equal(found["ada_time1"], VOLUME)
    assert "slices are missing that the rest of the series has; expected 6; found 4" in found["ada_time2"]


def test_numbers_of_acquisitions_do_not_tear_a_stack_apart(tmp_path: Path) -> None:
    """As where a patient breathes in between."""
    export(tmp_path / "ada", VOLUME, one_by_one={index: {"AcquisitionNumber": 1 + index // 3} for index in range(6)})
    assert_named(tmp_path / "ada", ada=VOLUME)


def test_a_localizer_in_three_planes_is_three_scans(tmp_path: Path) -> None:
    for start, orientation in ((1, AXIAL), (7, CORONAL), (13, SAGITTAL)):
        export(tmp_path / "ada", VOLUME + np.int16(start), start=start, orientation=orientation)
    assert_named(tmp_path / "ada", ada_axial=VOLUME + 1, ada_coronal=(VOLUME + 7), ada_sagittal=VOLUME + 13)


@pytest.mark.parametrize("change", [{"ImageOrientationPatient": list(SAGITTAL)}, {"PixelSpacing": [2, 2]}])
def test_one_odd_slice_does_not_become_a_scan(tmp_path: Path, change: dict[str, Any]) -> None:
    export(tmp_path, VOLUME, one_by_one={3: change})
    (scan,) = search(tmp_path).scans
    with pytest.raises(Exception, match=r"not parallel|differ in the size of their pixels"):
        read_series(scan.files)


def test_halves_of_different_form_do_not_become_scans(tmp_path: Path) -> None:
    turned = {index: {"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]} for index in (3, 4, 5)}
    export(tmp_path, VOLUME, one_by_one=turned)
    (scan,) = search(tmp_path).scans
    with pytest.raises(Exception, match="not parallel"):
        read_series(scan.files)


def test_two_sizes_of_the_same_places_are_two_scans(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME)
    large = np.zeros((6, 16, 18), np.int16)
    export(tmp_path / "ada", large, start=7, spacing_mm=(1.5, 0.45, 0.4))
    assert_named(tmp_path / "ada", ada_8x9=VOLUME, ada_16x18=large)


def test_radiographs_of_one_series_are_scans_of_their_own(tmp_path: Path) -> None:
    nowhere = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "Modality": "DX"}
    export(tmp_path / "ada", VOLUME[:2], **nowhere)
    assert_named(tmp_path / "ada", ada_image1=VOLUME[:1], ada_image2=VOLUME[1:2])


# Damaged


def test_a_good_series_beside_a_damaged_one_is_read(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, SeriesNumber=1)
    path = export(tmp_path / "ada", OTHER, series="other", names="x{:d}", SeriesNumber=2)[3]
    path.write_bytes(path.read_bytes()[:-100])
    found = named(tmp_path / "ada")
    np.testing.assert_array_equal(found["ada_1"], VOLUME)
    assert "should have 144 bytes, 44 are left" in found["ada_2"]


@pytest.mark.parametrize("content", [b"", bytes(400), b"<html>" * 40])
def test_a_slice_that_is_dicom_no_longer_is_missed_in_the_only_series(tmp_path: Path, content: bytes) -> None:
    export(tmp_path / "ada", VOLUME)[5].write_bytes(content)
    (text,) = named(tmp_path / "ada").values()
    assert "IM0006" in text
    assert ("the file is empty" if not content else "called like DICOM files, and is none") in text


def test_a_slice_of_an_unknown_series_is_said_beside_all_of_them(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, SeriesNumber=1)
    export(tmp_path / "ada", OTHER, series="other", names="IM1{:03d}", SeriesNumber=2)
    (tmp_path / "ada" / "IM0007").write_bytes(b"")
    found = named(tmp_path / "ada")
    np.testing.assert_array_equal(found["ada_1"], VOLUME)
    np.testing.assert_array_equal(found["ada_2"], OTHER)
    assert "the file is empty" in found["ada_unreadable"]
    assert warnings(tmp_path).count("1 damaged file beside it may hold slices of it, such as IM0007") == 2


def test_what_is_no_scan_is_passed_over_by_what_it_is(tmp_path: Path) -> None:
    export(tmp_path, VOLUME)
    export(tmp_path, VOLUME[:2], series="scout", names="scout{:d}", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    export(tmp_path, VOLUME[:1], series="marked", names="seg{:d}", SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    found = search(tmp_path)
    assert len(found.scans) == 1
    assert {reason.split()[0]: len(files) for reason, files in found.passed_over.items()} == {"DICOM": 1, "localizers": 2}


# Named


def test_series_of_one_number_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, SeriesDescription="t1 mprage/sag")
    export(tmp_path / "ada", OTHER, series="other", names="x{:d}", SeriesDescription="t2 flair")
    assert_named(tmp_path / "ada", ada_t1_mprage_sag=VOLUME, ada_t2_flair=OTHER)


def test_studies_and_patients_of_one_folder_are_told_apart(tmp_path: Path) -> None:
    for number, (identifier, date) in enumerate([("case-1", "20240102"), ("case-1", "20240203"), ("case-2", "20240102")]):
        export(
            tmp_path / "all",
            VOLUME + np.int16(number),
            study=f"{number}",
            series=f"{number}",
            names=f"{number}-{{:d}}",
            PatientID=identifier,
            StudyDate=date,
        )
    expected = ["all_case-1_20240102", "all_case-1_20240203", "all_case-2_20240102"]
    assert_named(tmp_path / "all", **{name: VOLUME + number for number, name in enumerate(expected)})


@pytest.mark.parametrize(
    ("identifier", "name"), [("LOVELACE1815", "Lovelace^Ada"), ("Ada Lovelace", ""), ("12-lovelace", "Lovelace^Ada^^Lady")]
)
def test_names_of_patients_are_not_in_names_of_files(tmp_path: Path, identifier: str, name: str) -> None:
    description = "t1 of lovelace"
    for number in range(2):
        export(
            tmp_path / "all",
            VOLUME,
            study=f"{number}",
            series=f"{number}",
            names=f"{number}-{{:d}}",
            PatientID=identifier if number else "case-2",
            PatientName=name,
            SeriesDescription=description,
        )
    names = list(named(tmp_path / "all"))
    assert len(set(names)) == 2
    assert not any(part in file.casefold() for file in names for part in ("ada", "lovelace"))


def test_series_that_nothing_tells_apart_have_digits(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME)
    export(tmp_path / "ada", OTHER, series="other", names="x{:d}")
    names = sorted(named(tmp_path / "ada"))
    assert len(set(names)) == 2
    assert all(len(name) == len("ada_01234567") and name.startswith("ada_") for name in names)
    shutil.move(tmp_path / "ada" / "x1", tmp_path / "ada" / "A1")
    assert sorted(named(tmp_path / "ada")) == names


def test_a_damaged_series_keeps_its_name_and_those_of_others(tmp_path: Path) -> None:
    export(tmp_path / "ada", VOLUME, SeriesNumber=1)
    path = export(tmp_path / "ada", OTHER, series="other", names="x{:d}", SeriesNumber=2)[0]
    before = sorted(named(tmp_path / "ada"))
    path.write_bytes(path.read_bytes()[:-100])
    assert sorted(named(tmp_path / "ada")) == before == ["ada_1", "ada_2"]


def test_long_names_are_shortened_and_stay_different(tmp_path: Path) -> None:
    for letter in "ab":
        export(tmp_path / ("x" * 150) / ("y" * 150 + letter), VOLUME, series=letter)
    names = list(named(tmp_path))
    assert len(set(names)) == 2
    assert all(len(name) <= 200 for name in names)


# Where an image is expected


def test_a_folder_of_slices_is_an_image(tmp_path: Path) -> None:
    export(tmp_path / "ada" / "1", VOLUME, left_out=[3, 4, 5])
    export(tmp_path / "ada" / "2", VOLUME, left_out=[0, 1, 2])
    image = read_image([tmp_path / "ada"], channels=1)
    np.testing.assert_array_equal(image.array[0], VOLUME)
    assert "its slices lie in 2 folders" in image.warnings
    assert read_geometry(tmp_path / "ada") == image.geometry


def test_folders_of_slices_are_channels(tmp_path: Path) -> None:
    for number, name in enumerate(["t1", "t2"]):
        export(tmp_path / name, VOLUME + np.int16(number), series=name)
    image = read_image([tmp_path / "t1", tmp_path / "t2"], channels=2)
    np.testing.assert_array_equal(image.array, [VOLUME, VOLUME + 1])


def test_the_file_of_one_slice_is_that_slice(tmp_path: Path) -> None:
    """As where slices are labelled one by one."""
    paths = export(tmp_path, VOLUME)
    np.testing.assert_array_equal(read_image([paths[2]], channels=1).array[0, 0], VOLUME[2])


@pytest.mark.parametrize("files", [(), ("notes.txt",)])
def test_a_folder_without_slices_is_no_image(tmp_path: Path, files: tuple[str, ...]) -> None:
    touch(tmp_path, *files)
    with pytest.raises(ImageError, match="a folder without a DICOM series, where an image is expected"):
        read_image([tmp_path], channels=1)


def test_a_folder_of_two_time_points_is_no_image(tmp_path: Path) -> None:
    export(tmp_path, VOLUME, AcquisitionTime="101500")
    export(tmp_path, OTHER, start=7, AcquisitionTime="101730.5")
    with pytest.raises(ImageError, match=r"several DICOM series.*found time1 \(6 slices\), time2 \(6 slices\)"):
        read_image([tmp_path], channels=1)


def test_label_maps_that_were_compressed_with_loss_are_refused(tmp_path: Path) -> None:
    labels = (VOLUME % 3).astype(np.uint8)
    export(tmp_path / "exact", labels)
    export(tmp_path / "lossy", labels, LossyImageCompression="01")
    np.testing.assert_array_equal(read_labels(tmp_path / "exact").array, labels)
    with pytest.raises(ImageError, match="a label map that is stored with loss"):
        read_labels(tmp_path / "lossy")


def test_what_a_folder_holds_decides_its_checksum_and_not_the_names_of_its_files(tmp_path: Path) -> None:
    paths = export(tmp_path, VOLUME)
    before = image_checksum(tmp_path)
    paths[0].rename(tmp_path / "IM9999")
    touch(tmp_path, "notes.txt")
    assert image_checksum(tmp_path) == before
    paths[1].unlink()
    assert image_checksum(tmp_path) != before
