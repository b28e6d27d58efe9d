import time
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autoseg.data import splits as splitting
from autoseg.data.dataset import Case, Dataset, Subset
from autoseg.data.grouping import group_cases
from autoseg.data.splits import Fold, Splits, classes_missing, fold_count, make_splits, misfit
from autoseg.errors import DatasetError, UsageError


def case(name: str, *, subject: str = "", subset: Subset = "training", labelled: bool = True) -> Case:
    label = Path(f"/d/{name}_seg.nii") if labelled else None
    return Case(id=name, images=(Path(f"/d/{name}.nii"),), label=label, subject=subject or name, subset=subset)


def dataset(*cases: Case) -> Dataset:
    return Dataset(name="d", root=Path("/d"), layout="ibsr18", channels=("T1",), classes=None, cases=cases)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[list[Case], dict[str, set[int]], int]:
    """Cases of two to ten subjects with up to three scans each, their classes, and a possible number of folds."""
    scans = draw(
        st.dictionaries(
            st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=6),
            st.integers(1, 3),
            min_size=2,
            max_size=10,
        )
    )
    cases = [case(f"{subject}#{scan}", subject=subject) for subject, count in scans.items() for scan in range(count)]
    present = {one.id: {0} | draw(st.sets(st.integers(1, 6), max_size=3)) for one in cases}
    return cases, present, draw(st.integers(2, len(scans)))


def test_groups_stay_on_one_side_and_leave_other_folds_as_they_are() -> None:
    names = [f"s{number}" for number in range(12)]
    present = {name: {0, 1} for name in names}
    data = dataset(*map(case, names))
    alone = make_splits(data, classes_present=present, folds=3, groups=None)
    assert make_splits(data, classes_present=present, folds=3, groups=group_cases(data.training)) == alone
    one, other = alone.folds[0].validation[0], alone.folds[1].validation[0]
    tied = make_splits(data, classes_present=present, folds=3, groups=group_cases(data.training, together=[(one, other)]))
    assert all((one in fold.validation) == (other in fold.validation) for fold in tied.folds)
    assert sorted(name for fold in tied.folds for name in fold.validation) == sorted(names)


def subjects_by_class(cases: list[Case], present: dict[str, set[int]]) -> dict[int, set[str]]:
    holders: dict[int, set[str]] = {}
    for one in cases:
        for value in present[one.id]:
            holders.setdefault(value, set()).add(one.subject)
    return holders


@pytest.mark.parametrize(
    ("subjects", "asked", "folds"),
    [(1, None, 1), (2, None, 2), (4, None, 4), (5, None, 5), (99, None, 5), (9, 3, 3), (9, 9, 9), (9, 1, 1)],
)
def test_fold_count(subjects: int, asked: int | None, folds: int) -> None:
    assert fold_count(subjects, asked=asked) == folds


@pytest.mark.parametrize("asked", [4, 0, -1])
def test_impossible_numbers_of_folds_are_refused(asked: int) -> None:
    with pytest.raises(UsageError) as refused:
        fold_count(3, asked=asked)
    assert str(refused.value) == (
        f"--folds {asked}: the subjects cannot be split like this; expected 1 to 3 folds; found {asked}. "
        "Ask for another number with --folds, or leave it out."
    )


@pytest.mark.parametrize("document", [Fold(training=("a",), validation=("b",)), Splits(folds=(), official=None)])
def test_folds_cannot_be_changed_and_know_their_keys(document: Fold | Splits) -> None:
    values = document.model_dump()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(document, next(iter(values)), ())
    with pytest.raises(ValidationError, match="more"):
        type(document)(**values, more=1)


@given(cohorts())
def test_every_case_validates_once_and_trains_everywhere_else(cohort: tuple[list[Case], dict[str, set[int]], int]) -> None:
    cases, present, folds = cohort
    made = make_splits(dataset(*cases), classes_present=present, folds=folds, groups=None).folds
    everyone = sorted(one.id for one in cases)
    assert len(made) == folds
    assert sorted(name for fold in made for name in fold.validation) == everyone
    assert all(sorted(fold.training + fold.validation) == everyone for fold in made)


@given(cohorts())
def test_subjects_stay_together_in_folds_of_equal_size(cohort: tuple[list[Case], dict[str, set[int]], int]) -> None:
    cases, present, folds = cohort
    subject = {one.id: one.subject for one in cases}
    sides = [
        {subject[name] for name in fold.validation}
        for fold in make_splits(dataset(*cases), classes_present=present, folds=folds, groups=None).folds
    ]
    assert all(one.isdisjoint(other) for one, other in combinations(sides, 2))
    assert max(map(len, sides)) - min(map(len, sides)) <= 1


@given(cohorts(), st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter(cohort: tuple[list[Case], dict[str, set[int]], int], random: object) -> None:
    cases, present, folds = cohort
    shuffled = list(cases)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = make_splits(dataset(*cases), classes_present=present, folds=folds, groups=None)
    assert make_splits(dataset(*shuffled), classes_present=present, folds=folds, groups=None) == one


@given(st.integers(4, 30), st.integers(2, 5), st.data())
def test_a_rare_class_is_never_missing_where_two_subjects_have_it(subjects: int, folds: int, data: st.DataObject) -> None:
    folds = min(folds, subjects)
    names = [f"s{number}" for number in range(subjects)]
    rare = data.draw(st.sets(st.sampled_from(names), min_size=2, max_size=max(2, subjects // folds)))
    present = {name: {0, 1, 7} if name in rare else {0, 1} for name in names}
    splits = make_splits(dataset(*map(case, names)), classes_present=present, folds=folds, groups=None)
    assert classes_missing(splits, present) == {}


@pytest.mark.parametrize("holders", [2, 3, 4])
def test_a_single_exchange_brings_a_class_to_every_training_side(holders: int) -> None:
    names = [f"s{number}" for number in range(12)]
    common = {key: {0} for key in names}
    assigned = make_splits(dataset(*map(case, names)), classes_present=common, folds=3, groups=None)
    together = assigned.folds[0].validation
    present = {name: {0, 5} if name in together[:holders] else {0} for name in names}
    splits = make_splits(dataset(*map(case, names)), classes_present=present, folds=3, groups=None)
    assert classes_missing(splits, present) == {}
    left = [
        set(before.validation) - set(after.validation) for before, after in zip(assigned.folds, splits.folds, strict=True)
    ]
    assert sorted(map(len, left)) == [0, 1, 1]


@given(st.lists(st.sets(st.integers(1, 6)), min_size=4, max_size=9), st.integers(2, 4))
def test_the_gain_of_an_exchange_is_what_it_changes(members: list[set[int]], folds: int) -> None:
    classes = {f"s{number}": present for number, present in enumerate(members)}
    sides = [list(classes)[fold::folds] for fold in range(folds)]
    counts = splitting._counts(sides, classes)
    lonely = splitting._lonely(sides, classes)
    seats = [(fold, place) for fold, side in enumerate(sides) for place in range(len(side))]
    swaps = [(seat, other) for seat, other in combinations(seats, 2) if seat[0] != other[0]]
    for (one, i), (other, j) in swaps:
        exchanged = [list(side) for side in sides]
        exchanged[one][i], exchanged[other][j] = sides[other][j], sides[one][i]
        gain = splitting._gain(((one, i), (other, j)), sides, classes, counts)
        assert gain == len(lonely) - len(splitting._lonely(exchanged, classes))


TRIO = dataset(case("a"), case("a2", subject="a"), case("b"), case("t", labelled=False, subset="test"))


@pytest.mark.parametrize(
    ("training", "validation", "fault"),
    [
        (["a", "a2"], ["b"], None),
        (["a"], ["b"], None),
        ([], ["b"], "fold 0 has no training cases"),
        (["a"], [], "fold 0 has no validation cases"),
        (
            ["a", "x", "nobody"],
            ["b"],
            "fold 0 names training cases that the data set does not hold with a label map: nobody, x",
        ),
        (["a"], ["t"], "fold 0 names validation cases that the data set does not hold with a label map: t"),
        (["a", "b", "a"], ["b"], "fold 0 names training cases twice: a"),
        (["a"], ["b", "b"], "fold 0 names validation cases twice: b"),
        (["a", "b"], ["b"], "fold 0 has subjects in training and in validation: b"),
        (["a2"], ["a"], "fold 0 has subjects in training and in validation: a"),
    ],
)
def test_folds_that_cannot_be_trusted_are_found(training: list[str], validation: list[str], fault: str | None) -> None:
    fold = Fold(training=tuple(training), validation=tuple(validation))
    assert misfit(Splits(folds=(fold,), official=None), TRIO) == fault
    said = None if fault is None else fault.replace("fold 0", "the official split")
    assert misfit(Splits(folds=(), official=fold), TRIO) == said


def test_the_fold_that_cannot_be_trusted_is_named() -> None:
    good, bad = Fold(training=("a",), validation=("b",)), Fold(training=("b",), validation=())
    assert misfit(Splits(folds=(good, bad), official=None), TRIO) == "fold 1 has no validation cases"


def test_a_case_validates_in_one_fold_only() -> None:
    fold = Fold(training=("a",), validation=("b",))
    assert misfit(Splits(folds=(fold, fold), official=None), TRIO) == "cases validate in several folds: b"
    assert misfit(Splits(folds=(fold,), official=fold), TRIO) is None


def test_folds_know_when_they_were_edited() -> None:
    assigned = make_splits(TRIO, classes_present={name: {0} for name in ("a", "a2", "b")}, folds=2, groups=None)
    assert not assigned.edited
    assert assigned.model_copy(update={"folds": assigned.folds[::-1]}).edited
    assert assigned.model_copy(update={"official": assigned.folds[0]}).edited
    assert not Splits(folds=assigned.folds, official=None).edited  # nobody knows


def test_a_class_of_one_subject_is_not_to_be_spread() -> None:
    assert splitting._lonely([["a", "b"], ["c", "d"]], {"a": {1, 3}, "b": {1}, "c": {2, 3}, "d": set()}) == {1}


def test_many_classes_of_two_subjects_are_all_spread() -> None:
    # A blind assignment parts fifteen pairs about once in 2 ** 15 times.
    present = {f"s{number}": {0, 1 + number // 2} for number in range(30)}
    splits = make_splits(dataset(*map(case, present)), classes_present=present, folds=2, groups=None)
    assert classes_missing(splits, present) == {}


@pytest.mark.parametrize("suffix", ["", "9797"])
def test_where_no_single_exchange_helps_another_deal_does(suffix: str) -> None:
    # Only a and b against c, d and e parts the three pairs; half of all deals are two exchanges away from it. With the
    # suffix, whose hashes were searched for that, all but the last assignment are.
    present = {"a": {0}, "b": {0, 1, 2, 3}, "c": {0, 2}, "d": {0, 1}, "e": {0, 3}}
    present = {f"{name}{suffix}": classes for name, classes in present.items()}
    splits = make_splits(dataset(*map(case, present)), classes_present=present, folds=2, groups=None)
    assert (f"a{suffix}", f"b{suffix}") in [fold.validation for fold in splits.folds]


def smallest_number_of_gaps(cases: list[Case], present: dict[str, set[int]]) -> int:
    """Over all ways to halve the subjects: how few classes of several subjects can be missing from a training side."""
    everyone = {one.subject for one in cases}
    shared = [holders for holders in subjects_by_class(cases, present).values() if len(holders) > 1]
    halves = combinations(sorted(everyone), len(everyone) // 2)
    return min(sum(held <= set(half) or held.isdisjoint(half) for held in shared) for half in halves)


@given(cohorts())
def test_two_folds_lack_no_more_classes_than_the_best_of_all_halvings(
    cohort: tuple[list[Case], dict[str, set[int]], int],
) -> None:
    cases, present, _ = cohort
    missing = classes_missing(make_splits(dataset(*cases), classes_present=present, folds=2, groups=None), present)
    lone = sum(len(holders) == 1 for holders in subjects_by_class(cases, present).values())
    assert sum(map(len, missing.values())) == lone + smallest_number_of_gaps(cases, present)


def test_folds_are_the_same_everywhere_and_always() -> None:
    # SHA-256 of the ids begins: a ca97, b 3e23, c 2e7d, d 18ac; so the order is d, c, b, a.
    present = {key: {0, 1} for key in "abcd"}
    splits = make_splits(dataset(*map(case, "abcd")), classes_present=present, folds=2, groups=None)
    assert [fold.validation for fold in splits.folds] == [("b", "d"), ("a", "c")]


def test_only_labelled_training_cases_take_part() -> None:
    cases = (case("a"), case("b"), case("v", subset="validation"), case("t", subset="test"), case("u", labelled=False))
    splits = make_splits(dataset(*cases), classes_present={key: {0, 1} for key in "abv"}, folds=2, groups=None)
    assert sorted(name for fold in splits.folds for name in fold.validation) == ["a", "b"]


def test_the_official_split_is_the_data_sets_own() -> None:
    cases = (case("b"), case("a"), case("v", subset="validation"), case("t", subset="test"))
    splits = make_splits(dataset(*cases), classes_present={key: {0} for key in "abv"}, folds=2, groups=None)
    assert splits.official == Fold(training=("a", "b"), validation=("v",))


def test_a_subject_on_both_sides_of_the_official_split_is_refused() -> None:
    training = (case("a", subject="bob"), case("b", subject="ada"), case("c"))
    present = {key: {0} for key in "abcvw"}
    validation = [case(key, subject=subject, subset="validation") for key, subject in (("v", "ada"), ("w", "bob"))]
    with pytest.raises(DatasetError) as refused:
        make_splits(dataset(*training, *validation), classes_present=present, folds=2, groups=None)
    assert str(refused.value) == (
        "/d: a subject is in the training set and in the validation set; expected all scans of a subject in one of them; "
        "found ada, bob. Move its scans to one side: a model would be validated on a patient it has learnt from."
    )
    unlabelled = case("v", subject="ada", subset="validation", labelled=False)
    assert make_splits(dataset(*training, unlabelled), classes_present=present, folds=2, groups=None).official is None


def test_without_a_labelled_validation_set_there_is_no_official_split() -> None:
    cases = (case("a"), case("b"), case("v", subset="validation", labelled=False))
    assert make_splits(dataset(*cases), classes_present={key: {0} for key in "ab"}, folds=2, groups=None).official is None


def test_one_fold_means_no_cross_validation() -> None:
    alone = make_splits(dataset(case("a")), classes_present={"a": {0, 1}}, folds=1, groups=None)
    assert (alone.folds, alone.official) == ((), None)
    cases = (case("a"), case("v", subset="validation"))
    official = Fold(training=("a",), validation=("v",))
    split = make_splits(dataset(*cases), classes_present={"a": {0}}, folds=1, groups=None)
    assert (split.folds, split.official) == ((), official)


def test_a_class_of_one_subject_is_missing_where_that_subject_validates() -> None:
    present = {"a": {0, 1}, "b": {0, 1}, "c": {0, 1, 9}}
    splits = make_splits(dataset(*map(case, "abc")), classes_present=present, folds=3, groups=None)
    (number,) = [number for number, fold in enumerate(splits.folds) if fold.validation == ("c",)]
    assert classes_missing(splits, present) == {number: {9}}


@pytest.mark.parametrize("folds", [2, 5, 500])
def test_large_cohorts_with_classes_that_cannot_all_be_spread_take_no_second(folds: int) -> None:
    # Each pair of seven subjects has a class of its own: with 2 folds, 4 + 3 subjects make 6 + 3 pairs on one side;
    # with 5 folds, two folds hold two of the subjects.
    names = [f"s{number}" for number in range(500)]
    present = {name: {0} for name in names}
    for value, pair in enumerate(combinations(names[:7], 2), start=1):
        for name in pair:
            present[name].add(value)
    start_s = time.process_time()
    missing = classes_missing(
        make_splits(dataset(*map(case, names)), classes_present=present, folds=folds, groups=None), present
    )
    assert time.process_time() - start_s < 1.0
    assert sum(map(len, missing.values())) == {2: 9, 5: 2, 500: 0}[folds]
