"""PNG: its reader verifies the checksums of its chunks. Source: PNG specification, third edition."""

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

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_METRE: Final = 1
"""Unit of `pHYs` and `sCAL`; the others state no length."""

_PIXELS: Final[dict[int, tuple[Pixels, bool]]] = {
    0: ("grey", False), 2: ("colours", False), 3: ("palette", False), 4: ("grey", True), 6: ("colours", True)
}  # fmt: skip
"""What a pixel is, and whether it has a transparency, by the colour type."""

_BYTE: Final = 8

_MOST_BYTES: Final = 1 << 24
"""Of a chunk that is looked into. Source: chosen; those that count have few bytes."""


def describe_png(path: Path) -> Picture:
    """What a PNG file says of itself beside its pixels.

    Raises:
        ImageError: the header is damaged, or the picture is to be turned for viewing.
    """
    try:
        chunks = dict(_chunks(path))
        (depth, colour_type) = struct.unpack_from("BB", chunks[b"IHDR"], 8)
        pixels, alpha = _PIXELS[colour_type]
        density, spacing_mm = _density(chunks.get(b"pHYs")), _scale(chunks.get(b"sCAL"))
    except (KeyError, ValueError, struct.error) as cause:
        raise ImageError(f"the header cannot be understood ({cause})", where=path, remedy=DAMAGED) from None
    refuse_turned(path, orientation_of(chunks.get(b"eXIf", b"")))
    key = b"tRNS" in chunks  # a colour, or places of the palette, that stand for transparency
    as_stored = pixels == "colours" or (pixels == "grey" and not (alpha or key))
    if not as_stored and depth > _BYTE:
        raise ImageError(
            "grey values of 16 bits with transparency",
            where=path,
            expected="grey values without it, or of 8 bits",
            remedy="Save the picture without transparency (an alpha channel).",
        )
    return Picture(
        format="PNG",
        pixels=pixels,
        alpha=alpha or key,
        as_stored=as_stored,
        spacing_mm=spacing_mm,
        origin="its chunk sCAL, in mm as ITK writes it",
        density=density,
    )


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The chunks before and after the pixels, by name; what is cut off after their beginning, the reader finds."""
    behind = False
    with path.open("rb") as stream:
        stream.seek(len(_SIGNATURE))
        while len(head := stream.read(8)) == 8 or not behind:
            length, name = struct.unpack(">I4s", head)
            if name == b"IDAT":
                behind = True
            if length > _MOST_BYTES and not behind:
                msg = f"a chunk of {length} bytes"
                raise ValueError(msg)
            if name == b"IDAT" or length > _MOST_BYTES:
                stream.seek(length, 1)
            else:
                yield name, stream.read(length)
            stream.seek(4, 1)  # its checksum, which the reader verifies


def _density(content: bytes | None) -> Density | None:
    """The resolution for printing."""
    if content is None:
        return None
    columns, rows, unit = struct.unpack(">IIB", content)
    if unit != _METRE or not (columns and rows):
        return None
    return Density((rows / 1000, columns / 1000), f"{columns} x {rows} pixels per metre", as_spacing=False)


def _scale(content: bytes | None) -> tuple[float, float, float] | None:
    """The physical size of a pixel: in mm, because ITK writes mm whatever the unit says; 1 where it knows nothing."""
    if content is None or content[0] != _METRE:
        return None
    columns, rows = (float(number) for number in content[1:].split(b"\0"))
    if not (0 < columns < float("inf") and 0 < rows < float("inf")):
        msg = "sCAL states no size"
        raise ValueError(msg)
    return None if columns == rows == 1 else (1.0, rows, columns)


PNG = Format(
    name="PNG",
    suffixes=(".png",),
    magic=re.compile(re.escape(_SIGNATURE)),
    describe=describe_png,
)
