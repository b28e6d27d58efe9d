"""Scores as tables: summarised, as rows, written and read back.

One row per case and class, so that any statistics program can filter and group. A number that is undefined is an empty
cell in CSV and null in JSON.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.comparison import Cell, class_mean, why_undefined
from autoseg.evaluation.statistics import MetricSummary, defined, describe
from autoseg.metrics.table import METRICS
from autoseg.storage import files, tables
from autoseg.storage.tables import TableKind

METRICS_FILE: Final = "metrics.csv"
SUMMARY_FILE: Final = "summary.json"
EVALUATION_FOLDER: Final = "evaluation"
"""Where `evaluate` writes both, beside the label maps that it judged."""

COLUMNS: Final = ("case", "class", "value", *METRICS)
"""Columns of the table of cases; `value` is the class's value in label maps."""

_KIND: Final = TableKind(
    "a table of scores", required=("case", "class", "value"), remedy="Remove it and run the command that wrote it again."
)


@dataclass(frozen=True)
class ClassSummary:
    """One class over all cases.

    Attributes:
        value: the class's value in label maps.
        name: the class's name.
        metrics: by the names in `METRICS`.
        reasons: by the names in `METRICS`, of how many cases it is undefined and why, in words; nothing where it is defined
            for all.
    """

    value: int
    name: str
    metrics: Mapping[str, MetricSummary]
    reasons: Mapping[str, str] = field(default_factory=dict, hash=False)

    def why_undefined(self, metric: str) -> str:
        """Of how many cases a metric is not in the mean, and why; empty where it is defined for all."""
        return self.reasons.get(metric, "")


@dataclass(frozen=True)
class Summary:
    """All cases in a few numbers.

    Attributes:
        cases: how many there are.
        classes: one entry per class, by rising value.
        mean: by the names in `METRICS`: the mean over the classes of their means; NaN where a class that any reference
            contains has none. Classes that none contains are left out where they have none.
        references: of how many cases there are references, the scored ones among them; None: of no others.
    """

    cases: int
    classes: tuple[ClassSummary, ...]
    mean: Mapping[str, float]
    references: int | None = None


def summarise(cases: Sequence[CaseMetrics], *, references: int | None = None) -> Summary:
    """Mean, standard deviation and number of undefined values per class and metric; `references` as in `Summary`."""
    by_value: dict[int, list[ClassMetrics]] = {}
    for case in cases:
        for scores in case.classes:
            by_value.setdefault(scores.value, []).append(scores)
    classes = tuple(_summarise_class(scores) for _, scores in sorted(by_value.items()))
    mean = {metric: mean_over_classes(classes, metric).value for metric in METRICS}
    return Summary(cases=len(cases), classes=classes, mean=mean, references=references)


def mean_over_classes(classes: Sequence[ClassSummary], metric: str) -> Cell:
    """The mean over the classes of their means, or why there is none: as if the means were the numbers of one case."""
    means = [
        ClassMetrics(label.value, label.name, {name: found.mean for name, found in label.metrics.items()})
        for label in classes
    ]
    return class_mean(CaseMetrics("", tuple(means)), metric)


def case_rows(cases: Iterable[CaseMetrics]) -> list[dict[str, tables.Cell]]:
    """One row per case and class with the keys `COLUMNS`; None where a number is undefined."""
    rows = []
    for case in cases:
        for scores in case.classes:
            row: dict[str, tables.Cell] = {"case": case.id, "class": scores.name, "value": scores.value}
            row.update({metric: defined(scores.number(metric)) for metric in METRICS})
            rows.append(row)
    return rows


def summary_document(summary: Summary) -> dict[str, Any]:
    """The summary as JSON data; null where a number is undefined."""
    return {
        "cases": summary.cases,
        **({} if summary.references is None else {"references": summary.references}),
        "mean": {metric: defined(value) for metric, value in summary.mean.items()},
        "classes": [
            {
                "class": label.name,
                "value": label.value,
                "metrics": {
                    name: {"mean": defined(metric.mean), "sd": defined(metric.sd), "undefined": metric.undefined}
                    for name, metric in label.metrics.items()
                },
            }
            for label in summary.classes
        ],
    }


def write_cases(path: Path, cases: Iterable[CaseMetrics]) -> None:
    """Write the table of cases as CSV, every number with all its digits."""
    tables.write_table(path, COLUMNS, case_rows(cases))


def write_summary(path: Path, summary: Summary) -> None:
    """Write the summary as JSON."""
    files.write_json(path, summary_document(summary))


def plot_file(folder: Path, metric: str) -> Path:
    """Where `evaluate` draws a metric, beside both tables."""
    return folder / f"{metric}.png"


def write_scores(folder: Path, cases: Sequence[CaseMetrics], *, references: int | None = None) -> Summary:
    """Write both tables into a folder, under their usual names; `references` as in `Summary`."""
    summary = summarise(cases, references=references)
    write_cases(folder / METRICS_FILE, cases)
    write_summary(folder / SUMMARY_FILE, summary)
    return summary


def read_cases(path: Path) -> tuple[CaseMetrics, ...]:
    """Read back what `write_cases` wrote, exactly.

    Metrics that the table does not have are NaN; columns that are no metrics are ignored.

    Raises:
        WorkspaceError: missing, or not such a table, or it has a class of a case twice; names the line.
    """
    classes: dict[str, list[ClassMetrics]] = {}
    known: set[tuple[str, int]] = set()

    def parse(row: tables.Row) -> None:
        case, scores = row.text("case"), _parse(row)
        if (case, scores.value) in known:
            msg = f"class {scores.value} of {case} a second time"
            raise ValueError(msg)
        known.add((case, scores.value))
        classes.setdefault(case, []).append(scores)

    tables.read_table(path, parse, kind=_KIND)
    return tuple(CaseMetrics(id=case, classes=tuple(scores)) for case, scores in classes.items())


def _summarise_class(scores: Sequence[ClassMetrics]) -> ClassSummary:
    metrics = {metric: describe([entry.number(metric) for entry in scores]) for metric in METRICS}
    reasons = {metric: why_not_all(scores, metric) for metric in METRICS}
    return ClassSummary(scores[0].value, scores[0].name, metrics, {metric: why for metric, why in reasons.items() if why})


def why_not_all(scores: Sequence[ClassMetrics], metric: str) -> str:
    """Of how many cases a metric of one class is undefined, and why; empty where it is defined for all."""
    counts = Counter(why_undefined(entry, metric) for entry in scores if math.isnan(entry.number(metric)))
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def _parse(row: tables.Row) -> ClassMetrics:
    return ClassMetrics(row.integer("value"), row.text("class"), {metric: row.number(metric) for metric in METRICS})
