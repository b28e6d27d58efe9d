"""Scores by class, on cases whose means are worked out by hand."""

import math
from collections.abc import Sequence

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.reporting.class_tables import differences_table, networks_table, subject_table, volumes_table

NAN = math.nan


def cases_of(
    gm: Sequence[float], wm: Sequence[float], *, distance_mm: float = 2.0, first: int = 0
) -> tuple[CaseMetrics, ...]:
    """Cases by the Dice of two classes."""
    numbers = {"hausdorff_mm": distance_mm, "volume_ml": 3.0, "reference_volume_ml": 4.0}
    return tuple(
        CaseMetrics(
            f"case_{number}",
            (ClassMetrics(1, "GM", {"dice": one, **numbers}), ClassMetrics(2, "WM", {"dice": other, **numbers})),
        )
        for number, (one, other) in enumerate(zip(gm, wm, strict=True), start=first)
    )


SELECTED = cases_of([0.8, 0.9], [0.9, 0.9])


def test_the_subject_has_mean_and_deviation_of_each_class() -> None:
    table = subject_table(SELECTED, title="the selection (U-Net)")
    assert table.caption.startswith("By class, the selection (U-Net), 2 held-out cases: ")
    assert table.columns == ["class", "Dice", "HD (mm)"]
    assert table.rows == [
        ["GM", "0.850 ± 0.071", "2.00 ± 0.00"],
        ["WM", "0.900 ± 0.000", "2.00 ± 0.00"],
        ["mean of the classes", "0.875 ± 0.035", "2.00 ± 0.00"],
    ]


def test_volumes_have_a_table_of_their_own_which_is_folded() -> None:
    table = volumes_table(SELECTED, title="the selection (U-Net)")
    assert table.caption.startswith("Volumes by class, the selection (U-Net), 2 held-out cases: ")
    assert table.columns == ["class", "Volume (ml)", "Volume in the reference (ml)"]
    assert table.rows == [["GM", "3.00 ± 0.00", "4.00 ± 0.00"], ["WM", "3.00 ± 0.00", "4.00 ± 0.00"]]
    assert table.folded


def test_a_single_case_has_no_deviation_and_six_have_an_interval_on_a_line_of_its_own() -> None:
    assert subject_table(SELECTED[:1], title="").rows[0][1] == "0.800"
    first, second = subject_table(cases_of([0.8, 0.9] * 3, [0.9] * 6), title="").rows[0][1].splitlines()
    assert first == "0.850 ± 0.055"
    assert second.startswith("(0.")
    assert " to 0." in second


def test_what_is_not_in_a_mean_stands_below_it() -> None:
    (cell, _), *_ = [row[1:] for row in subject_table(cases_of([0.8, NAN], [0.9, 0.9]), title="").rows]
    number, reason = cell.splitlines()
    assert number == "0.800"
    assert reason.startswith("(1 ")


def test_single_networks_are_named_as_such() -> None:
    table = networks_table({"U-Net": cases_of([0.7], [0.9])}, titles="U-Net: fold 0")
    assert table.caption.startswith("For comparison, single networks by class (U-Net: fold 0): ")
    assert [row[:2] for row in table.rows] == [
        ["U-Net: GM", "0.700"], ["U-Net: WM", "0.900"], ["U-Net: mean of the classes", "0.800"],
    ]  # fmt: skip


def test_differences_are_case_by_case_over_the_cases_of_both() -> None:
    others = {
        "U-Net": cases_of([0.6, 0.9, 0.1], [0.9, 0.9, 0.1]),  # the third case was not selected on
        "Sep-Res U-Net": cases_of([0.9], [0.9], first=7),
    }
    table = differences_table("Selection", SELECTED, others, title="the selection (U-Net)")
    assert table is not None
    assert table.caption.startswith("Single networks minus the selection (U-Net), case by case")
    assert table.columns == ["network", "Dice", "HD (mm)", "cases"]
    assert table.rows == [["U-Net", "-0.050", "+0.00", "2"]]


def test_no_case_in_common_leaves_nothing_to_compare() -> None:
    assert differences_table("Selection", SELECTED, {"U-Net": cases_of([0.9], [0.9], first=7)}, title="") is None


def test_cases_without_a_difference_are_counted() -> None:
    missed = cases_of([0.8, NAN], [0.9, NAN])
    table = differences_table("Selection", SELECTED, {"U-Net": missed}, title="")
    assert table is not None
    assert table.rows[0][1] == "+0.000\n(1 case)"
