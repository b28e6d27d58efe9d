"""The shift of the prior that is learnt, and when it is kept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.evaluation.cases import CaseMetrics, ClassMetrics
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.inference.probabilities import encode
from autoseg.metrics.table import METRICS
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, score_choices
from autoseg.postprocessing.prior import FoundShift, best_shift, find_shift, shift_helps
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.undecided import STEP, Undecided, undecided
from tests.postprocessing.conftest import SHAPE

UNET = Choice(("unet",))
MakeHeldOut = Callable[..., HeldOutCase]


def found(cases: list[HeldOutCase]) -> FoundShift:
    before = [score_choices(case, choices=[UNET])[0] for case in cases]
    return find_shift(cases, choice=UNET, before=before, apply=map, events=Silent())


def mean_dice(case: HeldOutCase, shift: tuple[float, ...]) -> float:
    return case_means(score_choices(case, choices=[Choice(("unet",), log_shift=shift)]), "dice")[0]


@pytest.mark.parametrize("bias", [-0.8, 0.6])
def test_networks_that_find_too_much_or_too_little_are_put_right(
    make_held_out: MakeHeldOut, tmp_path: Path, bias: float
) -> None:
    cases = [make_held_out(tmp_path, f"c{n}", seed=n, bias=(0.0, bias, 0.0), fold=str(n % 3)) for n in range(6)]
    result = found(cases)
    assert result.tried is not None
    assert result.tried.kept
    assert result.choice.log_shift[0] == 0
    assert result.choice.log_shift[1] == pytest.approx(-bias, abs=0.3)
    assert result.choice.log_shift == result.tried.log_shift
    assert result.scores == tuple(score_choices(case, choices=[result.choice])[0] for case in cases)
    assert result.tried.after.dice.mean is not None
    assert result.tried.before.dice.mean is not None
    assert result.tried.after.dice.mean > result.tried.before.dice.mean
    assert "rises" in result.tried.reason


def test_what_teaches_one_case_alone_is_not_kept(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    biases = (1.0, -1.0, 0.0, 0.0, 1.0, -1.0)
    cases = [make_held_out(tmp_path, f"c{n}", seed=n, bias=(0.0, bias, 0.0), fold=str(n)) for n, bias in enumerate(biases)]
    result = found(cases)
    assert result.choice == UNET
    assert result.tried is not None
    assert not result.tried.kept
    assert result.scores == tuple(score_choices(case, choices=[UNET])[0] for case in cases)


def test_a_case_is_judged_by_what_other_folds_teach(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    cases = [make_held_out(tmp_path, f"c{n}", seed=n, bias=(0.0, 0.9, 0.0), fold=str(n // 2)) for n in range(4)]
    result = found(cases)
    tables = [undecided(case, choice=UNET, most_rows=10**6) for case in cases]
    first, second = best_shift(tables[2:]), best_shift(tables[:2])
    expected = np.mean([mean_dice(case, shift) for case, shift in zip(cases, [first, first, second, second], strict=True)])
    assert result.tried is not None
    assert result.tried.after.dice.mean == pytest.approx(expected)


def test_of_one_fold_each_case_is_left_out_alone(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    cases = [make_held_out(tmp_path, f"c{n}", seed=n, bias=(0.0, -0.9, 0.0)) for n in range(4)]
    result = found(cases)
    assert result.tried is not None
    assert result.tried.kept
    assert found(cases[:1]) == FoundShift(UNET, score_choices(cases[0], choices=[UNET]), None)


def test_no_shift_of_one_class_is_better_than_the_best(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    case = make_held_out(tmp_path, "a", seed=3, bias=(0.0, 0.7, -0.4))
    best = best_shift([undecided(case, choice=UNET, most_rows=10**6)])
    reached = mean_dice(case, best)
    assert reached > mean_dice(case, ())
    for index in (1, 2):
        for change in (-4 * STEP, 4 * STEP):
            other = tuple(value + change * (place == index) for place, value in enumerate(best))
            assert mean_dice(case, other) <= reached + 1e-3


def test_where_everything_is_right_nothing_is_shifted(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    case = make_held_out(tmp_path, "a", seed=3, sure=True)
    assert best_shift([undecided(case, choice=UNET, most_rows=10**6)]) == ()
    result = found([case, make_held_out(tmp_path, "b", seed=4, sure=True)])
    assert result.tried is not None
    assert (result.tried.phrase, result.tried.reason) == ("none", "no shift raises the Dice of the held-out cases")


def voxels_near(reference: int, *, right: int) -> Undecided:
    """Ten voxels of a class, 0 or 1, to which the background is given, with class 1 just below it, among others."""
    decided = np.array([[100, right], [100, right], [100 + 10 * (1 - reference), right + 10 * reference]])
    near = np.array([[0, 1]], dtype=np.int16), np.array([[0, -21]], dtype=np.int16)
    return Undecided(decided, *near, np.array([reference], dtype=np.int16), np.array([10.0]))


def test_where_no_case_has_any_class_nothing_is_shifted() -> None:
    healthy = voxels_near(0, right=0)
    assert best_shift([healthy]) == ()
    assert best_shift([healthy, healthy]) == ()
    assert best_shift([healthy, voxels_near(1, right=20)]) == ()  # with it, something is found in the first
    assert best_shift([voxels_near(1, right=20)]) == (0.0, 0.55)


def without_any_class(case: HeldOutCase) -> HeldOutCase:
    """A case of two classes whose reference is empty, and which networks nearly give to the second in some places."""
    write_labels(case.reference, np.zeros(SHAPE, np.uint16), Geometry(SHAPE, (1.0, 1.0, 1.0)))
    foreground = np.full(SHAPE, 0.02, np.float32)
    foreground[1:3, 5:9, 5:9] = 0.45
    np.save(case.probabilities["unet"][0][0], encode(np.stack([1 - foreground, foreground])))
    return case


def test_the_only_case_of_a_class_may_be_left_out(make_held_out: MakeHeldOut, tmp_path: Path) -> None:
    cases = [make_held_out(tmp_path, f"c{n}", classes=2, seed=n, bias=(0.0, 0.6)) for n in range(3)]
    result = found([cases[0], *map(without_any_class, cases[1:])])
    assert result.tried is not None
    assert not result.tried.kept


def scored(*dice: float) -> list[CaseMetrics]:
    names = [dict.fromkeys(METRICS, 1.0) | {"dice": value} for value in dice]
    return [
        CaseMetrics(str(number), (ClassMetrics(value=1, name="A", numbers=numbers),)) for number, numbers in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("gains", "kept", "reason"),
    [
        (
            (0.01, 0.02, 0.03),
            True,
            "Dice of cases left out rises by more than one standard error (+0.02000, standard error 0.00577)",
        ),
        ((0.01, -0.01, 0.01), False, "Dice of cases left out does not rise by more than one standard error (+0.00333, "),
        ((-0.01, -0.01, -0.01), False, "does not rise"),
        ((0.01, float("nan"), float("nan")), False, "too few cases have a Dice"),
    ],
)
def test_it_is_kept_where_the_gain_exceeds_its_standard_error(gains: tuple[float, ...], *, kept: bool, reason: str) -> None:
    before, after = scored(0.8, 0.8, 0.8), scored(*(0.8 + gain for gain in gains))
    found_kept, why = shift_helps(before, after)
    assert found_kept == kept
    assert reason in why


NOTHING = float("nan")
"""Dice of a case that does not have the class, where nothing of it was found."""


def of_a_lesion(with_it: list[float], without_it: float) -> list[CaseMetrics]:
    """Ten cases that have a lesion, with their Dice, and ten that do not."""
    dice = [*with_it, *[without_it] * 10]
    volume_ml = [2.0] * len(with_it) + [0.0] * 10
    return [
        CaseMetrics(str(number), (ClassMetrics(1, "lesion", {"dice": value, "reference_volume_ml": volume}),))
        for number, (value, volume) in enumerate(zip(dice, volume_ml, strict=True))
    ]


def test_a_shift_that_finds_what_is_not_there_is_not_kept() -> None:
    before = of_a_lesion([0.80 + 0.005 * number for number in range(10)], NOTHING)
    better = [0.805 + 0.0051 * number for number in range(10)]
    assert shift_helps(before, of_a_lesion(better, NOTHING))[0]
    kept, reason = shift_helps(before, of_a_lesion(better, 0.0))
    assert not kept
    assert "(-0.497" in reason  # half of the cases lose a whole Dice


def test_a_shift_that_no_longer_finds_what_is_not_there_is_kept() -> None:
    before = of_a_lesion([0.80 + 0.005 * number for number in range(10)], 0.0)
    slightly_worse = [0.799 + 0.0049 * number for number in range(10)]
    assert not shift_helps(before, of_a_lesion(slightly_worse, 0.0))[0]
    kept, reason = shift_helps(before, of_a_lesion(slightly_worse, NOTHING))
    assert kept
    assert "(+0.499" in reason


@pytest.mark.parametrize("cases", [5, 60, 120])
def test_of_one_fold_so_many_shifts_are_learnt_at_most(
    make_held_out: MakeHeldOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: int
) -> None:
    taught: list[int] = []

    def learn(tables: list[Undecided]) -> tuple[float, ...]:
        taught.append(len(tables))
        return ()

    monkeypatch.setattr("autoseg.postprocessing.prior.best_shift", learn)
    case = make_held_out(tmp_path, "a", seed=1)
    found([replace(case, id=f"c{number}") for number in range(cases)])
    *by_others, by_all = taught
    assert by_all == cases
    assert len(by_others) == min(cases, 50)
    assert sum(cases - others for others in by_others) == cases  # each is left out once
