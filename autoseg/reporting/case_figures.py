"""The figures of the report: what goes into each. How they look is `reporting`'s."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.catalogue import NETWORKS, Architecture
from autoseg.data.dataset import Case, Dataset
from autoseg.data.image import Image, read_image, read_labels
from autoseg.errors import WorkspaceError
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import compare
from autoseg.events import Events
from autoseg.inference.quality import Quality
from autoseg.model.attention_maps import attention_maps
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import choose_compute
from autoseg.networks.blocks import ShowsAttention
from autoseg.planning.plan import Plan
from autoseg.postprocessing import held_out
from autoseg.preprocessing.case import Prepared, apply, apply_to_labels
from autoseg.reporting.attention import draw_attention
from autoseg.reporting.case_image import draw_case
from autoseg.reporting.cohort import CohortSlice, draw_cohort
from autoseg.reporting.figures import draw_agreement, draw_bars, draw_curves
from autoseg.runs.inventory import FinishedModel
from autoseg.training.history import read_history
from autoseg.training.loop import HISTORY_FILE
from autoseg.training.validation import fullest_slice

SUFFIXES: Final = ("png", "svg")
MOST_CASES: Final = 20
"""More scans than this do not fit a page; evenly chosen ones are shown. Source: four rows of five."""

_BARS: Final = {
    "figure_2_dice": ("dice", "Dice"),
    "figure_2_hausdorff": ("hausdorff_mm", "Hausdorff distance (mm)"),
}

Models = Mapping[Architecture, Sequence[FinishedModel]]
Scores = Mapping[Architecture, Sequence[CaseMetrics]]


def draw_data(dataset: Dataset, plan: Plan, folder: Path, *, events: Events) -> list[Path]:
    """Figure 1: of every scan the slice with the most foreground, as the networks see it."""
    chosen = _evenly(dataset.cases, MOST_CASES)
    slices = []
    with events.track("drawing the data set", total=len(chosen), unit="scans") as progress:
        for case in chosen:
            slices.append(_cohort_slice(case, plan))
            progress.advance()
    return _in_both_formats(folder / "figure_1_data", partial(draw_cohort, slices, classes=plan.data.classes))


def draw_scores(scores: Scores, folder: Path, *, suffix: str) -> list[Path]:
    """Figure 2: Dice and Hausdorff distance by class and network."""
    written = []
    for name, (metric, label) in _BARS.items():
        tables = {NETWORKS[network].title: _by_class(cases, metric) for network, cases in scores.items()}
        written += _in_both_formats(folder / f"{name}{suffix}", partial(draw_bars, tables, label=label))
    return written


def draw_learning(models: Sequence[FinishedModel], folder: Path) -> list[Path]:
    """Figure 3: for every fold, the curves of all networks together."""
    written = []
    for fold in sorted({model.fold for model in models}):
        folders = {model.architecture: model.folder for model in models if model.fold == fold}
        runs = {NETWORKS[name].title: read_history(folders[name] / HISTORY_FILE) for name in NETWORKS if name in folders}
        written += _in_both_formats(folder / f"figure_3_curves_fold_{fold}", partial(draw_curves, runs))
    return written


def draw_example(models: Models, scores: Scores, dataset: Dataset, plan: Plan, folder: Path, *, suffix: str) -> list[Path]:
    """Figure 4: the median case in three planes, every network's prediction above the reference."""
    case = _case(dataset, _middle_case(scores))
    values = [label.value for label in plan.data.classes]
    overlays: dict[str, NDArray[np.integer[Any]]] = {}
    for network, folds in models.items():
        for model in folds:
            path = held_out.label_map_file(model.folder, case.id)
            if path.exists():
                overlays[NETWORKS[network].title] = read_labels(path, values=values).array
    if case.label is not None:
        overlays[f"reference ({case.id})"] = read_labels(case.label, values=values).array
    image = _image(case, plan)
    draw = partial(draw_case, image=image, overlays=overlays, classes=plan.data.classes)
    return _in_both_formats(folder / f"figure_4_planes{suffix}", draw)


def draw_calibration(quality: Quality, folder: Path) -> list[Path]:
    """How well the Dice predicted for left-out cases agrees with the Dice they reached; nothing for fewer than two cases."""
    points: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for point in quality.points:
        if point.predicted is not None:
            points[point.name].append((point.predicted, point.reached))
    return _in_both_formats(folder / "calibration", partial(draw_agreement, points)) if points else []


def draw_gates(models: Models, dataset: Dataset, folder: Path) -> list[Path]:
    """Attention coefficients over a held-out slice, for every model whose network has gates."""
    written = []
    for model in (model for folds in models.values() for model in folds):
        bundle = load_bundle(model.folder)
        if not isinstance(bundle.network, ShowsAttention):
            continue
        plan = bundle.document.plan
        case = _case(dataset, bundle.document.provenance.validation_cases[0])
        prepared, labels = _prepare(case, plan)
        index = _fullest(prepared, labels)
        compute = choose_compute("cpu", "float32")
        maps = attention_maps(bundle.network, prepared.array, index, neighbours=plan.network.neighbours, compute=compute)
        _, rows_mm, columns_mm = prepared.footprint.spacing_mm
        title = f"{NETWORKS[model.architecture].title}, fold {model.fold}: {case.id}, slice {index + 1}"
        draw = partial(draw_attention, prepared.array[0, index], maps, (rows_mm, columns_mm), title=title)
        of = "" if model.architecture == "attention" else f"{model.architecture}_"
        written += _in_both_formats(folder / f"attention_{of}fold_{model.fold}", draw)
    return written


def _in_both_formats(stem: Path, draw: Callable[[Path], None]) -> list[Path]:
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in SUFFIXES]
    for path in paths:
        draw(path)
    return paths


def _by_class(cases: Sequence[CaseMetrics], metric: str) -> Mapping[str, Sequence[float]]:
    values: defaultdict[str, list[float]] = defaultdict(list)
    for case in cases:
        for scores in case.classes:
            values[scores.name].append(getattr(scores, metric))
    return values


def _evenly(cases: Sequence[Case], most: int) -> list[Case]:
    if len(cases) <= most:
        return list(cases)
    return [cases[round(index * (len(cases) - 1) / (most - 1))] for index in range(most)]


def _case(dataset: Dataset, case_id: str) -> Case:
    for case in dataset.cases:
        if case.id == case_id:
            return case
    raise WorkspaceError(
        f"{case_id} was held out by a model, but is not in the data set any more",
        where=dataset.root,
        remedy="Plan the data set as it was, or train that model again with --restart.",
    )


def _middle_case(scores: Scores) -> str:
    """The case with the median Dice among those that most networks were scored on."""
    columns = compare({str(network): cases for network, cases in scores.items()}, metric="dice").columns
    found = {case for column in columns for case in column.cells}
    values = {case: [column.cells[case].value for column in columns if case in column.cells] for case in found}
    most = max(len(of_case) for of_case in values.values())
    shared = {case: float(np.nan_to_num(np.mean(of_case))) for case, of_case in values.items() if len(of_case) == most}
    ranking = sorted(shared, key=lambda case: (shared[case], case))
    return ranking[len(ranking) // 2]


def _cohort_slice(case: Case, plan: Plan) -> CohortSlice:
    prepared, labels = _prepare(case, plan)
    index = _fullest(prepared, labels)
    across_mm, rows_mm, columns_mm = prepared.footprint.spacing_mm
    note = "" if case.subset == "training" else f" ({case.subset})"
    return CohortSlice(
        title=f"{case.id}{note}\n{rows_mm:.3g} x {columns_mm:.3g} x {across_mm:.3g} mm",
        pixels=prepared.array[0, index],
        labels=None if labels is None else labels[index],
        spacing_mm=(rows_mm, columns_mm),
    )


def _prepare(case: Case, plan: Plan) -> tuple[Prepared, NDArray[np.uint16] | None]:
    """A case as the networks see it, with its label values on the same slices."""
    prepared = apply(_image(case, plan), plan.preprocessing)
    if case.label is None:
        return prepared, None
    reference = read_labels(case.label, values=[label.value for label in plan.data.classes])
    return prepared, apply_to_labels(reference.array, prepared.footprint)


def _fullest(prepared: Prepared, labels: NDArray[np.uint16] | None) -> int:
    """The slice with the most foreground; without a reference, with the most voxels above the darkest."""
    return fullest_slice(prepared.array[0] > prepared.array[0].min() if labels is None else labels)


def _image(case: Case, plan: Plan) -> Image:
    return read_image(case.images, channels=len(plan.data.channels), not_finite=plan.preprocessing.not_finite)
