"""Pictures of cases: label maps over their scan, cut to what there is to see."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.data.image import Image
from autoseg.preprocessing.case import canonical
from autoseg.reporting.planes import draw_planes

_MARGIN_PX: Final = 4


def draw_case(
    path: Path, image: Image, overlays: Mapping[str, NDArray[np.integer[Any]]], *, classes: Sequence[LabelClass]
) -> None:
    """Draw label maps over the first channel of their scan, in three planes.

    Args:
        path: a `.png` or `.svg` file.
        image: the scan, (C, Z, Y, X).
        overlays: name of a label map to its values, (Z, Y, X), on the scan's grid.
        classes: the classes, background first.
    """
    scan, spacing_mm = canonical(image.array[0], image.geometry)
    oriented = {name: canonical(labels, image.geometry)[0] for name, labels in overlays.items()}
    box = _box(np.logical_or.reduce([scan > scan.min(), *(labels > 0 for labels in oriented.values())]))
    draw_planes(
        scan[box],
        {name: labels[box] for name, labels in oriented.items()},
        spacing_mm,
        path,
        class_names={label.value: label.name for label in classes[1:]},
    )


def _box(seen: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box around a mask with a margin, or everything where the mask is empty."""
    windows = []
    for axis in range(seen.ndim):
        indices = np.flatnonzero(seen.any(axis=tuple(other for other in range(seen.ndim) if other != axis)))
        window = slice(max(indices[0] - _MARGIN_PX, 0), indices[-1] + 1 + _MARGIN_PX) if indices.size else slice(None)
        windows.append(window)
    return tuple(windows)
