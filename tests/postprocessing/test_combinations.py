from collections.abc import Mapping, Sequence

import pytest

from autoseg.catalogue import Architecture
from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.metrics.table import METRICS
from autoseg.postprocessing.choice import Choice, Networks
from autoseg.postprocessing.combinations import (
    TIE_DICE,
    all_combinations,
    candidates,
    comparable,
    not_in_difference,
    rank,
    told_differences,
    why_first,
)

NAN = float("nan")


def case(name: str, dice: float, hausdorff_mm: float = 5.0) -> CaseMetrics:
    numbers = {**dict.fromkeys(METRICS, 1.0), "dice": dice, "hausdorff_mm": hausdorff_mm}
    return CaseMetrics(name, (ClassMetrics(value=1, name="CSF", numbers=numbers),))


def scored(table: Mapping[Networks, Sequence[tuple[float, float]]]) -> dict[Choice, list[CaseMetrics]]:
    return {
        Choice(networks): [case(f"c{index}", *numbers) for index, numbers in enumerate(rows)]
        for networks, rows in table.items()
    }


def order(table: Mapping[Networks, Sequence[tuple[float, float]]]) -> list[Networks]:
    return [candidate.networks for candidate in rank(scored(table))]


def test_every_combination_once_the_single_ones_first() -> None:
    assert all_combinations(["unet", "sepres", "attention"]) == [
        ("unet",), ("sepres",), ("attention",),
        ("unet", "sepres"), ("unet", "attention"), ("sepres", "attention"),
        ("unet", "sepres", "attention"),
    ]  # fmt: skip


def test_with_several_views_all_and_each_left_out_and_each_network_alone() -> None:
    both: Networks = ("unet", "sepres")
    assert candidates(both, views=1) == [Choice(chosen) for chosen in all_combinations(both)]
    every = candidates(("unet", "sepres", "attention"), views=3)
    assert len(every) == len(set(every)) == 10
    three = ("unet", "sepres", "attention")
    assert {Choice(three), Choice(("sepres", "attention")), Choice(("unet",)), Choice(three, (0, 2))} < set(every)
    assert candidates(both, views=2) == [
        Choice(("unet",)),
        Choice(("sepres",)),
        Choice(both),
        Choice(both, (1,)),
        Choice(both, (0,)),
    ]
    assert candidates(("unet",), views=2) == [Choice(("unet",)), Choice(("unet",), (1,)), Choice(("unet",), (0,))]


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ((0.9, 5.0), (0.8, 4.0), "highest mean Dice of 2 on 1 held-out case"),
        ((0.9, 5.0), (0.9 + TIE_DICE / 2, 6.0), f"mean Dice within {TIE_DICE} of the highest, and the least Hausdorff"),
        ((0.9, 5.0), (0.9, 5.0), "no Hausdorff distance to tell it from others, and as few networks and views"),
        ((0.0, NAN), (0.0, NAN), "no Hausdorff distance to tell it from others, and as few networks and views"),
    ],
)
def test_the_reason_is_what_decided(first: tuple[float, float], second: tuple[float, float], why: str) -> None:
    ranked = rank(scored({("unet",): [first], ("unet", "sepres"): [second]}))
    assert ranked[0].networks == ("unet",)
    assert why in why_first(ranked, cases=1)


def test_nothing_is_compared_with_what_stands_alone() -> None:
    assert why_first(rank(scored({("unet",): [(0.9, 5.0)]})), cases=1) == "nothing else was trained"


def test_candidates_name_their_views_and_fewer_decide_between_equals() -> None:
    cases = [case("c0", 0.9), case("c1", 0.8)]
    ranked = rank({Choice(("unet",)): cases, Choice(("unet",), (1,)): cases}, planes=("axial", "coronal"))
    assert [(candidate.networks, candidate.views, candidate.title) for candidate in ranked] == [
        (("unet",), ("coronal",), "unet (coronal)"), (("unet",), (), "unet"),
    ]  # fmt: skip


def test_the_highest_mean_dice_wins() -> None:
    table: dict[Networks, list[tuple[float, float]]] = {
        ("unet",): [(0.90, 3.0), (0.80, 3.0)],
        ("sepres",): [(0.95, 9.0), (0.85, 9.0)],
        ("attention",): [(0.70, 1.0), (0.70, 1.0)],
    }
    assert order(table) == [("sepres",), ("unet",), ("attention",)]


def test_the_distance_decides_between_equals() -> None:
    within, beyond = 0.9 - 0.9 * TIE_DICE, 0.9 - 1.1 * TIE_DICE
    assert order({("unet",): [(0.9, 5.0)], ("sepres",): [(within, 4.0)]})[0] == ("sepres",)
    assert order({("unet",): [(0.9, 5.0)], ("sepres",): [(beyond, 4.0)]})[0] == ("unet",)


def test_a_distance_that_is_undefined_in_a_case_is_no_better_one() -> None:
    assert order({("unet",): [(0.9, 5.0), (0.9, 7.0)], ("sepres",): [(0.9, 5.0), (0.9, NAN)]})[0] == ("unet",)


def test_fewer_networks_decide_between_equals_in_both() -> None:
    assert order({("unet", "sepres"): [(0.9, 5.0)], ("sepres",): [(0.9, 5.0)]})[0] == ("sepres",)


def test_a_candidate_without_any_defined_dice_comes_last() -> None:
    assert order({("unet",): [(NAN, NAN)], ("sepres",): [(0.1, NAN)]}) == [("sepres",), ("unet",)]


def test_each_but_the_best_is_compared_with_the_best() -> None:
    best, other = rank(scored({
        ("unet",): [(0.9, 5.0)] * 6,
        ("sepres",): [(0.8, 5.0), (0.81, 5.0), (0.82, 5.0), (0.83, 5.0), (0.84, 5.0), (0.85, 5.0)],
    }))  # fmt: skip
    assert (best.difference, best.p) == (None, None)
    assert other.difference is not None
    assert other.difference.mean == pytest.approx(-0.075)
    assert other.p == pytest.approx(2 / 64)


def test_p_is_corrected_for_the_number_of_comparisons() -> None:
    worse = [(0.8, 5.0), (0.81, 5.0), (0.82, 5.0), (0.83, 5.0), (0.84, 5.0), (0.85, 5.0)]
    _, *others = rank(scored({("unet",): [(0.9, 5.0)] * 6, ("sepres",): worse, ("attention",): worse}))
    assert [other.p for other in others] == pytest.approx([4 / 64, 4 / 64])


def test_what_is_found_where_nothing_is_makes_no_difference_and_is_said() -> None:
    sick = [0.80, 0.82, 0.78, 0.81, 0.79, 0.80, 0.83, 0.77, 0.80, 0.80]
    slightly_other = [dice - 0.001 * (-1) ** number for number, dice in enumerate(sick)]
    healthy = {"careful": [NAN] * 10, "careless": [NAN] * 3 + [0.0] * 7}

    def lesions(dice: list[float]) -> list[CaseMetrics]:
        volume_ml = [2.0] * 10 + [0.0] * 10
        return [
            CaseMetrics(str(number), (ClassMetrics(1, "lesion", {"dice": value, "reference_volume_ml": volume}),))
            for number, (value, volume) in enumerate(zip(dice, volume_ml, strict=True))
        ]

    best, *others = rank({
        Choice(("unet",)): lesions(sick + healthy["careful"]),
        Choice(("sepres",)): lesions(slightly_other + healthy["careless"]),
        Choice(("attention",)): lesions(slightly_other + healthy["careful"]),
    })  # fmt: skip
    assert best.networks == ("unet",)
    said = {candidate.networks: not_in_difference(candidate, best) for candidate in others}
    assert said == {
        ("sepres",): "sepres alone finds something in 7 cases without any class, not in their difference over 10 cases",
        ("attention",): "",
    }
    assert not_in_difference(best, best) == ""
    similar, alone = told_differences([best, *others], cases=20)
    assert similar == "not significantly different (p > 0.05): attention"
    assert alone == said["sepres",]


@pytest.mark.parametrize(
    ("held_out", "networks", "common"),
    [
        ({"unet": {"a", "b"}, "sepres": {"a", "b"}}, ("unet", "sepres"), ("a", "b")),
        ({"unet": {"b", "a", "c"}, "sepres": {"c"}}, ("unet", "sepres"), ("c",)),
        ({"unet": {"a"}, "sepres": {"b", "c"}}, ("sepres",), ("b", "c")),
        ({"unet": {"a"}, "sepres": {"b"}}, ("unet",), ("a",)),
        ({"unet": {"a", "b"}, "sepres": {"b", "c", "d"}, "attention": {"a", "c"}}, ("unet", "sepres"), ("b",)),
        ({"unet": set(), "sepres": {"a"}}, ("sepres",), ("a",)),
        ({}, (), ()),
    ],
)
def test_networks_are_compared_on_the_cases_they_share(
    held_out: dict[Architecture, set[str]], networks: Networks, common: tuple[str, ...]
) -> None:
    assert comparable(held_out) == (networks, common)
