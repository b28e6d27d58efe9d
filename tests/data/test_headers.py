"""What headers claim, on headers written by hand."""

from pathlib import Path

import pytest

from autoseg.data.headers import Header, parse
from autoseg.errors import ImageError

NRRD = "NRRD0005\n# by hand\ntype: {type}\ndimension: 3\nsizes: 3 4 5\nspacings: 1 1.5 2\nencoding: raw\n\n"
METAIMAGE = "NDims = 3\nDimSize = 3 4 5\nElementSpacing = 1 1.5 2\nElementType = {type}\nElementDataFile = LOCAL\n"


def parsed(text: str) -> Header:
    header = parse(text.encode(), Path("scan"))
    assert header is not None
    return header


def test_data_bytes_are_voxels_times_their_size() -> None:
    assert Header(kind="", sizes=(3, 4, 5), spacing_mm=(1, 1, 1), voxel_bytes=2, data_start=0).data_bytes == 120


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
    assert "no voxel spacing" in parsed("\n".join([*lines, ""]) + "\n").notes[0]


@pytest.mark.parametrize(
    "text",
    [
        NRRD.format(type="short").replace("raw", "hex"),
        NRRD.format(type="short").replace("encoding", "byte skip: -1\nencoding"),
        NRRD.format(type="short").replace("encoding", "data file: slice%03d.raw 1 5 1\nencoding"),
        METAIMAGE.format(type="MET_SHORT").replace("LOCAL", "LIST"),
        METAIMAGE.format(type="MET_SHORT").replace("LOCAL", "slice%03d.raw 1 5 1"),
        "BinaryData = False\n" + METAIMAGE.format(type="MET_SHORT"),
        "HeaderSize = -1\n" + METAIMAGE.format(type="MET_SHORT"),
    ],
)
def test_ways_of_storing_that_cannot_be_measured(text: str) -> None:
    comment = "" if text.startswith("NRRD") else "Comment = by hand\n"
    assert parsed(comment + text).encoding == "unchecked"


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(ImageError, match="DimSize"):
        parsed(METAIMAGE.format(type="MET_SHORT").replace("DimSize = 3 4 5\n", ""))


def test_other_content_has_no_header() -> None:
    assert parse(b"\x89PNG\r\n\x1a\n", Path("a.png")) is None
