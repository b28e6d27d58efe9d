from autoseg.data.new_folds import with_new_cases
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
