"""Paired comparisons: golden numbers, what is refused, and what is said."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.errors import UsageError
from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.evaluation.judged import problems_of
from autoseg.evaluation.paired import PairedComparison, PairedMetric, Side, compare_sides
from autoseg.evaluation.paired_tables import comparison_rows, in_words, write_comparison
from autoseg.evaluation.statistics import holm, paired_test
from autoseg.evaluation.tables import read_cases
from autoseg.metrics.table import table_metrics
from autoseg.storage import files

NAN = math.nan
NAMES = {1: "CSF", 2: "GM"}


def scores(case: str, value: int, dice: float, *, names: dict[int, str] = NAMES, **others: float) -> ClassMetrics:
    """Scores of a class; the references contain all but GM in r."""
    fixed = {"nsd": 0.5, "hausdorff_mm": 3.0, "hausdorff95_mm": 2.0, "assd_mm": 1.0}
    contained_ml = 0.0 if (case, value) == ("r", 2) else 2.0
    volumes = {"volume_ml": 1.0, "reference_volume_ml": contained_ml, "nsd_tolerance_mm": 1.0}
    return ClassMetrics(value, names[value], {"dice": dice, **fixed, **volumes, **others})


def side(name: str, dice: dict[str, tuple[float, float]], *, names: dict[int, str] = NAMES, **others: float) -> Side:
    """A side with the Dice of both classes by case."""
    cases = [
        CaseMetrics(
            case, tuple(scores(case, value, one, names=names, **others) for value, one in zip(names, both, strict=True))
        )
        for case, both in dice.items()
    ]
    return Side(name, tuple(cases))


A = side("a", {"p": (0.8, 0.9), "q": (0.6, 0.7), "r": (0.5, NAN)})
B = side("b", {"q": (0.7, 0.7), "p": (0.9, 0.7), "r": (0.9, 0.0)})


def found(comparison: PairedComparison, metric: str, label: str | None, compared: str = "b") -> PairedMetric:
    [result] = [each for each in comparison.results if (each.metric, each.label, each.compared) == (metric, label, compared)]
    return result


def test_differences_are_of_the_same_case_and_class() -> None:
    comparison = compare_sides([A, B])
    assert (comparison.baseline, comparison.compared, comparison.cases) == ("a", ("b",), ("p", "q", "r"))
    csf, gm, mean = (found(comparison, "dice", label) for label in ("CSF", "GM", None))
    assert [case.difference for case in csf.cases] == pytest.approx([0.1, 0.1, 0.4])
    assert csf.means == pytest.approx((1.9 / 3, 2.5 / 3))
    assert csf.test.difference.mean == pytest.approx(0.2)
    assert [case.difference for case in gm.cases] == pytest.approx([-0.2, 0.0, NAN], nan_ok=True)
    assert (gm.undefined, gm.means) == (1, pytest.approx((0.8, 0.7)))
    # Means over the classes that both define: .85 and .8, .65 and .7, of r .5 and .9, where GM is left out of both.
    assert [(case.baseline, case.compared) for case in mean.cases] == [
        pytest.approx((0.85, 0.8)), pytest.approx((0.65, 0.7)), pytest.approx((0.5, 0.9)),
    ]  # fmt: skip
    assert mean.test.difference.mean == pytest.approx((-0.05 + 0.05 + 0.4) / 3)
    assert mean.test.p == paired_test([0.8, 0.7, 0.9], [0.85, 0.65, 0.5]).p


def test_a_class_that_was_not_found_leaves_the_case_without_a_mean() -> None:
    lost = CaseMetrics("p", (scores("p", 1, 0.9), scores("p", 2, 0.7, hausdorff_mm=NAN)))
    comparison = compare_sides([A, Side("b", (lost, B.cases[0], B.cases[2]))])
    csf, gm, mean = (found(comparison, "hausdorff_mm", label) for label in ("CSF", "GM", None))
    assert [result.undefined for result in (csf, gm, mean)] == [0, 1, 1]
    assert [math.isnan(case.difference) for case in mean.cases] == [True, False, False]


@pytest.mark.parametrize("volume_ml", [2.0, NAN])
def test_a_missed_class_leaves_no_mean_whichever_side_knows_volumes(volume_ml: float) -> None:
    """One side does not know volumes, as tables of other tools do not, and misses GM in the first case."""

    def side_of(name: str, csf_mm: float, gm_mm: list[float], volume_ml: float) -> Side:
        cases = []
        for number, distance_mm in enumerate(gm_mm):
            gm_dice = 0.0 if math.isnan(distance_mm) else 0.8
            both = ((1, "CSF", 0.9, csf_mm), (2, "GM", gm_dice, distance_mm))
            found = [
                ClassMetrics(value, name, {"dice": dice, "hausdorff_mm": mm, "reference_volume_ml": volume_ml})
                for value, name, dice, mm in both
            ]
            cases.append(CaseMetrics(f"c{number}", tuple(found)))
        return Side(name, tuple(cases))

    theirs = side_of("theirs", 5.0, [NAN, *[50.0] * 5], NAN)
    ours = side_of("ours", 6.0, [30.0] * 6, volume_ml)
    first, second = (
        found(compare_sides([one, other]), "hausdorff_mm", None, other.name)
        for one, other in ((theirs, ours), (ours, theirs))
    )
    assert (first.undefined, second.undefined) == (1, 1)
    assert [case.difference for case in first.cases] == pytest.approx([NAN, *[-9.5] * 5], nan_ok=True)
    assert [-case.difference for case in second.cases] == pytest.approx([NAN, *[-9.5] * 5], nan_ok=True)
    assert first.means == second.means[::-1] == (27.5, 18.0)


def test_every_metric_of_tables_is_compared() -> None:
    comparison = compare_sides([A, B])
    assert {result.metric for result in comparison.results} == set(table_metrics())
    assert found(comparison, "assd_mm", "GM").test.difference.mean == 0.0


def test_tests_are_corrected_for_how_many_there_are_of_their_kind() -> None:
    names = "pqrstuvw"
    sides = [side("a", dict.fromkeys(names, (0.5, 0.5)))]
    for name, gains in {"b": (0.1, 0.0), "c": (0.01, 0.2)}.items():
        cases = {case: (0.5 + gains[0] * (1 + index), 0.5 + gains[1] * (index - 3)) for index, case in enumerate(names)}
        sides.append(side(name, cases))
    comparison = compare_sides(sides)
    of_means = [found(comparison, "dice", None, name) for name in "bc"]
    assert [result.p for result in of_means] == holm([result.test.p for result in of_means])
    of_classes = [found(comparison, "dice", label, name) for name in "bc" for label in ("CSF", "GM")]
    assert [result.p for result in of_classes] == holm([result.test.p for result in of_classes])
    assert ({result.tests for result in of_means}, {result.tests for result in of_classes}) == ({2}, {4})
    assert of_classes[0].test.p == pytest.approx(2 / 2**8)  # all eight on one side


def test_cases_of_only_some_sides_are_named_and_left_out() -> None:
    more = side("more", {"p": (0.1, 0.1), "x": (0.1, 0.1)})
    comparison = compare_sides([A, B, more])
    assert comparison.cases == ("p",)
    assert comparison.missing == {"q": ("more",), "r": ("more",), "x": ("a", "b")}
    assert comparison.total == 4
    assert compare_sides([A, replace(B, expected=frozenset({"p", "y"}))]).total == 4
    assert [(case, str(error)) for case, error in problems_of([], comparison)][2] == (
        "x", "is not in a, b. Segment or score it on every side, or leave it: the others are compared without it."
    )  # fmt: skip


def test_without_a_common_case_there_is_nothing_to_compare() -> None:
    with pytest.raises(UsageError, match=r"no case that all of them have.*a: p, q, r; x: y"):
        compare_sides([A, side("x", {"y": (0.1, 0.1)})])


@pytest.mark.parametrize("names", [{1: "CSF", 2: "WM"}, {1: "CSF", 3: "GM"}])
def test_other_classes_are_refused(names: dict[int, str]) -> None:
    with pytest.raises(UsageError, match=r"x: the classes differ; expected 1 \(CSF\), 2 \(GM\); found 1 \(CSF\)"):
        compare_sides([A, side("x", dict.fromkeys("pqr", (0.5, 0.5)), names=names)])


def test_classes_without_names_are_those_of_the_same_value() -> None:
    unnamed = {1: "class 1", 2: "class 2"}
    cases = side("x", dict.fromkeys("pqr", (0.5, 0.5)), names=unnamed).cases
    for sides in ([A, Side("b", cases)], [Side("a", cases), Side("b", A.cases)]):
        assert {result.label for result in compare_sides(sides).results} == {None, "CSF", "GM"}


def test_other_references_are_refused_by_their_volume_or_their_checksum() -> None:
    with pytest.raises(UsageError, match="b: were not judged against the same references as those of a: p, q, r"):
        compare_sides([A, side("b", dict.fromkeys("pqr", (0.5, 0.5)), reference_volume_ml=2.001)])
    ours, theirs = Side("a", A.cases, {"p": "1", "q": "2"}), Side("b", B.cases, {"q": "3", "r": "4"})
    with pytest.raises(UsageError, match="b: were not judged against the same references as those of a: q;"):
        compare_sides([ours, theirs])
    assert compare_sides([ours, Side("b", B.cases, {"q": "2"})]).cases == ("p", "q", "r")


def test_surface_dice_of_other_tolerances_is_not_compared() -> None:
    other = side("b", dict.fromkeys("pqr", (0.5, 0.5)), nsd_tolerance_mm=2.0)
    comparison = compare_sides([A, other])
    assert comparison.warnings == tuple(
        f"{name}: no normalised surface Dice, because its tolerances in mm differ (a 1, b 2)" for name in ("CSF", "GM")
    )
    assert not [result for result in comparison.results if result.metric == "nsd"]
    assert found(comparison, "dice", "CSF").undefined == 0


def test_a_metric_that_a_side_does_not_have_is_named() -> None:
    older = side("b", dict.fromkeys("pqr", (0.5, 0.5)), nsd=NAN, nsd_tolerance_mm=NAN)
    comparison = compare_sides([A, older])
    assert comparison.warnings == ("Normalised surface Dice: no case of b has it",)
    assert {result.metric for result in comparison.results} == set(table_metrics()) - {"nsd"}


def test_tables_hold_every_difference_and_what_they_amount_to(tmp_path: Path) -> None:
    comparison = compare_sides([A, B])
    differences, statistics, document = write_comparison(tmp_path, comparison)
    lines = differences.read_text().splitlines()
    assert lines[0] == "case,class,metric,baseline,compared,baseline_value,compared_value,difference"
    assert len(lines) == 1 + len(table_metrics()) * 3 * 3  # two classes and their mean, three cases
    assert "q,GM,dice,a,b,0.7,0.7,0.0" in lines
    assert "r,GM,dice,a,b,,0.0," in lines
    assert len(statistics.read_text().splitlines()) == 1 + len(table_metrics()) * 3
    stored = json.loads(document.read_text())
    [gm] = [each for each in stored["results"] if (each["metric"], each["class"]) == ("dice", "GM")]
    assert (gm["cases"], gm["undefined"], gm["tests"]) == (2, 1, 2)
    assert gm["difference"] == pytest.approx(-0.1)
    assert stored["cases"] == ["p", "q", "r"]
    assert files.read_json(document, remedy="") == stored  # no NaN


def test_infinite_distances_of_other_tools_are_undefined(tmp_path: Path) -> None:
    """Some programs write the distance of what was not found as infinite."""
    numbers = {"ours": "5.1 5.9 9.0 5.6 7.1 6.4 5.3", "theirs": "5.0 6.0 inf 5.5 7.0 6.5 5.2"}
    sides = []
    for name, distances_mm in numbers.items():
        lines = [f"c{number},GM,1,0.9,{mm}" for number, mm in enumerate(distances_mm.split())]
        table = tmp_path / f"{name}.csv"
        table.write_text("\n".join(["case,class,value,dice,hausdorff_mm", *lines, ""]))
        sides.append(Side(name, read_cases(table)))
    comparison = compare_sides(sides)
    result = found(comparison, "hausdorff_mm", "GM", "theirs")
    assert (result.undefined, result.test.difference.cases) == (1, 6)
    assert result.means == pytest.approx((5.9, 35.2 / 6))
    assert all("inf" not in path.read_text() for path in write_comparison(tmp_path, comparison))
    [row] = [row for row in comparison_rows(comparison, "theirs", most_classes=8) if row[:2] == ["HD (mm)", "GM"]]
    assert row[2:4] == ["5.90", "5.87"]


def test_lines_for_people() -> None:
    comparison = compare_sides([A, B])
    rows = comparison_rows(comparison, "b", most_classes=8)
    assert len(rows) == 3 * len(table_metrics())
    assert rows[0][:4] == ["Dice", "mean over classes", "0.667", "0.800"]
    assert len(comparison_rows(comparison, "b", most_classes=1)) == len(table_metrics())
    assert in_words(comparison) == [
        "Mean Dice of b minus a: 0.1333; b alone finds a class in 1 case without it, not in the difference over 3 cases"
    ]
    without_r = [replace(side, cases=tuple(case for case in side.cases if case.id != "r")) for side in (A, B)]
    assert in_words(compare_sides(without_r))[0].endswith("with 2 cases no difference can be told from chance")


def lesion(name: str, dice: dict[str, float]) -> Side:
    """A side with the Dice of a lesion that only cases called `p...` have."""
    return Side(
        name,
        tuple(
            CaseMetrics(
                case, (ClassMetrics(1, "lesion", {"dice": value, "reference_volume_ml": 2.0 * case.startswith("p")}),)
            )
            for case, value in dice.items()
        ),
    )


def without_volumes(side: Side) -> Side:
    """The same scores in a table that does not say how large classes are."""
    return replace(
        side,
        cases=tuple(
            replace(case, classes=tuple(replace(scores, numbers={"dice": scores.dice}) for scores in case.classes))
            for case in side.cases
        ),
    )


def test_a_side_that_finds_what_is_not_there_is_not_said_to_be_as_good() -> None:
    sick, healthy = [f"p{number}" for number in range(10)], [f"n{number}" for number in range(10)]
    dice = {case: 0.8 + 0.01 * number for number, case in enumerate(sick)}
    careful = lesion("a", {**dice, **dict.fromkeys(healthy, NAN)})
    other = {case: value + 0.001 * (-1) ** number for number, (case, value) in enumerate(dice.items())}
    assert (
        "could not be chance" in in_words(compare_sides([careful, lesion("b", {**other, **dict.fromkeys(healthy, NAN)})]))[0]
    )
    [told] = in_words(compare_sides([careful, lesion("b", {**other, **dict.fromkeys(healthy, 0.0)})]))
    assert told.endswith("b alone finds a class in 10 cases without it, not in the difference over 10 cases")
    some = lesion("b", {**other, **dict.fromkeys(healthy[:4], 0.0), "n5": NAN})
    for first in (some, without_volumes(some)):
        for second in (careful, without_volumes(careful)):
            [told] = in_words(compare_sides([first, second]))
            assert told.endswith("b alone finds a class in 4 cases without it, not in the difference over 10 cases")


def test_a_verdict_where_there_are_enough_cases() -> None:
    names = "pqrstuvw"
    worse = side("a", dict.fromkeys(names, (0.5, 0.5)))
    better = side("b", {case: (0.6 + 0.01 * index, 0.5) for index, case in enumerate(names)})
    assert in_words(compare_sides([worse, better])) == ["Mean Dice of b minus a: 0.0675; b is better (p = 0.008)"]
    assert in_words(compare_sides([better, worse])) == ["Mean Dice of a minus b: -0.0675; b is better (p = 0.008)"]
    mixed = side("b", {case: (0.4 + 0.2 * (index % 2), 0.5) for index, case in enumerate(names)})
    assert "no difference that could not be chance" in in_words(compare_sides([worse, mixed]))[0]


class CountedId(str):
    """An id that counts how often ids are hashed or compared."""

    __slots__ = ()
    asked = 0

    def __eq__(self, other: object) -> bool:
        CountedId.asked += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        CountedId.asked += 1
        return str.__hash__(self)


def asked_for(cases: int, *, missing: int) -> int:
    """How often ids are looked at where two sides share so many cases, and each has others."""
    sides = []
    for side_name in "ab":
        names = [f"case_{number:06d}" for number in range(cases)]
        names += [f"{side_name}_{number:06d}" for number in range(missing)]
        sides.append(Side(side_name, tuple(CaseMetrics(CountedId(name), (scores(name, 1, 0.5),)) for name in names)))
    CountedId.asked = 0
    comparison = compare_sides(sides)
    assert (len(comparison.cases), len(comparison.missing)) == (cases, 2 * missing)
    return CountedId.asked


def test_the_cost_of_a_comparison_is_linear() -> None:
    assert asked_for(400, missing=80) < 11 * asked_for(40, missing=8)
