"""Scores as a table for people: a row per class, a column per metric that is shown."""

from dataclasses import dataclass

from autoseg.evaluation.formatting import number, spread
from autoseg.evaluation.tables import Summary
from autoseg.metrics.table import METRICS, shown_metrics


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
    """Mean and standard deviation over the cases of every class, and the means over the classes."""
    names = shown_metrics()
    rows = [
        (
            label.name,
            *(spread(label.metrics[name].mean, label.metrics[name].sd, METRICS[name].decimals - 1) for name in names),
        )
        for label in summary.classes
    ]
    mean = ("mean", *(number(summary.mean[name], METRICS[name].decimals - 1) for name in names))
    return ScoreTable(title, ("class", *(METRICS[name].label for name in names)), (*rows, mean))
