"""TIFF files, corrupted, and what Pillow makes of them."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from oracles.corrupted_files import ReadCorrupted
from oracles.corrupted_images import any_bytes
from PIL import Image as PillowImage

from autoseg.images.image import Image, read_image

COMPRESSIONS: Final = ("none", "tiff_lzw", "tiff_adobe_deflate")
"""Run lengths (packbits) are not among them: of damaged ones, every decoder makes something else."""
_BYTES = (0, 1, 2, 3, 4, 8, 16, 32, 64, 128, 255)


class ReadTiff(ReadCorrupted):
    """Reads corrupted images."""

    file_name = "a.tif"

    def intact(self) -> Mapping[str, bytes]:
        """Three types of numbers in every compression, in files of 32 and of 64 bits."""
        grey = np.random.default_rng(0).integers(0, 255, (10, 12)).astype(np.uint8)
        arrays: tuple[NDArray[Any], ...] = (grey, grey.astype(np.uint16) * 99, grey / np.float32(3))
        return {
            f"{compression} {array.dtype} {wide}": _saved(array, None if compression == "none" else compression, wide=wide)
            for compression in COMPRESSIONS
            for array in arrays
            for wide in (False, True)
        }

    def corrupt(self, content: bytes, generator: Generator) -> bytes:
        """Change bytes, most of them to small numbers and powers of two."""
        for _ in range(int(generator.integers(1, 4))):
            if generator.random() < 0.3 or not content:
                content = any_bytes(content, generator)
            else:
                changed = bytearray(content)
                changed[int(generator.integers(len(changed)))] = int(generator.choice(_BYTES))
                content = bytes(changed)
        return content

    def read(self, path: Path) -> Image:
        """As a scan."""
        return read_image([path], channels=1)

    def judge(self, found: Image, content: bytes) -> str:
        """Compare it with what Pillow reads."""
        expected = _decoded(content)
        if expected is None:
            return "unjudged"
        np.testing.assert_allclose(found.array[0], expected, rtol=1e-6)
        return "accepted"


def _saved(array: NDArray[Any], compression: str | None, *, wide: bool) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(array).save(buffer, "TIFF", compression=compression, big_tiff=wide)
    return buffer.getvalue()


def _decoded(content: bytes) -> NDArray[Any] | None:
    """All pages, (Z, Y, X); None where Pillow is stricter, or takes whole numbers of 32 bits for signed ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with PillowImage.open(io.BytesIO(content)) as opened:
                pages = []
                for number in range(opened.n_frames):
                    opened.seek(number)
                    pages.append(np.asarray(opened))
                array = np.stack(pages).astype(np.float64) * (255 if opened.mode == "1" else 1)
                return None if opened.mode == "I" and array.min() < 0 else array
        except Exception:  # noqa: BLE001 - whatever stops Pillow leaves the file without a judge
            return None
