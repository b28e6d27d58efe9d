"""NIfTI-1 in a single file, and the fields that it shares with pairs of files. Source: nifti1.h."""

import math
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats import nifti_orientation, nifti_placement
from autoseg.formats.format import Format
from autoseg.formats.header import DAMAGED, MOST_DIMENSIONS, Header, not_scalar
from autoseg.formats.nifti_placement import NiftiPlacement

ANY_SIZE: Final = rb"(?:\x5c\x01\0\0|\0\0\x01\x5c)"
"""The length of a header, 348, with which it begins, in either byte order: a regular expression."""

_NIFTI_2: Final = rb"(?:\x1c\x02\0\0|\0\0\x02\x1c)"
HEADER_LENGTH: Final = 348
DATA_START: Final = 352
"""In bytes: of the header, and with the four bytes that announce extensions."""

_MAGICS = {b"n+1\0", b"ni1\0"}
_UNITS = 123  # byte of xyzt_units
_UNIT_BITS = 0b111  # of space; the others are those of time
_UNITS_OF_SPACE = {0, 1, 2, 3}  # unknown, for which mm is taken, m, mm and um: SimpleITK converts them
_VECTOR = 1007  # intent
_LEAST_SLOPE = 1e-15  # ITK 5.4 compares with the spacing of doubles at 1, 2.2e-16
_VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 2304: 4}
_FLOATS = {16: "f4", 64: "f8"}
_NOT_SCALAR = {32: "complex", 1792: "complex", 2048: "complex"}
_COLOURS = {128: 3, 2304: 4}  # red, green, blue, and transparency


def parse_nifti(content: bytes, path: Path) -> Header:
    """Parse the header of a single file.

    Args:
        content: the beginning of the file, decompressed.
        path: the file.

    Raises:
        ImageError: it contradicts itself, or is no header of a scalar image.
        ValueError: its orientation is none.
    """
    if re.match(_NIFTI_2, content):
        raise ImageError(
            "NIfTI-2, which SimpleITK does not read",
            where=path,
            remedy="Convert it to NIfTI-1, for example with nibabel.",
        )
    placement, warnings = parse_placement(content)
    return parse_fields(content, path, least_start=DATA_START, data_file=None, placement=placement, warnings=warnings)


def check_length(content: bytes, path: Path) -> None:
    """Require a whole header.

    Raises:
        ImageError: it is cut off.
    """
    if len(content) < HEADER_LENGTH:
        raise ImageError(
            "cut off inside its header",
            where=path,
            expected=f"{HEADER_LENGTH} bytes",
            found=f"{len(content)} bytes",
            remedy="Get the file again from its source.",
        )


def parse_placement(content: bytes) -> tuple[NiftiPlacement, tuple[str, ...]]:
    """Where a NIfTI-1 header puts its voxels, and what it leaves open or contradicts.

    Raises:
        ValueError: its orientation is none.
    """
    order = _byte_order(content)
    nifti_orientation.check(content, order)
    placement = nifti_placement.parse_placement(content, order)
    dimensions, width, height, depth = struct.unpack_from(f"{order}4h", content, 40)
    flat = dimensions < 3  # a 2D image has no orientation
    return placement, () if flat else nifti_orientation.warnings(placement, (width, height, depth))


def parse_spacing(content: bytes) -> NiftiPlacement:
    """Where an ANALYZE 7.5 header, which states no orientation, puts its voxels."""
    return nifti_placement.spacing_alone(content, _byte_order(content))


def parse_fields(
    content: bytes,
    path: Path,
    *,
    least_start: int,
    data_file: str | None,
    placement: NiftiPlacement,
    warnings: tuple[str, ...],
) -> Header:
    """Parse the fields that single files and pairs have in common, those of ANALYZE 7.5 included.

    Args:
        content: the whole header, decompressed.
        path: the file.
        least_start: the first byte at which voxel data may begin.
        data_file: the file that holds them, where it is another one.
        placement: where they lie.
        warnings: what the user should know.

    Raises:
        ImageError: it contradicts itself, or is no header of a scalar image.
    """
    order = _byte_order(content)
    dims = struct.unpack_from(f"{order}8h", content, 40)
    pixdim = struct.unpack_from(f"{order}8f", content, 76)
    if not 1 <= dims[0] <= MOST_DIMENSIONS:
        raise ImageError("impossible number of dimensions", where=path, found=dims[0], remedy=DAMAGED)
    # Beyond space, writers leave 0 where they mean 1.
    sizes = tuple(size if axis < 3 else size or 1 for axis, size in enumerate(dims[1 : dims[0] + 1]))
    if content[344:348] in _MAGICS:
        _check_unit(content[_UNITS], path)
    (datatype,) = struct.unpack_from(f"{order}h", content, 70)
    _check_scaling(*struct.unpack_from(f"{order}2f", content, 112), path=path)
    return Header(
        sizes=sizes,
        spacing_mm=pixdim[1 : min(dims[0], 3) + 1],
        voxel_bytes=_voxel_bytes(datatype, path),
        data_start=_data_start(struct.unpack_from(f"{order}f", content, 108)[0], path, least=least_start),
        data_file=data_file,
        components=_components(dims, datatype, intent=struct.unpack_from(f"{order}h", content, 68)[0]),
        alpha=_COLOURS.get(datatype) == 4,
        must_be_finite=order + _FLOATS[datatype] if datatype in _FLOATS else None,
        placement=placement,
        warnings=warnings,
    )


def _components(dims: Sequence[int], datatype: int, *, intent: int) -> int:
    """Numbers per voxel: of colours, or of vectors along the fifth axis."""
    vectors = dims[0] >= 5 and intent == _VECTOR
    return _COLOURS.get(datatype, dims[5] if vectors else 1)


def _byte_order(content: bytes) -> str:
    return "<" if content[0] else ">"


def _voxel_bytes(datatype: int, path: Path) -> int:
    if datatype in _NOT_SCALAR:
        raise not_scalar(path, _NOT_SCALAR[datatype])
    if datatype not in _VOXEL_BYTES:
        raise ImageError(
            f"voxels of an unsupported type (NIfTI code {datatype})",
            where=path,
            remedy="Convert the image to integers or 32-bit floats.",
        )
    return _VOXEL_BYTES[datatype]


def _check_unit(units: int, path: Path) -> None:
    if units & _UNIT_BITS not in _UNITS_OF_SPACE:
        raise ImageError(
            "the header states an unknown unit of length (xyzt_units)",
            where=path,
            expected="1 for m, 2 for mm, 3 for microns, 0 for unknown",
            found=units & _UNIT_BITS,
            remedy="Correct the unit: distances and volumes depend on it.",
        )


def _check_scaling(slope: float, intercept: float, *, path: Path) -> None:
    # By the standard a slope of 0 switches scaling off; SimpleITK then adds the intercept all the same.
    if 0 < abs(slope) < _LEAST_SLOPE:
        raise ImageError(
            "the header scales voxels to next to nothing (scl_slope), which SimpleITK takes for no scaling",
            where=path,
            expected=f"scl_slope 0, or at least {_LEAST_SLOPE:g}",
            found=slope,
            remedy="Store the image in a larger unit, or set scl_slope to 1.",
        )
    off = slope == 0 or not math.isfinite(slope)
    if not off and not math.isfinite(intercept):
        raise ImageError(
            "the header shifts voxels by no number (scl_inter)",
            where=path,
            expected="a finite number",
            found=intercept,
            remedy=DAMAGED,
        )
    if off and intercept != 0 and math.isfinite(intercept):
        raise ImageError(
            "the header scales voxels by nothing and shifts them (scl_slope and scl_inter)",
            where=path,
            expected="scl_slope 1, or scl_inter 0",
            found=f"scl_slope {slope}, scl_inter {intercept}",
            remedy="Set scl_slope to 1 if the shift is meant, else set scl_inter to 0.",
        )


def _data_start(vox_offset: float, path: Path, *, least: int) -> int:
    if not (math.isfinite(vox_offset) and vox_offset >= least and vox_offset == int(vox_offset)):
        raise ImageError(
            "impossible start of the voxel data (vox_offset)",
            where=path,
            expected=f"a whole number >= {least}",
            found=vox_offset,
            remedy=DAMAGED,
        )
    return int(vox_offset)


NIFTI = Format(
    name="NIfTI",
    suffixes=(".nii.gz", ".nii"),
    magic=re.compile(ANY_SIZE + rb"(?s:.{340})n\+1\0|" + _NIFTI_2),
    parse=parse_nifti,
    gzipped=True,
    in_one_file=True,
    writable=(".nii.gz", ".nii"),
)
