"""Plots of the page: where dots and curves lie, what is said about them, how large they become."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from autoseg.reporting.palette import NETWORKS
from autoseg.reporting.plots import MOST_DOTS, MOST_LINES, Named, agreement_plot, dots_plot, training_plots
from autoseg.reporting.svg import WIDTH, Curve, Markup, Scale, curves_plot, scale_of

NAN = math.nan


def parsed(svg: Markup) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def circles(svg: Markup) -> list[tuple[float, float, str]]:
    """Centre and title of every dot that is a circle."""
    return [
        (float(each.attrib["cx"]), float(each.attrib["cy"]), each.findtext("title", ""))
        for each in parsed(svg).iter("circle")
    ]


def texts(svg: Markup, look: str) -> list[str]:
    return [each.text or "" for each in parsed(svg).iter("text") if look in each.attrib["class"].split()]


def test_every_case_is_a_dot_where_its_value_is() -> None:
    svg = dots_plot({"GM": {"U-Net": Named(["a", "b", "c"], [0.5, 1.0, NAN])}}, ["U-Net"], metric="dice")
    (low, _, first), (high, _, last) = circles(svg)
    assert (first, last) == ("a: 0.5000", "b: 1.0000")
    (mean,) = (each for each in parsed(svg).iter("path") if each.get("class") == "mean")
    assert float(re.match(r"M([\d.]+)", mean.attrib["d"])[1]) == pytest.approx((low + high) / 2, abs=0.2)  # type: ignore[index]
    assert mean.findtext("title") == "U-Net: mean 0.7500 of 2 cases"
    assert texts(svg, "note") == ["1 n/a"]
    assert texts(svg, "tick")[-1] == "1"  # no Dice is greater
    assert texts(svg, "value") == ["0.750"]


def test_networks_have_lines_of_their_own_and_their_colours() -> None:
    named = Named(["a"], [3.0])
    svg = dots_plot(
        {"GM": {"one": named, "two": named}, "WM": {"one": named, "two": named}},
        ["none", "one", "two"],
        metric="hausdorff_mm",
    )
    styles = [each.attrib["style"] for each in parsed(svg).iter("g") if "style" in each.attrib]
    assert styles == ["--c: var(--network-1)", "--c: var(--network-2)"] * 2  # those that others have elsewhere
    means = [each.attrib["d"] for each in parsed(svg).iter("path") if each.get("class") == "mean"]
    assert len(set(means)) == 4
    assert texts(svg, "tick")[0] == "0"


def test_dots_of_many_cases_are_few() -> None:
    sizes = []
    for count in (MOST_DOTS + 1, 20 * MOST_DOTS):
        named = Named([f"case {number}" for number in range(count)], [0.5 + 0.4 * number / count for number in range(count)])
        svg = dots_plot({"GM": {"U-Net": named}}, ["U-Net"], metric="dice")
        assert {title for _, _, title in circles(svg)} >= {"case 0: 0.5000"}  # the worst is there
        assert {each.get("class") for each in parsed(svg).iter("path")} >= {"range", "box", "mean"}
        sizes.append(len(svg))
    assert sizes[1] < 1.1 * sizes[0]


def test_many_classes_do_not_fill_the_page() -> None:
    scores = {f"organ {number}": {"U-Net": Named(["a"], [0.5])} for number in range(200)}
    assert len(texts(dots_plot(scores, ["U-Net"], metric="dice"), "name")) == MOST_LINES


def test_nothing_defined_is_said() -> None:
    svg = dots_plot({"GM": {"U-Net": Named(["a", "b"], [NAN, NAN])}}, ["U-Net"], metric="hausdorff_mm")
    assert texts(svg, "note") == ["2 n/a"]
    assert "nothing measured" in texts(curves_plot([], label="Dice"), "label")


def test_curves_leave_gaps_and_show_single_points() -> None:
    points = [(1.0, 0.1), (2.0, 0.2), (3.0, NAN), (4.0, 0.4), (5.0, NAN), (6.0, 0.6), (7.0, 0.7)]
    svg = curves_plot([Curve("run", points, NETWORKS, 0)], label="Dice", ceiling=1.0)
    lines = [each.attrib["d"] for each in parsed(svg).iter("path") if each.get("class") == "line"]
    assert [line.count("L") for line in lines] == [1, 1]
    assert len(circles(svg)) == 1
    assert parsed(svg).findtext("g/title") == "run"


def test_long_trainings_are_thinned_to_their_last_epoch() -> None:
    points = [(float(epoch), 1.0 / epoch) for epoch in range(1, 10_001)]
    svg = curves_plot([Curve("run", points, NETWORKS, 0)], label="Loss")
    (line,) = (each.attrib["d"] for each in parsed(svg).iter("path") if each.get("class") == "line")
    assert line.count("L") < 310
    assert float(line.rpartition("L")[2].split()[0]) == WIDTH - 12


def test_losses_that_span_orders_of_magnitude_get_a_logarithmic_axis() -> None:
    def ticks(highest: float) -> list[str]:
        return texts(curves_plot([Curve("run", [(1.0, highest), (2.0, 0.2)], NETWORKS, 0)], label="Loss"), "end")

    assert ticks(200.0) == ["0.2", "1", "5", "20", "100"]
    assert "0" in ticks(0.4)


def test_a_single_run_shows_its_classes_and_several_do_not() -> None:
    rows = [{"epoch": float(epoch), "training_dice": 0.5, "validation_dice": 0.4, "validation_dice_GM": 0.3,
             "validation_dice_WM": 0.5, "training_loss": 1.0, "validation_loss": 1.1} for epoch in (1, 2)]  # fmt: skip
    assert [title for title, _ in training_plots({"U-Net": rows}, ["U-Net"])] == [
        "Dice",
        "Loss",
        "Dice of each class, held out",
    ]
    assert [title for title, _ in training_plots({"U-Net": rows, "other": rows}, ["U-Net", "other"])] == ["Dice", "Loss"]


def test_equal_predictions_lie_on_the_line() -> None:
    svg = agreement_plot({"GM": [(0.5, 0.5), (0.9, 0.9)]})
    guide = next(each.attrib["d"] for each in parsed(svg).iter("path") if each.get("class") == "guide")
    x0, y0, x1, y1 = map(float, re.findall(r"[\d.]+", guide))
    for x, y, _ in circles(svg):
        assert (x - x0) / (x1 - x0) == pytest.approx((y - y0) / (y1 - y0), abs=0.01)


@pytest.mark.parametrize(
    ("values", "floor", "ceiling", "ends"),
    [
        ([0.91, 0.95], 0.0, 1.0, (0.9, 1.0)),
        ([0.0, 0.95], 0.0, 1.0, (0.0, 1.0)),
        ([3.0, 17.0], 0.0, None, (0.0, 20.0)),
        ([NAN], 0.0, None, (0.0, 1.0)),
        ([1.0, 1.0], 0.0, 1.0, (0.9, 1.0)),
        ([0.0], 0.0, None, (0.0, 1.0)),
        ([-3.0, 4.0], None, None, (-4.0, 4.0)),
    ],
)
def test_axes_end_at_round_values(
    values: list[float], floor: float | None, ceiling: float | None, ends: tuple[float, float]
) -> None:
    scale = scale_of(values, 0.0, 100.0, floor=floor, ceiling=ceiling)
    assert (scale.low, scale.high) == pytest.approx(ends)
    assert all(scale.low <= tick <= scale.high + 1e-9 for tick in scale.ticks())
    assert 2 <= len(scale.ticks()) <= 7


def test_a_logarithmic_scale_has_plain_ticks() -> None:
    assert Scale(0.2, 300.0, 0, 100, logarithmic=True).ticks() == [0.2, 1.0, 5.0, 20.0, 100.0]
