"""A scan and its label maps, small enough to travel inside a page that leafs through them in three planes.

Each volume is one picture, its axial slices side by side: intensities lossy, label maps exactly. The page turns them back
into volumes and cuts these itself, so that three planes cost no more than one.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from autoseg.data.dataset import LabelClass
from autoseg.reporting.canvas import COLOURS
from autoseg.reporting.planes import intensity_window

_JPEG_QUALITY: Final = 80
"""Source: ours; below, tissue borders of a T1 scan become blotchy, above, files grow fast."""

_MARGIN_PX: Final = 4
"""Voxels shown around the scan's own content."""

MOST_VOXELS: Final = 12_000_000
"""Larger scans are shown with fewer slices and pixels. Source: ours; three of them keep a page under 15 MB."""


@dataclass(frozen=True)
class VolumeView:
    """What the page needs to show a scan.

    Attributes:
        shape: voxels (Z, Y, X); indices grow towards inferior, posterior and left.
        spacing_mm: along the same axes.
        columns: axial slices beside each other in the pictures.
        image: intensities as a JPEG.
        overlays: name of a label map to its class numbers, 0 for background, 1 for the first class, ... as a grey PNG.
        classes: names and colours of the classes, from 1.
        flat: whether it is a single picture.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    columns: int
    image: bytes
    overlays: Mapping[str, bytes]
    classes: Sequence[tuple[str, str]]
    flat: bool

    def document(self) -> dict[str, Any]:
        """The same as the page's script reads it."""
        return {
            "shape": list(self.shape),
            "spacing": list(self.spacing_mm),
            "columns": self.columns,
            "image": _uri(self.image, "image/jpeg"),
            "overlays": [{"name": name, "labels": _uri(content, "image/png")} for name, content in self.overlays.items()],
            "classes": [{"name": name, "colour": colour} for name, colour in self.classes],
            "flat": self.flat,
        }


def encode(
    image: NDArray[np.number[Any]],
    overlays: Mapping[str, NDArray[np.integer[Any]]],
    *,
    spacing_mm: tuple[float, float, float],
    classes: Sequence[LabelClass],
) -> VolumeView:
    """Make a scan ready for the page.

    Args:
        image: intensities, (Z, Y, X), indices growing towards inferior, posterior and left.
        overlays: name of a label map to its label values, of the same shape.
        spacing_mm: along (Z, Y, X).
        classes: what the values stand for, background first; other values are not shown.

    Raises:
        ValueError: a label map has another shape.
    """
    if any(labels.shape != image.shape for labels in overlays.values()):
        msg = f"label maps need the image's shape {image.shape}"
        raise ValueError(msg)
    box = _content_box(image, list(overlays.values()))
    steps = _steps(tuple(side.stop - side.start for side in box))
    thinned = tuple(slice(side.start, side.stop, step) for side, step in zip(box, steps, strict=True))
    shown = image[thinned]
    shape = (shown.shape[0], shown.shape[1], shown.shape[2])
    columns = math.ceil(math.sqrt(shape[0] * shape[1] / shape[2]))
    first, second, third = (spacing * step for spacing, step in zip(spacing_mm, steps, strict=True))
    return VolumeView(
        shape=shape,
        spacing_mm=(first, second, third),
        columns=columns,
        image=_picture(_mosaic(_grey(shown), columns), "JPEG", quality=_JPEG_QUALITY),
        overlays={
            name: _picture(_mosaic(_class_numbers(labels[thinned], classes), columns), "PNG", optimize=True)
            for name, labels in overlays.items()
        },
        classes=[(label.name, COLOURS[index % len(COLOURS)]) for index, label in enumerate(classes[1:])],
        flat=shape[0] == 1,
    )


def _content_box(image: NDArray[Any], overlays: Sequence[NDArray[Any]]) -> tuple[slice, slice, slice]:
    """Where there is anything but the darkest value, and a little more."""
    content = image > image.min()
    for labels in overlays:
        content |= labels > 0
    sides = []
    for axis, length in enumerate(image.shape):
        others = tuple(other for other in range(3) if other != axis)
        occupied = np.flatnonzero(content.any(axis=others))
        first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, length - 1)
        sides.append(slice(max(first - _MARGIN_PX, 0), min(last + 1 + _MARGIN_PX, length)))
    return sides[0], sides[1], sides[2]


def _steps(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Every how many voxels to show along each axis, so that not too many are left."""
    step = max(1, math.ceil((math.prod(shape) / MOST_VOXELS) ** (1 / 3)))
    first, second, third = (step if length >= 2 * step else 1 for length in shape)
    return first, second, third


def _grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = intensity_window([image])
    scaled = (image.astype(np.float32) - low) * (255.0 / max(high - low, 1e-12))
    grey: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return grey


def _class_numbers(labels: NDArray[np.integer[Any]], classes: Sequence[LabelClass]) -> NDArray[np.uint8]:
    numbers = np.zeros(labels.shape, dtype=np.uint8)
    for number, label in enumerate(classes[1:256], start=1):
        numbers[labels == label.value] = number
    return numbers


def _mosaic(volume: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Slices (S, H, W) side by side, row after row."""
    slices, height, width = volume.shape
    rows = -(-slices // columns)
    padded = np.zeros((rows * columns, height, width), dtype=np.uint8)
    padded[:slices] = volume
    tiled = padded.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    mosaic: NDArray[np.uint8] = tiled.reshape(rows * height, columns * width)
    return mosaic


def _picture(pixels: NDArray[np.uint8], form: str, **settings: Any) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, form, **settings)
    return stream.getvalue()


def _uri(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"
