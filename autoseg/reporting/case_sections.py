"""The parts of the page that show single cases: the best and the worst at a glance, all to sort, filter and look at."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.data.dataset import Case
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import class_mean, merit
from autoseg.evaluation.formatting import number
from autoseg.evaluation.typical import Word, typical_cases
from autoseg.metrics.table import METRICS
from autoseg.postprocessing.scoring import case_means
from autoseg.preprocessing.case import canonical
from autoseg.reporting.blocks import MOST_ROWS, Block, Pictures, Strip, Table, Viewer
from autoseg.reporting.data import ReportData
from autoseg.reporting.figure_blocks import class_legend, scored_metrics, typical_blocks
from autoseg.reporting.materials import Materials
from autoseg.reporting.page import Section
from autoseg.reporting.pictures import planes_pictures
from autoseg.reporting.subject import subject_of
from autoseg.reporting.viewer import MAX_CLASSES, VolumeView, encode

MOST_SCANS: Final = 24
"""Scans that travel inside the page. Source: chosen; those that somebody may want to look at are the best and the worst."""

MOST_BYTES: Final = 12_000_000
"""Of all these scans together, as they stand in the page; the first three are there in any case. Source: chosen, so that a
page can be sent by mail; of IBSR18 about a dozen scans."""

_ALWAYS: Final = 3

VIEWER: Final = "scans"

_MOST_CLASSES: Final = 6
"""Of more classes, the table of cases shows the lowest Dice instead of each."""


@dataclass(frozen=True)
class _Scan:
    """A held-out case as it is shown.

    Attributes:
        pixels: intensities, (Z, Y, X), indices growing towards inferior, posterior and left.
        overlays: what was predicted, and the reference where there is one, on the same grid.
        spacing_mm: along (Z, Y, X), in mm.
    """

    pixels: NDArray[np.number[Any]]
    overlays: Mapping[str, NDArray[np.integer[Any]]]
    spacing_mm: tuple[float, float, float]


def best_and_worst(data: ReportData) -> list[Block]:
    """The best and the worst held-out case in three planes; of one case that."""
    dice, classes = mean_dice(data), data.plan.data.classes
    strips = []
    for word, case_id in typical_cases(dice).items():
        if word == "median":
            continue
        case = data.case(case_id)
        scan = _scan(data, case)
        pictures = planes_pictures(scan.pixels, scan.overlays, spacing_mm=scan.spacing_mm, classes=classes, name=case_id)
        strips.append(Strip(f"{word.capitalize()} case: {case_id}, mean Dice {dice[case_id]:.3f}", pictures))
    if not strips:
        return []
    return [
        Pictures(
            strips,
            class_legend(classes),
            shows=f"Filled: what {subject_of(data).short} predicted. Outlined: the reference.",
            judge="Fill and outline should meet. Thin rims are a matter of half a voxel, whole structures are not.",
        )
    ]


def cases_section(data: ReportData, materials: Materials) -> Section:
    """Every held-out case in a table, some to leaf through, and the median one by every network."""
    subject = subject_of(data)
    dice = mean_dice(data)
    if not dice:
        return Section("cases", "Cases", "", [])
    views = dict(_views(data, dice)) if len(data.plan.data.classes) <= MAX_CLASSES + 1 else {}
    blocks: list[Block] = [_case_table(subject.cases, views, title=subject.short)]
    if views:
        blocks.append(_viewer(data, dice, views))
    return Section(
        "cases",
        "Cases",
        f"Every held-out case of {subject.title}. Sort by a column, filter by a part of a name; a case that is a link can "
        "be looked at below.",
        [*blocks, *typical_blocks(materials)],
    )


def mean_dice(data: ReportData) -> dict[str, float]:
    """Of what is best, each case's mean Dice, best first; without those that have none or are gone from the data."""
    cases = subject_of(data).cases
    known = {case.id for case in data.dataset.cases}
    means = zip(cases, case_means(cases, "dice") if cases else [], strict=True)
    found = {case.id: dice for case, dice in means if case.id in known and not math.isnan(dice)}
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def in_order_of_interest(dice: Mapping[str, float]) -> list[str]:
    """Cases as somebody wants to see them: the worst, the best, the median, then from the worst upwards.

    Args:
        dice: by case, best first.
    """
    words: Sequence[Word] = ("only", "worst", "best", "median")
    typical = typical_cases(dice)
    return list(dict.fromkeys([*(typical[word] for word in words if word in typical), *reversed(list(dice))]))


def _case_table(cases: Sequence[CaseMetrics], views: Mapping[str, VolumeView], *, title: str) -> Table:
    metrics = scored_metrics(cases)
    names = [label.name for label in cases[0].classes]
    single = names if 1 < len(names) <= _MOST_CLASSES else ["lowest class"] if len(names) > 1 else []
    dice = [f"Dice {name}" for name in single]
    others = [metric for metric in metrics if metric != "dice"]
    columns = ["case", "mean Dice", *dice, *(METRICS[metric].heading for metric in others)]
    shown = sorted(cases, key=lambda case: (merit([class_mean(case, "dice")], metric="dice"), case.id))[:MOST_ROWS]
    rows = []
    for case in shown:
        values = [label.dice for label in case.classes]
        of_classes = values if single == names else [min(filter(math.isfinite, values), default=math.nan)]
        rows.append(
            [
                case.id,
                _with_reason(case, "dice"),
                *(number(value, 3) for value in of_classes[: len(single)]),
                *(_with_reason(case, metric) for metric in others),
            ]
        )
    caption = f"Held-out cases of {title}, the worst first; distances are means over the classes"
    if len(shown) < len(cases):
        caption += f". The {len(shown)} worst of {len(cases):,} cases; report/tables has all"
    return Table(caption, columns, rows, sortable=True, shown_in=VIEWER if views else "", shown=frozenset(views))


def _with_reason(case: CaseMetrics, metric: str) -> str:
    """A case's mean over its classes, and which of them are not in it."""
    cell = class_mean(case, metric)
    text = number(cell.value, 3 if metric == "dice" else METRICS[metric].decimals)
    return f"{text} ({cell.reason})" if cell.reason else text


def _viewer(data: ReportData, dice: Mapping[str, float], views: Mapping[str, VolumeView]) -> Viewer:
    words = {case: f" ({word})" for word, case in typical_cases(dice).items()}
    subject = subject_of(data)
    left_out = len(subject.cases) - len(views)
    more = f" {left_out} other cases are not in the page, to keep it small." if left_out else ""
    return Viewer(
        "Scans to leaf through",
        views,
        notes={case: f"mean Dice {dice[case]:.3f}{words.get(case, '')}" for case in views},
        shows=f"A scan with its label map by {subject.short} (filled) and its reference (outlined), in three planes.{more}",
        judge="Fill and outline should meet everywhere; tick “only where they differ” and look for whole structures "
        "rather than thin rims, which are a matter of half a voxel.",
        id=VIEWER,
    )


def _views(data: ReportData, dice: Mapping[str, float]) -> Iterator[tuple[str, VolumeView]]:
    """Scans for the page in the order of interest, as many as it can carry."""
    size = 0
    for place, case in enumerate(in_order_of_interest(dice)[:MOST_SCANS]):
        scan = _scan(data, data.case(case))
        view = encode(scan.pixels, scan.overlays, spacing_mm=scan.spacing_mm, classes=data.plan.data.classes)
        size += view.size
        if size > MOST_BYTES and place >= _ALWAYS:
            return
        yield case, view


def _scan(data: ReportData, case: Case) -> _Scan:
    image = data.image(case)
    overlays = {"prediction": data.labels(data.prediction_file(case.id), case, image)}
    if case.label is not None:
        overlays["reference"] = data.labels(case.label, case, image)
    pixels, spacing_mm = canonical(image.shown, image.geometry)
    oriented = {name: canonical(labels, image.geometry)[0] for name, labels in overlays.items()}
    return _Scan(pixels, oriented, spacing_mm)
