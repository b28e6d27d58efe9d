from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autoseg.errors import TrainingError
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.slice_selection import draw_epoch, slice_pools

MakePlan = Callable[..., Plan]
MakeCase = Callable[..., StoredCase]
Cases = list[tuple[str, StoredCase]]


@pytest.fixture
def cases(make_case: MakeCase) -> Cases:
    """Two cases of ten slices; the class shows in slices 2 to 4 of the first and in slice 7 of the second."""
    first, second = make_case(0, slices=10), make_case(1, slices=10)
    first.stack(0).label[[0, 1, *range(5, 10)]] = 0
    second.stack(0).label[[*range(7), 8, 9]] = 0
    return [("first", first), ("second", second)]


SHOWING = [(0, 2), (0, 3), (0, 4), (1, 7)]


def drawn(plan: Plan, cases: Cases, *, count: int, seed: int = 0) -> list[tuple[int, int]]:
    rows = draw_epoch(
        slice_pools([case.stack(0) for _, case in cases], plan), count=count, generator=np.random.default_rng(seed)
    )
    return [(int(case), int(index)) for case, index in rows]


def selecting(make_plan: MakePlan, **selection: Any) -> Plan:
    return make_plan(training={"slices": selection})


def test_all_takes_every_slice_once_per_pass(make_plan: MakePlan, cases: Cases) -> None:
    order = drawn(selecting(make_plan, rule="all"), cases, count=40)
    everything = [(case, index) for case in range(2) for index in range(10)]
    assert sorted(order[:20]) == sorted(order[20:]) == everything
    assert order[:20] != everything


def test_with_class_takes_only_slices_that_show_it(make_plan: MakePlan, cases: Cases) -> None:
    order = drawn(selecting(make_plan, rule="with_class", label=2), cases, count=8)
    assert sorted(order[:4]) == sorted(order[4:]) == SHOWING


def test_with_class_finds_a_region_wherever_one_inside_it_shows(make_plan: MakePlan, cases: Cases) -> None:
    cases[1][1].stack(0).label[cases[1][1].stack(0).label == 1] = 2  # index 2 is the inner region
    cases[0][1].stack(0).label[4][cases[0][1].stack(0).label[4] == 1] = 3  # nobody labelled it
    regions = [
        {"value": 0, "name": "background"},
        {"value": 2, "name": "disc", "values": [2, 5], "order": 0},
        {"value": 5, "name": "hole", "values": [5], "order": 1},
    ]
    for value, showing in ((2, [(0, 2), (0, 3), (1, 7)]), (5, [(1, 7)])):
        plan = make_plan(
            data={"classes": regions, "ignore": 9},
            training={"slices": {"rule": "with_class", "label": value}, "class_weights": [1.0, 1.0, 1.0]},
        )
        assert sorted(drawn(plan, cases, count=len(showing))) == showing


def test_with_class_tells_classes_apart(make_plan: MakePlan, cases: Cases) -> None:
    cases[1][1].stack(0).label[cases[1][1].stack(0).label == 1] = 2  # index 2 is the class of value 5
    classes = [{"value": 0, "name": "background"}, {"value": 2, "name": "disc"}, {"value": 5, "name": "ring"}]
    plan = make_plan(
        data={"classes": classes},
        training={"slices": {"rule": "with_class", "label": 5}, "class_weights": [1.0, 1.0, 1.0]},
    )
    assert set(drawn(plan, cases, count=3)) == {(1, 7)}


def test_foreground_weighted_draws_slices_as_often_as_they_have_foreground(make_plan: MakePlan, cases: Cases) -> None:
    pixels = {}
    for case, index in SHOWING:
        label = cases[case][1].stack(0).label
        label[index] = 0
        label[index].flat[: 10 * (1 + index)] = 1
        pixels[case, index] = 10 * (1 + index)  # 30, 40, 50 and 80
    order = drawn(selecting(make_plan, rule="foreground_weighted", fraction=0.8), cases, count=100)
    uniform = drawn(selecting(make_plan, rule="foreground_weighted", fraction=0.0), cases, count=20)
    assert sorted(uniform) == [(case, index) for case in range(2) for index in range(10)]
    for place in SHOWING:  # 80 by weight, and one pass over all 20 slices
        assert order.count(place) == pytest.approx(80 * pixels[place] / 200 + 1, abs=1)
    assert {order.count((case, index)) for case in range(2) for index in range(10) if (case, index) not in SHOWING} == {1}
    assert set(order[:50]) != {*SHOWING}  # mixed
    rare = selecting(make_plan, rule="foreground_weighted", fraction=1.0)
    assert len({tuple(drawn(rare, cases, count=2, seed=seed)) for seed in range(9)}) > 1


@pytest.mark.parametrize(("fraction", "fewest"), [(0.0, 0), (0.75, 15), (1.0, 20)])
def test_foreground_fraction_draws_that_many_from_slices_with_foreground(
    make_plan: MakePlan, cases: Cases, fraction: float, fewest: int
) -> None:
    order = drawn(selecting(make_plan, rule="foreground_fraction", fraction=fraction), cases, count=20)
    showing = sum(source in SHOWING for source in order)
    assert len(order) == 20
    assert fewest <= showing <= fewest + 4  # the others come from one pass over all slices
    if fraction == 0.75:  # mixed, not one pool after the other
        assert any(source not in SHOWING for source in order[:15])


def test_the_same_generator_gives_the_same_epoch(make_plan: MakePlan, cases: Cases) -> None:
    plan = selecting(make_plan, rule="foreground_fraction", fraction=0.5)
    assert drawn(plan, cases, count=20, seed=4) == drawn(plan, cases, count=20, seed=4)
    assert drawn(plan, cases, count=20, seed=4) != drawn(plan, cases, count=20, seed=5)


@pytest.mark.parametrize(
    "selection",
    [
        {"rule": "with_class", "label": 2},
        {"rule": "foreground_fraction", "fraction": 0.5},
        {"rule": "foreground_weighted", "fraction": 0.5},
    ],
)
def test_nothing_to_select_is_an_error_that_names_the_key(
    make_plan: MakePlan, cases: Cases, selection: dict[str, Any]
) -> None:
    for _, case in cases:
        case.stack(0).label[:] = 0
    with pytest.raises(TrainingError, match=r"training\.slices"):
        slice_pools([case.stack(0) for _, case in cases], selecting(make_plan, **selection))


@pytest.mark.parametrize(
    "selection",
    [
        {"rule": "with_class"},
        {"rule": "with_class", "label": 2, "fraction": 0.5},
        {"rule": "foreground_fraction", "label": 2},
        {"rule": "foreground_weighted"},
        {"rule": "all", "fraction": 0.5},
        {"rule": "with_class", "label": 7},  # no class of the plan
        {"rule": "with_class", "label": 0},  # the background shows everywhere
    ],
)
def test_a_rule_needs_its_own_value_and_no_other(make_plan: MakePlan, selection: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"slices|label"):
        selecting(make_plan, **selection)
