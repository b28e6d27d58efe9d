"""DICOM segmentations, read back by pydicom and nibabel, which know nothing of how they were made."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map
from highdicom.color import CIELabColor
from highdicom.seg import segread
from oracles.dicom_exports import AXIAL, CORONAL, SAGITTAL, export
from oracles.seg_reader import frames, masks_on_grid
from pydicom import Dataset, config, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from autoseg.errors import ImageError
from autoseg.images.dicom import concepts
from autoseg.images.dicom.coded_segments import CodedSegment, Maker, bytes_of_segmentation, overlap
from autoseg.images.dicom.concepts import Property, properties
from autoseg.images.dicom.series import find_series
from autoseg.images.dicom_seg import write_seg
from autoseg.images.image import LabelMap, read_image, read_series, write_labels

VOLUME = np.arange(6 * 8 * 11, dtype=np.int16).reshape(6, 8, 11)
NAMES = ("CSF", "GM", "WM")
COLOURS = ((0, 114, 178), (213, 94, 0), (0, 158, 115))
VALUES = (1, 5, 9)
MAKER = Maker("ab" * 32, "IBSR18: unet fold_0 (abababab)", "cd" * 32)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


def segments(
    names: Sequence[str] = NAMES, values: Sequence[Sequence[int]] = tuple((v,) for v in VALUES)
) -> list[CodedSegment]:
    known = zip(names, values, COLOURS, properties(names), strict=True)
    return [CodedSegment(name, tuple(own), colour, what) for name, own, colour, what in known]


def made(
    folder: Path, labels: Any = None, *, wanted: Sequence[CodedSegment] = (), scan: int = 0, volume: Any = VOLUME
) -> tuple[Path, Path]:
    """The segmentation of a scan in a folder, and its label map; random labels but for an empty slice."""
    files = find_series([path for path in (folder / "in").rglob("*") if path.is_file()]).scans[scan].files
    image = read_series(files)
    if labels is None:
        labels = np.random.default_rng(3).choice([0, *VALUES], image.geometry.shape)
        labels[2:3] = 0
    label_map = LabelMap(np.asarray(labels, np.uint16), image.geometry)
    write_labels(folder / "labels.nii.gz", label_map.array, label_map.geometry)
    write_seg(folder / "seg.dcm", files, label_map, segments=wanted or segments(), maker=MAKER)
    return folder / "seg.dcm", folder / "labels.nii.gz"


def assert_same(seg: Path, label_map: Path, values: Sequence[Sequence[int]] = tuple((v,) for v in VALUES)) -> None:
    masks, labels = masks_on_grid(seg, label_map)
    assert len(masks) == len(values)
    for number, own in enumerate(values, start=1):
        np.testing.assert_array_equal(masks[number], np.isin(labels, own))


# Where its voxels lie


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE, (-1, 0, 0, 0, 1, 0), (0, 1, 0, 1, 0, 0)])
def test_every_voxel_lies_where_the_label_map_has_it(tmp_path: Path, orientation: Sequence[float]) -> None:
    """Slices in any direction, of uneven spacing, under names in no order."""
    paths = export(tmp_path / "in", VOLUME, orientation=orientation, spacing_mm=(3.1, 0.9, 0.4))
    for path, number in zip(paths, (3, 0, 5, 1, 4, 2), strict=True):
        path.rename(path.with_name(f"a{number}"))
    assert_same(*made(tmp_path))


def test_frames_name_the_slices_they_were_made_from(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME, orientation=OBLIQUE)
    seg, _ = made(tmp_path)
    slices = {str(one.SOPInstanceUID): one for one in map(dcmread, (tmp_path / "in").iterdir())}
    found = list(frames(seg))
    for frame in found:
        np.testing.assert_allclose(frame.points_mm[0, 0], slices[frame.source].ImagePositionPatient, atol=1e-4)
    assert len({frame.source for frame in found}) == len(VOLUME) - 1  # one slice holds nothing
    (series,) = dcmread(seg).ReferencedSeriesSequence
    referenced = {str(one.ReferencedSOPInstanceUID) for one in series.ReferencedInstanceSequence}
    assert referenced == slices.keys()
    assert series.SeriesInstanceUID == next(iter(slices.values())).SeriesInstanceUID


def test_a_volume_of_several_in_a_series_has_its_own_slices(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME, names="a{:03d}", EchoTime=5, SpacingBetweenSlices=-9)
    export(tmp_path / "in", VOLUME, names="b{:03d}", start=7, EchoTime=80, SpacingBetweenSlices=-9)
    seg, label_map = made(tmp_path, scan=1)
    assert_same(seg, label_map)
    assert {path.name[0] for path in (tmp_path / "in").iterdir() if dcmread(path).SOPInstanceUID in sources(seg)} == {"b"}
    (measures,) = dcmread(seg).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert measures.SpacingBetweenSlices == 1.5


def sources(seg: Path) -> set[str]:
    return {frame.source for frame in frames(seg)}


def test_one_slice(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME[:1], SliceThickness=None)
    assert_same(*made(tmp_path))


def test_slices_with_scalings_of_their_own(tmp_path: Path) -> None:
    scalings = {index: {"RescaleSlope": 1 + index, "RescaleIntercept": -index} for index in range(len(VOLUME))}
    export(tmp_path / "in", VOLUME, one_by_one=scalings)
    assert_same(*made(tmp_path))


def test_directions_that_are_rounded_differently(tmp_path: Path) -> None:
    turned = {3: {"ImageOrientationPatient": [0.8001, 0.5999, 0.0, -0.36, 0.48, 0.8]}}
    export(tmp_path / "in", VOLUME, orientation=OBLIQUE, one_by_one=turned)
    assert_same(*made(tmp_path))


def test_regions_lie_inside_one_another(tmp_path: Path) -> None:
    values = [(1, 5, 9), (5, 9), (9,)]
    export(tmp_path / "in", VOLUME)
    seg, label_map = made(tmp_path, wanted=segments(("whole", "core", "active"), values))
    assert_same(seg, label_map, values)
    assert dcmread(seg).SegmentsOverlap == "YES"
    assert overlap(segments(values=values))
    assert not overlap(segments())


def test_more_classes_than_a_byte_holds(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME)
    many = [CodedSegment(f"class {value}", (value,), COLOURS[0], concepts.UNKNOWN) for value in range(1, 300)]
    labels = VOLUME % 300
    assert_same(*made(tmp_path, labels, wanted=many), [(value,) for value in range(1, 300)])


def test_nothing_found_is_an_empty_frame_of_every_segment(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME)
    seg, label_map = made(tmp_path, np.zeros_like(VOLUME))
    assert_same(seg, label_map)
    assert [(frame.segment, frame.mask.any()) for frame in frames(seg)] == [(1, False), (2, False), (3, False)]


def test_a_class_without_voxels_is_there_without_frames(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME)
    seg, label_map = made(tmp_path, np.where(VOLUME % 2, 9, 0))
    assert_same(seg, label_map)
    assert {frame.segment for frame in frames(seg)} == {3}


def test_highdicom_reads_it(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME)
    seg, _ = made(tmp_path)
    assert segread(seg).get_volume(combine_segments=True).array.shape[1:] == VOLUME.shape[1:]


# What it says


def test_names_colours_and_codes(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME)
    seg, _ = made(tmp_path)
    found = dcmread(seg).SegmentSequence
    assert [one.SegmentLabel for one in found] == list(NAMES)
    for one, colour in zip(found, COLOURS, strict=True):
        shown = CIELabColor.from_dicom_value(tuple(one.RecommendedDisplayCIELabValue)).to_rgb()
        np.testing.assert_allclose(shown, colour, atol=1)
    assert [one.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for one in found] == [
        "Cerebrospinal Fluid",
        "Gray Matter",
        "White Matter",
    ]
    assert {(one.SegmentAlgorithmType, one.SegmentAlgorithmName) for one in found} == {("AUTOMATIC", "autoseg")}
    assert found[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters == f"model={MAKER.title}"


def test_patient_study_and_series(tmp_path: Path) -> None:
    said = {
        "PatientBirthDate": "18151210",
        "PatientSex": "F",
        "StudyDate": "20240102",
        "AccessionNumber": "77",
        "FrameOfReferenceUID": "1.2.3",
        "SeriesDescription": "t1",
        "AcquisitionDate": "20240103",
        "AcquisitionTime": "101500",
    }
    paths = export(tmp_path / "in", VOLUME, **said)
    seg, _ = made(tmp_path)
    found, slice_ = dcmread(seg), dcmread(paths[0])
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", *list(said)[:-3]):
        assert found[keyword].value == slice_[keyword].value
    assert (found.SeriesNumber, found.SeriesDescription, found.ContentLabel) == (1007, "autoseg t1", "AUTOSEG")
    assert (found.ContentDate, found.ContentTime) == ("20240103", "101500")
    assert found.SeriesInstanceUID != slice_.SeriesInstanceUID


def test_the_same_gives_the_same_bytes_and_anything_else_another_identity(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME)
    first = made(tmp_path)[0].read_bytes()
    time.sleep(0.01)  # the clock of DICOM counts microseconds
    assert made(tmp_path)[0].read_bytes() == first
    identity = dcmread(tmp_path / "seg.dcm").SOPInstanceUID
    files = find_series((tmp_path / "in").iterdir()).scans[0].files
    labels = LabelMap(np.zeros(VOLUME.shape, np.uint16), read_series(files).geometry)
    write_seg(tmp_path / "b.dcm", files, labels, segments=segments(), maker=Maker(MAKER.model, MAKER.title, "ef" * 32))
    assert dcmread(tmp_path / "b.dcm").SOPInstanceUID != identity


@pytest.mark.parametrize("labels", [None, np.zeros_like(VOLUME)], ids=["full", "empty"])
def test_all_that_the_standard_requires_is_there_and_valid(tmp_path: Path, labels: Any) -> None:
    export(tmp_path / "in", VOLUME, SeriesDescription=None, PatientID=None, PatientName=None)
    seg, _ = made(tmp_path, labels)
    with config.strict_reading():
        document = dcmread(seg)
        visit(document)
    assert missing(document) == []
    assert document.file_meta.MediaStorageSOPInstanceUID == document.SOPInstanceUID
    for item in document.PerFrameFunctionalGroupsSequence:
        assert {"FrameContentSequence", "PlanePositionSequence", "DerivationImageSequence"} <= set(item.dir())
    shared = document.SharedFunctionalGroupsSequence[0]
    assert {"PixelMeasuresSequence", "PlaneOrientationSequence"} <= set(shared.dir())


def visit(document: Dataset) -> None:
    """Look at every value, which the reader then validates."""
    for element in document.iterall():
        if element.VR == "UI":
            assert UID(element.value).is_valid
        assert element.VR != "UN"


def missing(document: Dataset) -> list[str]:
    """What the modules that a segmentation must have require and it lacks, by the standard's tables."""
    modules = get_iod_module_map()[get_sop_class_iod_map()[document.SOPClassUID]]
    wanted = [module["key"] for module in modules if module["usage"] == "M"]
    lacking = []
    for module in wanted:
        for item in get_module_attribute_map()[module]:
            keyword = str(item["keyword"])
            if item["path"] or item["type"] not in {"1", "2"}:
                continue
            if keyword not in document or (item["type"] == "1" and document[keyword].is_empty):
                lacking.append(keyword)
    return lacking


def test_what_is_required_is_known() -> None:
    nothing = Dataset()
    nothing.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    assert {"SegmentSequence", "SegmentationType", "ContentLabel", "DeviceSerialNumber"} <= set(missing(nothing))


# Slices that say little, or too much


@pytest.mark.parametrize(
    "said",
    [
        {"PatientSex": "X"},
        {"PatientSex": ["M", "F"]},
        {"PatientName": "ada"},
        {"SeriesNumber": None},
        {"SeriesNumber": -3},
        {"SeriesNumber": 2**31 - 1},
        {"SeriesDescription": "x" * 64},
        {"SliceThickness": None},
        {"SliceThickness": 0},
        {"StudyDate": "20240102", "StudyTime": None},
        {"PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100"},
        {"PatientName": "Yamada^Tarou=山田^太郎", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "SpecificCharacterSet": ["", "ISO 2022 IR 87"]},
        {"PatientName": "Hong^Gildong=洪^吉洞=홍^길동", "SpecificCharacterSet": ["", "ISO 2022 IR 149"]},
        {"SpecificCharacterSet": ["ISO 2022 IR 6", "ISO 2022 IR 100"]},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"},
    ],
    ids=str,
)
def test_slices_that_say_little_or_too_much(tmp_path: Path, said: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    paths = export(tmp_path / "in", VOLUME, **said)
    seg, label_map = made(tmp_path)
    assert not caplog.records  # nothing is said by those who write it
    assert_same(seg, label_map)
    assert dcmread(seg).PatientName == dcmread(paths[0]).PatientName
    assert 1 <= dcmread(seg).SeriesNumber < 2**31


def test_names_of_classes_in_any_script(tmp_path: Path) -> None:
    export(tmp_path / "in", VOLUME, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100")
    seg, _ = made(tmp_path, wanted=segments(("Großhirn", "海馬", "left\\right " + "x" * 99)))
    document = dcmread(seg)
    assert [one.SegmentLabel for one in document.SegmentSequence] == ["Großhirn", "海馬", "left/right " + "x" * 53]
    assert document.PatientName == "Müller^Jörg"


def test_a_radiograph_lies_nowhere(tmp_path: Path) -> None:
    lies = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "FrameOfReferenceUID": "1.2.3"}
    lies["PatientOrientation"] = ["L", "F"]
    export(tmp_path / "in", VOLUME[:1], Modality="DX", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", **lies)
    seg, label_map = made(tmp_path)
    document = dcmread(seg)
    assert "FrameOfReferenceUID" not in document
    assert document.PatientOrientation == ["L", "F"]
    pixels = np.atleast_3d(document.pixel_array).reshape(-1, *VOLUME.shape[1:])
    stored = read_image([label_map], channels=1).array[0]
    for item, frame in zip(document.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        number = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        np.testing.assert_array_equal(frame, stored[0] == VALUES[number - 1])


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"StudyInstanceUID": None}, "has no StudyInstanceUID"),
        ({"FrameOfReferenceUID": "1.2.3", "one_by_one": {2: {"FrameOfReferenceUID": "1.2.4"}}}, "the same series"),
    ],
    ids=["no study", "two frames of reference"],
)
def test_slices_that_cannot_be_referred_to(tmp_path: Path, said: dict[str, Any], why: str) -> None:
    export(tmp_path / "in", VOLUME, **said)
    with pytest.raises(ImageError, match="no DICOM segmentation can be made of its label map, which is there") as caught:
        made(tmp_path)
    assert why in str(caught.value)
    assert not (tmp_path / "seg.dcm").exists()


# Codes


def test_every_code_is_one_of_the_standard() -> None:
    known = [*concepts._KNOWN.values(), *concepts._TOGETHER.values(), concepts.UNKNOWN]
    assert len(known) > 40
    for what in known:
        assert (what.category.code, what.category.meaning) in in_table(codes.cid7150)
        assert (what.type.code, what.type.meaning) in in_table(codes.cid7151)


def in_table(table: Any) -> set[tuple[str, str]]:
    found = [getattr(table, name) for name in table.dir()]
    return {(code.value, code.meaning) for code in found if code.scheme_designator == "SCT"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Liver", "liver vessel", "LEFT_VENTRICLE"], ["Liver", "Tissue", "Left ventricle"]),
        (["CSF", "GM", "WM"], ["Cerebrospinal Fluid", "Gray Matter", "White Matter"]),
        (["GM", "muscle"], ["Tissue", "Tissue"]),
        (["tumour core", "Tumour", "oedema"], ["Tissue", "Neoplasm", "Edema"]),
    ],
    ids=str,
)
def test_only_whole_names_that_leave_no_doubt_have_codes(names: list[str], expected: list[str]) -> None:
    found: list[Property] = properties(names)
    assert [what.type.meaning for what in found] == expected


def test_memory_grows_with_voxels_and_with_segments_that_overlap() -> None:
    shape, alone = (100, 512, 512), segments()
    nested = segments(values=[(1, 5, 9), (5, 9), (9,)])
    voxels = 100 * 512 * 512
    assert voxels < bytes_of_segmentation(shape, alone) < 5 * voxels
    assert 10 * voxels < bytes_of_segmentation(shape, nested) < 15 * voxels
