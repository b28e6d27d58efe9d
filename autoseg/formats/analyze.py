"""ANALYZE 7.5, and NIfTI-1 as a pair of files: a header, .hdr, and the voxels beside it, .img. Source: nifti1.h.

ANALYZE has no magic of its own: both begin with the length of their header.
"""

import re
from dataclasses import replace
from pathlib import Path

from autoseg.errors import ImageError
from autoseg.formats.format import Format
from autoseg.formats.header import DAMAGED, UNORIENTED, Header
from autoseg.formats.nifti import ANY_SIZE, check_length, parse_fields, parse_placement, parse_spacing
from autoseg.formats.units import is_no_unit, length_mm

_UNIT = slice(56, 60)  # vox_units
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
    is_nifti = magic == _PAIR_MAGIC
    placement, warnings = parse_placement(content) if is_nifti else (parse_spacing(content), (UNORIENTED,))
    header = parse_fields(
        content,
        path,
        least_start=0,
        data_file=path.with_suffix(".img").name,
        placement=placement,
        warnings=warnings,
    )
    return header if is_nifti else _with_unit(header, content[_UNIT].split(b"\0")[0].decode("ascii", errors="replace"))


def _with_unit(header: Header, unit: str) -> Header:
    """The header with the unit of its spacing, which SimpleITK drops; the field is often filled with something else."""
    if is_no_unit(unit):
        return header
    if (length := length_mm(unit)) is None:
        return replace(header, warnings=(*header.warnings, f"its unit of length, {unit!r}, is unknown; mm is assumed"))
    return replace(header, unit_mm=length, placement=None if header.placement is None else header.placement.scaled(length))


ANALYZE = Format(
    name="NIfTI or ANALYZE",
    suffixes=(".hdr",),
    magic=re.compile(ANY_SIZE),
    parse=parse_analyze,
)
