"""A paired comparison as tables: every difference, what they amount to, and both as data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from autoseg.evaluation.formatting import interval, number
from autoseg.evaluation.paired import PairedComparison, PairedMetric
from autoseg.evaluation.statistics import INTERVAL_METHOD, LEVEL, defined, meaningful
from autoseg.metrics.table import METRICS
from autoseg.storage import files, tables
from autoseg.wording import counted, listing

DIFFERENCES_FILE: Final = "differences.csv"
STATISTICS_FILE: Final = "statistics.csv"
DOCUMENT_FILE: Final = "comparison.json"

MEAN: Final = "mean over classes"
"""What stands in the place of a class."""

_OF_CASES: Final = ("case", "class", "metric", "baseline", "compared", "baseline_value", "compared_value", "difference")
_OF_RESULTS: Final = (
    "class", "metric", "baseline", "compared", "cases", "undefined", "total", "baseline_mean", "compared_mean", "difference",
    "low", "high", "p", "p_corrected", "tests",
)  # fmt: skip


def write_comparison(folder: Path, comparison: PairedComparison) -> tuple[Path, ...]:
    """Write all tables of a comparison into a folder.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    paths = tuple(folder / name for name in (DIFFERENCES_FILE, STATISTICS_FILE, DOCUMENT_FILE))
    tables.write_table(paths[0], _OF_CASES, differences(comparison))
    tables.write_table(paths[1], _OF_RESULTS, [_statistics(comparison, result) for result in comparison.results])
    files.write_json(paths[2], comparison_document(comparison))
    return paths


def comparison_document(comparison: PairedComparison) -> dict[str, Any]:
    """The comparison as JSON data, without the single cases' numbers; null where a number is undefined."""
    return {
        "baseline": comparison.baseline,
        "compared": list(comparison.compared),
        "cases": list(comparison.cases),
        "total": comparison.total,
        "missing": {case: list(names) for case, names in comparison.missing.items()},
        "warnings": list(comparison.warnings),
        "interval": f"{LEVEL:.0%} interval over cases: {INTERVAL_METHOD}",
        "test": "paired permutation test, two-sided; p_corrected by Holm for as many tests as `tests` says",
        "results": [
            {key: defined(cell) if isinstance(cell, float) else cell for key, cell in _statistics(comparison, each).items()}
            for each in comparison.results
        ],
    }


def comparison_columns(comparison: PairedComparison, compared: str) -> list[str]:
    """Headings of the columns of `comparison_rows`."""
    return ["metric", "class", comparison.baseline, compared, "difference (95 % interval)", "p"]


def comparison_rows(comparison: PairedComparison, compared: str, *, most_classes: int) -> list[list[str]]:
    """One side against the baseline, for people: a line for each metric, of the mean over classes and of each class.

    Args:
        comparison: what was compared.
        compared: the side.
        most_classes: where there are more, they are left out.
    """
    results = [result for result in comparison.results if result.compared == compared]
    classes = {result.label for result in results} - {None}
    return [_row(result) for result in results if result.label is None or len(classes) <= most_classes]


def in_words(comparison: PairedComparison) -> list[str]:
    """What can be said of the mean Dice of every side, in a sentence each.

    Where one side alone finds what is not there, which no difference counts, nothing is said of which is better.
    """
    sentences = []
    for result in comparison.results:
        if result.metric == "dice" and result.label is None:
            difference = result.test.difference
            found_alone = comparison.found_alone[comparison.compared.index(result.compared)]
            alone = zip((comparison.baseline, result.compared), found_alone, strict=True)
            if apart := [f"{name} alone finds a class in {counted(cases, 'case')}" for name, cases in alone if cases]:
                told = f"{listing(apart)} without it, not in the difference over {counted(difference.cases, 'case')}"
            elif not meaningful(difference.cases):
                told = f"with {counted(difference.cases, 'case')} no difference can be told from chance"
            elif result.p < 1 - LEVEL:
                better = result.compared if difference.mean > 0 else comparison.baseline
                told = f"{better} is better (p = {result.p:.3f})"
            else:
                told = f"no difference that could not be chance (p = {result.p:.3f})"
            change = number(difference.mean, METRICS["dice"].decimals)
            sentences.append(f"Mean Dice of {result.compared} minus {comparison.baseline}: {change}; {told}")
    return sentences


def _row(result: PairedMetric) -> list[str]:
    digits = METRICS[result.metric].decimals
    shown = max(digits - 1, 2)
    baseline, compared = result.means
    p = "" if result.undefined == len(result.cases) else f"{result.p:.3f}"
    difference = interval(result.test.difference, digits)
    cells = [number(baseline, shown), number(compared, shown), difference, p]
    return [METRICS[result.metric].heading, result.label or MEAN, *cells]


def differences(comparison: PairedComparison) -> Iterator[dict[str, tables.Cell]]:
    """A row per case, class, metric and compared side, with both numbers and their difference; NaN where undefined."""
    for result in comparison.results:
        for case in result.cases:
            yield {
                "case": case.case,
                "class": result.label or MEAN,
                "metric": result.metric,
                "baseline": comparison.baseline,
                "compared": result.compared,
                "baseline_value": case.baseline,
                "compared_value": case.compared,
                "difference": case.difference,
            }


def _statistics(comparison: PairedComparison, result: PairedMetric) -> dict[str, tables.Cell]:
    difference = result.test.difference
    baseline, compared = result.means
    return {
        "class": result.label or MEAN,
        "metric": result.metric,
        "baseline": comparison.baseline,
        "compared": result.compared,
        "cases": difference.cases,
        "undefined": result.undefined,
        "total": comparison.total,
        "baseline_mean": baseline,
        "compared_mean": compared,
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "p": result.test.p,
        "p_corrected": result.p,
        "tests": result.tests,
    }
