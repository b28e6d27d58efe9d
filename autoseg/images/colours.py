"""Colours as channels, and grey values that are stored as colours.

Red, green and blue are three channels. A picture whose red, green and blue are equal everywhere holds grey values: one
channel. Transparency (alpha) is no channel unless a data set declares four; where every pixel is opaque it is left out.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import ImageError
from autoseg.formats import named_format
from autoseg.formats.picture import Picture
from autoseg.formats.remarks import Remark
from autoseg.formats.verification import describe
from autoseg.images.volumes import Volumes

COLOURS: Final = 3
"""Red, green and blue."""

_OPAQUE_LEFT_OUT: Final = Remark("its transparency is left out: every pixel is opaque")
GREY_AS_COLOURS: Final = Remark("grey values stored as colours (red, green and blue are equal): taken for one channel")
"""What to say about an image that is stored so."""


def holds_colours(path: Path) -> bool:
    """Whether a picture holds all colours, so that a number in its name is none of a channel; by its header alone."""
    promised = named_format(path)
    if promised is None or promised.describe is None:
        return False
    try:
        described = describe(path)
    except (OSError, ImageError):  # reading it will say what is wrong
        return False
    return isinstance(described, Picture) and described.pixels != "grey"


def is_grey(channels: NDArray[Any]) -> bool:
    """Whether red, green and blue, (3, ...), are equal everywhere."""
    return bool(np.array_equal(channels[0], channels[1]) and np.array_equal(channels[0], channels[2]))


def colours_for_grey(path: Path) -> ImageError:
    """The error for colours in the place of grey values."""
    return ImageError(
        "colours, where one grey value per pixel is expected",
        where=path,
        expected="one channel, or red, green and blue that are equal everywhere",
        found="red, green and blue that differ",
        remedy="Give images such as the networks learn from: a data set holds grey images or colour images, not both.",
    )


def without_transparency(scan: Volumes, path: Path) -> Volumes:
    """A picture without its transparency, which must say nothing.

    Raises:
        ImageError: some of it is transparent: what is seen there depends on what lies behind.
    """
    if not scan.alpha:
        return scan
    colours, alpha = scan.array[:-1], scan.array[-1]
    opaque = np.iinfo(alpha.dtype).max
    if (alpha != opaque).any():
        raise ImageError(
            "partly transparent",
            where=path,
            expected="every pixel opaque",
            found=f"{np.count_nonzero(alpha != opaque)} pixels of another transparency (alpha) than {opaque}",
            remedy="Save it without transparency (flattened, without an alpha channel); or declare four channels.",
        )
    return replace(scan, array=colours, alpha=False, warnings=(*scan.warnings, _OPAQUE_LEFT_OUT))


def as_grey(scan: Volumes, path: Path) -> Volumes:
    """A picture whose pixels hold one value, which may be stored as colours.

    Raises:
        ImageError: it shows colours.
    """
    if not scan.colours:
        return scan
    if not is_grey(scan.array):
        raise colours_for_grey(path)
    return replace(scan, array=scan.array[:1], colours=False, warnings=(*scan.warnings, GREY_AS_COLOURS))


def as_label_values(scan: Volumes, path: Path) -> Volumes:
    """A label map that may be stored as colours where red, green and blue are equal.

    Raises:
        ImageError: it shows colours, or is partly transparent.
    """
    scan = without_transparency(scan, path)
    if scan.colours and not is_grey(scan.array):
        raise ImageError(
            "a label map of colours, where each pixel should hold the value of its class",
            where=path,
            expected="one number per pixel: grey values, or places in a palette",
            found="red, green and blue that differ",
            remedy="Save it again with one number per class. Converting it to greyscale would mix classes up.",
        )
    return as_grey(scan, path)
