"""Where the statements of a NIfTI header about orientation and spacing contradict each other.

Readers choose silently among qform, sform and the spacing in pixdim; these warnings say what was chosen wherever it matters.
"""

import math
import struct

import numpy as np
from numpy.typing import NDArray

from autoseg.formats.grid import Affine, agree
from autoseg.formats.header import UNORIENTED
from autoseg.formats.nifti_placement import NiftiPlacement

_SCANNER = 1
_RIGHT_ANGLES = 1e-4
_LONGEST_QUATERNION = 1.001  # 1, and rounding


def check(content: bytes, order: str) -> None:
    """Require what a NIfTI-1 header says about orientation to consist of numbers and of a rotation.

    Args:
        content: the header's bytes, at least 348.
        order: its byte order, "<" or ">".

    Raises:
        ValueError: SimpleITK would go on with NaN, or with a rotation that is none.
    """
    qform_code, sform_code = struct.unpack_from(f"{order}2h", content, 252)
    quaternion = struct.unpack_from(f"{order}3f", content, 256)
    stated = [
        *((*quaternion, *struct.unpack_from(f"{order}3f", content, 268)) if qform_code > 0 else ()),
        *(struct.unpack_from(f"{order}12f", content, 280) if sform_code > 0 else ()),
    ]
    if not all(math.isfinite(number) for number in stated):
        msg = "the orientation holds NaN or infinities"
        raise ValueError(msg)
    if qform_code > 0 and math.hypot(*quaternion) > _LONGEST_QUATERNION:
        msg = f"the quaternion {quaternion} is no rotation"
        raise ValueError(msg)


@np.errstate(invalid="ignore", over="ignore")  # products of the largest numbers may be infinite
def warnings(placement: NiftiPlacement, shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Say what a NIfTI-1 header leaves open or contradicts, and which statement SimpleITK follows.

    Args:
        placement: what the header says.
        shape: voxels along (X, Y, Z).

    Source: the choice is ITK 5.4's: the sform where its axes are at right angles and it is the only one stated or says
    "scanner"; else the qform. The spacing is always pixdim's.
    """
    qform, sform = placement.qform, placement.sform
    if sform is None:
        return (UNORIENTED,) if qform is None else ()
    straight = _with_spacing(sform, placement.spacing_mm)
    if qform is None:
        if straight is None or agree(straight, sform, shape=shape):
            return ()
        spacing = tuple(round(float(number), 4) for number in placement.spacing_mm)
        return (f"pixdim and sform disagree about the spacing; pixdim is used: {spacing} mm (X, Y, Z)",)
    if agree(qform, sform, shape=shape):
        return ()
    used = "sform" if straight is not None and placement.sform_code == _SCANNER else "qform"
    distance = _largest_distance_mm(qform, sform, shape)
    return (f"qform and sform disagree by up to {distance:.3g} mm; the {used} is used, with the spacing of pixdim",)


def _with_spacing(form: Affine, spacing_mm: NDArray[np.float64]) -> Affine | None:
    """The form with its axes scaled to the spacing; None where they are not at right angles."""
    lengths = np.linalg.norm(form[:, :3], axis=0)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        return None
    axes = form[:, :3] / lengths
    if np.abs(axes @ axes.T - np.eye(3)).max() > _RIGHT_ANGLES:
        return None
    return np.column_stack([axes * spacing_mm, form[:, 3]])


def _largest_distance_mm(one: Affine, other: Affine, shape: tuple[int, int, int]) -> float:
    """How far apart two forms put the same corner of the volume."""
    corners = np.indices((2, 2, 2)).reshape(3, 8) * (np.array(shape) - 1)[:, np.newaxis]
    displacement = (one - other) @ np.vstack([corners, np.ones(8)])
    return float(np.linalg.norm(displacement, axis=0).max())
