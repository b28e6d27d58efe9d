"""What a NIfTI header says about where its voxels lie, kept word for word, so that it can be written again.

A header may place its voxels twice, by a rotation (qform) and by a matrix (sform), each with a code that says what for;
without any code, by the spacing alone. Readers choose differently, so what is to lie where a scan lies has to say all of
it. Source: nifti1.h.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.formats.grid import Affine

_UNITS_MM: Final = {1: 1000.0, 3: 1e-3}  # metres and micrometres; all else is taken for mm
_UNITS_OF_SPACE: Final = 0b111
_TO_LPS: Final = np.array([-1.0, -1.0, 1.0])[:, np.newaxis]
_SCANNER: Final = 1
_MM: Final = 2
_AT_REST: Final = (0.0, 0.0, 0.0)

_Triple = tuple[float, float, float]


@dataclass(frozen=True)
class NiftiPlacement:
    """The fields of a NIfTI-1 header that place its voxels, as they are stored.

    Attributes:
        units: of lengths, a code of NIfTI.
        spacing: between voxels along (X, Y, Z), in these units, after the sign that turns the third axis of the qform.
        qform_code: what the qform is for; 0: it is not stated.
        sform_code: what the sform is for; 0: it is not stated.
        quaternion: of the qform's rotation, (b, c, d).
        offset: of the qform, in these units.
        rows: of the sform, 3 x 4 numbers.
    """

    units: int
    spacing: tuple[float, float, float, float]
    qform_code: int = 0
    sform_code: int = 0
    quaternion: _Triple = _AT_REST
    offset: _Triple = _AT_REST
    rows: tuple[float, ...] = (0.0,) * 12

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Between voxels along (X, Y, Z), (3,)."""
        return self._sides * self._unit_mm

    @property
    def qform(self) -> Affine | None:
        """Where the qform puts voxels, towards left, posterior and superior; None where it is not stated."""
        if self.qform_code <= 0:
            return None
        scales = self._sides * (1.0, 1.0, -1.0 if self.spacing[0] < 0 else 1.0)
        return self._lps(np.column_stack([_rotation(*self.quaternion) * scales, self.offset]))

    @property
    def sform(self) -> Affine | None:
        """Where the sform puts voxels, towards left, posterior and superior; None where it is not stated."""
        return self._lps(np.array(self.rows).reshape(3, 4)) if self.sform_code > 0 else None

    def statements(self, shape: tuple[int, int, int]) -> Iterator[tuple[str, Affine]]:
        """Every way in which readers place the voxels of a shape (X, Y, Z): what it is called, and where they lie.

        Without qform and sform, some readers put the middle of the grid at the origin, the first axis towards the left.
        """
        stated = [(name, form) for name, form in (("sform", self.sform), ("qform", self.qform)) if form is not None]
        yield from stated
        if not stated:
            steps = np.diag(self._sides * (-1.0, 1.0, 1.0))
            middle = (np.array(shape) - 1) / 2
            yield "spacing", self._lps(np.column_stack([steps, -steps @ middle]))

    def scaled(self, factor: float) -> "NiftiPlacement":
        """The same for a spacing in units that are so many times as long; it states no orientation."""
        sign, x, y, z = self.spacing
        return replace(self, spacing=(sign, x * factor, y * factor, z * factor))

    @property
    def _sides(self) -> NDArray[np.float64]:
        """The spacing; where an axis has a single voxel, writers leave 0, for which readers take 1."""
        sides = np.array(self.spacing[1:])
        return np.where(sides == 0, 1.0, sides)

    @property
    def _unit_mm(self) -> float:
        return _UNITS_MM.get(self.units, 1.0)

    def _lps(self, ras: Affine) -> Affine:
        affine: Affine = ras * _TO_LPS * self._unit_mm
        return affine


def parse_placement(content: bytes, order: str) -> NiftiPlacement:
    """What a header says.

    Args:
        content: its bytes, at least 348.
        order: its byte order, "<" or ">".
    """
    qform_code, sform_code = struct.unpack_from(f"{order}2h", content, 252)
    b, c, d, x, y, z = struct.unpack_from(f"{order}6f", content, 256)
    sign, *spacing = struct.unpack_from(f"{order}4f", content, 76)
    return NiftiPlacement(
        units=content[123] & _UNITS_OF_SPACE,
        spacing=(sign, spacing[0], spacing[1], spacing[2]),
        qform_code=qform_code,
        sform_code=sform_code,
        quaternion=(b, c, d),
        offset=(x, y, z),
        rows=struct.unpack_from(f"{order}12f", content, 280),
    )


def spacing_alone(content: bytes, order: str) -> NiftiPlacement:
    """What the header of a pair of files says in ANALYZE 7.5, which has no orientation; arguments as `parse_placement`."""
    _, x, y, z = struct.unpack_from(f"{order}4f", content, 76)
    return NiftiPlacement(units=_MM, spacing=(1.0, x, y, z))


def placement_of(affine: Affine) -> NiftiPlacement:
    """Both forms for a grid that no NIfTI header described.

    Args:
        affine: voxel indices to mm towards left, posterior and superior; its axes are at right angles.
    """
    ras = affine * _TO_LPS
    lengths = np.linalg.norm(ras[:, :3], axis=0)
    axes = ras[:, :3] / lengths
    mirrored = bool(np.linalg.det(axes) < 0)
    b, c, d = _quaternion(axes * (1.0, 1.0, -1.0 if mirrored else 1.0))
    x, y, z = ras[:, 3].tolist()
    return NiftiPlacement(
        units=_MM,
        spacing=(-1.0 if mirrored else 1.0, *lengths.tolist()),
        qform_code=_SCANNER,
        sform_code=_SCANNER,
        quaternion=(b, c, d),
        offset=(x, y, z),
        rows=tuple(ras.ravel().tolist()),
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


def _quaternion(rotation: NDArray[np.float64]) -> _Triple:
    """The inverse of `_rotation`: the unit quaternion whose rotation is nearest.

    Source: Bar-Itzhack, New method for extracting the quaternion from a rotation matrix, J. Guidance 23 (2000).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    symmetric = [
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, xy + yx, xz + zx],
        [xz - zx, xy + yx, yy - xx - zz, yz + zy],
        [yx - xy, xz + zx, yz + zy, zz - xx - yy],
    ]
    a, b, c, d = np.linalg.eigh(symmetric).eigenvectors[:, -1].tolist()
    sign = -1.0 if a < 0 else 1.0
    return sign * b, sign * c, sign * d
