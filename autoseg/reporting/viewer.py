"""A scan and its label maps, small enough to travel inside a page that leafs through them in three planes.

Each volume travels once: intensities as one lossy image of all axial slices side by side, label maps as compressed bytes,
exactly. The page turns them back into volumes and cuts these itself, so that three planes cost no more than one.

Label maps are no images, because pages can only read images through a canvas, and browsers that guard against
fingerprinting add noise to what is read from there.
"""

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.data.display import UNLABELLED, UNLABELLED_COLOUR, UNLABELLED_NAME, colour, content_box, grey_levels
from autoseg.images.pillow_pictures import jpeg

_JPEG_QUALITY: Final = 80
"""Source: ours; on IBSR18 a root mean square error of 4 grey levels of 256, below the scans' own noise, in 0.35 MB."""

MAX_VOXELS: Final = 12_000_000
"""Larger scans are shown with fewer slices and pixels. Source: ours; three of them keep a page under 15 MB."""

MAX_CLASSES: Final = 255
"""As many as a byte can tell apart from the background."""


@dataclass(frozen=True)
class VolumeView:
    """What the page needs to show a scan.

    Attributes:
        shape: voxels (Z, Y, X); indices grow towards inferior, posterior and left.
        spacing_mm: along the same axes.
        columns: axial slices beside each other in the image.
        image: intensities as a JPEG.
        overlays: name of a label map to its class numbers, (Z, Y, X) bytes, deflated: 0 for background, 1 for the first
            class, ...
        classes: names and colours of the classes, from 1.
        flat: whether it is a single slice, of which nobody knows the patient's sides.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    columns: int
    image: bytes
    overlays: Mapping[str, bytes]
    classes: Sequence[tuple[str, str]]
    flat: bool

    @property
    def size(self) -> int:
        """Bytes that it takes in the page, nearly."""
        return (len(self.image) + sum(map(len, self.overlays.values()))) * 4 // 3

    def document(self) -> dict[str, Any]:
        """The same as JSON, as the page's script reads it."""
        return {
            "shape": list(self.shape),
            "spacing": list(self.spacing_mm),
            "columns": self.columns,
            "image": data_uri(self.image, "image/jpeg"),
            "overlays": [
                {"name": name, "labels": data_uri(content, "application/octet-stream")}
                for name, content in self.overlays.items()
            ],
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
    """Make a scan ready for the page: cropped to what is not background, in 256 grey levels.

    Args:
        image: intensities, (Z, Y, X), finite, indices growing towards inferior, posterior and left.
        overlays: name of a label map to its label values, of the same shape.
        spacing_mm: along (Z, Y, X), in mm.
        classes: what the values stand for, background first; other values are not shown.

    Raises:
        ValueError: a label map has another shape, or there are more than 255 classes besides the background.
    """
    if any(labels.shape != image.shape for labels in overlays.values()):
        found = {name: labels.shape for name, labels in overlays.items()}
        msg = f"label maps need the image's shape {image.shape}, not {found}"
        raise ValueError(msg)
    if len(classes) > MAX_CLASSES + 1:
        msg = f"at most {MAX_CLASSES} classes can be shown, not {len(classes) - 1}"
        raise ValueError(msg)
    box = content_box(image, overlays.values())
    steps = _steps([side.stop - side.start for side in box], spacing_mm)
    seen = tuple(slice(side.start, side.stop, step) for side, step in zip(box, steps, strict=True))
    shown = image[seen]
    slices, rows, columns = shown.shape
    per_row = math.ceil(math.sqrt(slices * rows / columns))
    first, second, third = (spacing * step for spacing, step in zip(spacing_mm, steps, strict=True))
    return VolumeView(
        shape=(slices, rows, columns),
        spacing_mm=(first, second, third),
        columns=per_row,
        image=jpeg(_mosaic(grey_levels(shown), per_row), quality=_JPEG_QUALITY),
        overlays={name: zlib.compress(_class_numbers(labels[seen], classes), 9) for name, labels in overlays.items()},
        classes=[*((label.name, colour(index)) for index, label in enumerate(classes[1:])), *_unlabelled(overlays, classes)],
        flat=slices == 1,
    )


def data_uri(content: bytes, mime: str) -> str:
    """A file as an address that holds it."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _steps(shape: Sequence[int], spacing_mm: Sequence[float]) -> list[int]:
    """Every how many voxels to show along each axis: the finest axis gives way first, until few enough are left."""
    steps = [1, 1, 1]
    while math.prod(-(-length // step) for length, step in zip(shape, steps, strict=True)) > MAX_VOXELS:
        divisible = [axis for axis in range(3) if steps[axis] < shape[axis]]
        finest = min(divisible, key=lambda axis: steps[axis] * spacing_mm[axis])
        steps[finest] += 1
    return steps


def _class_numbers(labels: NDArray[np.integer[Any]], classes: Sequence[LabelClass]) -> bytes:
    numbers = np.zeros(labels.shape, dtype=np.uint8)
    for number, label in enumerate(classes[1:], start=1):
        numbers[labels == label.value] = number
    if len(classes) <= MAX_CLASSES:
        numbers[labels == UNLABELLED] = len(classes)
    return numbers.tobytes()


def _unlabelled(
    overlays: Mapping[str, NDArray[np.integer[Any]]], classes: Sequence[LabelClass]
) -> Sequence[tuple[str, str]]:
    """What stands after the last class for voxels without a label, where a label map has such and a number is left."""
    found = len(classes) <= MAX_CLASSES and any((labels == UNLABELLED).any() for labels in overlays.values())
    return [(UNLABELLED_NAME, UNLABELLED_COLOUR)] if found else []


def _mosaic(volume: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Slices (S, H, W) side by side, row after row."""
    slices, height, width = volume.shape
    rows = -(-slices // columns)
    padded = np.zeros((rows * columns, height, width), dtype=np.uint8)
    padded[:slices] = volume
    tiled = padded.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    mosaic: NDArray[np.uint8] = tiled.reshape(rows * height, columns * width)
    return mosaic
