"""Elements of DICOM files as they are found in the wild, and as they must not be."""

import struct

import numpy as np
import pytest
from oracles.dicom_files import IMPLICIT, PLAIN, RUN_LENGTHS, dicom_file, run_lengths, slice_elements

from autoseg.formats.dicom_elements import parse_dicom
from autoseg.formats.dicom_fields import Field

STORED = np.arange(12 * 14, dtype=np.int16).reshape(12, 14)
ITEM, ITEM_END, ITEMS_END = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))
UNDEFINED = b"\xff\xff\xff\xff"
PRIVATE = struct.pack("<HH", 0x0029, 0x1010)


def content(*, syntax: str = PLAIN, pixels: bytes | None = None, **changes: str | None) -> bytes:
    usual = slice_elements(0, shape=(12, 14), spacing_mm=(1.5, 0.9, 0.8), origin_mm=(0.0, 0.0, 0.0), number=7)
    elements = usual | {Field[name].value: value for name, value in changes.items()}
    stored = run_lengths(STORED) if syntax == RUN_LENGTHS else STORED.tobytes()
    return dicom_file({tag: text for tag, text in elements.items() if text is not None}, pixels or stored, syntax=syntax)


def inserted(element: bytes, *, syntax: str = PLAIN) -> bytes:
    """An element before the pixel data."""
    whole = content(syntax=syntax)
    place = whole.rindex(struct.pack("<HH", 0x7FE0, 0x0010))
    return whole[:place] + element + whole[place:]


def item(inner: bytes, *, defined: bool) -> bytes:
    return ITEM + (struct.pack("<I", len(inner)) + inner if defined else UNDEFINED + inner + ITEM_END + bytes(4))


def named(kind: bytes, value: bytes, *, defined: bool) -> bytes:
    end = b"" if defined else ITEMS_END + bytes(4)
    return PRIVATE + kind + bytes(2) + (struct.pack("<I", len(value)) if defined else UNDEFINED) + value + end


def unnamed(value: bytes, *, defined: bool) -> bytes:
    end = b"" if defined else ITEMS_END + bytes(4)
    return PRIVATE + (struct.pack("<I", len(value)) if defined else UNDEFINED) + value + end


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_sequences_within_sequences_are_passed_over(outer: bool, inner: bool) -> None:
    text = PRIVATE + b"SH" + struct.pack("<H", 4) + b"text"
    nested = named(b"SQ", item(named(b"SQ", item(text, defined=inner) * 2, defined=outer), defined=inner), defined=outer)
    assert parse_dicom(inserted(nested)) is not None


@pytest.mark.parametrize("outer", [True, False])
@pytest.mark.parametrize("inner", [True, False])
def test_sequences_without_vrs_are_passed_over(outer: bool, inner: bool) -> None:
    text = PRIVATE + struct.pack("<I", 4) + b"text"
    nested = unnamed(item(unnamed(item(text, defined=inner) * 2, defined=outer), defined=inner), defined=outer)
    assert parse_dicom(inserted(nested, syntax=IMPLICIT)) is not None
    unknown = named(b"UN", item(unnamed(item(text, defined=inner), defined=outer), defined=inner), defined=False)
    assert parse_dicom(inserted(unknown)) is not None


def test_what_a_sequence_says_of_pixels_is_not_said_of_the_slice() -> None:
    rows = struct.pack("<HH", 0x0028, 0x0010) + b"US" + struct.pack("<HH", 2, 999)
    icon = struct.pack("<HH", 0x7FE0, 0x0010) + b"OW" + bytes(2) + struct.pack("<I", 4) + bytes(4)
    header = parse_dicom(inserted(named(b"SQ", item(rows + icon, defined=False), defined=False)))
    assert header is not None
    assert header.fields[Field.ROWS] == "12"
    assert header.pixel_bytes == STORED.nbytes


@pytest.mark.parametrize("syntax", [PLAIN, IMPLICIT, RUN_LENGTHS])
def test_zeros_that_fill_up_a_block_are_no_elements(syntax: str) -> None:
    assert parse_dicom(content(syntax=syntax) + bytes(100)) is not None
    with pytest.raises(ValueError, match="is there twice or out of order"):
        parse_dicom(content(syntax=syntax) + b"\x01" * 100)


def test_what_is_no_image_is_none_and_what_lost_its_image_is_damaged() -> None:
    whole = content()
    report = whole[: whole.index(b"\x28\x00\x02\x00")] + struct.pack("<HH", 0x0040, 0xA730) + b"SQ" + bytes(6)
    assert parse_dicom(report) is None
    for end in (b"\x28\x00\x02\x00", b"\x28\x00\x00\x01", b"\x20\x00\x11\x00", b"\xe0\x7f\x10\x00"):
        with pytest.raises(ValueError, match="no pixels"):
            parse_dicom(whole[: whole.index(end)])


WRONG = {
    "too long": (inserted(named(b"OB", b"x", defined=True)[:-5] + struct.pack("<I", 1 << 31)), "bytes, .* are left"),
    "of no VR": (inserted(PRIVATE + b"??" + bytes(2)), "unknown VR"),
    "out of order": (inserted(struct.pack("<HH", 8, 0x70) + b"LO" + bytes(2)), "out of order"),
    "no item": (inserted(named(b"SQ", PRIVATE + bytes(4), defined=True)), "where an item of a sequence should"),
    "an item beyond its sequence": (
        inserted(named(b"SQ", ITEM + struct.pack("<I", 64), defined=True)),
        "end where it should|unknown",
    ),
    "a sequence without an end": (
        inserted(named(b"SQ", ITEM + UNDEFINED, defined=False)[:-8]),
        "breaks off|unknown VR|left",
    ),
    "rows of another VR": (content().replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00SS"), "has the VR SS, not US"),
    "no bits": (content(BITS_STORED=None), "bits stored, is missing"),
    "more bits than there are": (content(BITS_STORED="17", HIGH_BIT="16"), "pixels of 16 bits, 17 of them used"),
    "shifted bits": (content(BITS_STORED="12", HIGH_BIT="15"), "12 of them used up to number 15"),
    "odd bits": (content(BITS_ALLOCATED="24"), "pixels of 24 bits"),
    "three signs": (content(SIGNED="2"), "signed 2"),
    "no syntax": (content().replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI"), "transfer syntax ''"),
    "deflated": (content(syntax="1.2.840.10008.1.2.1.99"), "transfer syntax '1.2.840.10008.1.2.1.99'"),
    "fragments of uncompressed pixels": (
        content(syntax=RUN_LENGTHS).replace(RUN_LENGTHS.encode() + b"\x00", PLAIN.encode() + b"\x00"),
        "not stored as transfer syntax",
    ),
    "no fragments": (content(syntax=RUN_LENGTHS, pixels=ITEM + bytes(4) + ITEMS_END + bytes(4)), "not those of one image"),
    "cut-off fragments": (content(syntax=RUN_LENGTHS)[:-8], "breaks? off"),
}


@pytest.mark.parametrize(("corrupted", "complaint"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_is_refused(corrupted: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_dicom(corrupted)


@pytest.mark.parametrize("segments", [0, 1, 3, 16, 255])
def test_a_wrong_number_of_run_length_segments_is_refused(segments: int) -> None:
    """GDCM divides by it."""
    pixels = bytearray(run_lengths(STORED))
    struct.pack_into("<I", pixels, 16, segments)
    with pytest.raises(ValueError, match=f"in {segments} segments"):
        parse_dicom(content(syntax=RUN_LENGTHS, pixels=bytes(pixels)))


@pytest.mark.parametrize("start", [0, 63, 64, 1 << 20])
def test_run_length_segments_that_are_not_there_are_refused(start: int) -> None:
    pixels = bytearray(run_lengths(STORED))
    struct.pack_into("<I", pixels, 24, start)
    with pytest.raises(ValueError, match="in 2 segments"):
        parse_dicom(content(syntax=RUN_LENGTHS, pixels=bytes(pixels)))


def test_sequences_that_never_end_are_refused() -> None:
    deep = b"".join([PRIVATE + b"SQ" + bytes(2) + UNDEFINED + ITEM + UNDEFINED] * 2000)
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_dicom(inserted(deep))
