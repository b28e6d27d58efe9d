"""The sections of the report's page that judge: the verdict, scores, selection."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from autoseg.data.dataset import LabelClass
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import Comparison, compare, merit
from autoseg.evaluation.formatting import bounds, change, interval_column, number
from autoseg.evaluation.statistics import INTERVAL_METHOD, mean_interval
from autoseg.evaluation.tables import METRICS_FILE
from autoseg.inference.quality import LOW_DICE, ClassQuality
from autoseg.inference.shift import describe as describe_shift
from autoseg.inference.steps import describe
from autoseg.metrics.table import METRICS, table_metrics
from autoseg.postprocessing.scoring import with_undefined
from autoseg.postprocessing.selection import EDITED, Selection, TriedShift, TriedStep
from autoseg.reporting.blocks import MOST_ROWS, Block, Judgement, Table, Text, Warnings
from autoseg.reporting.class_tables import differences_table, networks_table, subject_table, volumes_table
from autoseg.reporting.data import ReportData
from autoseg.reporting.figure_blocks import dots_blocks
from autoseg.reporting.page import Section
from autoseg.reporting.palette import CLASSES
from autoseg.reporting.subject import Subject, described, heading_of, in_one, subject_of
from autoseg.reporting.tables import MISSING, decimals, row_of
from autoseg.reporting.verdict import Grade, Verdict
from autoseg.wording import counted, listing

Mark = Literal["good", "doubtful", "poor", "none"]

_MARKS: Final[Mapping[Grade, Mark]] = {
    "good": "good", "fair": "doubtful", "unsure": "doubtful", "poor": "poor", "not found": "poor", "absent": "none",
}  # fmt: skip
"""How a judgement of a class is marked."""


def verdict_section(verdict: Verdict, cards: Sequence[tuple[str, str, str]]) -> Section:
    """The judgement, the numbers that matter most, and what to know before believing them."""
    classes = [
        (CLASSES.variable(index), each.name, number(each.mean, 3), _class_in_words(each.grade, each.unsure, each.cases))
        for index, each in enumerate(verdict.classes)
    ]
    judgement = Judgement(verdict.sentence, classes, _grade(verdict), cards)
    lead = f"Verdict, scores and images at the top are of {verdict.scores_of}." if verdict.scores_of else ""
    return Section("verdict", "Verdict", lead, [judgement, Warnings(verdict.warnings)])


def _grade(verdict: Verdict) -> Mark:
    """The worst mark of any class; good only where the sentence adds no doubt."""
    marks = {_MARKS[each.grade] for each in verdict.classes}
    if "poor" in marks:
        return "poor"
    if "doubtful" in marks or ("good" in marks and ";" in verdict.sentence):
        return "doubtful"
    return "good" if "good" in marks else "none"


def _class_in_words(grade: Grade, unsure: int, cases: int) -> str:
    return f"unsure in {unsure} of {cases}" if grade == "unsure" else grade


def scores_section(data: ReportData, networks: Sequence[str], pictures: Sequence[Block]) -> Section:
    """By class what predicts; then, beside single networks, every case as a dot and the paper's tables 3 and 4.

    Args:
        data: what the report is about.
        networks: titles of all networks and of the selection, in the order of their colours.
        pictures: of the best and the worst case.
    """
    subject = subject_of(data)
    if not subject.cases:
        return Section("scores", "Scores", "", [])
    others = {title: cases for title, cases in data.main.titled.items() if title != subject.name}
    compared = data.compared(data.main)
    headings = {title: heading_of(data, title) for title in compared}
    return Section(
        "scores",
        "Scores",
        f"The first table is of {subject.title}: {data.main.cases}. "
        + (f"Its scores, case by case, are in {_scores_file(data)}. " if data.selection is not None else "")
        + ("Single networks follow for comparison. " if others else "")
        + f"95 % intervals over cases: {INTERVAL_METHOD}.",
        [
            subject_table(subject.cases, title=subject.short),
            *dots_blocks(compared, networks, headings),
            *pictures,
            *_beside(subject, others, described(data, data.main)),
            volumes_table(subject.cases, title=subject.short),
            *(_score_table(data, metric, _caption(metric, headings)) for metric in table_metrics()),
        ],
    )


def _scores_file(data: ReportData) -> str:
    return f"{data.label_maps.name}/{METRICS_FILE}"


def _beside(subject: Subject, others: Mapping[str, Sequence[CaseMetrics]], descriptions: Mapping[str, str]) -> list[Table]:
    """Single networks for comparison, and how they differ from what predicts."""
    if not others:
        return []
    differences = differences_table(subject.name, subject.cases, others, title=subject.short)
    titles = in_one({title: descriptions[title] for title in others})
    return [networks_table(others, titles=titles), *([] if differences is None else [differences])]


def selection_section(data: ReportData, calibration: Sequence[Block]) -> Section:
    """Which networks predict together, which postprocessing helps, and how good results probably are."""
    selection = data.selection
    if selection is None:
        return Section("selection", "Selection and postprocessing", "", [])
    kept = "; ".join(in_words(selection, data.plan.data.classes)) or "none"
    views = f", through slices of these planes alone: {', '.join(selection.views)}" if selection.views else ""
    shift = describe_shift(selection.log_shift, [label.name for label in data.plan.data.classes])
    models = ", ".join(model.id.folder for model in selection.models)
    edited = [f"It was {EDITED}."] if selection.edited else []
    edited += [f"It is older than what is trained: {data.outdated}."] if data.outdated else []
    reasons = [f"{_capitalised(reason)}." for reason in selection.reasons]
    return Section(
        "selection",
        "Selection and postprocessing",
        f"What predicts: {models}{views}. Prior shifted: {shift}. Postprocessing: {kept}.",
        [
            Text([*edited, *reasons]),
            _candidates(selection),
            Table(
                "The shift of the prior and postprocessing steps, each tried on top of those kept before it",
                ["step", "verdict", "change of Dice", "change of HD (mm)", "why"],
                [_trial_row(trial) for trial in selection.trials],
                words=True,
            ),
            Table(
                "Change of Dice by class",
                ["step", *(label.name for label in selection.score.classes)],
                [_class_row(trial) for trial in selection.trials],
                folded=True,
            ),
            Table(
                f"Predicted Dice: what {selection.quality.basis} expect of themselves, translated; a scan is marked "
                f"where it is under {LOW_DICE:g} or clearly below the lowest",
                ["class", "predicted Dice", "mean error of left-out cases", "lowest held-out Dice"],
                [_quality_row(entry) for entry in selection.quality.classes],
            ),
            *calibration,
        ],
    )


def in_words(selection: Selection, classes: Sequence[LabelClass]) -> list[str]:
    """The postprocessing of a selection, step by step."""
    return [describe(step, classes) for step in selection.postprocessing]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _caption(metric: str, headings: Mapping[str, str]) -> str:
    number = {"dice": "Table 3: ", "hausdorff_mm": "Table 4: "}.get(metric, "")
    return f"{number}{METRICS[metric].label}, mean over the classes, by case: {listing(list(headings.values()))}"


def _score_table(data: ReportData, metric: str, caption: str) -> Table:
    comparison = compare(data.compared(data.main), metric=metric)
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
        caption += "; not of the same cases and classes in all columns, so that their means cannot be compared"
    if strong:
        caption += "; the best of each row in bold"
    columns = ["case", *(column.network for column in comparison.columns)]
    return Table(caption, columns, rows, frozenset(strong), folded=True)


def worst(comparison: Comparison, *, most: int) -> tuple[str, ...]:
    """All cases where there are few, else those with the worst mean over networks, in order of their ids.

    Cases without a value are the worst where a class was missed, else the best.
    """
    if len(comparison.cases) <= most:
        return comparison.cases

    def place(case: str) -> tuple[float, str]:
        cells = [column.cells[case] for column in comparison.columns if case in column.cells]
        return merit(cells, metric=comparison.metric), case

    return tuple(sorted(sorted(comparison.cases, key=place)[:most]))


def _candidates(selection: Selection) -> Table:
    found = selection.candidates
    scores = [candidate.score for candidate in found]
    dice, dice_cells = interval_column("Dice", [score.dice for score in scores], 4)
    distance, distance_cells = interval_column("HD in mm", [score.hausdorff_mm for score in scores], 2)
    compared = [candidate.difference for candidate in found if candidate.difference is not None]
    difference, difference_cells = interval_column("difference in Dice", compared, 4)
    left = iter(difference_cells)
    differences = ["best" if candidate.difference is None else next(left) for candidate in found]
    p = ["" if candidate.p is None else f"{candidate.p:.3f}" for candidate in found]
    titles = [candidate.title for candidate in found]
    cells = titles, dice_cells, with_undefined(distance_cells, scores), differences, p
    method = f"; intervals: {selection.intervals}" if any(score.dice.low is not None for score in scores) else ""
    return Table(
        f"Networks and combinations on {counted(len(selection.compared_cases), 'held-out case')}, before shift and "
        f"postprocessing{method}",
        ["networks", dice, distance, difference, "p"],
        [list(row) for row in zip(*cells, strict=True)],
    )


def _trial_row(trial: TriedStep | TriedShift) -> list[str]:
    before, after = trial.before, trial.after
    verdict = "kept" if trial.kept else "not kept"
    gains = [change(before.dice.mean, after.dice.mean, 5), change(before.hausdorff_mm.mean, after.hausdorff_mm.mean, 2)]
    return [trial.title, verdict, *gains, trial.reason]


def _class_row(trial: TriedStep | TriedShift) -> list[str]:
    pairs = zip(trial.before.classes, trial.after.classes, strict=True)
    return [trial.title, *(change(before.dice.mean, after.dice.mean, 5) for before, after in pairs)]


def _quality_row(entry: ClassQuality) -> list[str]:
    error = MISSING if entry.error is None else f"{entry.error:.4f}"
    return [entry.name, f"{entry.intercept:.3f} + {entry.slope:.3f} x expected", error, f"{entry.lowest:.3f}"]
