"""What holds of an earlier plan where it is made again."""

from typing import Any

import pytest

from autoseg.planning.asked import Asked, asked_in, dropped, held, together
from autoseg.planning.sections import Inputs

BEFORE = Asked(
    planes=("coronal", "axial"), folds=3, minutes=60.0, overrides={"views.1.batch_size": 2, "training.loss": "dice"}
)


def inputs(**asked: Any) -> Inputs:
    defaults = {"recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 4.0, "folds": None}
    return Inputs(name="d", **{**defaults, **asked})


def test_what_is_left_out_holds() -> None:
    assert held(BEFORE, Asked()) == BEFORE == together(Asked(), BEFORE)
    assert dropped(BEFORE, Asked(), BEFORE) == Asked()
    asked = "--planes coronal,axial --folds 3 --minutes 60 --set views.1.batch_size=2 --set 'training.loss=\"dice\"'"
    assert " ".join(BEFORE.options) == asked


@pytest.mark.parametrize(
    ("now", "all_together", "gone"),
    [
        (Asked(folds=5), {"folds": 5}, Asked()),
        (Asked(minutes=5.0, speed_kpx_s=2.0), {"minutes": 5.0, "speed_kpx_s": 2.0}, Asked()),
        (
            Asked(overrides={"training.loss": "cross_entropy"}),
            {"overrides": {"views.1.batch_size": 2, "training.loss": "cross_entropy"}},
            Asked(),
        ),
        (
            Asked(overrides={"views.batch_size": 4}),  # for all views goes before one of before
            {"overrides": {"views.batch_size": 4, "training.loss": "dice"}},
            Asked(),
        ),
        (
            Asked(planes="auto"),
            {"planes": "auto", "overrides": {"training.loss": "dice"}},
            Asked(overrides={"views.1.batch_size": 2}),
        ),
        (Asked(planes=("coronal", "axial")), {}, Asked()),
        (
            Asked(recipe="paper"),
            {"recipe": "paper", "planes": None, "minutes": None, "overrides": {}},
            Asked(planes=BEFORE.planes, minutes=60.0, overrides=BEFORE.overrides),
        ),
        (Asked(recipe="auto"), {"recipe": "auto"}, Asked()),  # it was
    ],
)
def test_what_is_asked_for_otherwise_does_not_hold(now: Asked, all_together: dict[str, Any], gone: Asked) -> None:
    holds = held(BEFORE, now)
    expected = {**vars(BEFORE), **all_together}
    assert vars(together(now, holds)) == expected
    assert list(together(now, holds).overrides) == list(expected["overrides"])
    assert dropped(BEFORE, now, holds) == gone


def test_the_paper_stays_the_recipe_until_another_is_asked_for() -> None:
    paper = asked_in(inputs(recipe="paper"))
    assert together(Asked(folds=2), held(paper, Asked(folds=2))) == Asked(recipe="paper", folds=2)
    assert together(Asked(recipe="auto"), held(paper, Asked(recipe="auto"))) == Asked(recipe="auto")


def test_what_was_found_and_not_asked_for_does_not_hold() -> None:
    assert asked_in(inputs()) == Asked()
    assert asked_in(inputs(minutes=5.0, speed_kpx_s=256.0)) == Asked(minutes=5.0)  # the speed may have been measured
    assert asked_in(inputs(memory_gb=2.0, asked=("memory_gb",))) == Asked(memory_gb=2.0)


def test_memory_does_not_hold_for_another_device() -> None:
    before = asked_in(inputs(device="gpu", memory_gb=68.0, asked=("device",)))
    assert before == Asked(device="gpu")
    assert before.options == ["--device cuda"]
    assert held(before, Asked(folds=2)) == before
    assert held(before, Asked(device="cpu")) == Asked()
    both = asked_in(inputs(device="gpu", memory_gb=8.0, asked=("device", "memory_gb")))
    now = Asked(device="cpu")
    assert held(both, now, planned_for="gpu") == Asked()
    assert held(both, Asked(device="gpu"), planned_for="gpu") == Asked(memory_gb=8.0)
    found_here = asked_in(inputs(memory_gb=6.0, asked=("memory_gb",)))  # the device was found and not asked for
    assert held(found_here, now, planned_for="cpu") == Asked(memory_gb=6.0)
    assert dropped(both, now, Asked()).options == ["--memory 8"]
