"""What works for a run whose fold has other cases now."""

import pytest

from autoseg.data.splits import Fold
from autoseg.training.fold_members import lost_cases, remedy_of_other_cases

BEFORE = Fold(training=("a", "b"), validation=("c",))
RESTART = "`autoseg train --restart`, without --continue"


@pytest.mark.parametrize(
    ("now", "lost"),
    [
        (BEFORE, {}),
        (Fold(training=("b", "a", "d"), validation=("c", "e")), {}),
        (Fold(training=("a",), validation=("c",)), {"to learn from": ("b",)}),
        (Fold(training=("a", "c"), validation=("b",)), {"to learn from": ("b",), "held out": ("c",)}),
    ],
)
def test_cases_are_lost_that_are_not_on_their_side(now: Fold, lost: dict[str, tuple[str, ...]]) -> None:
    assert lost_cases(BEFORE, now) == lost


def test_a_finished_run_to_which_cases_were_added_goes_on() -> None:
    now = Fold(training=("a", "b", "d"), validation=("c",))
    assert "Train it further with `autoseg train --continue`" in remedy_of_other_cases(BEFORE, now, labelled="abcd")
    unfinished = remedy_of_other_cases(BEFORE, now, labelled="abcd", finished=False)
    assert "Bring splits.json back" in unfinished
    assert f"or begin it again with {RESTART}" in unfinished


def test_folds_are_brought_back_only_where_the_data_set_has_their_cases() -> None:
    edited, removed = Fold(training=("a", "c"), validation=("b",)), Fold(training=("a", "b"), validation=())
    assert "Bring splits.json back" in remedy_of_other_cases(BEFORE, edited, labelled="abc")
    said = remedy_of_other_cases(BEFORE, removed, labelled="ab")
    assert "splits.json" not in said
    assert f"Begin it again with {RESTART}: it had cases that the data set holds no more (c)" in said
