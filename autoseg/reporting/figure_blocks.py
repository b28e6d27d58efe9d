"""The figures of the page, which follow its style from light to dark: what each shows, and how to judge it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from autoseg.data.dataset import LabelClass
from autoseg.data.display import colour
from autoseg.evaluation.cases import CaseMetrics
from autoseg.metrics.table import METRICS
from autoseg.preprocessing.case import canonical
from autoseg.reporting.attention import MAP, level
from autoseg.reporting.blocks import Block, Pictures, Plot, Plots, Strip
from autoseg.reporting.canvas import map_colours
from autoseg.reporting.materials import Materials, TypicalCase
from autoseg.reporting.palette import CLASSES, NETWORKS
from autoseg.reporting.pictures import Picture, map_picture, picture, planes_pictures
from autoseg.reporting.plots import Named, agreement_plot, dots_plot, training_plots
from autoseg.reporting.svg import swatch

_SLICE_PX: Final = 240
"""Longest side of the largest slice in the picture of the data set."""

_MOST_FOLDS: Final = 10
"""Of more folds the first are shown; all are in report/figures. Source: chosen."""


def scored_metrics(cases: Sequence[CaseMetrics]) -> list[str]:
    """The metrics with a good end that cases were scored by, in the order of the table of metrics."""
    found = {name for case in cases for label in case.classes for name in label.numbers}
    return [name for name, metric in METRICS.items() if metric.better is not None and name in found]


def dots_blocks(
    titled: Mapping[str, Sequence[CaseMetrics]], networks: Sequence[str], headings: Mapping[str, str]
) -> list[Block]:
    """Every metric, by class and by what predicted, every case as a dot.

    Args:
        titled: scores by what predicted.
        networks: all that predict, in the order of their colours.
        headings: what is said beside the mark of what predicted.
    """
    metrics = scored_metrics([case for cases in titled.values() for case in cases])
    if not metrics:
        return []
    return [
        Plots(
            [
                Plot(METRICS[metric].heading, dots_plot(_by_class(titled, metric), networks, metric=metric))
                for metric in metrics
            ],
            [(swatch(NETWORKS, networks.index(title)), headings[title]) for title in titled],
            shows="Every held-out case as a dot; the mean as a stroke and a number. Point at a dot to read which case.",
            judge="Dots should lie close together at the good end. One far from the others is a case to look at below; one "
            "large Hausdorff distance beside a good Dice is an island, which autoseg select may remove.",
        )
    ]


def training_blocks(materials: Materials) -> list[Block]:
    """Curves of every fold."""
    blocks: list[Block] = []
    for fold, runs in list(materials.histories.items())[:_MOST_FOLDS]:
        plots = training_plots(runs, materials.networks)
        legend = [(swatch(NETWORKS, materials.networks.index(title), line=True), title) for title in runs]
        if len(plots) > 2:
            legend += [(swatch(CLASSES, index, line=True), name) for index, name in enumerate(_classes(materials))]
        blocks.append(
            Plots(
                [Plot(title, svg) for title, svg in plots],
                legend,
                title=f"Fold {fold}" if fold.isdigit() else f"The split `{fold}`",
                shows="Strong lines: held-out cases; thin ones: training.",
                judge="Curves should flatten out together. Training that improves while held-out cases get worse means "
                "learning by heart: more data or stronger augmentation. Curves that still rise at the end ask for time.",
            )
        )
    return blocks


def cohort_blocks(materials: Materials) -> list[Block]:
    """Every scan's slice with the most foreground."""
    classes = materials.data.plan.data.classes
    slices = materials.cohort
    longest_mm = max(side for one in slices for side in one.size_mm)
    widest_mm = max(one.size_mm[1] for one in slices)
    values = [label.value for label in classes[1:]]
    pictures = []
    for one in slices:
        name, _, _ = one.title.partition("\n")
        made = picture(
            one.pixels,
            alt=f"{name} with its reference" if one.labels is not None else name,
            side_px=max(round(_SLICE_PX * max(one.size_mm) / longest_mm), 1),
            spacing_mm=one.spacing_mm,
            fill=one.labels,
            values=values,
        )
        pictures.append(Picture(made.image, made.size_px, made.alt, one.title, width=one.size_mm[1] / widest_mm))
    return [
        Pictures(
            [Strip("", pictures)],
            class_legend(classes),
            gallery=True,
            shows="Every scan's slice with the most foreground and its reference, as the networks see it.",
            judge="Colours should follow the borders you see, and all scans should lie the same way up; where one does not, "
            "fix that file and plan again.",
        )
    ]


def typical_blocks(materials: Materials) -> list[Block]:
    """The median case, the selection's and every network's label map over it."""
    classes = materials.data.plan.data.classes
    return [
        Pictures(
            [_strip_of(typical, name, classes) for name in typical.overlays],
            class_legend(classes),
            shows=f"{typical.case.id}, a typical held-out case: label maps (filled) of {typical.predicted}, and the "
            "reference.",
            judge="Strips should be hard to tell apart; what differs in all networks is a matter of the data, what differs "
            "in one of that network.",
        )
        for typical in materials.typical
    ]


def calibration_blocks(materials: Materials) -> list[Block]:
    """Predicted against reached Dice."""
    points = materials.calibration
    if not points:
        return []
    return [
        Plots(
            [Plot("Dice predicted and reached", agreement_plot(points))],
            [(swatch(CLASSES, index), name) for index, name in enumerate(points)],
            shows="For every class of every held-out case, the selection's Dice predicted without it, against the Dice it "
            "reached.",
            judge="Dots near the line mean that predict --uncertainty can be believed; a flat cloud means that it knows the "
            "average only.",
        )
    ]


def attention_blocks(materials: Materials) -> list[Block]:
    """Where the gates of attention networks look."""
    blocks: list[Block] = []
    for shown in materials.attention:
        plain = picture(shown.pixels, alt=f"{shown.title}, slice", side_px=_SLICE_PX, spacing_mm=shown.spacing_mm, values=())
        gates = [
            map_picture(
                shown.pixels, coefficients, spacing_mm=shown.spacing_mm, side_px=_SLICE_PX,
                alt=f"{shown.title}, {level(depth)}", caption=level(depth),
            )
            for depth, coefficients in enumerate(shown.maps)
        ]  # fmt: skip
        blocks.append(
            Pictures(
                [Strip(shown.title, [replace(plain, caption="slice"), *gates])],
                [(_gradient(), "attention coefficient, 0 to 1")],
                gallery=True,
                shows="Where the gates of the Attention U-Net look on a held-out slice, from fine to coarse.",
                judge="Gates should light up on the tissues and their borders; even grey everywhere means that they have "
                "learnt nothing.",
            )
        )
    return blocks


def _gradient() -> str:
    """The colours of a map of values from 0 to 1, as a page's style gives them."""
    colours = (f"rgb({', '.join(f'{part:.0f}' for part in colour)})" for colour in map_colours(np.linspace(0, 1, 7), MAP))
    return f"linear-gradient(90deg, {', '.join(colours)})"


def class_legend(classes: Sequence[LabelClass]) -> list[tuple[str, str]]:
    """Colour and name of each class over scans."""
    return [(colour(index), label.name) for index, label in enumerate(classes[1:])]


def _strip_of(typical: TypicalCase, name: str, classes: Sequence[LabelClass]) -> Strip:
    scan, spacing_mm = canonical(typical.image.shown, typical.image.geometry)
    everywhere = {each: canonical(labels, typical.image.geometry)[0] for each, labels in typical.overlays.items()}
    pictures = planes_pictures(
        scan, {name: everywhere[name]}, spacing_mm=spacing_mm, classes=classes, name=typical.case.id,
        placed_by=list(everywhere.values()),
    )  # fmt: skip
    return Strip(name, pictures)


def _by_class(titled: Mapping[str, Sequence[CaseMetrics]], metric: str) -> dict[str, dict[str, Named]]:
    found: dict[str, dict[str, Named]] = {}
    for title, cases in titled.items():
        ids = [case.id for case in cases]
        for index, label in enumerate(cases[0].classes if cases else ()):
            values = [case.classes[index].number(metric) for case in cases]
            found.setdefault(label.name, {})[title] = Named(ids, values)
    return found


def _classes(materials: Materials) -> list[str]:
    return [label.name for label in materials.data.plan.data.classes[1:]]
