"""What all pictures have in common: size, type, colours, and the way to the disk.

Drawn with matplotlib's objects alone, never pyplot: no window, no state left behind, whatever the user's own settings.
Everything is told apart by colour and by line style or hatching, in text of at least 8 pt, so that it survives a
black-and-white print. The same data give the same bytes with the same version of matplotlib.

Source: 7.2 in is the text width of most journals.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from autoseg.data.display import colour
from autoseg.storage.files import atomic_path

WIDTH_IN: Final = 7.2
DPI: Final = 150
GREY: Final = "#666666"

# Four styles and five hatchings against seven colours: many combinations before one comes again.
_LINES: Final = ("-", "--", "-.", ":")
_HATCHES: Final = ("", "///", "...", "xxx", "---")
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
"""What matplotlib would write besides the picture: left out, so that equal pictures are equal files."""


@contextmanager
def picture(path: Path, *, width_in: float = WIDTH_IN, height_in: float) -> Iterator[Figure]:
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
        msg = f"pictures are {' or '.join(_METADATA)} files, not {path.name}"
        raise ValueError(msg)
    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own matplotlibrc must not change a report
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(width_in, height_in))
        FigureCanvasAgg(figure)
        yield figure
        with atomic_path(path) as temporary:
            figure.savefig(temporary, metadata=_METADATA[path.suffix])


def line_look(index: int) -> dict[str, Any]:
    """Colour and line style of the index-th of several curves."""
    return {"color": colour(index), "linestyle": _LINES[index % len(_LINES)]}


def bar_look(index: int) -> dict[str, Any]:
    """Colour and hatching of the index-th of several sets of bars."""
    return {"facecolor": to_rgba(colour(index), 0.35), "edgecolor": colour(index), "hatch": _HATCHES[index % len(_HATCHES)]}


def legend_texts(names: Iterable[str]) -> list[str]:
    """Names as a legend shows them all: matplotlib drops those that begin with an underscore."""
    return [f" {name}" if name.startswith("_") else name for name in names]
