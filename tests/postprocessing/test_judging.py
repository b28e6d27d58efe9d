"""Which steps of postprocessing are worth keeping, on scores made by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.postprocessing.judging import step_helps

NAN = float("nan")
CLASSES = ((1, "A"), (5, "B"))
Scores = Sequence[tuple[float, float]]
"""Dice and Hausdorff distance of a class, case by case."""

SAME: Scores = [(0.9, 5.0)] * 6


def moved(dice: Sequence[float], distance_mm: Sequence[float]) -> Scores:
    return [(0.9 + gain, 5.0 + change) for gain, change in zip(dice, distance_mm, strict=True)]


def cases(first: Scores, second: Scores = SAME, *, volumes_ml: tuple[float, float] = (3.0, 3.0)) -> list[CaseMetrics]:
    made = []
    for number, of_case in enumerate(zip(first, second, strict=False)):
        classes = []
        for (value, name), (dice, distance_mm) in zip(CLASSES, of_case, strict=True):
            numbers = {
                "dice": dice, "hausdorff_mm": distance_mm,
                "volume_ml": volumes_ml[0], "reference_volume_ml": volumes_ml[1],
            }  # fmt: skip
            classes.append(ClassMetrics(value, name, numbers))
        made.append(CaseMetrics(f"c{number}", tuple(classes)))
    return made


NONE = [0.0] * 6
STEADY = np.array([1.0, 1.1, 0.9, 1.0, 1.2, 0.8])  # mean 1, standard error .058
ALONE = np.array([6.0, 0, 0, 0, 0, 0])  # mean 1, standard error 1
WILD = np.array([9.0, -9, 8, -8, 5, 1])  # mean 1, standard error 3.2


@pytest.mark.parametrize(
    ("after", "good", "why"),
    [
        (SAME, False, "it changes nothing"),
        (moved(0.01 * STEADY, NONE), True, "better: Dice (+0.01000, standard error 0.00058)"),
        (moved(NONE, -STEADY), True, "better: Hausdorff distance (-1.000 mm, standard error 0.058)"),
        (moved(0.01 * STEADY, -STEADY), True, "and Hausdorff distance (-1.000 mm"),
        # beyond chance, but not to be seen in what is published
        (moved(0.000_003 * STEADY, NONE), False, "no change by more than chance explains"),
        (moved(NONE, -0.04 * STEADY), False, "no change"),
        # to be seen, but no more than chance
        (moved(0.01 * ALONE, NONE), False, "no change"),
        (moved(0.01 * WILD, NONE), False, "neither Dice (+0.01000, standard error 0.032"),
        (moved(NONE, -WILD), False, "no change"),
        # better in one and unchanged in the other, as far as can be told
        (moved(-0.000_02 * STEADY, -8.5 * STEADY), True, "better: Hausdorff distance (-8.500 mm"),
        (moved(0.01 * STEADY, WILD), True, "better: Dice"),
        # better in one and worse in the other
        (moved(-0.001 * STEADY, -8.5 * STEADY), False, "Dice of A gets worse (-0.00100"),
        (moved(0.01 * STEADY, STEADY), False, "Hausdorff distance of A gets worse (+1.000 mm"),
    ],
)
def test_a_step_improves_something_beyond_chance_and_worsens_nothing(after: Scores, good: bool, why: str) -> None:
    found, reason = step_helps(cases(SAME), cases(after), value=1)
    assert why in reason
    assert found == good


def test_other_classes_may_not_lose_and_do_not_gain_for_it() -> None:
    better, worse = moved(0.01 * STEADY, NONE), moved(-0.01 * STEADY, NONE)
    assert step_helps(cases(SAME), cases(better, worse), value=1) == (
        False, "Dice of B gets worse (-0.01000, standard error 0.00058)"
    )  # fmt: skip
    assert not step_helps(cases(SAME), cases(SAME, better), value=1)[0]
    assert step_helps(cases(SAME), cases(SAME, better), value=5)[0]


def test_a_step_of_all_classes_is_judged_by_their_mean() -> None:
    found, reason = step_helps(cases(SAME), cases(moved(0.01 * STEADY, NONE), moved(0.02 * STEADY, NONE)), value=None)
    assert found
    assert "Dice (+0.01500" in reason


def test_nothing_may_be_left_of_no_class_that_is_there() -> None:
    after = [*moved(0.01 * STEADY, -STEADY)[:5], (0.9, NAN)]
    assert step_helps(cases(SAME), cases(SAME, after), value=5) == (False, "nothing of B is left in 1 case that have it")


def test_false_positives_that_go_are_a_gain() -> None:
    found_and_not_there, gone = [(0.0, NAN)] * 6, [(NAN, NAN)] * 6
    before = cases(SAME, found_and_not_there, volumes_ml=(1.0, 0.0))
    kept, reason = step_helps(before, cases(SAME, gone, volumes_ml=(0.0, 0.0)), value=5)
    assert kept
    assert "better: false positives per case (-1.00" in reason


def test_a_single_case_says_nothing_of_others() -> None:
    kept, reason = step_helps(cases(SAME[:1]), cases([(1.0, 1.0)]), value=1)
    assert not kept
    assert "+0.10000, one case" in reason


def test_noise_is_seldom_kept() -> None:
    generator = np.random.default_rng(0)
    kept = 0
    for _ in range(200):
        after = moved(generator.normal(0, 0.01, 6), generator.normal(0, 2, 6))
        kept += step_helps(cases(SAME), cases(after), value=1)[0]
    assert kept < 200 * 0.15  # each of two measures by chance in one of twenty
