"""What headers claim, on headers written by hand."""

import struct
from pathlib import Path

import pytest

from autoseg.errors import ImageError
from autoseg.formats import Header, parse
from autoseg.formats.header import SHEARED

NRRD = "NRRD0005\n# by hand\ntype: {type}\ndimension: 3\nsizes: 3 4 5\nspacings: 1 1.5 2\nencoding: raw\n\n"
METAIMAGE = "NDims = 3\nDimSize = 3 4 5\nElementSpacing = 1 1.5 2\nElementType = {type}\nElementDataFile = LOCAL\n"


def parsed(text: str) -> Header:
    header = parse(text.encode(), Path("scan"))
    assert header is not None
    return header


def test_data_bytes_are_voxels_times_their_size() -> None:
    assert Header(sizes=(3, 4, 5), spacing_mm=(1, 1, 1), voxel_bytes=2, data_start=0).data_bytes == 120


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (1, "signed char;int8;int8_t;uchar;unsigned char;uint8;uint8_t"),
        (2, "short;short int;signed short int;int16_t;ushort;unsigned short;unsigned short int;uint16"),
        (4, "int;signed int;int32;int32_t;uint;unsigned int;uint32;uint32_t;float"),
        (8, "longlong;long long;long long int;signed long long int;int64_t;ulonglong;unsigned long long;uint64;double"),
    ],
)
def test_every_name_of_an_nrrd_type(size: int, names: str) -> None:
    for name in names.split(";"):
        assert parsed(NRRD.format(type=name)).voxel_bytes == size, name


@pytest.mark.parametrize(
    ("size", "names"),
    [(1, "CHAR UCHAR"), (2, "SHORT USHORT"), (4, "INT UINT LONG ULONG FLOAT"), (8, "LONG_LONG ULONG_LONG DOUBLE")],
)
def test_every_name_of_a_metaimage_type(size: int, names: str) -> None:
    for name in names.split():
        assert parsed(METAIMAGE.format(type=f"MET_{name}")).voxel_bytes == size, name


@pytest.mark.parametrize("text", [NRRD.format(type="short"), METAIMAGE.format(type="MET_SHORT")])
def test_sizes_spacing_and_start_of_the_data(text: str) -> None:
    header = parsed(text)
    assert header.sizes == (3, 4, 5)
    assert header.spacing_mm == (1.0, 1.5, 2.0)
    assert header.data_start == len(text)
    assert header.data_file is None
    assert header.encoding == "raw"


def test_nrrd_spacing_from_oblique_directions() -> None:
    text = NRRD.format(type="short").replace("spacings: 1 1.5 2", "space directions: (3,4,0) (0,0,2) (0,-1,0)")
    assert parsed(text).spacing_mm == (5.0, 2.0, 1.0)


def test_nrrd_key_value_pairs_and_windows_lines() -> None:
    text = NRRD.format(type="short").replace("encoding: raw", "sizes:=9 9 9\nencoding: raw").replace("\n", "\r\n")
    assert parsed(text).sizes == (3, 4, 5)
    assert parsed(text).data_start == len(text)


@pytest.mark.parametrize("text", [NRRD.format(type="short"), METAIMAGE.format(type="MET_SHORT")])
def test_missing_spacing_is_remarked(text: str) -> None:
    lines = [line for line in text.splitlines() if "pacing" not in line]
    assert "no voxel spacing" in parsed("\n".join([*lines, ""]) + "\n").warnings[0]


@pytest.mark.parametrize(
    "text",
    [
        NRRD.format(type="short").replace("raw", "hex"),
        NRRD.format(type="short").replace("encoding", "byte skip: -1\nencoding"),
        "BinaryData = False\n" + METAIMAGE.format(type="MET_SHORT"),
        "HeaderSize = -1\n" + METAIMAGE.format(type="MET_SHORT"),
    ],
)
def test_ways_of_storing_that_cannot_be_measured(text: str) -> None:
    comment = "" if text.startswith("NRRD") else "Comment = by hand\n"
    assert parsed(comment + text).encoding == "unchecked"


@pytest.mark.parametrize(
    "text",
    [
        NRRD.format(type="short").replace("encoding", "data file: slice%03d.raw 1 5 1\nencoding"),
        METAIMAGE.format(type="MET_SHORT").replace("LOCAL", "LIST"),
        METAIMAGE.format(type="MET_SHORT").replace("LOCAL", "slice%03d.raw 1 5 1"),
    ],
)
def test_voxels_in_a_series_of_files_are_refused(text: str) -> None:
    with pytest.raises(ImageError, match="series of files"):
        parsed(text if text.startswith("NRRD") else "Comment = by hand\n" + text)


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(ImageError, match="DimSize"):
        parsed(METAIMAGE.format(type="MET_SHORT").replace("DimSize = 3 4 5\n", ""))


def test_other_content_has_no_header() -> None:
    assert parse(b"\x89PNG\r\n\x1a\n", Path("a.png")) is None


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("NDims", "Offset = `7 8 9\nNDims", "could not convert"),
        ("NDims", "Offset = nan 8 9\nNDims", "Offset = nan 8 9"),
        ("NDims", "TransformMatrix = 1 0 0 0 1 0 0 0 inf\nNDims", "TransformMatrix"),
        ("NDims", "TransformMatrix = 2 0 0 0 2 0 0 0 2\nNDims", "axis of length 2 in TransformMatrix"),
        ("NDims", "Rotation = 1 0 0 0 1e308 0 0 1e308 1e308\nNDims", "axis of length 1e.308 in Rotation"),
        ("NDims", "TransformMatrix = 0 0 0 0 1 0 0 0 1\nNDims", "axis of length 0 in TransformMatrix"),
        ("NDims", "BinaryDataByteOrderMSB = maybe\nNDims", "BinaryDataByteOrderMSB = maybe"),
        ("NDims", "CompressedData = 1\nNDims", "CompressedData = 1"),
        ("NDims", "CompressedData = True\nNDims", "CompressedDataSize"),
        ("NDims", "NDims = 3\nNDims", "repeats a key"),
        ("NDims", "a remark\nNDims", "not of the form key = value"),
        ("NDims", "Offset = 1 2 3\nOrigin = 3 2 1\nNDims", "Offset and Origin differ"),
        ("ElementSpacing", "elementspacing", "unknown key elementspacing"),
        ("NDims", "ObjectType = Mesh\nNDims", "ObjectType Mesh"),
        ("NDims", "CenterOfRotation = 0\nNDims", "CenterOfRotation has not the 3 numbers"),
        ("NDims", "Name = a\0\nNDims", "control characters"),
    ],
)
def test_what_a_metaimage_reader_would_take_for_nothing_is_refused(before: str, after: str, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        parsed("Comment = by hand\n" + METAIMAGE.format(type="MET_SHORT").replace(before, after, 1))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("spacing 1 1 1", "neither a field nor a comment"),
        ("space origin: none", "space origin"),
        ("space origin: (1,2,3) x", "no vectors"),
        ("space origin: (1,2,x)", "could not convert"),
        ("space origin: (1,2,nan)", "space origin"),
        ("space directions: (1,0,0) (0,1,0) 7", "no vectors"),
        ("space origin: (1,2,3)subject:=nobody", "no vectors"),
        ("content: \x01", "control characters"),
        ("content: a\r", "control characters"),
    ],
)
def test_a_line_that_nrrd_readers_would_pass_over_is_refused(line: str, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        parsed(NRRD.format(type="short").replace("spacings: 1 1.5 2\n", "").replace("encoding", f"{line}\r\nencoding"))


@pytest.mark.parametrize(
    ("text", "skew"),
    [
        (METAIMAGE.format(type="MET_SHORT"), False),
        ("TransformMatrix = 0.866 0.5 0 -0.5 0.866 0 0 0 1\n" + METAIMAGE.format(type="MET_SHORT"), False),
        ("TransformMatrix = 1 0 0 0.6 0.8 0 0 0 1\n" + METAIMAGE.format(type="MET_SHORT"), True),
        (NRRD.format(type="short"), False),
        (NRRD.format(type="short").replace("spacings: 1 1.5 2", "space directions: (3,4,0) (-4,3,0) (0,0,2)"), False),
        (NRRD.format(type="short").replace("spacings: 1 1.5 2", "space directions: (1,0,0) (0.1,1,0) (0,0,2)"), True),
    ],
)
def test_axes_that_are_not_at_right_angles_are_said(text: str, *, skew: bool) -> None:
    header = parsed(text if text.startswith("NRRD") else "Comment = by hand\n" + text)
    assert (SHEARED in header.warnings) == skew


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("space: left-posterior-superior\nspace directions: (1,0,0) (0,1.5,0) (0,0,2)", True),
        ("space: RAS\nspace directions: (1,0,0) (0,1.5,0) (0,0,2)", True),
        ("space: scanner-xyz\nspace directions: (1,0,0) (0,1.5,0) (0,0,2)", False),
        ("spacings: 1 1.5 2", False),
    ],
)
def test_an_nrrd_without_a_patient_is_remarked(line: str, *, known: bool) -> None:
    header = parsed(NRRD.format(type="short").replace("spacings: 1 1.5 2", line))
    assert any("no orientation" in note for note in header.warnings) != known


def nifti(offset: int, form: str, *values: float) -> bytes:
    """A header with both forms, and one field changed."""
    header = bytearray(352)
    for place, kind, numbers in (
        (0, "i", (348,)), (40, "4h", (3, 3, 4, 5)), (70, "2h", (4, 16)), (76, "4f", (1, 1, 1.5, 2)), (108, "2f", (352, 1)),
        (252, "2h", (1, 1)), (256, "6f", (0, 0, 1, 7, 8, 9)), (280, "12f", (-1, 0, 0, 7, 0, -1.5, 0, 8, 0, 0, 2, 9)),
        (offset, form, values),
    ):  # fmt: skip
        struct.pack_into(f"<{kind}", header, place, *numbers)
    header[344:348] = b"n+1\0"
    return bytes(header)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((280, "f", float("nan")), "NaN or infinities"),
        ((268, "f", float("inf")), "NaN or infinities"),
        ((256, "f", 400.0), "no rotation"),
        ((112, "f", 1e-30), "next to nothing"),
        ((112, "2f", 2.0, float("nan")), "shifts voxels by no number"),
    ],
)
def test_what_a_nifti_reader_would_go_on_with_is_refused(change: tuple[int, str, float], says: str) -> None:
    assert parse(nifti(112, "f", 1.0), Path("a.nii")) is not None
    with pytest.raises(ImageError, match=says):
        parse(nifti(*change), Path("a.nii"))
