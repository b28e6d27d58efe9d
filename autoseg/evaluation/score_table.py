"""Scores as a table for people: a row per class, a column per metric of tables."""

from dataclasses import dataclass

from autoseg.evaluation.formatting import number, spread
from autoseg.evaluation.tables import ClassSummary, Summary, mean_over_classes
from autoseg.metrics.table import METRICS, table_metrics


@dataclass(frozen=True)
class ScoreTable:
    """A table of scores.

    Attributes:
        title: what was scored.
        columns: headings.
        rows: as many cells each.
        headings: whether the headings are shown.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    headings: bool = True


def score_table(summary: Summary, *, title: str) -> ScoreTable:
    """Mean and standard deviation over the cases of every class, the means over the classes, and what is not in them."""
    names = table_metrics()
    rows = [(label.name, *(_of_class(label, name) for name in names)) for label in summary.classes]
    mean = ("mean", *(_of_all(summary, name) for name in names))
    return ScoreTable(title, ("class", *(METRICS[name].heading for name in names)), (*rows, mean))


def _of_class(label: ClassSummary, metric: str) -> str:
    found = label.metrics[metric]
    return _with(label.why_undefined(metric), spread(found.mean, found.sd, METRICS[metric].decimals - 1))


def _of_all(summary: Summary, metric: str) -> str:
    cell = mean_over_classes(summary.classes, metric)
    return _with(cell.reason, number(cell.value, METRICS[metric].decimals - 1))


def _with(reason: str, text: str) -> str:
    return text + (f" ({reason})" if reason else "")
