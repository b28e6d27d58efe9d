"""What pictures say about the size of their pixels: physical statements are used, hints for printing are not.

PNG, JPEG and TIFF were made for the screen and the printer. Their resolution in dots per inch says how large to print them;
cameras and programs write 72 or 300 whatever is shown. So it is used only where it is finer than anybody prints, as slide
scanners and microscopes write it.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from autoseg.errors import ImageError
from autoseg.formats.sidecar import spacing_beside

Spacing = tuple[float, float, float]
"""Distance between voxel centres along (Z, Y, X), in mm."""

Pixels = Literal["grey", "colours", "palette"]

PRINTED_MM: Final = 0.01
"""Pixels smaller than this are no hint for printing. Source: chosen; 2540 dots per inch, more than printers resolve."""

_AGREEMENT: Final = 0.01
"""Relative difference of two statements that still agree: both may be rounded. Source: chosen."""


@dataclass(frozen=True)
class Density:
    """A resolution for printing.

    Attributes:
        per_mm: pixels per mm along (Y, X), > 0.
        words: as the file states it.
        as_spacing: whether readers take it for a spacing, and version 0.1 did.
    """

    per_mm: tuple[float, float]
    words: str
    as_spacing: bool = True

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Size of a pixel along (Y, X) if the resolution is taken at its word."""
        return 1 / self.per_mm[0], 1 / self.per_mm[1]


@dataclass(frozen=True)
class Picture:
    """What a picture says about itself.

    Attributes:
        format: its name in messages.
        pixels: what a pixel is: a grey value; red, green and blue; or a place in a palette of colours.
        alpha: whether each pixel has a transparency, too, or one colour stands for it.
        as_stored: whether SimpleITK reads the pixels as they are; palettes it replaces by their colours, and some it cannot.
        pages: images in the file; several are the slices of a volume.
        spacing_mm: what its header states as a physical size; None where it does not.
        origin: what states it, for messages.
        density: its resolution for printing, where it has one.
    """

    format: str
    pixels: Pixels = "grey"
    alpha: bool = False
    as_stored: bool = True
    pages: int = 1
    spacing_mm: Spacing | None = None
    origin: str = ""
    density: Density | None = None


@dataclass(frozen=True)
class PixelSize:
    """How large the pixels of a picture are.

    Attributes:
        spacing_mm: stated by the file or beside it, 1 mm across a single page; None: unknown.
        printed_mm: size of a pixel (Y, X) where readers take a resolution for it that is only a hint for printing.
        remark: what the user should know.
    """

    spacing_mm: Spacing | None
    printed_mm: tuple[float, float] | None
    remark: str


def pixel_size(path: Path, picture: Picture) -> PixelSize:
    """How large the pixels of a picture are, by all that states it.

    Raises:
        ImageError: the file and what lies beside it contradict each other, or the latter cannot be understood.
    """
    own = None if picture.spacing_mm is None else _in_plane(picture.spacing_mm, picture)
    origin = picture.origin
    density = picture.density
    if own is None and density is not None and picture.pages == 1 and max(density.pixel_mm) < PRINTED_MM:
        own, origin = (1.0, *density.pixel_mm), f"its resolution of {density.words}"
    beside = spacing_beside(path, pages=picture.pages)
    if beside is not None:
        _check_agreement(path, own, beside.spacing_mm, where=beside.path)
        used = _in_plane(beside.spacing_mm, picture)
        return PixelSize(used, None, f"{_size(used)}, as the .json beside it says")
    if own is not None:
        return PixelSize(own, None, f"{_size(own)}, by {origin}")
    unknown = f"a {picture.format} image states no reliable spacing; distances in mm and volumes in ml are not to be trusted"
    if density is None:
        return PixelSize(None, None, unknown)
    printed_mm = density.pixel_mm if density.as_spacing else None
    return PixelSize(None, printed_mm, f"{unknown} ({density.words} are a hint for printing, and not used)")


def _in_plane(spacing_mm: Spacing, picture: Picture) -> Spacing:
    """A spacing as it counts: across a single page, where nnU-Net's 2D data sets state 999, it is no distance of slices."""
    return (1.0, *spacing_mm[1:]) if picture.pages == 1 else spacing_mm


def _check_agreement(path: Path, own: Spacing | None, beside: Spacing, *, where: Path) -> None:
    if own is not None and not all(math.isclose(a, b, rel_tol=_AGREEMENT) for a, b in zip(own[1:], beside[1:], strict=True)):
        raise ImageError(
            f"contradicts the spacing that {where.name} beside it states",
            where=path,
            expected=_size(beside),
            found=_size(own),
            remedy="Correct or remove one of the two.",
        )


def _size(spacing_mm: Spacing) -> str:
    return f"spacing {' x '.join(f'{side:.4g}' for side in spacing_mm)} mm (Z, Y, X)"
