import csv
import io
import math

import pytest

from autoseg.evaluation.comparison import Cell, Column, Comparison
from autoseg.reporting.tables import to_csv, to_latex, to_markdown

DICE = Comparison(
    metric="dice",
    cases=("IBSR_01", "IBSR_03"),
    columns=(
        Column("U-Net", {"IBSR_01": Cell(0.91236, 0), "IBSR_03": Cell(0.5, 0)}),
        Column("Sep & Res", {"IBSR_01": Cell(0.91234, 0), "IBSR_03": Cell(0.75, 0)}),
    ),
)
INCOMPLETE = Comparison(
    metric="hausdorff_mm",
    cases=("a", "b"),
    columns=(
        Column("one", {"a": Cell(12.0, 0), "b": Cell(math.nan, 2, reason="x_1 not found")}),
        Column("other", {"a": Cell(9.5, 0)}),
    ),
)


def rows_of(markdown: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("|")]


def test_csv_keeps_every_digit_and_tells_missing_from_undefined() -> None:
    header, first, second = csv.reader(io.StringIO(to_csv(INCOMPLETE)))
    assert header == ["case", "one", "one: undefined classes", "other", "other: undefined classes"]
    assert first == ["a", "12.0", "0", "9.5", "0"]
    assert second == ["b", "", "2", "", ""]
    assert "0.91236" in to_csv(DICE)


def test_markdown_has_a_row_per_case_and_closes_with_the_mean() -> None:
    rows = rows_of(to_markdown(DICE, cases="held out"))
    assert rows[0] == ["Case", "U-Net", "Sep & Res"]
    assert rows[2] == [r"IBSR\_01", "**0.9124**", "0.9123"]
    assert rows[3] == [r"IBSR\_03", "0.5000", "**0.7500**"]
    assert rows[4] == ["Mean", "0.7062", "**0.8312**"]
    assert rows[5][0] == "Standard deviation"
    assert rows[5][1] == f"{math.sqrt(2) * (0.91236 - 0.5) / 2:.4f}"
    assert rows[6] == ["Cases", "2", "2"]


def test_the_smaller_distance_is_the_better_one() -> None:
    assert rows_of(to_markdown(INCOMPLETE, cases="held out"))[2] == ["a", "12.00", "**9.50**"]


def test_what_is_missing_and_what_is_undefined_looks_different() -> None:
    assert rows_of(to_markdown(INCOMPLETE, cases="held out"))[3] == ["b", r"n/a (x\_1 not found)", "-"]
    assert r"b & n/a (x\_1 not found) & - \\" in to_latex(INCOMPLETE, cases="held out", label="t")


def test_means_over_other_classes_are_never_the_best() -> None:
    two, three = Cell(0.9, 1, ("GM", "WM"), "without CSF"), Cell(0.6, 0, ("CSF", "GM", "WM"))
    rows = rows_of(
        to_markdown(Comparison("dice", ("a",), (Column("one", {"a": two}), Column("other", {"a": three}))), cases="")
    )
    assert rows[2:4] == [["a", "0.9000 (without CSF)", "0.6000"], ["Mean", "0.9000", "0.6000"]]


def test_means_over_different_cases_are_not_ranked_and_the_caption_says_so() -> None:
    markdown = to_markdown(INCOMPLETE, cases="held out")
    assert rows_of(markdown)[4] == ["Mean", "12.00", "9.50"]
    assert "cannot be compared" in markdown
    assert "cannot be compared" not in to_markdown(DICE, cases="held out")


def test_values_that_print_alike_are_both_the_best() -> None:
    tie = Comparison("dice", ("a",), (Column("one", {"a": Cell(0.900001, 0)}), Column("other", {"a": Cell(0.900002, 0)})))
    assert rows_of(to_markdown(tie, cases="c"))[2] == ["a", "**0.9000**", "**0.9000**"]


def test_a_single_network_is_not_called_the_best() -> None:
    alone = Comparison("dice", ("a",), (Column("one", {"a": Cell(0.9, 0)}),))
    assert rows_of(to_markdown(alone, cases="c"))[2] == ["a", "0.9000"]


def test_latex_is_a_booktabs_table() -> None:
    latex = to_latex(DICE, cases="held out", label="table-3")
    body = [line.strip() for line in latex.splitlines()]
    assert body[0] == r"% needs \usepackage{booktabs}"
    assert r"\begin{tabular}{lrr}" in body
    assert r"Case & U-Net & Sep \& Res \\" in body
    assert r"IBSR\_01 & \textbf{0.9124} & 0.9123 \\" in body
    assert body.count(r"\midrule") == 2
    assert r"\label{tab:table-3}" in body


@pytest.mark.parametrize(
    ("name", "latex", "markdown"),
    [
        ("50%_$x$", r"50\%\_\$x\$", r"50%\_$x$"),
        ("a|b", r"a\textbar{}b", r"a\|b"),
        (r"a\b~^{}#", r"a\textbackslash{}b\textasciitilde{}\textasciicircum{}\{\}\#", r"a\\b~^\{\}\#"),
        ("[1] a", "{[}1] a", r"\[1\] a"),
        ("*a", "{*}a", r"\*a"),
        ("<script>", r"\textless{}script\textgreater{}", r"\<script\>"),
    ],
)
def test_names_are_shown_as_they_are(name: str, latex: str, markdown: str) -> None:
    comparison = Comparison("dice", (name,), (Column("net", {name: Cell(0.9, 0)}),))
    assert f"    {latex} & 0.9000" in to_latex(comparison, cases="c", label="t")
    assert f"| {markdown} | 0.9000 |" in to_markdown(comparison, cases="c")
