import math

import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.comparison import class_mean, compare, reasons_of, values_by_class

NAN = math.nan


def case_of(name: str, **numbers: tuple[float, float, float, float]) -> CaseMetrics:
    """A case by its classes' Dice, Hausdorff distance, volume and volume in the reference."""
    keys = ("dice", "hausdorff_mm", "volume_ml", "reference_volume_ml")
    return CaseMetrics(
        name,
        tuple(ClassMetrics(value, label, dict(zip(keys, of_class, strict=True)))
              for value, (label, of_class) in enumerate(numbers.items(), start=1)),
    )  # fmt: skip


BOTH = {"GM": (0.9, 4.0, 5.0, 5.0), "WM": (0.7, 2.0, 5.0, 5.0)}
MISSED = (0.0, NAN, 0.0, 2.0)
ABSENT = (NAN, NAN, 0.0, 0.0)
INVENTED = (0.0, NAN, 2.0, 0.0)


def scored(case: str, *dice: float, distance: float = 3.0) -> CaseMetrics:
    classes = tuple(
        ClassMetrics(
            value=index,
            name=f"class {index}",
            numbers={"dice": value, "hausdorff_mm": distance if index == 1 else NAN},
        )
        for index, value in enumerate(dice, start=1)
    )
    return CaseMetrics(id=case, classes=classes)


def test_a_cell_is_the_mean_over_the_classes() -> None:
    comparison = compare({"U-Net": [scored("a", 0.8, 0.9)]}, metric="dice")
    assert comparison.columns[0].cells["a"].value == pytest.approx(0.85)
    assert comparison.columns[0].cells["a"].undefined == 0


def test_a_class_that_was_not_found_leaves_no_mean_distance() -> None:
    cell = class_mean(case_of("a", **BOTH, CSF=MISSED), "hausdorff_mm")
    assert math.isnan(cell.value)
    assert (cell.undefined, cell.classes, cell.reason) == (1, (), "CSF not found")
    assert cell.missed
    assert class_mean(case_of("a", **BOTH, CSF=MISSED), "dice").value == pytest.approx(1.6 / 3)


def test_without_volumes_dice_tells_what_the_reference_contains() -> None:
    comparison = compare({"U-Net": [scored("a", 0.8, 0.9, distance=4.0)]}, metric="hausdorff_mm")
    cell = comparison.columns[0].cells["a"]
    assert math.isnan(cell.value)
    assert cell.reason == "class 2 undefined"


@pytest.mark.parametrize("metric", ["dice", "hausdorff_mm"])
def test_a_class_that_nobody_asked_for_is_left_out_by_name(metric: str) -> None:
    cell = class_mean(case_of("a", **BOTH, CSF=ABSENT, left=ABSENT), metric)
    assert cell.value == pytest.approx({"dice": 0.8, "hausdorff_mm": 3.0}[metric])
    assert (cell.undefined, cell.classes, cell.reason) == (2, ("GM", "WM"), "without CSF and left")


def test_what_is_found_and_not_there_counts_as_its_dice_says_and_has_no_distance() -> None:
    case = case_of("a", **BOTH, CSF=INVENTED)
    assert class_mean(case, "dice").value == pytest.approx(1.6 / 3)
    assert class_mean(case, "hausdorff_mm").value == pytest.approx(3.0)
    assert class_mean(case, "hausdorff_mm").reason == "without CSF"


def test_what_is_not_in_the_means_of_several_cases_is_counted() -> None:
    cases = [case_of("a", **BOTH, CSF=MISSED), case_of("b", **BOTH, CSF=ABSENT), case_of("c", **BOTH, CSF=MISSED)]
    cells = [class_mean(case, "hausdorff_mm") for case in cases]
    assert reasons_of(cells) == "CSF not found in 2 cases, without CSF in 1 case"
    assert reasons_of([class_mean(case_of("a", **BOTH), "dice")]) == ""


def test_a_case_of_nothing_has_no_mean() -> None:
    cell = class_mean(case_of("a", CSF=ABSENT), "dice")
    assert (cell.reason, cell.missed) == ("nothing in the reference", False)


def test_what_only_the_reference_leaves_undefined_is_not_missed() -> None:
    invented = class_mean(case_of("a", CSF=INVENTED), "hausdorff_mm")
    assert (invented.reason, invented.missed) == ("nothing in the reference", False)
    in_part = class_mean(case_of("a", CSF=(0.8, NAN, 1.0, 1.0)), "hausdorff_mm")
    assert (in_part.reason, in_part.missed) == ("not labelled throughout", False)
    assert class_mean(case_of("a", GM=(0.8, NAN, 1.0, 1.0), CSF=MISSED), "hausdorff_mm").missed


def test_a_mean_of_two_classes_is_not_compared_with_one_of_three() -> None:
    right, wrong = case_of("a", **BOTH, CSF=ABSENT), case_of("a", **BOTH, CSF=INVENTED)
    comparison = compare({"one": [right], "other": [wrong]}, metric="dice")
    assert not comparison.comparable("a")
    assert not comparison.complete
    distances = compare({"one": [right], "other": [wrong]}, metric="hausdorff_mm")
    assert distances.comparable("a")
    assert distances.complete


def test_a_network_that_missed_a_class_has_no_place_among_means_over_all() -> None:
    found, missed = case_of("a", **BOTH, CSF=(0.5, 9.0, 1.0, 2.0)), case_of("a", **BOTH, CSF=MISSED)
    comparison = compare({"one": [found], "other": [missed], "third": [found]}, metric="hausdorff_mm")
    assert comparison.comparable("a")  # the two that have a mean
    assert not comparison.complete
    assert compare({"one": [found], "other": [missed]}, metric="dice").complete


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
