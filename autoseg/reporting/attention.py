"""Where the gates of an attention network look, drawn over a slice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.display import intensity_window
from autoseg.reporting.canvas import WIDTH_IN, Axes, colour_bar, hide_axes, new_figure, show_slice

MAP: Final = "cividis"
"""Rises evenly in brightness, and reads alike with every kind of colour vision (Nunez et al. 2018)."""

OPACITY: Final = 0.65
_TALLEST_IN: Final = 2.4
_COLUMNS: Final = 4
_FURNITURE_IN: Final = 0.35
"""Height of a title above each row."""


def draw_attention(
    pixels: NDArray[np.number[Any]],
    maps: Sequence[NDArray[np.floating[Any]]],
    spacing_mm: tuple[float, float],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw a slice, and over it the attention coefficients of every skip, from full resolution downwards.

    Args:
        pixels: intensities, (rows, columns).
        maps: coefficients in [0, 1], any size: each is stretched over the slice.
        spacing_mm: pixel spacing (rows, columns), in mm.
        path: a `.png` or `.svg` file.
        title: names case, slice and network.
    """
    rows, columns = pixels.shape
    aspect = spacing_mm[0] / spacing_mm[1]
    lines = -(-(len(maps) + 1) // _COLUMNS)
    across = -(-(len(maps) + 1) // lines)
    panel_in = min(WIDTH_IN / across * 0.88 * rows * aspect / columns, _TALLEST_IN)
    window = intensity_window([pixels])
    with new_figure(path, height_in=lines * (panel_in + _FURNITURE_IN) + 0.3) as figure:
        figure.set_layout_engine("constrained")
        figure.suptitle(title)
        panels = list(figure.subplots(lines, across, squeeze=False).flat)
        for panel in panels:
            hide_axes(panel)
        for number, panel in enumerate(panels[: len(maps) + 1]):
            show_slice(panel, pixels, window=window, aspect=aspect)
            panel.set_title("slice" if number == 0 else level(number - 1), loc="center")
            if number:
                _draw_map(panel, maps[number - 1], extent=(-0.5, columns - 0.5, rows - 0.5, -0.5), aspect=aspect)
        colour_bar(figure, panels, colour_map=MAP, label="attention coefficient")


def level(depth: int) -> str:
    """Which gate it is, from full resolution downwards."""
    return "gate at full resolution" if depth == 0 else f"gate at 1/{2**depth} of it"


def _draw_map(
    panel: Axes, coefficients: NDArray[np.floating[Any]], *, extent: tuple[float, float, float, float], aspect: float
) -> None:
    panel.imshow(
        coefficients,
        cmap=MAP,
        vmin=0,
        vmax=1,
        alpha=OPACITY,
        extent=extent,
        aspect=aspect,
        interpolation="nearest",
    )
