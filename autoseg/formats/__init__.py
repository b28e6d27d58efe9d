"""File formats of images: one module and one line in `FORMATS` each.

Every file is verified from its raw bytes before any reader is trusted with it (see `verification`). Only as much of each
format is understood as is needed to check the header fields against the bytes that follow, and what readers ignore in
silence is refused.
"""

import struct
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats.analyze import ANALYZE
from autoseg.formats.format import Format
from autoseg.formats.header import DAMAGED, Header, check_header
from autoseg.formats.jpeg import JPEG
from autoseg.formats.metaimage import METAIMAGE
from autoseg.formats.nifti import NIFTI
from autoseg.formats.nrrd import NRRD
from autoseg.formats.png import PNG
from autoseg.formats.tiff import TIFF
from autoseg.formats.vtk import VTK

__all__ = [
    "FORMATS",
    "HEADER_BYTES",
    "IMAGE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Format",
    "Header",
    "find_format",
    "named_format",
    "parse",
]

FORMATS: Final[tuple[Format, ...]] = (
    NIFTI,
    METAIMAGE,
    NRRD,
    ANALYZE,
    PNG,
    JPEG,
    TIFF,
    VTK,
)
"""Every format, in the order in which their magic is tried."""

IMAGE_SUFFIXES: Final = tuple(suffix for one in FORMATS for suffix in one.suffixes)
"""Endings by which files are taken for images, the longest first where one contains another."""

WRITABLE_SUFFIXES: Final = tuple(suffix for one in FORMATS for suffix in one.writable)

HEADER_BYTES: Final = 1 << 20
"""No supported header is longer. Source: chosen; NIfTI takes 352 bytes, NRRD with many named segments some 10^5."""


def find_format(content: bytes) -> Format | None:
    """The format of a file by its first bytes, decompressed; None where no format is known that begins like this."""
    return next((one for one in FORMATS if one.magic.match(content)), None)


def named_format(path: Path) -> Format | None:
    """The format that a file's name promises; None where it promises none."""
    name = path.name.lower().removesuffix(".gz")
    return next((one for one in FORMATS if name.endswith(one.suffixes)), None)


def parse(content: bytes, path: Path) -> Header | None:
    """Parse the header at the start of `content`.

    Args:
        content: the first `HEADER_BYTES` of the file, decompressed; fewer where it is shorter.
        path: the file, for messages and the names of files beside it.

    Returns:
        the header, or None where the format is unknown, or its header is understood by its reader alone.

    Raises:
        ImageError: the header contradicts itself, or describes something that is no scalar image on a grid.
    """
    found = find_format(content)
    if found is None or found.parse is None:
        return None
    try:
        header = found.parse(content, path)
    except (KeyError, ValueError, struct.error) as cause:
        raise ImageError(f"the header cannot be understood ({cause})", where=path, remedy=DAMAGED) from None
    check_header(header, path)
    return header
