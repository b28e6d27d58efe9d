"""What all figures have in common: size, type, looks, legends, scans with label maps, and the way to the disk.

The only module that knows matplotlib. Drawn with its objects alone, never pyplot: no window, no state left behind, whatever
the user's own settings. Everything is told apart by colour and by line style or hatching, in text of at least 8 pt, so that
it survives a black-and-white print. The same data give the same bytes with the same version of matplotlib.

Source: 7.2 in is the text width of most journals.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from autoseg.data.display import UNLABELLED, UNLABELLED_COLOUR, colour
from autoseg.reporting.palette import CLASSES, NETWORKS, Palette
from autoseg.storage.files import atomic_path

__all__ = [
    "CLASSES", "DPI", "GREY", "MANY_DOTS", "NETWORKS", "WIDTH_IN", "Axes", "Figure", "Look", "bar_look", "colour_bar",
    "dot_look", "draw_labels", "fill_look", "hide_axes", "line_legend", "line_look", "logarithmic", "map_colours",
    "new_figure", "outlined_text", "patch_legend", "show_slice", "unlabelled_look",
    "whole_numbers",
]  # fmt: skip

Look = dict[str, Any]
"""Colour and what else tells an entry apart, as keyword arguments of matplotlib's artists."""

WIDTH_IN: Final = 7.2
DPI: Final = 150
GREY: Final = "#666666"
MANY_DOTS: Final = 500
"""More dots than this are pixels in an SVG file, in which each would take 150 bytes. Source: chosen."""

# Four styles, five hatchings and five markers against five or seven colours: many combinations before one comes again.
_LINES: Final = ("-", "--", "-.", ":")
_HATCHES: Final = ("", "///", "...", "xxx", "---")
_MARKERS: Final = ("o", "s", "^", "D", "v")
_FILL: Final = 0.35
"""Opacity of filled classes and bars: dark enough to see, light enough to see through."""

_UNLABELLED_OPACITY: Final = 0.6
"""Of the grey over what has no label."""

_STYLE: Final[Any] = {  # its type in matplotlib's stubs lists every key, and differs between versions
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.titlesize": 9,
    "font.size": 8,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 3,
    "lines.linewidth": 1.4,
    "savefig.dpi": DPI,
    "svg.hashsalt": "autoseg",
    "text.parse_math": False,  # names are shown as they are, dollar signs included
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
_METADATA: Final[dict[str, dict[str, Any]]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}
"""What matplotlib would write besides the figure: left out, so that equal figures are equal files."""


@contextmanager
def new_figure(path: Path, *, width_in: float = WIDTH_IN, height_in: float) -> Iterator[Figure]:
    """Give an empty figure in the common style; it is written to `path` when the block ends well.

    Args:
        path: a `.png` or `.svg` file.
        width_in: width in inches.
        height_in: height in inches.

    Raises:
        ValueError: another suffix.
        SystemFailureError: the file cannot be written.
    """
    if path.suffix not in _METADATA:
        msg = f"figures are {' or '.join(_METADATA)} files, not {path.name}"
        raise ValueError(msg)
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change a report
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width_in, height_in))
        FigureCanvasAgg(figure)
        yield figure
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata=_METADATA[path.suffix])


def line_look(index: int, palette: Palette = NETWORKS) -> Look:
    """Colour and line style of the index-th of several curves."""
    return {"color": palette.colour(index), "linestyle": _LINES[index % len(_LINES)]}


def bar_look(index: int) -> Look:
    """Colour and hatching of the index-th of several networks' bars."""
    shade = NETWORKS.colour(index)
    return {"facecolor": to_rgba(shade, _FILL), "edgecolor": shade, "hatch": _HATCHES[index % len(_HATCHES)]}


def dot_look(index: int, palette: Palette = NETWORKS) -> Look:
    """Colour and marker of the index-th of several sets of dots."""
    return {"color": palette.colour(index), "marker": _MARKERS[index % len(_MARKERS)]}


def fill_look(index: int) -> Look:
    """How the index-th class looks in a legend: filled and outlined, as `draw_labels` draws it."""
    shade = colour(index)
    return {"facecolor": to_rgba(shade, _FILL), "edgecolor": shade, "linestyle": _LINES[index % len(_LINES)]}


def line_legend(target: Figure | Axes, names: Iterable[str], looks: Iterable[Look], **place: Any) -> None:
    """Explain curves or dots."""
    target.legend([Line2D([], [], **look) for look in looks], _shown(names), **place)


def unlabelled_look() -> Look:
    """How voxels without a label look, in a legend and over a slice: greyed out."""
    return {"facecolor": to_rgba(UNLABELLED_COLOUR, _UNLABELLED_OPACITY), "edgecolor": "none"}


def patch_legend(target: Figure | Axes, names: Iterable[str], looks: Iterable[Look], **place: Any) -> None:
    """Explain bars or filled classes."""
    target.legend([Patch(**look) for look in looks], _shown(names), **place)


def whole_numbers(panel: Axes) -> None:
    """Whole numbers only along the horizontal axis."""
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def logarithmic(panel: Axes, *others: Axes) -> None:
    """A logarithmic vertical axis with plain numbers, for panels that share it."""
    panel.set_yscale("log")
    for axes in (panel, *others):
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())


def hide_axes(panel: Axes) -> None:
    """Leave nothing of a panel but what is drawn in it."""
    panel.set(xticks=[], yticks=[], frame_on=False)
    panel.grid(visible=False)


def show_slice(
    panel: Axes, pixels: NDArray[np.number[Any]], *, window: tuple[float, float], aspect: float | Literal["auto"] = "auto"
) -> None:
    """A slice in grey.

    Args:
        panel: where.
        pixels: intensities, (rows, columns).
        window: intensities shown as black and as white.
        aspect: height of a pixel over its width; `auto`: as the panel's.
    """
    panel.imshow(pixels, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect)


def draw_labels(panel: Axes, labels: NDArray[np.integer[Any]], values: Sequence[int]) -> None:
    """Draw each class over a slice, filled and outlined.

    Args:
        panel: where the slice is.
        labels: label values, (rows, columns); `UNLABELLED` is greyed out.
        values: the values to draw, in the order of their colours.
    """
    fill = np.zeros((*labels.shape, 4))
    fill[labels == UNLABELLED] = unlabelled_look()["facecolor"]
    for index, value in enumerate(values):
        mask = labels == value
        look = fill_look(index)
        fill[mask] = look["facecolor"]
        if mask.any() and not mask.all() and min(mask.shape) > 1:
            panel.contour(mask, levels=[0.5], colors=[look["edgecolor"]], linestyles=[look["linestyle"]], linewidths=0.9)
    panel.imshow(fill, aspect=panel.get_aspect(), interpolation="nearest")


def outlined_text(panel: Axes, place: tuple[float, float], text: str, **look: Any) -> None:
    """Text over a slice, legible on dark and light, at a place in fractions of the panel."""
    written = panel.text(*place, text, transform=panel.transAxes, color="white", **look)
    written.set_path_effects([withStroke(linewidth=1.5, foreground="black")])


def colour_bar(figure: Figure, panels: Sequence[Axes], *, colour_map: str, label: str) -> None:
    """Explain the colours of a map of values from 0 to 1."""
    scale = ScalarMappable(Normalize(0, 1), colour_map)
    figure.colorbar(scale, ax=list(panels), label=label, shrink=0.8, aspect=30)


def map_colours(values: NDArray[np.floating[Any]], colour_map: str) -> NDArray[np.float64]:
    """Red, green and blue, 0 to 255, (..., 3), of values from 0 to 1."""
    colours: NDArray[np.float64] = np.asarray(mpl.colormaps[colour_map](values), np.float64)[..., :3] * 255
    return colours


def _shown(names: Iterable[str]) -> list[str]:
    """Names as a legend shows them all: matplotlib drops those that begin with an underscore."""
    return [f" {name}" if name.startswith("_") else name for name in names]
