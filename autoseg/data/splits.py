"""Folds: which cases train and which validate."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from pydantic import BaseModel, ConfigDict

from autoseg.data.dataset import Dataset
from autoseg.errors import DatasetError
from autoseg.files import sha256_bytes

DEFAULT_FOLDS: Final = 5


class Fold(BaseModel):
    """Case ids on the two sides of one split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: tuple[str, ...]
    validation: tuple[str, ...]


class Splits(BaseModel):
    """The cross-validation of a data set, and the split that the data set itself defines, if it does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: tuple[Fold, ...]
    official: Fold | None


def fold_count(subjects: int, *, asked: int | None) -> int:
    """Number of folds for a number of subjects; 1 means that no cross-validation is possible.

    Raises:
        DatasetError: more folds than subjects were asked for.
    """
    if asked is not None and asked > subjects:
        raise DatasetError(
            "more folds than subjects",
            expected=f"at most {subjects} folds",
            found=str(asked),
            remedy="Ask for fewer with --folds, or leave it out.",
        )
    return asked if asked is not None else max(1, min(DEFAULT_FOLDS, subjects))


def make_splits(dataset: Dataset, *, classes_present: Mapping[str, Collection[int]], folds: int) -> Splits:
    """Split the labelled training cases into folds.

    All cases of a subject stay on one side. Subjects are dealt out in the order of a fixed hash of their ids, so that
    the folds depend on nothing else; then subjects are exchanged where a training side would lack a class.

    Args:
        dataset: its labelled training cases take part.
        classes_present: label values that occur, by case id.
        folds: number of folds; 1: none.

    Returns:
        folds whose numbers of subjects differ by at most one.
    """
    members: dict[str, list[str]] = defaultdict(list)
    classes: dict[str, set[int]] = defaultdict(set)
    for case in dataset.training:
        members[case.subject].append(case.id)
        classes[case.subject] |= set(classes_present[case.id])
    official = None
    if dataset.validation:
        official = Fold(
            training=tuple(sorted(case.id for case in dataset.training)),
            validation=tuple(sorted(case.id for case in dataset.validation)),
        )
    if folds == 1:
        return Splits(folds=(), official=official)
    sides = _spread_classes(_dealt(classes, folds), classes)
    everyone = sorted(case for cases in members.values() for case in cases)
    made = []
    for side in sides:
        validation = sorted(case for subject in side for case in members[subject])
        held_out = set(validation)
        training = tuple(case for case in everyone if case not in held_out)
        made.append(Fold(training=training, validation=tuple(validation)))
    return Splits(folds=tuple(made), official=official)


def classes_missing(splits: Splits, classes_present: Mapping[str, Collection[int]]) -> dict[int, set[int]]:
    """For each fold whose training side lacks a class of the cross-validation's cases, the label values missing."""
    missing = {}
    for number, fold in enumerate(splits.folds):
        everywhere = _values((*fold.training, *fold.validation), classes_present)
        if lacking := everywhere - _values(fold.training, classes_present):
            missing[number] = lacking
    return missing


def _values(cases: Sequence[str], classes_present: Mapping[str, Collection[int]]) -> set[int]:
    return {value for case in cases for value in classes_present[case]}


def _dealt(subjects: Collection[str], folds: int) -> list[list[str]]:
    """Deal subjects to folds like cards, in the order of a hash of their ids."""
    order = sorted(subjects, key=lambda subject: sha256_bytes(subject.encode()))
    return [order[number::folds] for number in range(folds)]


def _spread_classes(sides: list[list[str]], classes: Mapping[str, Collection[int]]) -> list[list[str]]:
    """Exchange subjects between folds, as long as that leaves fewer training sides without a class."""
    while _lacking(sides, classes):
        better = next((swapped for swapped in _swaps(sides) if _lacking(swapped, classes) < _lacking(sides, classes)), None)
        if better is None:
            break  # a class of a single subject is missing wherever that subject validates
        sides = better
    return sides


def _swaps(sides: list[list[str]]) -> Iterator[list[list[str]]]:
    """Every way to exchange two subjects of different folds."""
    for one, other in combinations(range(len(sides)), 2):
        for i, first in enumerate(sides[one]):
            for j, second in enumerate(sides[other]):
                swapped = [list(side) for side in sides]
                swapped[one][i], swapped[other][j] = second, first
                yield swapped


def _lacking(sides: list[list[str]], classes: Mapping[str, Collection[int]]) -> int:
    """How many classes are missing from training sides, over all folds."""
    holders: dict[int, set[int]] = defaultdict(set)
    for number, side in enumerate(sides):
        for subject in side:
            for value in classes[subject]:
                holders[value].add(number)
    return sum(len(numbers) == 1 for numbers in holders.values())
