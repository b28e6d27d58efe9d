"""Which cases the page shows, in what order, and how much of them."""

import math
from dataclasses import replace

import pytest
from oracles.version_0_1 import copy_of_0_1

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.events import Silent
from autoseg.reporting import case_sections
from autoseg.reporting.blocks import Pictures, Table, Viewer
from autoseg.reporting.case_sections import best_and_worst, cases_section, in_order_of_interest, mean_dice
from autoseg.reporting.data import ReportData, gather
from autoseg.reporting.materials import Materials
from autoseg.runs.workspace import Workspace

NAN = float("nan")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """Two held-out cases, a selection, and the scans beside them."""
    root = copy_of_0_1(tmp_path_factory.mktemp("v0_1"))
    return gather(Workspace(root / "workspace"), Silent())


def case_of(name: str, *dice: float, distance: float = 2.0) -> CaseMetrics:
    numbers = {"hausdorff_mm": distance, "reference_volume_ml": 1.0, "volume_ml": 0.0 if math.isnan(distance) else 1.0}
    classes = tuple(ClassMetrics(value, f"class {value}", {"dice": each, **numbers}) for value, each in enumerate(dice, 1))
    return CaseMetrics(name, classes)


def table_of(*cases: CaseMetrics) -> Table:
    return case_sections._case_table(cases, {}, title="U-Net")


def test_the_worst_the_best_and_the_median_come_first() -> None:
    dice = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.5}
    assert in_order_of_interest(dice) == ["e", "a", "c", "d", "b"]
    assert in_order_of_interest({"a": 0.9, "b": 0.8}) == ["b", "a"]
    assert in_order_of_interest({"a": 0.9}) == ["a"]
    assert in_order_of_interest({}) == []


def test_both_ends_are_shown_in_three_planes(data: ReportData) -> None:
    (pictures,) = best_and_worst(data)
    assert isinstance(pictures, Pictures)
    dice = mean_dice(data)
    best, worst = dice
    titles = [strip.title for strip in pictures.strips]
    assert titles == [f"Best case: {best}, mean Dice {dice[best]:.3f}", f"Worst case: {worst}, mean Dice {dice[worst]:.3f}"]
    assert [len(strip.pictures) for strip in pictures.strips] == [3, 3]
    assert [name for _, name in pictures.legend] == ["CSF", "GM", "WM"]
    assert pictures.shows.startswith("Filled: what the selection predicted.")


def test_a_single_case_is_neither_the_best_nor_the_worst(data: ReportData) -> None:
    (pictures,) = best_and_worst(replace(data, selected=data.selected[:1]))
    assert isinstance(pictures, Pictures)
    (strip,) = pictures.strips
    assert strip.title.startswith(f"Only case: {data.selected[0].id}")


def test_the_table_leads_to_the_scans_in_the_page(data: ReportData) -> None:
    cases = cases_section(data, Materials(data, Silent()))
    table, viewer, typical = cases.blocks
    assert isinstance(table, Table)
    assert isinstance(viewer, Viewer)
    assert cases.lead.startswith("Every held-out case of the selection (Sep-Res U-Net, fold 0, ")
    assert table.caption.startswith("Held-out cases of the selection, the worst first")
    assert "label map by the selection (filled) and its reference (outlined)" in viewer.shows
    assert isinstance(typical, Pictures)
    assert "label maps (filled) of the selection, U-Net, " in typical.shows
    worst, best = (row[0] for row in table.rows)
    assert list(viewer.views) == [worst, best]
    assert table.shown == {worst, best}
    assert (table.shown_in, table.sortable) == (viewer.id, True)
    assert viewer.notes[worst] == f"mean Dice {mean_dice(data)[worst]:.3f} (worst)"
    assert "other cases" not in viewer.shows


def test_scans_stay_out_of_a_page_that_is_large_enough(data: ReportData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_sections, "MOST_BYTES", 1)
    monkeypatch.setattr(case_sections, "_ALWAYS", 1)
    _, viewer, *_ = cases_section(data, Materials(data, Silent())).blocks
    assert isinstance(viewer, Viewer)
    assert len(viewer.views) == 1
    assert "1 other cases are not in the page" in viewer.shows


def test_a_page_without_scores_has_no_cases(data: ReportData) -> None:
    nothing = replace(data, selection=None, groups=(), selected=())
    assert cases_section(nothing, Materials(nothing, Silent())).blocks == []
    assert best_and_worst(nothing) == []


def test_rows_begin_with_the_worst_and_say_why_a_number_is_missing() -> None:
    table = table_of(case_of("a", 0.9, 0.8), case_of("b", 0.5, 0.0, distance=NAN), case_of("c", NAN, NAN))
    assert table.columns == ["case", "mean Dice", "Dice class 1", "Dice class 2", "HD (mm)"]
    assert [row[0] for row in table.rows] == ["c", "b", "a"]
    assert table.rows[1][1:4] == ["0.250", "0.500", "0.000"]
    assert table.rows[1][4] == "n/a (class 1 not found and class 2 not found)"
    assert table.rows[2][1:] == ["0.850", "0.900", "0.800", "2.00"]


def test_rows_end_with_cases_in_which_nothing_was_to_be_found() -> None:
    nothing = {"volume_ml": 0.0, "reference_volume_ml": 0.0}
    healthy = CaseMetrics("a", (ClassMetrics(1, "class 1", nothing),))
    table = table_of(healthy, case_of("b", 0.9), case_of("c", 0.1))
    assert [row[0] for row in table.rows] == ["c", "b", "a"]
    assert table.rows[2][1] == "n/a (nothing in the reference)"


def test_of_many_classes_the_lowest_is_shown() -> None:
    table = table_of(case_of("a", *[0.9] * 7, 0.3))
    assert table.columns == ["case", "mean Dice", "Dice lowest class", "HD (mm)"]
    assert table.rows[0][2] == "0.300"
    assert table_of(case_of("a", 0.9)).columns == ["case", "mean Dice", "HD (mm)"]  # which is the only class's
