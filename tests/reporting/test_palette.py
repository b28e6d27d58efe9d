"""Colours that are told apart, whoever looks at them and on whatever background."""

import math
import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

import autoseg
from autoseg.data.display import COLOURS, rgb
from autoseg.reporting.palette import CLASSES, NETWORKS, Palette

STYLE: Final = Path(autoseg.__file__).parent / "reporting/template/style.css"

VISION: Final = {
    "all": np.eye(3),
    "no long-wave cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no middle-wave cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
"""How linear colours are seen. Source: Machado et al., IEEE Trans. Vis. Comput. Graph. 15 (2009), severity 1."""

APART: Final = 12.0
"""Least distance in CIELAB; 2.3 is just noticeable side by side. Source: chosen, for small dots apart."""


def linear(colour: str) -> NDArray[np.float64]:
    values = np.array(rgb(colour)) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it."""
    darker, lighter = sorted(float(linear(colour) @ (0.2126, 0.7152, 0.0722)) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def lab(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB of a linear colour."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratios = np.maximum(matrix @ seen, 0) / (0.9505, 1, 1.089)
    x, y, z = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in ratios)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("palette", [CLASSES, NETWORKS], ids=lambda palette: palette.name)
def test_every_colour_stands_out_from_its_background(palette: Palette) -> None:
    light, *dark, printed = re.findall(r"--card: (#\w+);", STYLE.read_text(encoding="utf-8"))
    assert len(dark) == 2  # as the system wants it, and as the page was told
    for colours, background in ((palette.light, light), *((palette.dark, each) for each in dark), (palette.light, printed)):
        full = background if len(background) == 7 else "#" + "".join(2 * digit for digit in background[1:])
        assert all(contrast(colour, full) >= 3 for colour in colours)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", [CLASSES.light, CLASSES.dark, NETWORKS.light, NETWORKS.dark, COLOURS])
def test_the_first_four_are_told_apart_by_everybody(colours: Sequence[str], vision: str) -> None:
    seen = [lab(VISION[vision] @ linear(colour)) for colour in colours[:4]]
    assert min(math.dist(one, other) for one, other in combinations(seen, 2)) >= APART


def test_no_network_has_the_colour_of_a_class() -> None:
    for classes, networks in ((CLASSES.light, NETWORKS.light), (CLASSES.dark, NETWORKS.dark)):
        apart = [math.dist(lab(linear(one)), lab(linear(other))) for one in classes for other in networks]
        assert min(apart) >= APART


def test_classes_keep_their_hue_from_scans_to_plots() -> None:
    for colours in (CLASSES.light, CLASSES.dark):
        for plotted, painted in zip(colours, COLOURS, strict=True):
            (_, a, b), (_, over_a, over_b) = (lab(linear(colour)) for colour in (plotted, painted))
            turn = math.degrees(math.atan2(b, a) - math.atan2(over_b, over_a))
            assert abs((turn + 180) % 360 - 180) < 25


def test_colours_come_again_after_the_last() -> None:
    assert NETWORKS.colour(5) == NETWORKS.colour(0)
    assert NETWORKS.variable(6) == "var(--network-1)"
    assert NETWORKS.style(dark=True).startswith("--network-0: #A79BF0; --network-1: ")
