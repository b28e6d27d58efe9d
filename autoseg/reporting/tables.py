"""Tables 3 and 4 of the paper, the selection and single networks side by side.

CSV for programs, Markdown for pages, LaTeX (booktabs) for papers.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.comparison import Column, Comparison, compare
from autoseg.evaluation.formatting import number
from autoseg.metrics.table import METRICS, table_metrics
from autoseg.storage import files, tables

_IN_THE_PAPER: Final[Mapping[str, str]] = {"dice": "table_3_dice", "hausdorff_mm": "table_4_hausdorff"}
"""Metric to the beginning of the names of its table's files."""

MISSING: Final = "-"
"""What stands where a network was not scored."""

_FORMATS: Final = ("csv", "md", "tex")


_LATEX_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{sign: f"{{{sign}}}" for sign in "[*"},
}
"""How signs are written that LaTeX reads as something else: [ and * after the end of a row are arguments of that."""


def table_names() -> dict[str, str]:
    """Beginning of the names of a table's files to its metric; those of the paper are numbered as there."""
    return {_IN_THE_PAPER.get(metric, f"table_{metric}"): metric for metric in table_metrics()}


def write_tables(scores: Mapping[str, Sequence[CaseMetrics]], folder: Path, *, suffix: str, cases: str) -> list[Path]:
    """Write every table of some scores in every format.

    Args:
        scores: by what predicted, in the order of the columns.
        folder: where the tables go.
        suffix: of their names.
        cases: what the cases are, and what each column is of.
    """
    written = []
    for name, metric in table_names().items():
        comparison = compare(scores, metric=metric)
        stem = f"{name}{suffix}"
        texts = (
            to_csv(comparison),
            to_markdown(comparison, cases=cases),
            to_latex(comparison, cases=cases, label=stem.replace("_", "-")),
        )
        for ending, text in zip(_FORMATS, texts, strict=True):
            path = folder / f"{stem}.{ending}"
            files.write_text(path, text)
            written.append(path)
    return written


def rounded(metric: str, values: Sequence[float]) -> tuple[list[str], frozenset[int]]:
    """One row of a table.

    Args:
        metric: what the values are.
        values: one per network; NaN where undefined.

    Returns:
        the values as text, and which of them are best, as far as can be told after rounding; none where fewer than two are
        defined.
    """
    digits = decimals(metric)
    texts = [number(value, digits) for value in values]
    defined = [value for value in values if not math.isnan(value)]
    if len(defined) < 2:
        return texts, frozenset()
    best = number(METRICS[metric].best(defined), digits)
    return texts, frozenset(index for index, text in enumerate(texts) if text == best)


def row_of(comparison: Comparison, case: str) -> tuple[list[str], list[str], frozenset[int]]:
    """One case of a table.

    Returns:
        the values as text; behind each, in brackets, which classes are not in it, else nothing; and which of them are best,
        none where they are not over the same classes.
    """
    cells = [column.cells.get(case) for column in comparison.columns]
    texts, best = rounded(comparison.metric, [math.nan if cell is None else cell.value for cell in cells])
    texts = [MISSING if cell is None else text for cell, text in zip(cells, texts, strict=True)]
    reasons = [f" ({cell.reason})" if cell is not None and cell.reason else "" for cell in cells]
    return texts, reasons, best if comparison.comparable(case) else frozenset()


def decimals(metric: str) -> int:
    """With how many decimals a metric is written."""
    return METRICS[metric].decimals


def caption(comparison: Comparison, *, cases: str) -> str:
    """One or two sentences above a table.

    Args:
        comparison: what the table shows.
        cases: what the cases are, for example "held-out cases of the cross-validation".
    """
    title = METRICS[comparison.metric].label
    text = f"{title}, mean over the classes, by case ({cases}); the best of each row in bold."
    if not comparison.complete:
        text += " The columns have no values for the same cases and classes: their means cannot be compared."
    return text


def to_csv(comparison: Comparison) -> str:
    """A row per case, and two columns per network: its value with all digits, and for how many classes it is undefined."""
    undefined = {column.network: f"{column.network}: undefined classes" for column in comparison.columns}
    rows: list[dict[str, tables.Cell]] = []
    for case in comparison.cases:
        row: dict[str, tables.Cell] = {"case": case}
        for column in comparison.columns:
            if (cell := column.cells.get(case)) is not None:
                row |= {column.network: cell.value, undefined[column.network]: cell.undefined}
        rows.append(row)
    return tables.table_text(["case", *(title for pair in undefined.items() for title in pair)], rows)


def to_markdown(comparison: Comparison, *, cases: str) -> str:
    """The table with its caption; below the cases the mean over them, their standard deviation and their number."""

    def bold(text: str) -> str:
        return f"**{text}**"

    names = [_markdown(column.network) for column in comparison.columns]
    lines = [caption(comparison, cases=cases), "", _markdown_row(["Case", *names])]
    lines.append("|---" + "|---:" * len(names) + "|")
    lines += [_markdown_row([_markdown(case), *row]) for case, row in _case_rows(comparison, bold=bold, escape=_markdown)]
    lines += [_markdown_row([name, *row]) for name, row in _closing_rows(comparison, bold=bold)]
    return "\n".join(lines) + "\n"


def to_latex(comparison: Comparison, *, cases: str, label: str) -> str:
    """The same as a floating table for LaTeX; needs the package booktabs.

    Args:
        comparison: what the table shows.
        cases: what the cases are.
        label: the table's label, letters and dashes.
    """

    def bold(text: str) -> str:
        return rf"\textbf{{{text}}}"

    names = [_latex(column.network) for column in comparison.columns]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_latex(caption(comparison, cases=cases))}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(names)}}}",
        r"    \toprule",
        _latex_row(["Case", *names]),
        r"    \midrule",
        *(_latex_row([_latex(case), *row]) for case, row in _case_rows(comparison, bold=bold, escape=_latex)),
        r"    \midrule",
        *(_latex_row([name, *row]) for name, row in _closing_rows(comparison, bold=bold)),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _case_rows(
    comparison: Comparison, *, bold: Callable[[str], str], escape: Callable[[str], str]
) -> Iterator[tuple[str, list[str]]]:
    """Each case with its cells as text; the best, as far as can be told after rounding, in bold."""
    for case in comparison.cases:
        texts, reasons, best = row_of(comparison, case)
        strong = [bold(text) if index in best else text for index, text in enumerate(texts)]
        yield case, [text + escape(reason) for text, reason in zip(strong, reasons, strict=True)]


def _closing_rows(comparison: Comparison, *, bold: Callable[[str], str]) -> Iterator[tuple[str, list[str]]]:
    columns = comparison.columns
    means = [column.mean for column in columns]
    yield "Mean", _numbers(comparison, means, bold=bold if comparison.complete else str)
    yield "Standard deviation", _numbers(comparison, [column.sd for column in columns], bold=str)
    yield "Cases", [_case_count(column) for column in columns]


def _case_count(column: Column) -> str:
    return str(sum(not math.isnan(cell.value) for cell in column.cells.values()))


def _numbers(comparison: Comparison, values: Sequence[float], *, bold: Callable[[str], str]) -> list[str]:
    texts, best = rounded(comparison.metric, values)
    return [bold(text) if index in best else text for index, text in enumerate(texts)]


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>#|" else sign for sign in text)


def _latex_row(cells: Sequence[str]) -> str:
    return "    " + " & ".join(cells) + r" \\"


def _latex(text: str) -> str:
    return "".join(_LATEX_SPECIAL.get(sign, sign) for sign in text)
