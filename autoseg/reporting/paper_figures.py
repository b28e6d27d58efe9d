"""Every figure of the report, numbered as in the paper: what goes into it, what it shows, and how to judge it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from autoseg.data import places
from autoseg.data.dataset import Case
from autoseg.evaluation.comparison import compare, values_by_class
from autoseg.evaluation.typical import median_case
from autoseg.events import Events
from autoseg.metrics.table import METRICS
from autoseg.model.attention_maps import attention_maps
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import choose_compute
from autoseg.model.padding import Padding
from autoseg.networks.blocks import ShowsAttention
from autoseg.planning.sections import View
from autoseg.postprocessing import held_out
from autoseg.preprocessing.case import Prepared, apply
from autoseg.preprocessing.footprint import apply_to_labels
from autoseg.reporting.attention import draw_attention
from autoseg.reporting.case_image import draw_case
from autoseg.reporting.cohort import CohortSlice, draw_cohort
from autoseg.reporting.data import ReportData, ScoredModels
from autoseg.reporting.figures import draw_agreement, draw_bars, draw_curves
from autoseg.reporting.page import Block, Figure
from autoseg.runs.inventory import by_network
from autoseg.runs.moved_data import listing
from autoseg.training.history import HISTORY_FILE, read_history
from autoseg.training.validation import fullest_slice

_SUFFIXES: Final = ("png", "svg")
_MAX_SCANS: Final = 20
"""More scans than this do not fit a page; evenly chosen ones are shown. Source: four rows of five."""

Drawing = tuple[str, Callable[[Path], None]]
"""The end of a figure's name, and what draws it into a file."""


@dataclass(frozen=True)
class FigureEntry:
    """A figure of the report, or one for each fold or split.

    Attributes:
        drawings: what is drawn from report data.
        page: how the page shows it; files are written in both formats.
        shows: a sentence: what it shows.
        judge: a sentence: what good and bad look like, and what to do then.
    """

    drawings: Callable[[ReportData, Events], Iterator[Drawing]]
    page: Literal["svg", "png"]
    shows: str
    judge: str


def write_figures(data: ReportData, folder: Path, events: Events) -> list[Path]:
    """Draw every figure there is something for, in every format.

    Raises:
        WorkspaceError: a case that a model held out is not in the data set any more.
    """
    written = []
    for stem, entry in FIGURES.items():
        for ending, draw in entry.drawings(data, events):
            for suffix in _SUFFIXES:
                path = folder / f"{stem}{ending}.{suffix}"
                draw(path)
                written.append(path)
    return written


def files_in(folder: Path) -> Iterator[Path]:
    """Every figure in a folder that this or an earlier report wrote."""
    return (path for stem in FIGURES for suffix in _SUFFIXES for path in folder.glob(f"{stem}*.{suffix}"))


def blocks_of(written: Sequence[Path], stem: str) -> list[Block]:
    """A figure as the page shows it, once for each fold or split; nothing where it was not written."""
    entry = FIGURES[stem]
    paths = sorted(path for path in written if path.name.startswith(stem) and path.suffix == f".{entry.page}")
    blocks: list[Block] = []
    for path in paths:
        shows = f"{_title(path.stem)}. {entry.shows}"
        blocks.append(Figure(path.read_bytes(), entry.page, alt=shows, shows=shows, judge=entry.judge))
    return blocks


def _cohort(data: ReportData, events: Events) -> Iterator[Drawing]:
    """Of every scan the slice with the most foreground, as the networks see it."""
    if gone := places.absent(data.dataset.cases):
        events.warn(f"not there any more and left out of the picture of the data set: {listing([case.id for case in gone])}")
    chosen = _evenly([case for case in data.dataset.cases if case not in gone], _MAX_SCANS)
    slices = []
    with events.track("drawing the data set", total=len(chosen), unit="scans") as progress:
        for case in chosen:
            slices.append(_cohort_slice(data, case))
            progress.advance()
    yield "", partial(draw_cohort, slices, classes=data.plan.data.classes)


def _bars(data: ReportData, _: Events, *, metric: str) -> Iterator[Drawing]:
    for group in data.groups:
        by_class = {title: values_by_class(cases, metric) for title, cases in group.titled.items()}
        yield group.suffix, partial(draw_bars, by_class, label=METRICS[metric].label)


def _curves(data: ReportData, _: Events) -> Iterator[Drawing]:
    """For every fold, the curves of all networks together."""
    models = [run.model for run in data.runs]
    for fold in sorted({model.fold for model in models}):
        networks = by_network([model for model in models if model.fold == fold])
        runs = {network.title: read_history(found[0].folder / HISTORY_FILE) for network, found in networks.items()}
        yield f"_fold_{fold}", partial(draw_curves, runs)


def _planes(data: ReportData, _: Events) -> Iterator[Drawing]:
    """The median case, every network's prediction above the reference."""
    for group in data.groups:
        case = data.case(_median_case(group))
        image = data.image(case)
        overlays: dict[str, NDArray[np.integer[Any]]] = {}
        for network, models in group.models.items():
            for model in models:
                path = held_out.label_map_file(model.folder, case.id)
                if path.exists():
                    overlays[network.title] = data.labels(path, case, image)
        if case.label is not None:
            overlays[f"reference ({case.id})"] = data.labels(case.label, case, image)
        yield group.suffix, partial(draw_case, image=image, overlays=overlays, classes=data.plan.data.classes)


def _attention(data: ReportData, _: Events) -> Iterator[Drawing]:
    """Attention coefficients over a held-out slice, for every scored model whose network has gates."""
    runs = {run.model: run for run in data.runs}
    for model in (model for group in data.groups for models in group.models.values() for model in models):
        bundle = load_bundle(model.folder)
        if not isinstance(bundle.network, ShowsAttention):
            continue
        case = data.case(bundle.document.provenance.validation_cases[0])
        compute = choose_compute("cpu", "float32")
        views = bundle.document.seen.views
        for view in views:
            prepared, labels = _prepare(data, case, view)
            index = _fullest(prepared, labels)
            padding = Padding.of(data.plan, prepared.footprint.pad_value)
            maps = attention_maps(bundle.network, prepared.array, index, view=view, padding=padding, compute=compute)
            spacing_mm = prepared.footprint.spacing_mm[1:]
            plane = f"{view.plane} " if len(views) > 1 else ""
            title = f"{runs[model].title}: {case.id}, {plane}slice {index + 1}"
            network = "" if model.architecture == "attention" else f"_{model.architecture}"
            yield (
                f"{network}_{model.id.place_stem}" + (f"_{view.plane}" if plane else ""),
                partial(draw_attention, prepared.array[0, index], maps, spacing_mm, title=title),
            )


def _calibration(data: ReportData, _: Events) -> Iterator[Drawing]:
    """Dice predicted for left-out cases against the Dice they reached; nothing for fewer than two cases."""
    points: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in () if data.selection is None else data.selection.quality.points:
        if point.predicted is not None:
            points[point.name].append((point.predicted, point.reached))
    if points:
        yield "", partial(draw_agreement, points)


FIGURES: Final[Mapping[str, FigureEntry]] = {
    "figure_1_data": FigureEntry(
        _cohort,
        "png",
        shows="Every scan's slice with the most foreground and its reference, as the networks see it.",
        judge="Colours should follow the borders you see, and all scans should lie the same way up; where one does not, fix "
        "that file and plan again.",
    ),
    "figure_2_dice": FigureEntry(
        partial(_bars, metric="dice"),
        "svg",
        shows="Dice by class and network: mean, standard deviation, and every held-out case as a dot.",
        judge="Higher is better, 1 is perfect; a dot far below the others is a case to look at below.",
    ),
    "figure_2_hausdorff": FigureEntry(
        partial(_bars, metric="hausdorff_mm"),
        "svg",
        shows="The Hausdorff distance by class and network, in mm, in the same way.",
        judge="Lower is better; one stray voxel decides it, so that large values beside a good Dice mean islands, which "
        "autoseg select may remove.",
    ),
    "figure_3_curves": FigureEntry(
        _curves,
        "svg",
        shows="Loss and Dice over the epochs of all networks on this fold, in training and on held-out cases.",
        judge="Curves should flatten out together; training that improves while validation worsens means learning by heart "
        "(more data or stronger augmentation), curves still improving at the end ask for more minutes.",
    ),
    "figure_4_planes": FigureEntry(
        _planes,
        "png",
        shows="A typical held-out case in three planes, every network's label map above the reference.",
        judge="Rows should be hard to tell apart; what differs in all networks is a matter of the data, what differs in one "
        "of that network.",
    ),
    "attention": FigureEntry(
        _attention,
        "png",
        shows="Where the gates of the Attention U-Net look on a held-out slice, from fine to coarse.",
        judge="Gates should light up on the tissues and their borders; even grey everywhere means that they have learnt "
        "nothing.",
    ),
    "calibration": FigureEntry(
        _calibration,
        "svg",
        shows="For every class of every held-out case, the Dice predicted without that case against the Dice it reached.",
        judge="Dots near the line mean that predict --uncertainty can be believed; a flat cloud means that it knows the "
        "average only.",
    ),
}
"""By the beginning of their files' names, in the order in which they are written."""


def _title(stem: str) -> str:
    """`figure_3_curves_fold_0` as "Figure 3, fold 0"."""
    words = stem.split("_")
    name = " ".join(words[:2]) if words[0] == "figure" else words[0]
    rest = [word for word in words[2 if words[0] == "figure" else 1 :] if word not in {"data", "curves", "planes"}]
    return ", ".join([name.capitalize(), *([" ".join(rest)] if rest else [])])


def _evenly(cases: Sequence[Case], count: int) -> list[Case]:
    if len(cases) <= count:
        return list(cases)
    return [cases[round(index * (len(cases) - 1) / (count - 1))] for index in range(count)]


def _median_case(group: ScoredModels) -> str:
    """The case with the median Dice among those that most networks were scored on."""
    columns = compare(group.titled, metric="dice").columns
    found = {case for column in columns for case in column.cells}
    values = {case: [column.cells[case].value for column in columns if case in column.cells] for case in found}
    most = max(len(of_case) for of_case in values.values())
    shared = {case: float(np.mean(of_case)) for case, of_case in values.items() if len(of_case) == most}
    return median_case(shared) or min(shared)


def _cohort_slice(data: ReportData, case: Case) -> CohortSlice:
    prepared, labels = _prepare(data, case, data.plan.views[0])
    index = _fullest(prepared, labels)
    across_mm, rows_mm, columns_mm = prepared.footprint.spacing_mm
    subset = "" if case.subset == "training" else f" ({case.subset})"
    return CohortSlice(
        title=f"{case.id}{subset}\n{rows_mm:.3g} x {columns_mm:.3g} x {across_mm:.3g} mm",
        pixels=prepared.array[0, index],
        labels=None if labels is None else labels[index],
        spacing_mm=(rows_mm, columns_mm),
    )


def _prepare(data: ReportData, case: Case, view: View) -> tuple[Prepared, NDArray[np.uint16] | None]:
    """A case as the networks see it in one view, with its label values on the same slices."""
    image = data.image(case)
    prepared = apply(image, data.plan.preprocessing, view=view)
    if case.label is None:
        return prepared, None
    return prepared, apply_to_labels(data.labels(case.label, case, image), prepared.footprint)


def _fullest(prepared: Prepared, labels: NDArray[np.uint16] | None) -> int:
    """The slice with the most foreground; without a reference, with the most voxels above the darkest."""
    return fullest_slice(prepared.array[0] > prepared.array[0].min() if labels is None else labels)
