import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoseg.data.new_folds import planned_again, with_new_cases
from autoseg.data.splits import Fold, Splits

FOLDS = (Fold(training=("c", "d", "e"), validation=("a", "b")), Fold(training=("a", "b"), validation=("c", "d", "e")))


def splits(*, edited: bool = False, official: Fold | None = None) -> Splits:
    made = Splits(folds=FOLDS, official=official)
    return made.model_copy(update={"assigned_sha256": "another" if edited else made.sha256})


def alone(*cases: str) -> dict[str, str]:
    return {case: case for case in ("a", "b", "c", "d", "e", *cases)}


def test_a_new_case_is_held_out_where_the_fewest_are_and_all_others_stay() -> None:
    joined, assigned = with_new_cases(splits(), ["n"], groups=alone("n"))
    assert assigned == {"n": 0}
    assert joined.folds == (
        Fold(training=("c", "d", "e"), validation=("a", "b", "n")),
        Fold(training=("a", "b", "n"), validation=("c", "d", "e")),
    )
    assert not joined.edited


def test_several_new_cases_level_the_folds() -> None:
    _, assigned = with_new_cases(splits(), ["x", "w", "v"], groups=alone("v", "w", "x"))
    assert assigned == {"v": 0, "w": 0, "x": 1}


def test_a_case_goes_with_its_subject() -> None:
    joined, assigned = with_new_cases(splits(), ["n", "m"], groups={**alone(), "n": "c", "m": "c"})
    assert assigned == {"n": 1, "m": 1}
    assert "n" in joined.folds[0].training


def test_new_cases_of_one_subject_stay_together() -> None:
    _, assigned = with_new_cases(splits(), ["m", "n"], groups={**alone(), "n": "new", "m": "new"})
    assert assigned == {"m": 0, "n": 0}


def test_folds_that_were_edited_stay_so_and_keep_their_order() -> None:
    edited = Splits(
        folds=(Fold(training=("d", "c"), validation=("a",)), Fold(training=("a", "d"), validation=("c",))),
        official=None,
        assigned_sha256="of before",
    )
    joined, assigned = with_new_cases(edited, ["b"], groups=alone())
    assert joined.edited
    assert joined.folds == (
        Fold(training=("d", "c"), validation=("a", "b")),
        Fold(training=("a", "b", "d"), validation=("c",)),
    )
    # d is held out by neither fold: what is of its subject teaches in both
    joined, assigned = with_new_cases(edited, ["z"], groups={**alone(), "z": "d"})
    assert assigned == {"z": None}
    assert [fold.training[-1] for fold in joined.folds] == ["z", "z"]


def test_the_official_split_learns_from_it() -> None:
    official = Fold(training=("a", "b", "c", "d", "e"), validation=("v",))
    joined, _ = with_new_cases(splits(official=official), ["bb"], groups=alone("bb"))
    assert joined.official == Fold(training=("a", "b", "bb", "c", "d", "e"), validation=("v",))


def test_without_folds_nothing_holds_it_out() -> None:
    joined, assigned = with_new_cases(Splits(folds=(), official=None), ["n"], groups={"n": "n"})
    assert (joined.folds, assigned) == ((), {"n": None})


def with_sides(*sides: str, official: Fold | None = None) -> Splits:
    """Folds of cases of one letter each, by what they hold out."""
    everyone = sorted("".join(sides))
    folds = tuple(
        Fold(training=tuple(c for c in everyone if c not in side), validation=tuple(sorted(side))) for side in sides
    )
    made = Splits(folds=folds, official=official)
    return made.model_copy(update={"assigned_sha256": made.sha256})


def held_out(splits: Splits) -> list[str]:
    return ["".join(fold.validation) for fold in splits.folds]


def test_planned_again_nobody_moves_and_who_is_gone_leaves() -> None:
    official = Fold(training=tuple("abdefg"), validation=("v",))
    scratch = with_sides("aef", "bdg", official=official)
    again = planned_again(with_sides("abc", "def"), scratch, groups={case: case for case in "abdefg"})
    assert held_out(again) == ["abg", "def"]
    assert [fold.training for fold in again.folds] == [tuple("def"), tuple("abg")]
    assert again.official == official
    assert not again.edited
    assert planned_again(again, again, groups={case: case for case in "abdefg"}) == again


@given(st.data())
def test_planned_again_folds_partition_the_cases_of_now(data: st.DataObject) -> None:
    fold_of = data.draw(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), min_size=3))
    now = data.draw(st.sets(st.sampled_from("abcdefghij"), min_size=3))
    earlier = with_sides(*("".join(case for case, fold in fold_of.items() if fold == number) for number in range(3)))
    assume(all(fold.validation for fold in earlier.folds))
    scratch = with_sides(*("".join(sorted(now)[number::3]) for number in range(3)))
    again = planned_again(earlier, scratch, groups={case: case for case in now})
    assert sorted(case for fold in again.folds for case in fold.validation) == sorted(now)
    assert all(sorted({*fold.training} ^ {*fold.validation}) == sorted(now) for fold in again.folds)
    if again is not scratch:
        assert all(case in again.folds[fold].validation for case, fold in fold_of.items() if case in now)


@pytest.mark.parametrize(
    ("sides", "groups"),
    [
        (("ab", "cd", "ef"), {}),  # another number of folds
        (("abc", "def"), {"a": "d"}),  # they were found to be copies of one scan
        (("xyz", "uvw"), {}),  # nobody is left
    ],
)
def test_folds_that_cannot_be_kept_are_assigned_from_scratch(sides: tuple[str, ...], groups: dict[str, str]) -> None:
    scratch = with_sides("ade", "bcf")
    assert planned_again(with_sides(*sides), scratch, groups={case: case for case in "abcdef"} | groups) is scratch


def test_a_fold_whose_cases_are_gone_takes_a_new_one_or_is_none() -> None:
    groups = {case: case for case in "abcg"}
    assert held_out(planned_again(with_sides("abc", "d"), with_sides("ab", "cg"), groups=groups)) == ["abc", "g"]
    scratch = with_sides("ab", "c")
    assert planned_again(with_sides("abc", "d"), scratch, groups={case: case for case in "abc"}) is scratch
