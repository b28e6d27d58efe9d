"""NIfTI-1 headers as this project writes them: so that every statement about where voxels lie can be another file's.

SimpleITK writes one orientation of its own into both places.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from autoseg.errors import ImageError
from autoseg.formats.nifti import DATA_START, HEADER_LENGTH
from autoseg.formats.nifti_placement import NiftiPlacement

_DATATYPES: Final = {"uint8": 2, "int16": 4, "float32": 16, "uint16": 512}
_SECONDS: Final = 8
_LONGEST: Final = np.iinfo(np.int16).max


def nifti_header(sizes: Sequence[int], dtype: np.dtype[Any], placement: NiftiPlacement) -> bytes:
    """All that lies before the voxels of a file.

    Args:
        sizes: voxels along (X, Y), (X, Y, Z) or (X, Y, Z, T).
        dtype: of the voxels, which follow in little-endian order.
        placement: where they lie.

    Raises:
        ImageError: the format cannot count that many voxels along an axis.
    """
    if max(sizes) > _LONGEST:
        raise ImageError(
            "too long for NIfTI, in which label maps are written",
            expected=f"at most {_LONGEST} voxels along an axis",
            found=tuple(sizes),
            remedy="Cut it into parts, or make its pixels larger.",
        )
    beyond_space = [1.0] * (len(sizes) - 3)
    header = bytearray(DATA_START)
    struct.pack_into("<i", header, 0, HEADER_LENGTH)
    header[38:39] = b"r"
    struct.pack_into("<8h", header, 40, len(sizes), *sizes, *[1] * (7 - len(sizes)))
    struct.pack_into("<2h", header, 70, _DATATYPES[dtype.name], 8 * dtype.itemsize)
    _put_floats(header, 76, *placement.spacing, *beyond_space)
    _put_floats(header, 108, DATA_START, 1.0, 0.0)  # vox_offset, scl_slope, scl_inter
    header[123] = placement.units | _SECONDS
    struct.pack_into("<2h", header, 252, placement.qform_code, placement.sform_code)
    _put_floats(header, 256, *placement.quaternion, *placement.offset, *placement.rows)
    header[344:348] = b"n+1\0"
    return bytes(header)


def _put_floats(header: bytearray, start: int, *numbers: float) -> None:
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinite, which readers refuse
        content = np.array(numbers, dtype=np.float64).astype("<f4").tobytes()
    header[start : start + len(content)] = content
