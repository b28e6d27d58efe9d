"""What figures are drawn from, read once: the page shows it, and files for papers show it, too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data import places
from autoseg.data.dataset import Case
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import compare
from autoseg.evaluation.typical import median_case
from autoseg.events import Events
from autoseg.images.image import Image
from autoseg.model.attention_maps import attention_maps
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import choose_compute
from autoseg.model.identity import fold_order
from autoseg.model.padding import Padding
from autoseg.networks.blocks import ShowsAttention
from autoseg.planning.sections import View
from autoseg.postprocessing import held_out
from autoseg.preprocessing.case import Prepared, apply
from autoseg.preprocessing.footprint import apply_to_labels
from autoseg.reporting.cohort import CohortSlice
from autoseg.reporting.data import SELECTED, FinishedRun, ReportData, ScoredModels
from autoseg.reporting.subject import heading_of, short_of
from autoseg.runs.inventory import by_network
from autoseg.training.history import HISTORY_FILE, read_history
from autoseg.training.run_state import run_folder
from autoseg.training.validation import fullest_slice
from autoseg.wording import listing, some

MAX_SCANS: Final = 20
"""More scans than this do not fit a page; evenly chosen ones are shown. Source: four rows of five."""


@dataclass(frozen=True)
class TypicalCase:
    """The median case of some models.

    Attributes:
        suffix: of the files made from these models.
        case: it.
        image: its scan.
        predicted: whose label maps they are, in words.
        overlays: label values (Z, Y, X) of the selection first, then of every network, and of the reference last, by what
            they are.
    """

    suffix: str
    case: Case
    image: Image
    predicted: str
    overlays: Mapping[str, NDArray[np.integer[Any]]]


@dataclass(frozen=True)
class AttentionSlice:
    """Where the gates of a network look on a slice.

    Attributes:
        ending: of the names of its files.
        title: names case, slice and network.
        pixels: intensities, (rows, columns).
        maps: coefficients in [0, 1] of every gate, from full resolution downwards.
        spacing_mm: pixel spacing (rows, columns), in mm.
    """

    ending: str
    title: str
    pixels: NDArray[np.floating[Any]]
    maps: Sequence[NDArray[np.floating[Any]]]
    spacing_mm: tuple[float, float]


class Materials:
    """What is read from scans and label maps, when it is first asked for.

    Args:
        data: what the report is about.
        events: notified of progress, and warned about scans that are gone.
    """

    def __init__(self, data: ReportData, events: Events) -> None:
        self.data = data
        self._events = events

    @cached_property
    def cohort(self) -> Sequence[CohortSlice]:
        """Of every scan the slice with the most foreground, as the networks see it."""
        data, events = self.data, self._events
        if gone := places.absent(data.dataset.cases):
            named = some([case.id for case in gone])
            events.warn(f"not there any more and left out of the picture of the data set: {named}")
        chosen = _evenly([case for case in data.dataset.cases if case not in gone])
        slices = []
        with events.track("drawing the data set", total=len(chosen), unit="scans") as progress:
            for case in chosen:
                slices.append(_cohort_slice(data, case))
                progress.advance()
        return slices

    @cached_property
    def typical(self) -> Sequence[TypicalCase]:
        """The median case of each group of scored models."""
        return [_typical(self.data, group) for group in self.data.groups]

    @cached_property
    def histories(self) -> Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]:
        """By fold, the epochs of every network, by its title, which is the same on all folds of the cross-validation."""
        models = [run.model for run in self.data.runs]
        numbered = by_network([model for model in models if model.id.is_numbered])
        histories: dict[str, dict[str, Sequence[Mapping[str, float]]]] = {}
        for fold in sorted({model.fold for model in models}, key=fold_order):
            of_fold = [model for model in models if model.fold == fold]
            networks = numbered if of_fold[0].id.is_numbered else by_network(of_fold)
            histories[fold] = {
                network.title: read_history(run_folder(model.folder) / HISTORY_FILE)
                for network, found in networks.items()
                for model in found
                if model.fold == fold
            }
        return histories

    @cached_property
    def attention(self) -> Sequence[AttentionSlice]:
        """A held-out slice of every scored model whose network has gates, of every view that it sees."""
        runs = {run.model: run for run in self.data.runs}
        scored = (model for group in self.data.groups for models in group.models.values() for model in models)
        return [shown for model in scored for shown in _attention(self.data, runs[model])]

    @cached_property
    def networks(self) -> Sequence[str]:
        """Titles of all networks, in the order of their colours, which are the same in every figure; the selection last."""
        scored = (title for group in self.data.groups for title in group.titled)
        return list(dict.fromkeys([*scored, *(title for runs in self.histories.values() for title in runs), SELECTED]))

    @cached_property
    def calibration(self) -> Mapping[str, Sequence[tuple[float, float]]]:
        """By class, Dice predicted for left-out cases and the Dice they reached; empty for fewer than two cases."""
        selection = self.data.selection
        points: dict[str, list[tuple[float, float]]] = {label.name: [] for label in self.data.plan.data.classes[1:]}
        for point in () if selection is None else selection.quality.points:
            if point.predicted is not None:
                points.setdefault(point.name, []).append((point.predicted, point.reached))
        return points if any(points.values()) else {}


def _attention(data: ReportData, run: FinishedRun) -> Iterator[AttentionSlice]:
    """Attention coefficients over a held-out slice; nothing where the network has no gates."""
    model, bundle = run.model, load_bundle(run.model.folder)
    if not isinstance(bundle.network, ShowsAttention):
        return
    case = data.case(bundle.document.provenance.validation_cases[0])
    compute = choose_compute("cpu", "float32")
    views = bundle.document.seen.views
    for view in views:
        prepared, labels = prepare(data, case, view)
        index = fullest(prepared, labels)
        padding = Padding.of(data.plan, prepared.footprint.pad_value)
        plane = f"{view.plane} " if len(views) > 1 else ""
        network = "" if model.architecture == "attention" else f"_{model.architecture}"
        _, rows_mm, columns_mm = prepared.footprint.spacing_mm
        yield AttentionSlice(
            ending=f"{network}_{model.id.place_stem}" + (f"_{view.plane}" if plane else ""),
            title=f"{run.title}: {case.id}, {plane}slice {index + 1}",
            pixels=prepared.array[0, index].copy(),  # without the volume that it is a slice of
            maps=attention_maps(bundle.network, prepared.array, index, view=view, padding=padding, compute=compute),
            spacing_mm=(rows_mm, columns_mm),
        )


def prepare(data: ReportData, case: Case, view: View) -> tuple[Prepared, NDArray[np.integer[Any]] | None]:
    """A case as the networks see it in one view, with its label values on the same slices."""
    image = data.image(case)
    prepared = apply(image, data.plan.preprocessing, view=view)
    if case.label is None:
        return prepared, None
    return prepared, apply_to_labels(data.labels(case.label, case, image), prepared.footprint)


def fullest(prepared: Prepared, labels: NDArray[np.integer[Any]] | None) -> int:
    """The slice with the most foreground; without a reference, with the most voxels above the darkest."""
    return fullest_slice(prepared.array[0] > prepared.array[0].min() if labels is None else labels)


def _evenly(cases: Sequence[Case]) -> list[Case]:
    if len(cases) <= MAX_SCANS:
        return list(cases)
    return [cases[round(index * (len(cases) - 1) / (MAX_SCANS - 1))] for index in range(MAX_SCANS)]


def _cohort_slice(data: ReportData, case: Case) -> CohortSlice:
    prepared, labels = prepare(data, case, data.plan.views[0])
    index = fullest(prepared, labels)
    across_mm, rows_mm, columns_mm = prepared.footprint.spacing_mm
    subset = "" if case.subset == "training" else f" ({case.subset})"
    return CohortSlice(
        title=f"{case.id}{subset}\n{rows_mm:.3g} x {columns_mm:.3g} x {across_mm:.3g} mm",
        pixels=prepared.array[0, index],
        labels=None if labels is None else labels[index],
        spacing_mm=(rows_mm, columns_mm),
    )


def _typical(data: ReportData, group: ScoredModels) -> TypicalCase:
    """The median case with the selection's label map, where there is one, and every network's."""
    case = data.case(_median_case(data.compared(group)))
    image = data.image(case)
    overlays: dict[str, NDArray[np.integer[Any]]] = {}
    if any(each.id == case.id for each in data.compared(group).get(SELECTED, ())):
        overlays[SELECTED] = data.labels(data.prediction_file(case.id), case, image)
    for network, models in group.models.items():
        for model in models:
            path = held_out.label_map_file(model.folder, case.id)
            if path.exists():
                overlays[network.title] = data.labels(path, case, image)
    predicted = listing([short_of(data, title) for title in overlays])
    overlays = {heading_of(data, title): labels for title, labels in overlays.items()}
    if case.label is not None:
        overlays[f"reference ({case.id})"] = data.labels(case.label, case, image)
    return TypicalCase(group.suffix, case, image, predicted, overlays)


def _median_case(scores: Mapping[str, Sequence[CaseMetrics]]) -> str:
    """The case with the median Dice among those that were scored in most columns."""
    columns = compare(scores, metric="dice").columns
    found = {case for column in columns for case in column.cells}
    values = {case: [column.cells[case].value for column in columns if case in column.cells] for case in found}
    most = max(len(of_case) for of_case in values.values())
    shared = {case: float(np.mean(of_case)) for case, of_case in values.items() if len(of_case) == most}
    return median_case(shared) or min(shared)
