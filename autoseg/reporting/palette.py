"""Colours by what they mean: one set for classes, another for networks, so that neither is ever taken for the other.

Each colour has a form for light and one for dark backgrounds, of one hue. Both stand out from their background at least 3 to
1 (WCAG 2.2, 1.4.11), and the first four of a set are told apart with every common kind of colour vision (a test computes
both).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autoseg.data.display import COLOURS


@dataclass(frozen=True)
class Palette:
    """Colours for things of one kind; they repeat after the last.

    Attributes:
        name: of the kind, as the page's style calls its colours.
        light: on a light background, each as `#RRGGBB`.
        dark: on a dark one.
    """

    name: str
    light: Sequence[str]
    dark: Sequence[str]

    def colour(self, index: int) -> str:
        """The index-th colour on a light background."""
        return self.light[index % len(self.light)]

    def variable(self, index: int) -> str:
        """The index-th colour as a page's style refers to it, where it follows light and dark."""
        return f"var(--{self.name}-{index % len(self.light)})"

    def style(self, *, dark: bool) -> str:
        """What defines these variables."""
        colours = self.dark if dark else self.light
        return " ".join(f"--{self.name}-{index}: {colour};" for index, colour in enumerate(colours))


CLASSES: Final = Palette(
    "class",
    (*COLOURS[:4], "#BF8A00", "#3F9BD9", COLOURS[6]),
    ("#4A9BDB", "#E8743B", "#2FB58D", "#E09AC4", "#E6B22E", "#8FD0F7", "#B5527F"),
)
"""Of the foreground classes. Over scans, which are black and white, they have the colours of `autoseg.data.display`."""

NETWORKS: Final = Palette(
    "network",
    ("#4B3F9E", "#6F8A0F", "#63391D", "#4F8F93", "#2E3338"),
    ("#A79BF0", "#C9D65B", "#B98A6B", "#9FD8D4", "#F4F6F8"),
)
"""Of networks, runs, and whatever else predicts. Source: chosen; darker and less saturated than those of the classes."""
