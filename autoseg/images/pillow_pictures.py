"""The Pillow adapter: pictures that SimpleITK does not read as they are stored, and pictures for pages.

SimpleITK replaces the places in a palette by their colours, which destroys label maps: they are the classes. Grey values
with transparency it does not read.
"""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageSequence

from autoseg.errors import ImageError
from autoseg.formats.picture import Picture
from autoseg.formats.streams import AGAIN
from autoseg.formats.text import without_addresses


def read_picture(path: Path, picture: Picture, *, as_labels: bool) -> NDArray[np.uint8]:
    """Read a picture that was verified.

    Args:
        path: its file.
        picture: what it says of itself.
        as_labels: give the places in its palette; False: their colours.

    Returns:
        (C, Z, Y, X), uint8: one channel of places or grey values, or red, green and blue; transparency last, where the
        picture has any and the places are not asked for.

    Raises:
        ImageError: it is damaged or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # its error comes at twice the size
            with Pillow.open(path) as opened:
                pages = list(_pages(opened, _mode(picture, as_labels=as_labels)))
    except Exception as cause:  # noqa: BLE001 - its decoders raise whatever a damaged file makes them stumble over
        raise ImageError(f"Pillow cannot read it ({without_addresses(str(cause))})", where=path, remedy=AGAIN) from None
    stack = np.stack([page if page.ndim == 3 else page[..., np.newaxis] for page in pages])  # (Z, Y, X, C)
    return np.moveaxis(stack, -1, 0)


def jpeg(pixels: NDArray[np.uint8], *, quality: int) -> bytes:
    """Grey values (Y, X) or colours (Y, X, 3) as a JPEG file; quality from 1 to 95; colours as sharp as brightness."""
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "JPEG", quality=quality, optimize=True, subsampling=0)
    return stream.getvalue()


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Red, green and blue (Y, X, 3) as a PNG file."""
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _mode(picture: Picture, *, as_labels: bool) -> str:
    """Pillow's name for what a pixel is."""
    if picture.pixels == "palette":
        return "P" if as_labels else "RGBA" if picture.alpha else "RGB"
    return "LA" if picture.alpha else "L"


def _pages(opened: Any, mode: str) -> Iterator[NDArray[np.uint8]]:
    for page in ImageSequence.Iterator(opened):
        yield np.array(page if page.mode == mode else page.convert(mode), dtype=np.uint8)
