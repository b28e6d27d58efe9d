"""JPEG. Source: ITU-T T.81, annex B, and T.871 for the resolution."""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.exif import orientation_of, refuse_turned
from autoseg.formats.format import Format
from autoseg.formats.header import DAMAGED
from autoseg.formats.picture import Density, Picture, Pixels
from autoseg.formats.streams import AGAIN, TAIL_BYTES

_END_OF_IMAGE: Final = b"\xff\xd9"
_JFIF: Final = 0xE0
_EXIF: Final = 0xE1
_EXIF_MARK: Final = b"Exif\0\0"
"""Segments of this kind hold other things, too."""

_SCAN: Final = 0xDA
_ALONE: Final = {0x01, *range(0xD0, 0xD9)}
"""Markers without a segment."""

_FRAMES: Final = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of segments that describe the pixels."""

_PIXELS: Final[dict[int, Pixels]] = {1: "grey", 3: "colours"}
"""What a pixel is, by the number of components."""

_PER_MM: Final = {1: (25.4, "inch"), 2: (10.0, "cm")}


def describe_jpeg(path: Path) -> Picture:
    """What a JPEG file says of itself before its pixels.

    Raises:
        ImageError: it is cut off, its header is damaged, or it is to be turned for viewing.
    """
    _check_end(path)
    try:
        found = list(_segments(path))
        segments = dict(reversed(found))  # the first of its kind counts
        density = _density(segments.get(_JFIF, b""))
        pixels = _PIXELS.get(next(content[5] for marker, content in segments.items() if marker in _FRAMES))
    except (IndexError, StopIteration, ValueError, struct.error) as cause:
        raise ImageError(f"the header cannot be understood ({cause})", where=path, remedy=DAMAGED) from None
    for marker, content in found:
        if marker == _EXIF and content.startswith(_EXIF_MARK):
            refuse_turned(path, orientation_of(content.removeprefix(_EXIF_MARK)))
    if pixels is None:
        raise ImageError(
            "colours for printing (CMYK)",
            where=path,
            expected="grey values, or red, green and blue",
            remedy="Convert it to RGB in any image editor.",
        )
    return Picture(format="JPEG", pixels=pixels, density=density)


def _check_end(path: Path) -> None:
    """Require the marker that ends an image: decoders fill what is missing with grey."""
    # Inside the compressed data the marker cannot occur.
    with path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - TAIL_BYTES))
        if _END_OF_IMAGE not in stream.read():
            raise ImageError("the file is cut off", where=path, expected="a JPEG end marker", found="none", remedy=AGAIN)


def _segments(path: Path) -> Iterator[tuple[int, bytes]]:
    """The segments before the pixels, by the number of their marker."""
    with path.open("rb") as stream:
        stream.seek(2)
        while True:
            fill, marker = struct.unpack("BB", stream.read(2))
            while marker == fill == 0xFF:
                (marker,) = stream.read(1)
            if fill != 0xFF:
                msg = "no marker where a segment should begin"
                raise ValueError(msg)
            if marker in _ALONE:
                continue
            (length,) = struct.unpack(">H", stream.read(2))
            yield marker, stream.read(length - 2)
            if marker == _SCAN:
                return


def _density(jfif: bytes) -> Density | None:
    """The resolution for printing; without a unit it is only a ratio of sides."""
    if not jfif.startswith(b"JFIF\0"):
        return None
    unit, columns, rows = struct.unpack_from(">BHH", jfif, 7)
    if unit not in _PER_MM or not (columns and rows):
        return None
    length_mm, name = _PER_MM[unit]
    return Density((rows / length_mm, columns / length_mm), f"{columns} x {rows} pixels per {name}")


JPEG = Format(
    name="JPEG",
    suffixes=(".jpeg", ".jpg"),
    magic=re.compile(rb"\xff\xd8\xff"),
    describe=describe_jpeg,
    is_lossy=lambda _: True,
)
