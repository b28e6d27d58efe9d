"""Folders of DICOM files as archives and discs hold them, through the commands."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.commands import autoseg
from oracles.dicom_exports import export
from oracles.seg_reader import masks_on_grid
from pydicom import dcmread

import autoseg as autoseg_package
from autoseg.images.image import read_image, read_labels, write_labels


def volume(cohort: Path) -> NDArray[np.int16]:
    """A scan of the phantom, along the axes that DICOM files count along."""
    (path,) = (cohort / "Test_Set").glob("*/*.nii.gz")
    found: NDArray[np.int16] = read_image([path], channels=1).array[0, :, ::-1, ::-1].astype(np.int16)
    return found


def predict(place: Path, workspace: Path, *, expect: int = 0) -> tuple[dict[str, NDArray[np.uint16]], str]:
    """Label maps by name, and what the command says."""
    results = place.with_name("out")
    arguments = ["predict", str(place), str(results), "-w", str(workspace), "--precision", "float32", "--no-mirror"]
    answer = autoseg(*arguments, expect=expect)
    maps = {path.name.removesuffix(".nii.gz"): read_labels(path).array for path in results.glob("*.nii.gz")}
    return maps, answer.said


def test_a_series_over_two_folders_is_segmented_as_one_scan(cohort: Path, trained: Path, tmp_path: Path) -> None:
    scan = volume(cohort)
    half = len(scan) // 2
    export(tmp_path / "whole" / "ada", scan)
    export(tmp_path / "halves" / "in" / "ada" / "disc1", scan, left_out=range(half, len(scan)))
    export(tmp_path / "halves" / "in" / "ada" / "disc2" / "deeper", scan, left_out=range(half))
    expected, _ = predict(tmp_path / "whole", trained)
    found, said = predict(tmp_path / "halves" / "in", trained)
    assert list(found) == ["ada"]
    np.testing.assert_array_equal(found["ada"], expected["ada"])
    assert "ada: its slices lie in 2 folders" in said


def test_every_good_series_of_a_crowded_folder_is_segmented(cohort: Path, trained: Path, tmp_path: Path) -> None:
    """Equal numbers, two patients, two time points, copies, a localizer, a series that lacks a slice, and a damaged one."""
    scan, place = volume(cohort), tmp_path / "in" / "export"
    export(place, scan, names="a{:03d}", SeriesDescription="t1")
    export(place, scan, names="copy{:03d}", SeriesDescription="t1", left_out=range(4, len(scan)))
    export(place, scan, series="b", names="b{:03d}", SeriesDescription="t1 after contrast", AcquisitionTime="101500")
    export(
        place,
        scan + np.int16(5),
        series="b",
        names="b{:03d}",
        start=1 + len(scan),
        SeriesDescription="t1 after contrast",
        AcquisitionTime="102000",
    )
    export(place, scan, study="c", series="c", names="c{:03d}", PatientID="case-2", SeriesDescription="t1")
    export(place, scan, series="d", names="d{:03d}", SeriesDescription="gap", left_out=[3, 4, 9])
    damaged = export(place, scan, series="e", names="e{:03d}", SeriesDescription="damaged")[5]
    damaged.write_bytes(damaged.read_bytes()[:-99])
    export(place, scan[:3], series="f", names="f{:03d}", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    found, said = predict(tmp_path / "in", trained, expect=7)
    assert sorted(found) == [
        "export_case-1_t1",
        "export_case-1_t1_after_contrast_time1",
        "export_case-1_t1_after_contrast_time2",
        "export_case-2_t1",
    ]
    assert all(labels.shape == scan.shape for labels in found.values())
    for part in (
        "export_case-1_t1: 4 copies of its slices are left out, such as",
        "export_case-1_t1_after_contrast_time1: its series holds 2 time points: this is time1",
        "export_case-1_gap: ",
        "the series lacks 3 slices; expected 1.5 mm between slices; found 4.5 mm after d003, 3 mm after d009",
        "export_case-1_damaged: ",
        "skipped (localizers in DICOM files): export/f001, export/f002, export/f003",
    ):
        assert part in said


def test_results_go_back_as_dicom_and_come_back_beside_their_series(cohort: Path, trained: Path, tmp_path: Path) -> None:
    export(tmp_path / "in" / "ada", volume(cohort), SeriesDescription="t1")
    export(tmp_path / "in" / "bob", volume(cohort)[:, :, ::-1].copy(), series="b", study="b", PatientID="case-2")
    without, _ = predict(tmp_path / "in", trained)
    result = autoseg_package.predict(
        tmp_path / "in", tmp_path / "out", workspace=trained, precision="float32", mirror=False, dicom_seg=True
    )
    assert result.skipped == ("ada", "bob")  # made of the label maps that were there
    classes = json.loads((trained / "plan.json").read_text(encoding="utf-8"))["data"]["classes"][1:]
    for case in ("ada", "bob"):
        masks, labels = masks_on_grid(tmp_path / "out" / "dicom_seg" / f"{case}.dcm", tmp_path / "out" / f"{case}.nii.gz")
        assert labels.any()
        for number, label in enumerate(classes, start=1):
            np.testing.assert_array_equal(masks[number], labels == label["value"])
        found = dcmread(tmp_path / "out" / "dicom_seg" / f"{case}.dcm")
        assert [one.SegmentLabel for one in found.SegmentSequence] == ["CSF", "GM", "WM"]
        (tmp_path / "out" / "dicom_seg" / f"{case}.dcm").rename(tmp_path / "in" / case / "zz.dcm")
    shutil.rmtree(tmp_path / "out")
    again, said = predict(tmp_path / "in", trained)
    for case, labels in without.items():
        np.testing.assert_array_equal(again[case], labels)
    assert (
        "skipped (DICOM files without a scan, such as reports, contours and segmentations): ada/zz.dcm, bob/zz.dcm" in said
    )


def test_without_highdicom_nothing_is_begun(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "highdicom" else find(name, *more))
    export(tmp_path / "in", np.ones((3, 8, 8), np.int16))
    said = autoseg("predict", str(tmp_path / "in"), str(tmp_path / "out"), "--dicom-seg", expect=2).said
    assert "pip install '.[dicom-seg]'" in said
    assert not (tmp_path / "out").exists()


def test_nothing_but_a_localizer_is_no_scan(cohort: Path, trained: Path, tmp_path: Path) -> None:
    export(tmp_path / "in", volume(cohort)[:3], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    _, said = predict(tmp_path / "in", trained, expect=2)
    assert "holds no scans" in said
    assert "skipped (localizers in DICOM files): IM0001, IM0002, IM0003" in said


def cohort_in_dicom(cohort: Path, root: Path) -> None:
    """The phantom's training scans as folders of slices, and label maps as such folders and as files in turn."""
    lines = ["id,image,label"]
    for number, path in enumerate(sorted((cohort / "Training_Set").glob("*/*_seg.nii.gz"))):
        case = path.parent.name
        image, labels = read_image([path.parent / f"{case}.nii.gz"], channels=1), read_labels(path)
        spacing_mm, folder = image.geometry.spacing_mm, root / case / "labels"
        scan, marked = (array[:, ::-1, ::-1] for array in (image.array[0].astype(np.int16), labels.array.astype(np.uint8)))
        export(root / case / "scan" / "disc", scan, series=case, spacing_mm=spacing_mm)
        export(folder, marked, series=f"{case} labels", spacing_mm=spacing_mm)
        if number % 2:
            stored = read_labels(folder)
            write_labels(root / case / "labels.nii.gz", stored.array, stored.geometry)
        lines.append(f"{case},{case}/scan,{case}/labels{'.nii.gz' if number % 2 else ''}")
    (root / "cases.csv").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_folders_of_slices_are_trained_on_and_predicted(cohort: Path, tmp_path: Path) -> None:
    cohort_in_dicom(cohort, tmp_path / "data")
    autoseg("check", "data", cwd=tmp_path)
    autoseg("plan", "data", "--folds", "2", cwd=tmp_path)
    autoseg("train", "--arch", "unet", "--fold", "0", "--epochs", "1", "--precision", "float32", cwd=tmp_path)
    autoseg("select", cwd=tmp_path)
    autoseg("predict", "data/IBSR_01/scan", "out", cwd=tmp_path)
    prediction, scan = read_labels(tmp_path / "out" / "disc.nii.gz"), tmp_path / "data" / "IBSR_01" / "scan"
    assert not prediction.geometry.difference(read_image([scan], channels=1).geometry)
    (scan / "disc" / "IM0003").unlink()
    said = autoseg("check", "data", cwd=tmp_path, expect=3).said
    assert "the series lacks 1 slice; expected 6 mm between slices; found 12 mm after IM0002" in said


def test_a_folder_of_several_series_is_no_image(cohort: Path, tmp_path: Path) -> None:
    cohort_in_dicom(cohort, tmp_path / "data")
    place = tmp_path / "data" / "IBSR_01" / "scan" / "disc"
    export(place, np.ones((3, 8, 8), np.int16), names="t2{:d}", series="t2", SeriesNumber=8, SeriesDescription="t2")
    said = autoseg("check", "data", cwd=tmp_path, expect=3).said
    assert "a folder with several DICOM series, where one scan is expected" in said
    assert "found 7 (40 slices), 8 (3 slices). Move each series into a folder of its own" in said


def test_a_folder_without_slices_is_no_image(cohort: Path, tmp_path: Path) -> None:
    cohort_in_dicom(cohort, tmp_path / "data")
    (tmp_path / "data" / "empty").mkdir()
    table = tmp_path / "data" / "cases.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("IBSR_02/scan", "empty"), encoding="utf-8")
    said = autoseg("check", "data", cwd=tmp_path, expect=3).said
    assert "names files that are not there, or folders without DICOM slices" in said
