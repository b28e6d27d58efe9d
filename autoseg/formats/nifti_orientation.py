"""Where the statements of a NIfTI header about orientation and spacing contradict each other.

A header may place its voxels twice, by a rotation (qform) and by a matrix (sform), and states the spacing once more
(pixdim). Readers choose silently; these warnings say what was chosen wherever it matters.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.formats.grid import agree
from autoseg.formats.header import UNORIENTED

_SCANNER = 1
_RIGHT_ANGLES = 1e-4
_LONGEST_QUATERNION = 1.001  # 1, and rounding


@dataclass(frozen=True, eq=False)
class _Statements:
    shape: tuple[int, int, int]  # (X, Y, Z)
    spacing_mm: NDArray[np.float64]  # (3,)
    qform: NDArray[np.float64] | None  # (3, 4): voxel indices to mm; None where the header does not state it
    sform: NDArray[np.float64] | None


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
def warnings(content: bytes, order: str) -> tuple[str, ...]:
    """Say what a NIfTI-1 header leaves open or contradicts, and which statement SimpleITK follows.

    Args:
        content: the header's bytes, at least 348.
        order: its byte order, "<" or ">".

    Source: the choice is ITK 5.4's: the sform where its axes are at right angles and it is the only one stated or says
    "scanner"; else the qform. The spacing is always pixdim's.
    """
    (dimensions,) = struct.unpack_from(f"{order}h", content, 40)
    if dimensions < 3:
        return ()
    sform_says_scanner = struct.unpack_from(f"{order}h", content, 254)[0] == _SCANNER
    stated = _statements(content, order)
    if stated.sform is None:
        return (UNORIENTED,) if stated.qform is None else ()
    straight = _with_spacing(stated.sform, stated.spacing_mm)
    if stated.qform is None:
        if straight is None or agree(straight, stated.sform, shape=stated.shape):
            return ()
        spacing = tuple(round(float(number), 4) for number in stated.spacing_mm)
        return (f"pixdim and sform disagree about the spacing; pixdim is used: {spacing} mm (X, Y, Z)",)
    if agree(stated.qform, stated.sform, shape=stated.shape):
        return ()
    distance = _largest_distance_mm(stated.qform, stated.sform, stated.shape)
    used = "sform" if straight is not None and sform_says_scanner else "qform"
    return (f"qform and sform disagree by up to {distance:.1f} mm; the {used} is used, with the spacing of pixdim",)


def _statements(content: bytes, order: str) -> _Statements:
    width, height, depth = struct.unpack_from(f"{order}3h", content, 42)
    pixdim = struct.unpack_from(f"{order}4f", content, 76)
    qform_code, sform_code = struct.unpack_from(f"{order}2h", content, 252)
    quaternion = struct.unpack_from(f"{order}3f", content, 256)
    offset = struct.unpack_from(f"{order}3f", content, 268)
    sform = np.array(struct.unpack_from(f"{order}12f", content, 280)).reshape(3, 4)
    scales = np.array(pixdim[1:]) * (1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0)
    return _Statements(
        shape=(width, height, depth),
        spacing_mm=np.array(pixdim[1:]),
        qform=np.column_stack([_rotation(*quaternion) * scales, offset]) if qform_code > 0 else None,
        sform=sform if sform_code > 0 else None,
    )


def _rotation(b: float, c: float, d: float) -> NDArray[np.float64]:
    """The rotation of a unit quaternion a + bi + cj + dk, whose a >= 0 is left out. Source: nifti1.h, method 2."""
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def _with_spacing(form: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The form with its axes scaled to the spacing; None where they are not at right angles."""
    lengths = np.linalg.norm(form[:, :3], axis=0)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        return None
    axes = form[:, :3] / lengths
    if np.abs(axes @ axes.T - np.eye(3)).max() > _RIGHT_ANGLES:
        return None
    return np.column_stack([axes * spacing_mm, form[:, 3]])


def _largest_distance_mm(one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    """How far apart two forms put the same corner of the volume."""
    corners = np.indices((2, 2, 2)).reshape(3, 8) * (np.array(shape) - 1)[:, np.newaxis]
    displacement = (one - other) @ np.vstack([corners, np.ones(8)])
    return float(np.linalg.norm(displacement, axis=0).max())
