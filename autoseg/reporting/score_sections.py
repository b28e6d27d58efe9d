"""The sections of the report's page that judge: scores, cases to look at, selection."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from autoseg.data.dataset import Case, LabelClass
from autoseg.evaluation.comparison import Comparison, compare
from autoseg.evaluation.formatting import bounds, change, interval, listing, number
from autoseg.evaluation.statistics import INTERVAL_METHOD, mean_interval
from autoseg.evaluation.typical import typical_cases
from autoseg.inference.quality import LOW_DICE, ClassQuality
from autoseg.inference.shift import describe as describe_shift
from autoseg.inference.steps import describe
from autoseg.metrics.table import METRICS, shown_metrics
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.selection import Candidate, Selection, TriedShift, TriedStep
from autoseg.preprocessing.case import canonical
from autoseg.reporting.data import ReportData
from autoseg.reporting.page import MOST_ROWS, Block, Section, Table, Text, Viewer
from autoseg.reporting.tables import MISSING, decimals, row_of
from autoseg.reporting.viewer import MAX_CLASSES, encode

Figures = Callable[[str], list[Block]]
"""Gives a figure of the report by the beginning of its files' names."""


def scores_section(data: ReportData, figures: Figures) -> Section:
    """The paper's tables 3 and 4 with intervals, scores by class, and bars."""
    if not data.groups:
        return Section("scores", "Scores", "", [])
    return Section(
        "scores",
        "Scores",
        f"Means over the classes; {data.main.cases}. The best of each row in bold. "
        f"95 % intervals over cases: {INTERVAL_METHOD}.",
        [
            *(_score_table(data, metric, _caption(metric)) for metric in shown_metrics()),
            _class_table(data),
            *figures("figure_2_dice"),
            *figures("figure_2_hausdorff"),
        ],
    )


def cases_section(data: ReportData, figures: Figures) -> Section:
    """The best, the median and the worst case, to leaf through."""
    name, cases = data.best
    dice = dict(zip((case.id for case in cases), case_means(cases, "dice") if cases else [], strict=True))
    chosen = typical_cases(dice)
    if not chosen:
        return Section("cases", "Cases", "", [])
    words = listing([f"the {word}" for word in chosen])
    by_id = {case.id: case for case in data.dataset.cases}
    viewers = [
        _viewer(data, by_id[case], title=f"{word.capitalize()} case: {case}, mean Dice {dice[case]:.3f}")
        for word, case in chosen.items()
        if case in by_id and len(data.plan.data.classes) <= MAX_CLASSES + 1
    ]
    return Section(
        "cases",
        "Cases",
        f"{_capitalised(words)} held-out case of {name}, by mean Dice. Move a slider or click into a plane.",
        [*viewers, *figures("figure_4_planes")],
    )


def selection_section(data: ReportData, figures: Figures) -> Section:
    """Which networks predict together, which postprocessing helps, and how good results probably are."""
    selection = data.selection
    if selection is None:
        return Section("selection", "Selection and postprocessing", "", [])
    kept = "; ".join(in_words(selection, data.plan.data.classes)) or "none"
    views = f", through slices of these planes alone: {', '.join(selection.views)}" if selection.views else ""
    shift = describe_shift(selection.log_shift, [label.name for label in data.plan.data.classes])
    models = ", ".join(model.id.folder for model in selection.models)
    edited = ["It was edited by hand since: the scores are those of what had been decided."] if selection.edited else []
    tried: list[TriedStep | TriedShift] = [*([] if selection.shift is None else [selection.shift]), *selection.tried]
    reasons = [f"{_capitalised(reason)}." for reason in selection.reasons]
    return Section(
        "selection",
        "Selection and postprocessing",
        f"What predicts: {models}{views}. Prior shifted: {shift}. Postprocessing: {kept}.",
        [
            Text([*edited, *reasons]),
            Table(
                f"Networks and combinations on {len(selection.compared_cases)} held-out case(s)",
                ["networks", "Dice (95 % interval)", "HD in mm (95 % interval)", "difference in Dice", "p"],
                [_candidate_row(candidate) for candidate in selection.candidates],
            ),
            Table(
                "The shift of the prior and postprocessing steps, each tried on top of those kept before it",
                ["step", "verdict", "change of Dice", "change of HD (mm)", "why"],
                [_trial_row(trial) for trial in tried],
                words=True,
            ),
            Table(
                "Change of Dice by class",
                ["step", *(label.name for label in selection.score.classes)],
                [_class_row(trial) for trial in tried],
                folded=True,
            ),
            Table(
                f"Predicted Dice: what {selection.quality.basis} expect of themselves, translated; a scan is marked "
                f"where it is under {LOW_DICE:g} or clearly below the lowest",
                ["class", "predicted Dice", "mean error of left-out cases", "lowest held-out Dice"],
                [_quality_row(entry) for entry in selection.quality.classes],
            ),
            *figures("calibration"),
        ],
    )


def in_words(selection: Selection, classes: Sequence[LabelClass]) -> list[str]:
    """The postprocessing of a selection, step by step."""
    return [describe(step, classes) for step in selection.postprocessing]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _caption(metric: str) -> str:
    number = {"dice": "Table 3: mean", "hausdorff_mm": "Table 4: mean"}.get(metric, "Mean")
    return f"{number} {METRICS[metric].label} by network and case"


def _score_table(data: ReportData, metric: str, caption: str) -> Table:
    comparison = compare(data.main.titled, metric=metric)
    digits = decimals(metric)
    rows: list[list[str]] = []
    strong: set[tuple[int, int]] = set()
    shown = worst(comparison, most=MOST_ROWS)
    for case in shown:
        texts, reasons, best = row_of(comparison, case)
        strong |= {(len(rows), index + 1) for index in best}
        rows.append([case, *(text + reason for text, reason in zip(texts, reasons, strict=True))])
    means = [mean_interval([cell.value for cell in column.cells.values()], metric=metric) for column in comparison.columns]
    rows.append(["Mean", *(number(mean.mean, digits) for mean in means)])
    rows.append(["95 % interval", *(bounds(mean, digits) or MISSING for mean in means)])
    if len(shown) < len(comparison.cases):
        caption += f"; the {len(shown)} worst of {len(comparison.cases):,} cases, all of which are in report/tables"
    if not comparison.complete:
        caption += "; not all have a value for the same cases and classes, so that their means cannot be compared"
    return Table(caption, ["case", *(column.network for column in comparison.columns)], rows, frozenset(strong))


def worst(comparison: Comparison, *, most: int) -> tuple[str, ...]:
    """All cases where there are few, else those with the worst mean over networks, in order of their ids."""
    if len(comparison.cases) <= most:
        return comparison.cases

    def badness(case: str) -> tuple[float, str]:
        values = [column.cells[case].value for column in comparison.columns if case in column.cells]
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return -math.inf, case
        lower_is_better = METRICS[comparison.metric].best([0.0, 1.0]) == 0.0
        return (-fmean(known) if lower_is_better else fmean(known)), case

    return tuple(sorted(sorted(comparison.cases, key=badness)[:most]))


def _class_table(data: ReportData) -> Table:
    rows = []
    for title, cases in data.main.titled.items():
        for index, label in enumerate(cases[0].classes):
            dice = mean_interval([case.classes[index].dice for case in cases], metric="dice")
            distance = mean_interval([case.classes[index].hausdorff_mm for case in cases], metric="hausdorff_mm")
            rows.append([f"{title}: {label.name}", interval(dice, 3), interval(distance, 1), str(dice.cases)])
    return Table("By class", ["network and class", "Dice (95 % interval)", "HD in mm (95 % interval)", "cases"], rows)


def _viewer(data: ReportData, case: Case, *, title: str) -> Viewer:
    classes = data.plan.data.classes
    image = data.image(case)
    overlays = {"prediction": data.labels(data.prediction_file(case.id), case, image)}
    if case.label is not None:
        overlays["reference"] = data.labels(case.label, case, image)
    scan, spacing_mm = canonical(image.shown, image.geometry)
    oriented = {name: canonical(labels, image.geometry)[0] for name, labels in overlays.items()}
    return Viewer(
        title=title,
        view=encode(scan, oriented, spacing_mm=spacing_mm, classes=classes),
        shows="The scan with its predicted label map (filled) and its reference (outlined), in three planes.",
        judge="Fill and outline should meet everywhere; tick “only where they differ” and look for whole structures "
        "rather than thin rims, which are a matter of half a voxel.",
    )


def _candidate_row(candidate: Candidate) -> list[str]:
    difference = "best" if candidate.difference is None else interval(candidate.difference, 4)
    p = "" if candidate.p is None else f"{candidate.p:.3f}"
    score = candidate.score
    return [candidate.title, interval(score.dice, 4), interval(score.hausdorff_mm, 2), difference, p]


def _trial_row(trial: TriedStep | TriedShift) -> list[str]:
    before, after = trial.before, trial.after
    verdict = "kept" if trial.kept else "not kept"
    gains = [change(before.dice.mean, after.dice.mean, 5), change(before.hausdorff_mm.mean, after.hausdorff_mm.mean, 2)]
    return [_phrase(trial), verdict, *gains, trial.reason]


def _class_row(trial: TriedStep | TriedShift) -> list[str]:
    pairs = zip(trial.before.classes, trial.after.classes, strict=True)
    return [_phrase(trial), *(change(before.dice.mean, after.dice.mean, 5) for before, after in pairs)]


def _phrase(trial: TriedStep | TriedShift) -> str:
    return f"prior: {trial.phrase}" if isinstance(trial, TriedShift) else trial.phrase


def _quality_row(entry: ClassQuality) -> list[str]:
    error = MISSING if entry.error is None else f"{entry.error:.4f}"
    return [entry.name, f"{entry.intercept:.3f} + {entry.slope:.3f} x expected", error, f"{entry.lowest:.3f}"]
