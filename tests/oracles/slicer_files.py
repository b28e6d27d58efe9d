"""Segmentations as 3D Slicer writes them, by pynrrd."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

SPACING = (0.8, 0.9, 2.0)
"""Along X, Y, Z, in mm."""

ORIGIN = (5.0, 6.0, 7.0)


def write_scan(path: Path, voxels: NDArray[Any], **changes: Any) -> Path:
    """A scan, (X, Y, Z)."""
    nrrd.write(str(path), voxels, _space((0, 0, 0)) | changes)
    return path


def write_segmentation(
    path: Path,
    layers: NDArray[Any],
    segments: Sequence[tuple[str, int, int]],
    *,
    offset: tuple[int, int, int] = (0, 0, 0),
    old: bool = False,
    **changes: Any,
) -> Path:
    """A segmentation.

    Args:
        path: its file.
        layers: label values, (X, Y, Z), or (L, X, Y, Z) for several layers.
        segments: name, layer and label value of each.
        offset: the scan's voxel (X, Y, Z) at which it begins.
        old: without layers and label values, as Slicer wrote until 4.10.
        changes: of the header.
    """
    space = _space(offset)
    if layers.ndim == 4:
        space["space directions"] = np.vstack([[np.nan] * 3, space["space directions"]])
    header = space | {"kinds": ["list"] * (layers.ndim - 3) + ["domain"] * 3}
    for number, (name, layer, value) in enumerate(segments):
        said = {"ID": f"Segment_{number + 1}", "Name": name, "Extent": "0 1 0 1 0 1"}
        said |= {} if old else {"Layer": str(layer), "LabelValue": str(value)}
        header |= {f"Segment{number}_{key}": value for key, value in said.items()}
    header["Segmentation_ReferenceImageExtentOffset"] = " ".join(map(str, offset))
    nrrd.write(str(path), layers, header | changes)
    return path


def _space(offset: tuple[int, int, int]) -> dict[str, Any]:
    origin = np.add(ORIGIN, np.multiply(offset, SPACING)).tolist()
    return {"space": "left-posterior-superior", "space directions": np.diag(SPACING), "space origin": origin}
