"""TIFF. Source: TIFF 6.0 and its extension to 64 bits, and what ITK 5.4 makes of pages it does not expect."""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

from autoseg.errors import ImageError
from autoseg.formats.exif import UPRIGHT, refuse_turned
from autoseg.formats.format import Format
from autoseg.formats.header import DAMAGED
from autoseg.formats.picture import Density, Picture, Pixels, Spacing
from autoseg.formats.tiff_size import density_of, described_size, interleaved

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _MEANING, _ORIENTATION, _SAMPLES, _FORMAT = 256, 257, 258, 259, 262, 274, 277, 339
_PLANES = 284
_ABSENT: Final = {_BITS: 1, _COMPRESSION: 1, _ORIENTATION: UPRIGHT, _SAMPLES: 1, _FORMAT: 1, _PLANES: 1}
"""What is meant where a tag is not there."""

_TAGS: Final = {*_ABSENT, _WIDTH, _HEIGHT, _MEANING}
_MEANINGS: Final = {0: "white is 0", 1: "black is 0", 2: "colours", 3: "a palette", 4: "a mask", 6: "colours"}
_PIXELS: Final[dict[tuple[int, int], tuple[Pixels, bool]]] = {
    (1, 1): ("grey", False), (1, 2): ("grey", True), (2, 3): ("colours", False), (2, 4): ("colours", True),
    (3, 1): ("palette", False),
}  # fmt: skip
"""What a pixel is, and whether it has a transparency, by its meaning and how many numbers it has."""

_UNSIGNED, _TOGETHER = 1, 1
_BYTE: Final = 8
_LOSSY: Final = {6, 7, 33003, 33005, 34712, 34892, 50001}
"""Compressions that may change values: JPEG of all ages, and WebP."""

_ALIKE: Final = (_WIDTH, _HEIGHT, _BITS, _FORMAT, _SAMPLES, _MEANING)
"""What all pages must have in common."""

_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}
_DESCRIPTION, _COLUMNS_PER_UNIT, _ROWS_PER_UNIT, _UNIT = 270, 282, 283, 296
_TEXT, _FRACTION = 2, 5
_MOST_TEXT: Final = 1 << 24
"""Bytes of a description. Source: chosen; that of a large OME file has some 10^6."""

_WIDE: Final = 43
"""Version of files of 64 bits."""


@dataclass(frozen=True)
class _Layout:
    """How files of 32 bits, or of 64, are laid out: where the first page is named, and the forms of numbers."""

    order: str
    first: int
    count: str
    entry: str
    pointer: str

    @property
    def entry_bytes(self) -> int:
        """Of one tag, its value or the place of it included."""
        return struct.calcsize(self.order + self.entry + self.pointer)

    def unpack(self, form: str, content: mmap, position: int) -> tuple[Any, ...]:
        """Numbers at a place of the file."""
        return struct.unpack_from(self.order + form, content, position)


def describe_tiff(path: Path) -> Picture:
    """What a TIFF file says of itself; its pages must be grey values, colours or places in a palette, and all alike.

    Raises:
        ImageError: they are not, or the file is damaged.
    """
    pages = _pages(path)
    first = pages[0]
    for number, page in enumerate(pages):
        _check_page(path, page)
        if any(page[tag] != first[tag] for tag in _ALIKE):
            raise ImageError(
                "the pages of the TIFF file differ in size or type",
                where=path,
                expected=_described(first),
                found=f"{_described(page)} on page {number + 1}",
                remedy="Store each image in a file of its own.",
            )
    size_mm, origin, density = _size(path, pages=len(pages))
    pixels, alpha = _PIXELS[first[_MEANING], first[_SAMPLES]]
    return Picture(
        format="TIFF",
        pixels=pixels,
        alpha=alpha,
        # ITK stretches palettes to 16 bits, reads grey and its transparency in turn, and bits as colours.
        as_stored=pixels == "colours" or (pixels == "grey" and not alpha and first[_BITS] >= _BYTE),
        pages=len(pages),
        spacing_mm=size_mm,
        origin=origin,
        density=density,
    )


def is_lossy_tiff(path: Path) -> bool:
    """Whether values may have been changed to save space.

    Raises:
        ImageError: the file is damaged.
    """
    return any(page[_COMPRESSION] in _LOSSY for page in _pages(path))


def _check_page(path: Path, page: Mapping[int, int]) -> None:
    pixels, alpha = _PIXELS.get((page[_MEANING], page[_SAMPLES]), (None, False))
    bits, whole = page[_BITS], page[_FORMAT] == _UNSIGNED
    usual = {
        None: False,
        "grey": not alpha or (bits == _BYTE and whole),
        "colours": bits in {_BYTE, 2 * _BYTE} and whole and page[_PLANES] == _TOGETHER,
        "palette": bits <= _BYTE and whole,
    }[pixels]
    if not usual:
        raise ImageError(
            "neither plain grey values nor colours",
            where=path,
            expected="one number per pixel, 0 for black; red, green and blue of 8 or 16 bits; or a palette",
            found=f"{page[_SAMPLES]} per pixel, {_MEANINGS.get(page[_MEANING], f'meaning {page[_MEANING]}')}, "
            f"{bits} bits, format {page[_FORMAT]}" + ", each channel for itself" * (page[_PLANES] != _TOGETHER),
            remedy="Save it again in any image editor, as grey values or RGB; a label map as a palette or grey values.",
        )
    refuse_turned(path, page[_ORIENTATION])


def _described(page: Mapping[int, int]) -> str:
    return f"{page[_WIDTH]} x {page[_HEIGHT]} of {page[_BITS]} bits, format {page[_FORMAT]}"


def _size(path: Path, *, pages: int) -> tuple[Spacing | None, str, Density | None]:
    """What the first page states about the size of pixels.

    Raises:
        ImageError: it says that pages are not the slices of one volume.
    """
    with _opened(path) as content:
        layout = _layout(content)
        (position,) = layout.unpack(layout.pointer, content, layout.first)
        (entries,) = layout.unpack(layout.count, content, position)
        tags = _optional_tags(layout, content, position + struct.calcsize(layout.count), entries)
        columns, rows = tags.get(_COLUMNS_PER_UNIT, 0.0), tags.get(_ROWS_PER_UNIT, 0.0)
        if several := interleaved(tags.get(_DESCRIPTION, ""), pages=pages):
            raise ImageError(
                "pages of several channels or points in time in turn",
                where=path,
                expected="the slices of one volume",
                found=several,
                remedy="Store each channel of each point in time in a file of its own.",
            )
        stated = described_size(tags.get(_DESCRIPTION, ""), columns=columns, rows=rows)
        if stated is not None:
            return *stated, None
        return None, "", density_of(columns, rows, tags.get(_UNIT, 2))  # by TIFF 6.0, inch where no unit is given


@contextmanager
def _opened(path: Path) -> Iterator[mmap]:
    try:
        with path.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:  # pages may be at its end
            yield content
    except (KeyError, OverflowError, ValueError, struct.error) as cause:
        raise ImageError(f"the header cannot be understood ({cause})", where=path, remedy=DAMAGED) from None


def _optional_tags(layout: _Layout, content: mmap, position: int, entries: int) -> dict[int, Any]:
    """The description and the resolution of a page."""
    found: dict[int, Any] = {}
    for start in range(position, position + entries * layout.entry_bytes, layout.entry_bytes):
        tag, field_type, count = layout.unpack(layout.entry, content, start)
        place = start + layout.entry_bytes - struct.calcsize(layout.pointer)
        if tag in {_COLUMNS_PER_UNIT, _ROWS_PER_UNIT} and field_type == _FRACTION:
            (place,) = layout.unpack(layout.pointer, content, place) if layout.pointer == "I" else (place,)
            above, below = layout.unpack("II", content, place)
            found[tag] = above / below if below else 0.0
        elif tag == _DESCRIPTION and field_type == _TEXT and count <= _MOST_TEXT:
            if count > struct.calcsize(layout.pointer):
                (place,) = layout.unpack(layout.pointer, content, place)
            found[tag] = content[place : place + count].split(b"\0")[0].decode("utf-8", errors="replace")
        elif tag == _UNIT:
            (found[tag],) = layout.unpack(_NUMBERS[field_type], content, place)
    return found


def _pages(path: Path) -> Sequence[Mapping[int, int]]:
    """The tags of each page that decide how it is read."""
    with _opened(path) as content:
        return list(_chain(content))


def _chain(content: mmap) -> Iterator[Mapping[int, int]]:
    """Page after page."""
    layout = _layout(content)
    (position,) = layout.unpack(layout.pointer, content, layout.first)
    described = 0
    while position or not described:
        (entries,) = layout.unpack(layout.count, content, position)
        described += entries * layout.entry_bytes
        if described > len(content):
            msg = "its pages overlap, or lead in a circle"
            raise ValueError(msg)
        page, position = _page(layout, content, position + struct.calcsize(layout.count), entries)
        yield page


def _layout(content: mmap) -> _Layout:
    order = "<" if content[:2] == b"II" else ">"
    (version,) = struct.unpack_from(f"{order}H", content, 2)
    return _Layout(order, 8, "Q", "HHQ", "Q") if version == _WIDE else _Layout(order, 4, "H", "HHI", "I")


def _page(layout: _Layout, content: mmap, position: int, entries: int) -> tuple[Mapping[int, int], int]:
    """One page, whose entries begin at `position`, and where the next page is; 0: nowhere."""
    page = dict(_ABSENT)
    for start in range(position, position + entries * layout.entry_bytes, layout.entry_bytes):
        tag, field_type, count = layout.unpack(layout.entry, content, start)
        if tag in _TAGS:
            form, place = _NUMBERS[field_type], start + layout.entry_bytes - struct.calcsize(layout.pointer)
            if count * struct.calcsize(form) > struct.calcsize(layout.pointer):
                (place,) = layout.unpack(layout.pointer, content, place)
            (page[tag],) = layout.unpack(form, content, place)
    if missing := _TAGS - page.keys():
        msg = f"without tags {sorted(missing)}"
        raise ValueError(msg)
    (following,) = layout.unpack(layout.pointer, content, position + entries * layout.entry_bytes)
    return page, following


TIFF = Format(
    name="TIFF",
    suffixes=(".tiff", ".tif"),
    magic=re.compile(rb"II[*+]\0|MM\0[*+]"),
    describe=describe_tiff,
    is_lossy=is_lossy_tiff,
)
