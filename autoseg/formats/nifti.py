"""NIfTI-1 and ANALYZE 7.5. Source: nifti1.h."""

import math
import struct
from pathlib import Path
from typing import Final

from autoseg.errors import ImageError
from autoseg.formats import nifti_orientation
from autoseg.formats.header import DAMAGED, MOST_DIMENSIONS, UNORIENTED, Header, not_scalar

NIFTI_BYTES: Final = 348
"""Length of a header."""

_DATA_START = 352  # the header and the four bytes that announce extensions
_LEAST_SLOPE = 1e-15  # ITK 5.4 compares with the spacing of doubles at 1, 2.2e-16
_VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
_FLOATS = {16: "f4", 64: "f8"}
_NOT_SCALAR = {32: "complex", 1792: "complex", 2048: "complex", 128: "RGB", 2304: "RGBA"}


def parse_nifti(content: bytes, path: Path) -> Header:
    """Understand a NIfTI-1 or ANALYZE 7.5 header, which share the places of all fields used here.

    Args:
        content: the beginning of the file, decompressed.
        path: the file.

    Raises:
        ImageError: it contradicts itself, or is no header of a scalar image.
        ValueError: its orientation is none.
    """
    if len(content) < NIFTI_BYTES:
        raise ImageError(
            "cut off inside its header",
            where=path,
            expected=f"{NIFTI_BYTES} bytes",
            found=f"{len(content)} bytes",
            remedy="Get the file again from its source.",
        )
    order = "<" if content[0] else ">"
    magic = content[344:348]
    single = magic == b"n+1\0"
    named = single or magic == b"ni1\0"  # ANALYZE has no magic
    if not single and not path.name.lower().endswith(".hdr"):
        raise ImageError("neither NIfTI nor the header of a pair", where=path, found=f"magic {magic!r}", remedy=DAMAGED)
    dims = struct.unpack_from(f"{order}8h", content, 40)
    pixdim = struct.unpack_from(f"{order}8f", content, 76)
    if not 1 <= dims[0] <= MOST_DIMENSIONS:
        raise ImageError("impossible number of dimensions", where=path, found=dims[0], remedy=DAMAGED)
    # Beyond space, writers leave 0 where they mean 1.
    sizes = tuple(size if axis < 3 else size or 1 for axis, size in enumerate(dims[1 : dims[0] + 1]))
    (datatype,) = struct.unpack_from(f"{order}h", content, 70)
    _check_scaling(*struct.unpack_from(f"{order}2f", content, 112), path=path)
    return Header(
        kind="NIfTI" if named else "ANALYZE",
        sizes=sizes,
        spacing_mm=pixdim[1 : min(dims[0], 3) + 1],
        voxel_bytes=_voxel_bytes(datatype, path),
        data_start=_data_start(struct.unpack_from(f"{order}f", content, 108)[0], path, single=single),
        data_file=None if single else path.with_suffix(".img").name,
        must_be_finite=order + _FLOATS[datatype] if datatype in _FLOATS else None,
        notes=_remarks(content, order) if named else (UNORIENTED,),
    )


def _remarks(content: bytes, order: str) -> tuple[str, ...]:
    nifti_orientation.check(content, order)
    return nifti_orientation.remarks(content, order)


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


def _data_start(vox_offset: float, path: Path, *, single: bool) -> int:
    least = _DATA_START if single else 0
    if not (math.isfinite(vox_offset) and vox_offset >= least and vox_offset == int(vox_offset)):
        raise ImageError(
            "impossible start of the voxel data (vox_offset)",
            where=path,
            expected=f"a whole number >= {least}",
            found=vox_offset,
            remedy=DAMAGED,
        )
    return int(vox_offset)
