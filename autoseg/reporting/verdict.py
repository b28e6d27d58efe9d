"""The verdict on what was trained: one sentence of judgement from the numbers, and what to know before believing them."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Final, Literal

from autoseg.evaluation.cases import NOT_THROUGHOUT, CaseMetrics
from autoseg.evaluation.comparison import NOTHING_THERE, class_mean
from autoseg.evaluation.formatting import number
from autoseg.evaluation.statistics import MIN_CASES
from autoseg.postprocessing import held_out
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.selection import EDITED, Selection
from autoseg.reporting.data import FinishedRun, ReportData
from autoseg.reporting.subject import not_what_predicts, subject_of
from autoseg.training.outlook import FOUND, doubts_about, too_short
from autoseg.wording import counted, listing, some

UNSURE_DICE: Final = 0.7
"""A case in which a class has a lower Dice is unsure; a class with a lower mean is poor.

Source: Zijdenbos et al. (IEEE Trans. Med. Imaging 13, 1994), who call a larger overlap excellent agreement."""

GOOD_DICE: Final = 0.8
"""A class with at least this mean Dice is good. Source: chosen; the settled models of IBSR18 have .87 and more
(docs/explanation/results.md)."""

_MOST_OUTLIERS: Final = 20
"""Of many cases so many outliers are named, the lowest. Source: chosen; as many as somebody may look at."""

_MOST_NAMES: Final = 4
"""Of many classes so many are named in a sentence. Source: chosen, to be read at once."""

Grade = Literal["good", "fair", "unsure", "poor", "not found", "absent"]
_GRADES: Final[tuple[Grade, ...]] = ("good", "fair", "unsure", "poor", "not found", "absent")


@dataclass(frozen=True)
class ClassJudgement:
    """How a class is judged.

    Attributes:
        name: the class.
        grade: `good`, `fair` or `poor` by its mean; `unsure`: fair or good, but not in every case; `not found`: in no case;
            `absent`: no case has it.
        mean: Dice over the cases for which it is defined; NaN without one.
        unsure: cases in which it is unsure.
        cases: those for which its Dice is defined.
    """

    name: str
    grade: Grade
    mean: float
    unsure: int
    cases: int


@dataclass(frozen=True)
class Verdict:
    """A judgement of what was trained.

    Attributes:
        sentence: the judgement, in one sentence.
        warnings: what to know before believing the numbers; a sentence or two each.
        classes: how each class is judged; empty where nothing was scored.
        scores_of: what was judged, in full; empty where nothing was scored.
    """

    sentence: str
    warnings: tuple[str, ...]
    classes: tuple[ClassJudgement, ...] = ()
    scores_of: str = ""


def verdict(data: ReportData) -> Verdict:
    """Judge what a report is about."""
    subject = subject_of(data)
    cases = subject.cases
    classes = tuple(judge(cases))
    short = [run for run in data.runs if _doubts(run, data)]
    parts = [*_scores_in_words(data, classes), *_short_in_words(short, data.runs), *_basis_in_words(cases)]
    sentence = "; ".join(parts)
    sentence = f"{sentence[:1].upper()}{sentence[1:]}."
    return Verdict(sentence, tuple(_warnings(data, cases)), classes, subject.title if cases else "")


def judge(cases: Sequence[CaseMetrics]) -> Iterator[ClassJudgement]:
    """Each class by its Dice in all cases."""
    for index, label in enumerate(cases[0].classes if cases else ()):
        values = [case.classes[index].dice for case in cases]
        defined = [value for value in values if not math.isnan(value)]
        unsure = sum(value < UNSURE_DICE for value in defined)
        mean = fmean(defined) if defined else math.nan
        yield ClassJudgement(label.name, _grade(defined, mean), mean, unsure, len(defined))


def _grade(values: Sequence[float], mean: float) -> Grade:
    if not values:
        return "absent"
    if max(values) < FOUND:
        return "not found"
    if mean < UNSURE_DICE:
        return "poor"
    if min(values) < UNSURE_DICE:
        return "unsure"
    return "good" if mean >= GOOD_DICE else "fair"


def _scores_in_words(data: ReportData, classes: Sequence[ClassJudgement]) -> list[str]:
    """`good for WM and GM`, `CSF unsure in 2 of 10`; the best first."""
    if not data.runs:
        return ["nothing is trained yet: there are only the data and the plan to look at"]
    if not classes:
        return [f"{counted(len(data.runs), 'model')} trained, but no held-out case is scored yet"]
    if len(classes) > 1 and all(each.grade == "good" for each in classes):
        return ["good for every class" if len(classes) > 2 else f"good for {_names(classes)}"]
    ranked = sorted(classes, key=lambda each: _GRADES.index(each.grade))
    return [_in_words(grade, list(found)) for grade, found in groupby(ranked, key=lambda each: each.grade)]


def _in_words(grade: Grade, found: Sequence[ClassJudgement]) -> str:
    if grade in {"good", "fair"}:
        return f"{grade} for {_names(found)}"
    if grade == "poor":
        means = listing([f"{each.name} (mean Dice {each.mean:.2f})" for each in found[:_MOST_NAMES]] + _more(found))
        return f"poor for {means}"
    if grade == "not found":
        return f"{_names(found)} never found"
    if grade == "absent":
        return f"{_names(found)} in none of the held-out cases"
    first, *others = (f"{each.name} unsure in {each.unsure} of {each.cases}" for each in found[:_MOST_NAMES])
    return listing([first, *(text.replace(" unsure", "") for text in others), *_more(found)])


def _names(found: Sequence[ClassJudgement]) -> str:
    return listing([each.name for each in found[:_MOST_NAMES]] + _more(found))


def _more(found: Sequence[ClassJudgement]) -> list[str]:
    return [f"{len(found) - _MOST_NAMES} more"] if len(found) > _MOST_NAMES else []


def _short_in_words(short: Sequence[FinishedRun], runs: Sequence[FinishedRun]) -> list[str]:
    """Which runs were too short, by their folds alone where there is one network."""
    if not short:
        return []
    if len(short) == len(runs):
        return ["trained too short" if len(runs) == 1 else "every run trained too short"]
    if len(short) > 2:
        return [f"{len(short)} of {len(runs)} runs trained too short"]
    one_network = len({run.model.architecture for run in runs}) == 1
    names = [run.model.id.place_title if one_network else run.title for run in short]
    return [f"{listing(names)} trained too short"]


def _basis_in_words(cases: Sequence[CaseMetrics]) -> list[str]:
    return [f"all this rests on {counted(len(cases), 'held-out case')}"] if 0 < len(cases) < MIN_CASES else []


def _doubts(run: FinishedRun, data: ReportData) -> list[str]:
    """Why a run is probably far from converged, by its length alone."""
    state = run.state
    if state is None or not state.epochs:
        return []
    last = state.epochs[-1].model_copy(update={"class_dice": {}})
    state = state.model_copy(update={"epochs": [*state.epochs[:-1], last]})
    return doubts_about(state, data.plan.training)


def _warnings(data: ReportData, cases: Sequence[CaseMetrics]) -> Iterator[str]:
    """What weighs most comes first."""
    if not data.runs:
        yield "Nothing is trained yet."
    if 0 < len(cases) < MIN_CASES:
        yield f"All scores rest on {counted(len(cases), 'held-out case')}: the next data may well score differently."
    yield from _outliers(cases)
    for title, of_network in data.compared(data.main).items():
        means = {case.id: class_mean(case, "hausdorff_mm") for case in of_network}
        in_part = [case for case, cell in means.items() if NOT_THROUGHOUT in cell.reason]
        if in_part:
            yield (
                f"{title}: no distances of {some(in_part)}, {NOT_THROUGHOUT}: Dice is that of the labelled "
                "voxels, and nobody knows how good the others are."
            )
        missed = [case for case, cell in means.items() if cell.missed and case not in in_part]
        if missed:
            yield (
                f"{title}: no mean distance of {some(missed)}, where a class was not found; the others' "
                "mean leaves them out."
            )
        empty = [case for case, cell in means.items() if cell.reason == NOTHING_THERE]
        if empty:
            yield (
                f"{title}: no distances of {some(empty)}, {NOTHING_THERE}: Dice is 0 where something was "
                "found, and undefined where nothing was."
            )
    yield from _about_runs(data)
    if other := not_what_predicts(data):
        yield other
    yield from _about_the_selection(data)
    yield from (f"Not used: {reason}." for reason in data.skipped)


def _about_runs(data: ReportData) -> Iterator[str]:
    """Runs that are not scored or probably far from converged, and what to do about them."""
    for run in data.runs:
        if run.model.fold != "full" and not held_out.is_scored(run.model.folder):
            yield (
                f"{run.model.folder} was trained, but its held-out cases were not scored to the end: "
                "repeat its train command."
            )
        warning = None if run.state is None else too_short(run.state, data.plan.training)
        if warning is not None:
            yield f"{run.title} is probably far from converged: {warning}."


def _about_the_selection(data: ReportData) -> Iterator[str]:
    selection = data.selection
    if selection is None:
        return
    if selection.edited:
        yield f"The selection was {EDITED}, not of what predicts now."
    if data.outdated:
        yield (
            f"The selection is older than what is trained ({data.outdated}): the combinations that it compared, and all "
            "numbers of it, are of before. Run `autoseg select` again."
        )
    if selection.optimistic:
        yield f"The selection's scores are optimistic: it was chosen on the cases that they are of. {_unbiased(selection)}"
    when = " when it was made" if data.outdated else ""
    yield from (f"Not taking part in the selection{when}: {line}." for line in selection.missing)


def _unbiased(selection: Selection) -> str:
    """What new cases will probably have, or how to find out."""
    nested = selection.nested
    if nested is None:
        return "`autoseg select --nested` scores each fold by what the others choose."
    return f"Chosen without the fold that is scored, the mean Dice is {number(nested.score.dice.mean, 3)}."


def _outliers(cases: Sequence[CaseMetrics]) -> Iterator[str]:
    """Cases far below the others, by Tukey's fence."""
    means = case_means(cases, "dice") if cases else []
    dice = {case.id: value for case, value in zip(cases, means, strict=True) if not math.isnan(value)}
    if len(dice) < MIN_CASES:
        return
    lower, _, upper = statistics.quantiles(dice.values(), n=4)
    fence = lower - 1.5 * (upper - lower)
    outliers = sorted((value, case) for case, value in dice.items() if value < fence)
    named = {case for _, case in outliers[:_MOST_OUTLIERS]}
    for case, value in dice.items():
        if case in named:
            yield f"{case} scores far below the others (mean Dice {value:.3f}): look at it first."
    if more := len(outliers) - len(named):
        yield f"So do {more} more, less far: see the tables of scores."
