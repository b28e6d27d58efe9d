"""Every figure of the report as files for papers, numbered as in the paper."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.evaluation.comparison import values_by_class
from autoseg.metrics.table import METRICS
from autoseg.reporting.attention import draw_attention
from autoseg.reporting.case_image import draw_case
from autoseg.reporting.cohort import draw_cohort
from autoseg.reporting.figures import draw_agreement, draw_bars, draw_curves
from autoseg.reporting.materials import Materials
from autoseg.reporting.subject import described

_SUFFIXES: Final = ("png", "svg")

Drawing = tuple[str, Callable[[Path], None]]
"""The end of a figure's name, and what draws it into a file."""


def write_figures(materials: Materials, folder: Path) -> list[Path]:
    """Draw every figure there is something for, in every format.

    Raises:
        WorkspaceError: a case that a model held out is not in the data set any more.
    """
    written = []
    for stem, drawings in FIGURES.items():
        for ending, draw in drawings(materials):
            for suffix in _SUFFIXES:
                path = folder / f"{stem}{ending}.{suffix}"
                draw(path)
                written.append(path)
    return written


def _cohort(materials: Materials) -> Iterator[Drawing]:
    yield "", partial(draw_cohort, materials.cohort, classes=materials.data.plan.data.classes)


def _bars(materials: Materials, *, metric: str) -> Iterator[Drawing]:
    """What was selected stands last, so that networks have the colours of their curves."""
    for group in materials.data.groups:
        scores, names = materials.data.compared(group), described(materials.data, group)
        titles = sorted(scores, key=materials.networks.index)
        by_class = {f"{title}: {names[title]}": values_by_class(scores[title], metric) for title in titles}
        yield group.suffix, partial(draw_bars, by_class, label=METRICS[metric].label, named=True)


def _curves(materials: Materials) -> Iterator[Drawing]:
    for fold, runs in materials.histories.items():
        yield f"_fold_{fold}", partial(draw_curves, runs)


def _planes(materials: Materials) -> Iterator[Drawing]:
    """The median case, the selection's and every network's prediction above the reference."""
    classes = materials.data.plan.data.classes
    for typical in materials.typical:
        yield typical.suffix, partial(draw_case, image=typical.image, overlays=typical.overlays, classes=classes)


def _attention(materials: Materials) -> Iterator[Drawing]:
    for shown in materials.attention:
        yield shown.ending, partial(draw_attention, shown.pixels, shown.maps, shown.spacing_mm, title=shown.title)


def _calibration(materials: Materials) -> Iterator[Drawing]:
    if points := materials.calibration:
        yield "", partial(draw_agreement, points)


FIGURES: Final[Mapping[str, Callable[[Materials], Iterator[Drawing]]]] = {
    "figure_1_data": _cohort,
    "figure_2_dice": partial(_bars, metric="dice"),
    "figure_2_hausdorff": partial(_bars, metric="hausdorff_mm"),
    "figure_3_curves": _curves,
    "figure_4_planes": _planes,
    "attention": _attention,
    "calibration": _calibration,
}
"""What is drawn, one for each fold or split, by the beginning of the files' names, in the order in which they are made."""
