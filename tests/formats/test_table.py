"""The table of formats: what holds for every entry."""

import itertools
from pathlib import Path

import pytest

from autoseg.formats import FORMATS, IMAGE_SUFFIXES, WRITABLE_SUFFIXES, find_format, named_format


def test_no_suffix_hides_a_longer_one() -> None:
    for earlier, later in itertools.combinations(IMAGE_SUFFIXES, 2):
        assert not later.endswith(earlier)


def test_names_and_suffixes_are_of_one_format_each() -> None:
    assert len({one.name for one in FORMATS}) == len(FORMATS)
    assert len(set(IMAGE_SUFFIXES)) == len(IMAGE_SUFFIXES)
    assert set(WRITABLE_SUFFIXES) < set(IMAGE_SUFFIXES)


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_suffix_names_its_format_whatever_its_case(suffix: str) -> None:
    (expected,) = (one for one in FORMATS if suffix in one.suffixes)
    assert named_format(Path(f"Scan{suffix.upper()}")) is expected


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x5c\x01\0\0" + bytes(340) + b"n+1\0", "NIfTI"),
        (b"\0\0\x01\x5c" + bytes(340) + b"n+1\0", "NIfTI"),
        (b"\x1c\x02\0\0n+2\0", "NIfTI"),
        (b"\x5c\x01\0\0" + bytes(340) + b"ni1\0", "NIfTI or ANALYZE"),
        (b"\0\0\x01\x5c" + bytes(344), "NIfTI or ANALYZE"),
        (b"\n Comment = x", "MetaImage"),
        (b"NRRD0005\n", "NRRD"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"II*\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"# vtk DataFile", "VTK"),
        (b"DICM", None),
        (b"", None),
    ],
)
def test_formats_are_recognised_by_their_first_bytes(content: bytes, name: str | None) -> None:
    found = find_format(content)
    assert (None if found is None else found.name) == name
