"""Several sets of predictions of the same cases compared pair by pair: differences, their intervals, and paired tests."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import UsageError
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import ScoreTable, contains, found_alone
from autoseg.evaluation.statistics import PairedTest, describe, holm, paired_test
from autoseg.metrics.table import METRICS, table_metrics
from autoseg.wording import listing, some

_UNNAMED: Final = re.compile(r"class \d+")
"""Name of a class that nothing names: its value says which it is."""

_VOLUMES_DIFFER: Final = 1e-6
"""Fraction by which volumes of one reference may differ. Source: ours; rounding stays below it."""


@dataclass(frozen=True)
class Side:
    """One set of predictions, as scores.

    Attributes:
        name: what tells it from the others, for people.
        cases: the scores, each case once, of the same classes in each.
        references: by id, checksum of the label map that a case was judged against; where nobody knows it, there is none.
        expected: ids that have a reference to be judged against, scored or not; empty: nobody knows of others than `cases`.
    """

    name: str
    cases: tuple[CaseMetrics, ...]
    references: Mapping[str, str] = field(default_factory=dict)
    expected: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PairedCase:
    """One number of one case under two sides; NaN where it is undefined."""

    case: str
    baseline: float
    compared: float

    @property
    def difference(self) -> float:
        """The compared side's number minus the baseline's."""
        return self.compared - self.baseline


@dataclass(frozen=True)
class PairedMetric:
    """One metric of one class, or of the classes' mean, under the baseline and another side.

    Attributes:
        metric: its name in `METRICS`.
        label: the class; None: the mean over classes, in each case over those for which all sides define the metric, and
            none where they do not for a class that the reference contains.
        compared: name of the other side.
        cases: every case that all sides have.
        test: of the other side minus the baseline, over the cases for which both are defined.
        p: of the test, corrected for how many of its kind there are (Holm).
        tests: how many that is.
    """

    metric: str
    label: str | None
    compared: str
    cases: tuple[PairedCase, ...]
    test: PairedTest
    p: float
    tests: int

    @property
    def undefined(self) -> int:
        """Cases for which a side does not define the number."""
        return sum(math.isnan(case.difference) for case in self.cases)

    @property
    def means(self) -> tuple[float, float]:
        """Of the baseline and of the other side, over the cases for which both are defined; NaN without any."""
        both = [case for case in self.cases if not math.isnan(case.difference)]
        return describe([case.baseline for case in both]).mean, describe([case.compared for case in both]).mean


@dataclass(frozen=True)
class PairedComparison:
    """Sides compared, each with the first.

    Attributes:
        baseline: name of the first side.
        compared: names of the others.
        cases: ids that all sides have.
        total: of how many cases that is a part: those that any side has, or that have a reference.
        missing: ids that only some sides have, to the names of those that have not.
        results: for each metric of tables and each other side: the mean over classes, then the classes.
        warnings: what a reader has to know.
        found_alone: of each of the others, the cases in which the baseline, and it, alone found a class that is not there.
    """

    baseline: str
    compared: tuple[str, ...]
    cases: tuple[str, ...]
    total: int
    missing: Mapping[str, tuple[str, ...]]
    results: tuple[PairedMetric, ...]
    warnings: tuple[str, ...]
    found_alone: tuple[tuple[int, int], ...]


def compare_sides(sides: Sequence[Side]) -> PairedComparison:
    """Compare every other side with the first, over the cases that all have.

    Args:
        sides: two or more, of different names.

    Raises:
        UsageError: they share no case, or their classes or references differ.
    """
    shared = _shared_cases(sides)
    classes = _common_classes(sides)
    for first, second in pairwise(sides):
        _require_same_references(first, second, shared)
    stored = [_table(side, shared) for side in sides]
    tables, warnings = _at_one_tolerance(stored, sides, classes)
    results: list[PairedMetric] = []
    for metric in table_metrics():
        if without := [side.name for side, table in zip(sides, stored, strict=True) if not _has(table, metric)]:
            warnings.append(f"{METRICS[metric].title}: no case of {', '.join(without)} has it")
        elif all(_has(table, metric) for table in tables):
            results += _compare_metric(metric, tables, sides, shared=shared, classes=classes)
    ids = {side.name: _ids(side) for side in sides}
    every = set.union(*ids.values())
    return PairedComparison(
        baseline=sides[0].name,
        compared=tuple(side.name for side in sides[1:]),
        cases=shared,
        total=len(every.union(*(side.expected for side in sides))),
        missing={case: tuple(name for name, own in ids.items() if case not in own) for case in sorted(every - set(shared))},
        results=tuple(results),
        warnings=tuple(warnings),
        found_alone=tuple((found_alone(stored[0], own), found_alone(own, stored[0])) for own in stored[1:]),
    )


_Numbers = NDArray[np.float64]


def _ids(side: Side) -> set[str]:
    return {case.id for case in side.cases}


def _shared_cases(sides: Sequence[Side]) -> tuple[str, ...]:
    shared = set.intersection(*(_ids(side) for side in sides))
    if not shared:
        raise UsageError(
            "there is no case that all of them have",
            expected="scores of the same cases, called alike",
            found="; ".join(f"{side.name}: {some(sorted(_ids(side))) or 'none'}" for side in sides),
            remedy="Compare what was scored on the same cases, or give label maps of one case the same name on all sides.",
        )
    return tuple(sorted(shared))


def _common_classes(sides: Sequence[Side]) -> dict[int, str]:
    """The classes' names by their values.

    Raises:
        UsageError: they are not the same on all sides.
    """
    of_sides = [{scores.value: scores.name for case in side.cases for scores in case.classes} for side in sides]
    names: dict[int, str] = {}
    for side, own in zip(sides, of_sides, strict=True):
        others = {value: name for value, name in own.items() if not _UNNAMED.fullmatch(name)}
        clashes = [value for value in others.keys() & names.keys() if others[value] != names[value]]
        if clashes or own.keys() != of_sides[0].keys():
            raise UsageError(
                "the classes differ",
                where=side.name,
                expected=_in_words(of_sides[0]),
                found=_in_words(own),
                remedy="Compare predictions of the same classes, with the same label values.",
            )
        names |= others
    return {value: names.get(value, of_sides[0][value]) for value in sorted(of_sides[0])}


def _in_words(classes: Mapping[int, str]) -> str:
    return ", ".join(f"{value} ({name})" for value, name in sorted(classes.items()))


def _require_same_references(first: Side, second: Side, shared: Sequence[str]) -> None:
    known = first.references.keys() & second.references.keys() & set(shared)
    differing = {case for case in known if first.references[case] != second.references[case]}
    one, other = _table(first, shared), _table(second, shared)
    for place in one.keys() & other.keys():
        ours, theirs = (table[place].number("reference_volume_ml") for table in (one, other))
        if abs(ours - theirs) > _VOLUMES_DIFFER * max(ours, theirs):
            differing.add(place[0])
    if differing:
        raise UsageError(
            f"were not judged against the same references as those of {first.name}: {some(sorted(differing))}",
            where=second.name,
            expected="the same files, and the same volume of every class in them",
            remedy="Score both sides against the same label maps (`autoseg evaluate`), or name these with --references.",
        )


def _table(side: Side, shared: Sequence[str]) -> ScoreTable:
    wanted = frozenset(shared)
    return {(case.id, scores.value): scores for case in side.cases if case.id in wanted for scores in case.classes}


def _at_one_tolerance(
    tables: Sequence[ScoreTable], sides: Sequence[Side], classes: Mapping[int, str]
) -> tuple[list[ScoreTable], list[str]]:
    """The scores, without the normalised surface Dice of classes that were not judged with one tolerance."""
    kept, warnings = list(tables), []
    for value, name in classes.items():
        used = [_tolerances_mm(table, value) for table in kept]
        if len(set.union(*used)) > 1:
            each = ", ".join(f"{side.name} {_listed(own)}" for side, own in zip(sides, used, strict=True))
            warnings.append(f"{name}: no normalised surface Dice, because its tolerances in mm differ ({each})")
            kept = [_without_nsd(table, value) for table in kept]
    return kept, warnings


def _tolerances_mm(table: ScoreTable, value: int) -> set[float]:
    found = {scores.number("nsd_tolerance_mm") for (_, of), scores in table.items() if of == value}
    return {tolerance for tolerance in found if not math.isnan(tolerance)}


def _listed(tolerances_mm: set[float]) -> str:
    return listing([f"{tolerance:g}" for tolerance in sorted(tolerances_mm)]) or "unknown"


def _without_nsd(table: ScoreTable, value: int) -> ScoreTable:
    return {
        place: replace(scores, numbers={**scores.numbers, "nsd": math.nan}) if place[1] == value else scores
        for place, scores in table.items()
    }


def _compare_metric(
    metric: str, tables: Sequence[ScoreTable], sides: Sequence[Side], *, shared: Sequence[str], classes: Mapping[int, str]
) -> list[PairedMetric]:
    """One metric of all other sides against the first."""
    numbers = np.array(
        [[[_number(table, (case, value), metric) for value in classes] for case in shared] for table in tables]
    )  # (sides, cases, classes)
    asked = np.array([[contains(tables, (case, value)) for value in classes] for case in shared])
    means = _mean_over_classes(numbers, asked)  # (sides, cases)
    others = range(1, len(sides))
    of_means = [(None, other, means[0], means[other]) for other in others]
    of_classes = [
        (name, other, numbers[0, :, index], numbers[other, :, index])
        for other in others
        for index, name in enumerate(classes.values())
    ]
    found = [*_tested(metric, of_means, sides, shared), *_tested(metric, of_classes, sides, shared)]
    return sorted(found, key=lambda result: [side.name for side in sides].index(result.compared))


def _number(table: ScoreTable, place: tuple[str, int], metric: str) -> float:
    return table[place].number(metric) if place in table else math.nan


def _has(table: ScoreTable, metric: str) -> bool:
    return any(not math.isnan(scores.number(metric)) for scores in table.values())


def _mean_over_classes(numbers: _Numbers, asked: NDArray[np.bool_]) -> _Numbers:
    """Of each case the mean over the classes that all sides define; NaN where one that the reference contains is not."""
    known = ~np.isnan(numbers).any(axis=0)  # (cases, classes)
    counts = np.where((asked & ~known).any(axis=-1), 0, known.sum(axis=-1))
    sums = np.where(known, numbers, 0.0).sum(axis=-1)
    means: _Numbers = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means  # (sides, cases)


def _tested(
    metric: str, kind: Sequence[tuple[str | None, int, _Numbers, _Numbers]], sides: Sequence[Side], shared: Sequence[str]
) -> Iterator[PairedMetric]:
    """Tests of one kind, each corrected for all of them."""
    tests = [paired_test(compared.tolist(), baseline.tolist()) for _, _, baseline, compared in kind]
    corrected = holm([test.p for test in tests])
    for (label, other, baseline, compared), test, p in zip(kind, tests, corrected, strict=True):
        cases = tuple(PairedCase(*each) for each in zip(shared, baseline.tolist(), compared.tolist(), strict=True))
        yield PairedMetric(metric, label, sides[other].name, cases, test, p, tests=len(tests))
