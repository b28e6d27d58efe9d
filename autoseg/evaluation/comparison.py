"""Networks side by side: one number per case and network, as in the paper's tables 3 and 4."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.statistics import MetricSummary, describe


@dataclass(frozen=True)
class Cell:
    """One case under one network.

    Attributes:
        value: mean over the classes for which the metric is defined; NaN where it is for none.
        undefined: classes for which it is not; they are missing from the mean, which may then look too good.
    """

    value: float
    undefined: int


@dataclass(frozen=True)
class Column:
    """One network.

    Attributes:
        network: its name for people.
        cells: by case; a case it was not scored on is missing.
    """

    network: str
    cells: Mapping[str, Cell]

    @property
    def mean(self) -> float:
        """Over the cases whose value is defined; NaN where there are none."""
        return self._summary.mean

    @property
    def sd(self) -> float:
        """Sample standard deviation (n - 1) over the same cases; NaN for fewer than two."""
        return self._summary.sd

    @property
    def _summary(self) -> MetricSummary:
        return describe([cell.value for cell in self.cells.values()])


@dataclass(frozen=True)
class Comparison:
    """One metric of several networks, case by case.

    Attributes:
        metric: its name in `METRICS`.
        cases: the rows, every case that any network was scored on, in order of their ids.
        columns: the networks.
    """

    metric: str
    cases: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def complete(self) -> bool:
        """Whether every network was scored on every case, without which their means cannot be compared."""
        return all(case in column.cells for column in self.columns for case in self.cases)


def compare(scores: Mapping[str, Sequence[CaseMetrics]], *, metric: str) -> Comparison:
    """Put networks side by side.

    Args:
        scores: name of a network to the scores of its cases, each case once.
        metric: which of the numbers to compare, by its name in `METRICS`.

    Raises:
        ValueError: a network has two scores for one case.

    Source: tables 3 and 4 of the paper, which average over the three tissues.
    """
    columns = []
    for network, cases in scores.items():
        cells = {case.id: _cell(case, metric) for case in cases}
        if len(cells) < len(cases):
            msg = f"{network} has several scores for one case"
            raise ValueError(msg)
        columns.append(Column(network, cells))
    every = sorted({case for column in columns for case in column.cells})
    return Comparison(metric, tuple(every), tuple(columns))


def _cell(case: CaseMetrics, metric: str) -> Cell:
    summary = describe([scores.number(metric) for scores in case.classes])
    return Cell(value=summary.mean, undefined=summary.undefined)


def values_by_class(cases: Sequence[CaseMetrics], metric: str) -> dict[str, list[float]]:
    """A metric of every case, by class name; NaN where it is not defined."""
    values: dict[str, list[float]] = {}
    for case in cases:
        for scores in case.classes:
            values.setdefault(scores.name, []).append(scores.number(metric))
    return values
