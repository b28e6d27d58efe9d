"""Plots as parts of a page: SVG whose colours and type are those of the page's style, and follow it from light to dark.

Text stays text, every value has its name to point at, and all that comes from outside is escaped, because elements are built
as a tree. Paper figures are drawn elsewhere (`autoseg.reporting.canvas`).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NewType
from xml.etree import ElementTree as ET

from autoseg.reporting.palette import Palette

Markup = NewType("Markup", str)
"""An SVG element that is safe inside a page."""

WIDTH: Final = 360.0
"""Of a plot in its own units, which are pixels of the page where the plot is as wide."""

_LETTER: Final = 6.4
"""Width of a letter at the size of labels. Source: the mean of common sans-serif types at 12 px, rounded up."""

_DASHES: Final = ("", "7 3", "2 3", "7 3 2 3")
_SHAPES: Final[Sequence[Sequence[tuple[float, float]]]] = (
    (),
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, -1.2), (1.2, 1), (-1.2, 1)),
)
"""Corners of markers of size 1, of about one area; none: a circle."""

_TICKS: Final = 5
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)

Point = tuple[float, float]


def element(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> ET.Element:
    """Add an element; underscores in names of attributes stand for dashes, and numbers are rounded."""
    named = {name.rstrip("_").replace("_", "-"): _written(value) for name, value in attributes.items()}
    made = ET.SubElement(parent, tag, named)
    made.text = text or None
    return made


def drawing(height: float, *, label: str, width: float = WIDTH) -> ET.Element:
    """An empty plot that is described to those who cannot see it."""
    size = f"0 0 {_written(width)} {_written(height)}"
    return ET.Element("svg", {"class": "plot", "viewBox": size, "role": "img", "aria-label": label})


def markup(root: ET.Element) -> Markup:
    """A drawing as text."""
    return Markup(ET.tostring(root, encoding="unicode", short_empty_elements=False))


def marker(parent: ET.Element, index: int, place: Point, *, size: float = 3.2, title: str = "") -> None:
    """A dot of the index-th shape: circle, square, diamond, triangle, told apart without colour."""
    x, y = place
    corners = _SHAPES[index % len(_SHAPES)]
    if corners:
        made = element(parent, "path", class_="dot", d=_path((x + size * dx, y + size * dy) for dx, dy in corners) + "Z")
    else:
        made = element(parent, "circle", class_="dot", cx=x, cy=y, r=size)
    if title:
        element(made, "title", title)


def swatch(palette: Palette, index: int, *, line: bool = False) -> Markup:
    """What a legend shows beside a name: the marker, or the line."""
    root = ET.Element("svg", {"class": "swatch", "viewBox": "0 0 24 12", "aria-hidden": "true"})
    inside = element(root, "g", style=f"--c: {palette.variable(index)}")
    if line:
        element(inside, "path", class_="line", d="M0 6H24", **_dashed(index))
    else:
        marker(inside, index, (12.0, 6.0), size=4.5)
    return markup(root)


@dataclass(frozen=True)
class Scale:
    """From values to places along an axis.

    Attributes:
        low: value at the beginning.
        high: value at the end.
        start: place of the beginning.
        end: place of the end.
        logarithmic: whether equal factors are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a value; what is outside lies on the border."""
        low, high, value = (math.log(each) if self.logarithmic else each for each in (self.low, self.high, value))
        fraction = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(max(fraction, 0.0), 1.0) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Some round values within it."""
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            every = [factor * 10.0**power for power in range(first, last + 1) for factor in (1, 2, 5)]
            inside = [value for value in every if self.low <= value <= self.high]
            return inside[:: -(-len(inside) // (_TICKS + 1)) or 1]
        step = _step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        return [round(number * step, 10) for number in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale_of(values: Iterable[float], start: float, end: float, *, floor: float | None, ceiling: float | None) -> Scale:
    """A scale with round ends around some values, which does not go beyond what values can be.

    Args:
        values: what is shown; NaN is left out.
        start: place of its beginning.
        end: place of its end.
        floor: least possible value; the scale begins there unless all values are far from it.
        ceiling: greatest possible value, at which the scale ends; None: there is none.
    """
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if ceiling is not None:
        high = ceiling
    elif floor is not None:
        low = floor
    if high - low < 1e-9:
        low, high = (low - 0.1, high) if ceiling is not None else (low, high + 1.0)
    step = _step(high - low)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Scale(max(low, floor) if floor is not None else low, min(high, ceiling) if ceiling is not None else high,
                 start, end)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """A line through points.

    Attributes:
        name: to point at.
        points: (x, y); NaN leaves a gap.
        palette: of its colour.
        index: which colour and which dashes.
        soft: whether it stands behind others, thin.
    """

    name: str
    points: Sequence[Point]
    palette: Palette
    index: int
    soft: bool = False


_LONGEST: Final = 300
"""Points of a curve that are drawn; more lie between two pixels."""

LOG_SPAN: Final = 30.0
"""Values that span more than this factor get a logarithmic axis, else one bad epoch would flatten all others."""


@dataclass
class Frame:
    """The axes of a plot.

    Attributes:
        root: the drawing.
        across: horizontal scale.
        up: vertical scale.
    """

    root: ET.Element
    across: Scale
    up: Scale
    _inside: ET.Element = field(init=False)

    def __post_init__(self) -> None:
        self._inside = element(self.root, "g", class_="axes")

    def draw(self, *, across_label: str, whole: bool = False) -> None:
        """Ticks, their numbers and lines, and what the horizontal axis shows."""
        left, right, bottom = self.across.start, self.across.end, self.up.start
        for value in self.up.ticks():
            y = self.up.at(value)
            element(self._inside, "path", class_="grid", d=f"M{_written(left)} {_written(y)}H{_written(right)}")
            element(self._inside, "text", plain(value), class_="tick end", x=left - 6, y=y + 4)
        for value in self.across.ticks():
            if not whole or value == int(value):
                element(self._inside, "text", plain(value), class_="tick middle", x=self.across.at(value), y=bottom + 16)
        element(self._inside, "path", class_="axis", d=f"M{_written(left)} {_written(bottom)}H{_written(right)}")
        element(self._inside, "text", across_label, class_="label middle", x=(left + right) / 2, y=bottom + 33)

    def curve(self, curve: Curve) -> None:
        """A line, in pieces where values are undefined; a dot for a piece of one point."""
        style = {"style": f"--c: {curve.palette.variable(curve.index)}", "class_": "soft" if curve.soft else "strong"}
        group = element(self.root, "g", **style)
        element(group, "title", curve.name)
        for piece in _pieces(_thinned(curve.points)):
            places = [(self.across.at(x), self.up.at(y)) for x, y in piece]
            if len(places) == 1:
                element(group, "circle", class_="dot", cx=places[0][0], cy=places[0][1], r=2.5)
            else:
                element(group, "path", class_="line", d=_path(places), **_dashed(0 if curve.soft else curve.index))


def curves_plot(curves: Sequence[Curve], *, label: str, ceiling: float | None = None) -> Markup:
    """Curves over epochs.

    Args:
        curves: any number.
        label: what it shows, for those who cannot see it.
        ceiling: greatest possible value; None: any, and few orders of magnitude are shown side by side.
    """
    height = 216.0
    root = drawing(height, label=label)
    xs = [x for curve in curves for x, y in curve.points if math.isfinite(y)]
    ys = [y for curve in curves for _, y in curve.points if math.isfinite(y)]
    if not xs:
        element(root, "text", "nothing measured", class_="label middle", x=WIDTH / 2, y=height / 2)
        return markup(root)
    up = scale_of(ys, height - 42, 10, floor=0.0 if ceiling is not None or min(ys) >= 0 else None, ceiling=ceiling)
    if ceiling is None and min(ys) > 0 and max(ys) > LOG_SPAN * min(ys):
        up = Scale(min(ys), max(ys), height - 42, 10, logarithmic=True)
    across = Scale(min(xs), max(xs), 46, WIDTH - 12)
    frame = Frame(root, across, up)
    frame.draw(across_label="epoch", whole=True)
    for curve in sorted(curves, key=lambda curve: not curve.soft):
        frame.curve(curve)
    return markup(root)


def plain(value: float) -> str:
    """A number on an axis."""
    return f"{value:g}".replace("-", "\u2212")


def shortened(text: str, width: float) -> str:
    """A name as far as it fits into some width."""
    most = max(int(width / _LETTER), 2)
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def text_width(texts: Iterable[str]) -> float:
    """About how wide the longest of some labels is."""
    return _LETTER * max(map(len, texts), default=0)


def _step(span: float) -> float:
    rough = max(span, 1e-9) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in _STEPS if factor * power >= rough * (1 - 1e-9))


def _pieces(points: Sequence[Point]) -> Iterator[list[Point]]:
    piece: list[Point] = []
    for point in points:
        if math.isfinite(point[1]):
            piece.append(point)
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    step = -(-len(points) // _LONGEST)
    return points if step <= 1 else [*points[:-1:step], points[-1]]


def _path(places: Iterable[Point]) -> str:
    return "M" + "L".join(f"{_written(x)} {_written(y)}" for x, y in places)


def _dashed(index: int) -> dict[str, Any]:
    dashes = _DASHES[index % len(_DASHES)]
    return {"stroke_dasharray": dashes} if dashes else {}


def _written(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
