import math

import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.comparison import compare, values_by_class


def scored(case: str, *dice: float, distance: float = 3.0) -> CaseMetrics:
    classes = tuple(
        ClassMetrics(
            value=index,
            name=f"class {index}",
            numbers={"dice": value, "hausdorff_mm": distance if index == 1 else math.nan},
        )
        for index, value in enumerate(dice, start=1)
    )
    return CaseMetrics(id=case, classes=classes)


def test_a_cell_is_the_mean_over_the_classes() -> None:
    comparison = compare({"U-Net": [scored("a", 0.8, 0.9)]}, metric="dice")
    assert comparison.columns[0].cells["a"].value == pytest.approx(0.85)
    assert comparison.columns[0].cells["a"].undefined == 0


def test_undefined_classes_are_left_out_and_counted() -> None:
    comparison = compare({"U-Net": [scored("a", 0.8, 0.9, distance=4.0)]}, metric="hausdorff_mm")
    cell = comparison.columns[0].cells["a"]
    assert (cell.value, cell.undefined) == (4.0, 1)


def test_a_case_without_any_defined_class_has_no_value_and_is_not_in_the_mean() -> None:
    (column,) = compare({"U-Net": [scored("a", math.nan), scored("b", 0.6)]}, metric="dice").columns
    assert math.isnan(column.cells["a"].value)
    assert column.mean == 0.6


def test_mean_and_deviation_by_hand() -> None:
    (column,) = compare({"U-Net": [scored("a", 0.2), scored("b", 0.4), scored("c", 0.9)]}, metric="dice").columns
    assert column.mean == pytest.approx(0.5)
    assert column.sd == pytest.approx(math.sqrt((0.09 + 0.01 + 0.16) / 2))


def test_one_case_has_a_mean_and_no_deviation() -> None:
    (column,) = compare({"U-Net": [scored("a", 0.2)]}, metric="dice").columns
    assert column.mean == 0.2
    assert math.isnan(column.sd)


def test_rows_are_all_cases_in_order_and_missing_ones_show() -> None:
    comparison = compare({"one": [scored("b", 0.5)], "other": [scored("a", 0.5), scored("b", 0.6)]}, metric="dice")
    assert comparison.cases == ("a", "b")
    assert not comparison.complete
    assert compare({"one": [scored("b", 0.5)], "other": [scored("b", 0.6)]}, metric="dice").complete


def test_two_scores_for_one_case_are_refused() -> None:
    with pytest.raises(ValueError, match="several scores"):
        compare({"U-Net": [scored("a", 0.5), scored("a", 0.6)]}, metric="dice")


def test_values_are_gathered_by_class() -> None:
    values = values_by_class([scored("a", 0.5, 0.25), scored("b", 0.75, math.nan)], "dice")
    assert list(values) == ["class 1", "class 2"]
    assert values["class 1"] == [0.5, 0.75]
    assert values["class 2"][0] == 0.25
    assert math.isnan(values["class 2"][1])
