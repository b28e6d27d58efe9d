"""What a header says, whatever its format, and whether that can be."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from autoseg.errors import ImageError
from autoseg.formats.nifti_placement import NiftiPlacement
from autoseg.formats.segments import Segment

Encoding = Literal["raw", "gzip", "zlib", "unchecked"]

UNSPACED: Final = "the header states no voxel spacing; 1 mm is assumed"
UNORIENTED: Final = "the header states no orientation; the axes are taken as stored, so left and right are not certain"
SHEARED: Final = "the image axes are not at right angles; distances and volumes are computed as if they were"
DAMAGED: Final = "The header is damaged: get the file again from its source, or write it again with the tool that made it."
MOST_DIMENSIONS: Final = 7
"""Axes of an image. Source: NIfTI's limit; readers stop earlier."""


@dataclass(frozen=True)
class Header:
    """The fields of a header that decide what is read.

    Attributes:
        sizes: voxels along the file's axes (X, Y, Z, ...), each >= 1.
        spacing_mm: distance between voxel centres along the first three axes at most, not yet checked.
        voxel_bytes: bytes of one voxel, all its numbers together.
        components: numbers per voxel.
        alpha: whether the last of them is transparency.
        segments: of a segmentation by 3D Slicer, whose numbers per voxel are its layers.
        data_start: bytes before the voxel data in the file that holds them.
        data_file: name of that file where it is another one, relative to the header's folder.
        encoding: how the voxel data are stored; "unchecked" where their size cannot be told beforehand.
        stored_bytes: how many bytes they take compressed, where the header says so.
        unit_mm: length in mm of the unit that spacing and origin are stated in, where the file's reader takes them for mm.
        placement: what a header of NIfTI or ANALYZE says about where the voxels lie, to be written again.
        must_be_finite: numpy's name for the type of voxels whose reader replaces NaN and infinities by 0 in silence.
        warnings: what the user should know.
    """

    sizes: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    voxel_bytes: int
    data_start: int
    data_file: str | None = None
    encoding: Encoding = "raw"
    stored_bytes: int | None = None
    unit_mm: float = 1.0
    placement: NiftiPlacement | None = None
    components: int = 1
    segments: tuple[Segment, ...] = ()
    alpha: bool = False
    must_be_finite: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def data_bytes(self) -> int:
        """Bytes of the voxel data once decompressed."""
        return math.prod(self.sizes) * self.voxel_bytes


def check_header(header: Header, path: Path) -> None:
    """Require sizes and spacings that an image can have.

    Raises:
        ImageError: it cannot have them.
    """
    if not 1 <= len(header.sizes) <= MOST_DIMENSIONS or any(size < 1 for size in header.sizes):
        raise ImageError("impossible image size", where=path, expected="sizes >= 1", found=header.sizes, remedy=DAMAGED)
    for axis, (size, spacing) in enumerate(zip(header.sizes, header.spacing_mm, strict=False)):
        without_extent = size == 1 and spacing == 0  # the one voxel of a 2D image has no neighbour to be distant from
        if not (math.isfinite(spacing) and spacing > 0) and not without_extent:
            raise ImageError(
                f"impossible voxel spacing along axis {'XYZ'[axis]}",
                where=path,
                expected="a positive number of mm",
                found=spacing,
                remedy="Correct the spacing in the header: distances and volumes depend on it.",
            )


def not_scalar(path: Path, found: str) -> ImageError:
    """The error for voxels that are several numbers, or none that autoseg reads."""
    return ImageError(
        "neither a scalar image nor colours",
        where=path,
        expected="one number per voxel, or red, green and blue",
        found=found,
        remedy="Store what should be seen, such as the magnitude, or each channel in a file of its own.",
    )
