"""Folds: which cases train and which validate."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from autoseg.data.dataset import Dataset
from autoseg.errors import DatasetError, UsageError
from autoseg.storage.documents import DocumentType
from autoseg.storage.files import sha256_bytes, sha256_json
from autoseg.wording import from_to

DEFAULT_FOLDS: Final = 5

_ASSIGNMENTS: Final = 16
"""Assignments tried until every class is on every training side.

Source: chosen, because on 3000 random sets (4 to 8 subjects, 3 to 14 classes of two or three subjects each, 2 or 3 folds)
the best of 16 assignments always equalled the best of all possible folds; a single assignment fell short of it in 185.
"""


class Fold(BaseModel):
    """Case ids on the two sides of one split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: tuple[str, ...]
    validation: tuple[str, ...]


class Splits(BaseModel):
    """The cross-validation of a data set, and the split that the data set itself defines, if it does."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = 2
    folds: tuple[Fold, ...]
    official: Fold | None
    assigned_sha256: str | None = Field(
        default=None, description="digest of the folds as they were assigned; differs from their own after an edit"
    )

    @property
    def sha256(self) -> str:
        """Digest of all folds."""
        return sha256_json(self.model_dump(mode="json", exclude={"version", "assigned_sha256"}))

    @property
    def edited(self) -> bool:
        """Whether somebody changed a fold after they were assigned."""
        return self.assigned_sha256 is not None and self.assigned_sha256 != self.sha256


def _to_format_2(document: dict[str, Any]) -> dict[str, Any]:
    """A name of version 0.1 becomes that of the field."""
    if "dealt_sha256" in document and "assigned_sha256" not in document:
        document["assigned_sha256"] = document.pop("dealt_sha256")
    return document


SPLITS: Final = DocumentType(
    name="list of folds",
    model=Splits,
    missing="Run `autoseg plan DATASET` first.",
    unusable="Correct it, or run `autoseg plan DATASET --force` for folds from scratch, which keeps this file beside them.",
    migrations={1: _to_format_2},
)


def fold_count(subjects: int, *, asked: int | None) -> int:
    """Number of folds for a number of subjects; 1 means that no cross-validation is possible.

    Raises:
        UsageError: no fold at all, or more folds than subjects, were asked for.
    """
    if asked is not None and not 1 <= asked <= subjects:
        raise UsageError(
            "the subjects cannot be split like this",
            where=f"--folds {asked}",
            expected=f"{from_to(1, subjects, 'd')} folds" if subjects > 1 else "1 fold",
            found=str(asked),
            remedy="Ask for another number with --folds, or leave it out.",
        )
    return asked if asked is not None else max(1, min(DEFAULT_FOLDS, subjects))


def make_splits(
    dataset: Dataset,
    *,
    classes_present: Mapping[str, Collection[int]],
    folds: int,
    groups: Mapping[str, str] | None,
) -> Splits:
    """Split the labelled training cases into folds.

    All cases of a group, which is a subject unless more is tied together, stay on one side. Groups are assigned in the order
    of a fixed hash of their names, so that the folds depend on nothing else; then groups are exchanged where a training side
    would lack a class. A class of a single group is missing wherever that group validates.

    Args:
        dataset: its labelled training cases take part.
        classes_present: label values that occur, by case id.
        folds: number of folds; 1: none.
        groups: case id to the name of its group, of every training case, as `autoseg.data.grouping.group_cases` gives them;
            None: each subject is one.

    Returns:
        folds whose numbers of groups differ by at most one.

    Raises:
        DatasetError: a subject has labelled scans in the training set and in the validation set.
    """
    members: dict[str, list[str]] = defaultdict(list)
    classes: dict[str, set[int]] = defaultdict(set)
    for case in dataset.training:
        group = case.subject if groups is None else groups[case.id]
        members[group].append(case.id)
        classes[group] |= set(classes_present[case.id])
    assigned = Splits(folds=_folds(members, classes, folds=folds), official=_official(dataset))
    return assigned.model_copy(update={"assigned_sha256": assigned.sha256})


def _folds(members: Mapping[str, Sequence[str]], classes: Mapping[str, Collection[int]], *, folds: int) -> tuple[Fold, ...]:
    if folds == 1:
        return ()
    sides = _best_assignment(classes, folds)
    everyone = sorted(case for cases in members.values() for case in cases)
    made = []
    for side in sides:
        validation = sorted(case for group in side for case in members[group])
        held_out = set(validation)
        training = tuple(case for case in everyone if case not in held_out)
        made.append(Fold(training=training, validation=tuple(validation)))
    return tuple(made)


def _official(dataset: Dataset) -> Fold | None:
    """The data set's own split; None without a labelled validation set."""
    if not dataset.validation:
        return None
    shared = {case.subject for case in dataset.training} & {case.subject for case in dataset.validation}
    if shared:
        raise DatasetError(
            "a subject is in the training set and in the validation set",
            where=dataset.root,
            expected="all scans of a subject in one of them",
            found=_listed(shared),
            remedy="Move its scans to one side: a model would be validated on a patient it has learnt from.",
        )
    return Fold(
        training=tuple(sorted(case.id for case in dataset.training)),
        validation=tuple(sorted(case.id for case in dataset.validation)),
    )


def misfit(splits: Splits, dataset: Dataset) -> str | None:
    """What keeps folds, which may have been edited, from judging models on cases they have not learnt from.

    Args:
        splits: the folds.
        dataset: the cases.

    Returns:
        the first fault as a sentence without a full stop: a side of a fold is empty; a case is unknown, has no label map or
        comes twice; a subject is on both sides; a case validates in several folds. None: there is none.
    """
    subjects = {case.id: case.subject for case in dataset.labelled}
    for name, fold in _named(splits):
        for side, cases in (("training", fold.training), ("validation", fold.validation)):
            if not cases:
                return f"{name} has no {side} cases"
            if strangers := set(cases) - subjects.keys():
                return f"{name} names {side} cases that the data set does not hold with a label map: {_listed(strangers)}"
            if repeated := _repeated(cases):
                return f"{name} names {side} cases twice: {_listed(repeated)}"
        learnt, tested = ({subjects[case] for case in side} for side in (fold.training, fold.validation))
        if learnt & tested:
            return f"{name} has subjects in training and in validation: {_listed(learnt & tested)}"
    if repeated := _repeated(case for fold in splits.folds for case in fold.validation):
        return f"cases validate in several folds: {_listed(repeated)}"
    return None


def _named(splits: Splits) -> Iterator[tuple[str, Fold]]:
    yield from ((f"fold {number}", fold) for number, fold in enumerate(splits.folds))
    if splits.official is not None:
        yield "the official split", splits.official


def _repeated(cases: Iterable[str]) -> set[str]:
    return {case for case, count in Counter(cases).items() if count > 1}


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


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


def _best_assignment(classes: Mapping[str, Collection[int]], folds: int) -> list[list[str]]:
    """Subjects by fold, such that as few classes as possible sit in one fold alone."""
    assignments = []
    for number in range(_ASSIGNMENTS):
        sides = _balanced(_assigned(classes, folds, number=number), classes)
        if not (lonely := _lonely(sides, classes)):
            return sides
        assignments.append((len(lonely), number, sides))
    return min(assignments)[-1]


def _assigned(subjects: Collection[str], folds: int, *, number: int) -> list[list[str]]:
    """Assign subjects to folds in turn, in the order of a hash of their ids; each number gives another order."""
    prefix = f"{number}/" if number else ""
    order = sorted(subjects, key=lambda subject: sha256_bytes(f"{prefix}{subject}".encode()))
    return [order[fold::folds] for fold in range(folds)]


def _balanced(sides: list[list[str]], classes: Mapping[str, Collection[int]]) -> list[list[str]]:
    """Exchange subjects between folds, as long as each exchange leaves fewer classes in one fold alone."""
    sides = [list(side) for side in sides]
    while lonely := _lonely(sides, classes):
        counts = _counts(sides, classes)
        useful = (swap for swap in _swaps(sides, classes, lonely) if _gain(swap, sides, classes, counts) > 0)
        if (swap := next(useful, None)) is None:
            break
        (one, i), (other, j) = swap
        sides[one][i], sides[other][j] = sides[other][j], sides[one][i]
    return sides


_Seat = tuple[int, int]  # fold, place in the fold


def _swaps(
    sides: Sequence[Sequence[str]], classes: Mapping[str, Collection[int]], lonely: set[int]
) -> Iterator[tuple[_Seat, _Seat]]:
    """Exchanges that can help: one of the two subjects must take a lonely class to another fold.

    Of the subjects of a fold that have the same classes, one stands for all: their exchanges have equal effects.
    """
    seats: dict[tuple[int, frozenset[int]], _Seat] = {}
    for fold, side in enumerate(sides):
        for place, subject in enumerate(side):
            seats.setdefault((fold, frozenset(classes[subject])), (fold, place))
    for (fold, present), seat in seats.items():
        if not lonely.isdisjoint(present):
            yield from ((seat, other) for other in seats.values() if other[0] != fold)


def _gain(
    swap: tuple[_Seat, _Seat],
    sides: Sequence[Sequence[str]],
    classes: Mapping[str, Collection[int]],
    counts: Mapping[int, Counter[int]],
) -> int:
    """How many fewer classes sit in one fold alone after an exchange."""
    (one, i), (other, j) = swap
    leaving, coming = set(classes[sides[one][i]]), set(classes[sides[other][j]])
    gain = 0
    for value in (leaving ^ coming) & counts.keys():
        step = 1 if value in leaving else -1
        after = counts[value].copy()
        after[one] -= step
        after[other] += step
        gain += _alone(counts[value]) - _alone(after)
    return gain


def _lonely(sides: Sequence[Sequence[str]], classes: Mapping[str, Collection[int]]) -> set[int]:
    """Classes of several subjects that sit in one fold alone, so that its training side lacks them."""
    return {value for value, folds in _counts(sides, classes).items() if _alone(folds)}


def _alone(folds: Counter[int]) -> bool:
    return sum(count > 0 for count in folds.values()) == 1


def _counts(sides: Sequence[Sequence[str]], classes: Mapping[str, Collection[int]]) -> dict[int, Counter[int]]:
    """For each class that several subjects have, how many of them are in each fold."""
    counts: dict[int, Counter[int]] = defaultdict(Counter)
    for fold, side in enumerate(sides):
        for subject in side:
            for value in classes[subject]:
                counts[value][fold] += 1
    return {value: folds for value, folds in counts.items() if folds.total() > 1}
