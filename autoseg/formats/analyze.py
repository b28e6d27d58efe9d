"""ANALYZE 7.5, and NIfTI-1 as a pair of files: a header, .hdr, and the voxels beside it, .img. Source: nifti1.h.

ANALYZE has no magic of its own: both begin with the length of their header.
"""

import re
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.formats.format import Format
from autoseg.formats.header import DAMAGED, UNORIENTED, Header
from autoseg.formats.nifti import ANY_SIZE, check_length, orientation_warnings, parse_fields

_PAIR_MAGIC = b"ni1\0"


def parse_analyze(content: bytes, path: Path) -> Header:
    """Parse the header of a pair of files.

    Args:
        content: the beginning of the file.
        path: the file.

    Raises:
        ImageError: it contradicts itself, or is no header of a scalar image.
        ValueError: its orientation is none.
    """
    check_length(content, path)
    magic = content[344:348]
    if not path.name.lower().endswith(".hdr"):
        raise ImageError("neither NIfTI nor the header of a pair", where=path, found=f"magic {magic!r}", remedy=DAMAGED)
    return parse_fields(
        content,
        path,
        least_start=0,
        data_file=path.with_suffix(".img").name,
        warnings=orientation_warnings(content) if magic == _PAIR_MAGIC else (UNORIENTED,),
    )


ANALYZE = Format(
    name="NIfTI or ANALYZE",
    suffixes=(".hdr",),
    magic=re.compile(ANY_SIZE),
    parse=parse_analyze,
)
