"""What a selection scores on folds that had no part in it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.errors import UsageError
from autoseg.evaluation.cases import CaseMetrics
from autoseg.events import Silent
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.held_out import HeldOutCase, score_choices, score_postprocessed
from autoseg.postprocessing.nested import nested_score, require_folds
from autoseg.postprocessing.scoring import case_means
from autoseg.postprocessing.selection import NestedScore

UNET, SEPRES = Choice(("unet",)), Choice(("sepres",))
MakeHeldOut = Callable[..., HeldOutCase]


@pytest.fixture
def cases(make_held_out: MakeHeldOut, tmp_path: Path) -> list[HeldOutCase]:
    """A case of each of three folds and one more; one network is right in folds 0 and 1, the other in fold 2."""
    made = []
    (tmp_path / "other").mkdir()
    for number, fold in enumerate((0, 0, 1, 2)):
        one = make_held_out(tmp_path, f"c{number}", classes=2, seed=number, fold=str(fold), sure=fold < 2)
        other = make_held_out(tmp_path / "other", f"c{number}", classes=2, seed=10 + number, fold=str(fold), sure=fold == 2)
        made.append(replace(one, probabilities={"unet": one.probabilities["unet"], "sepres": other.probabilities["unet"]}))
    return made


def nested(cases: list[HeldOutCase]) -> tuple[NestedScore, dict[Choice, list[CaseMetrics]]]:
    scores = {choice: [score_choices(case, choices=[choice])[0] for case in cases] for choice in (UNET, SEPRES)}
    selected = {case.id: case for case in scores[UNET]}
    folder = cases[0].reference.parent
    return nested_score(cases, scores, selected, planes=(None,), folder=folder, apply=map, events=Silent()), scores


def test_each_fold_is_scored_by_what_the_others_choose(cases: list[HeldOutCase]) -> None:
    found, scores = nested(cases)
    assert [(fold.fold, fold.cases) for fold in found.folds] == [("0", 2), ("1", 1), ("2", 1)]
    without_last = found.folds[2]
    assert (without_last.networks, without_last.log_shift, without_last.postprocessing) == (("unet",), (), ())
    # The last fold is scored by the network that is right in the others and wrong there.
    expected = case_means(scores[UNET], "dice")
    assert expected[:3] == [1.0] * 3
    assert expected[3] < 0.99
    by_hand = [
        score_postprocessed(case, choice=Choice(fold.networks, log_shift=fold.log_shift), steps=fold.postprocessing)
        for fold in found.folds
        for case in cases
        if case.fold == fold.fold
    ]
    assert found.score.dice.mean == pytest.approx(sum(case_means(by_hand, "dice")) / 4)
    assert found.optimism.mean is not None
    assert found.score.dice.mean is not None
    assert found.optimism.mean == pytest.approx(sum(expected) / 4 - found.score.dice.mean)
    assert found.score.dice.cases == 4


def test_the_choice_of_a_fold_does_not_depend_on_its_cases(cases: list[HeldOutCase], make_held_out: MakeHeldOut) -> None:
    found, _ = nested(cases)
    swapped = [
        replace(case, probabilities={"unet": case.probabilities["sepres"], "sepres": case.probabilities["unet"]})
        if case.fold == "2"
        else case
        for case in cases
    ]
    other, _ = nested(swapped)
    assert other.folds[2] == found.folds[2]
    assert other.score != found.score


def test_two_folds_are_too_few(cases: list[HeldOutCase]) -> None:
    require_folds(cases)
    with pytest.raises(UsageError, match=r"too few folds.*fold 0, 1.*--fold all"):
        require_folds(cases[:3])
