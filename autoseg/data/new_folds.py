"""Folds of cases that join a data set later, or leave it: all other cases stay where they are."""

from collections.abc import Collection, Mapping, Sequence

from autoseg.data.splits import Fold, Splits


def with_new_cases(splits: Splits, new: Sequence[str], *, groups: Mapping[str, str]) -> tuple[Splits, dict[str, int | None]]:
    """Folds with further training cases.

    A case is held out with its group. A group of new cases alone is held out by the fold that holds out the fewest cases, of
    several the first; a group that folds edited by hand hold out nowhere teaches in all of them. In the official split, new
    cases are on the training side.

    Args:
        splits: the folds so far, perhaps edited by hand.
        new: ids of the new cases.
        groups: name of the group of every training case, the new ones included, as for `make_splits`.

    Returns:
        the folds, edited by hand if they were before; and for each new case the number of the fold that holds it out.
    """
    training = [list(fold.training) for fold in splits.folds]
    validation = [list(fold.validation) for fold in splits.folds]
    held_out_by: dict[str, int] = {}
    for fold, cases in enumerate(validation):
        for case in cases:
            if case in groups:
                held_out_by.setdefault(groups[case], fold)
    teaching = {groups[case] for cases in training for case in cases if case in groups}
    assigned: dict[str, int | None] = {}
    for case in sorted(new):
        assigned[case] = number = _fold_of(groups[case], held_out_by, teaching, validation)
        if number is not None:
            held_out_by.setdefault(groups[case], number)
        for fold in range(len(splits.folds)):
            (validation if fold == number else training)[fold].append(case)
    official = splits.official
    joined = Splits(
        folds=tuple(
            Fold(training=_in_order(fold.training, learnt), validation=_in_order(fold.validation, held_out))
            for fold, learnt, held_out in zip(splits.folds, training, validation, strict=True)
        ),
        official=official
        if official is None
        else Fold(training=_in_order(official.training, [*official.training, *sorted(new)]), validation=official.validation),
        assigned_sha256=splits.assigned_sha256,
    )
    if not splits.edited and splits.assigned_sha256 is not None:
        joined = joined.model_copy(update={"assigned_sha256": joined.sha256})
    return joined, assigned


def planned_again(earlier: Splits, assigned: Splits, *, groups: Mapping[str, str]) -> Splits:
    """Folds for the cases that a data set has now, in which those that it had stay where they are.

    Cases that are gone leave, and further ones join as in `with_new_cases`. Assigned from scratch, cases would be held out
    from models that have learnt from them, and no model could be trained further.

    Args:
        earlier: the folds so far, as they were assigned.
        assigned: folds of all cases that there are now, assigned from scratch.
        groups: name of the group of every training case that there is now, as for `make_splits`.

    Returns:
        `assigned` itself where the earlier folds cannot be kept: their number is another, a fold would have an empty side,
        no case is left, or what belongs together is on both sides of a fold, as copies are that were not known as such.
    """
    if len(earlier.folds) != len(assigned.folds):
        return assigned
    known = {case for fold in earlier.folds for case in fold.validation + fold.training} & groups.keys()
    remaining = Splits(
        folds=tuple(
            Fold(training=_among(fold.training, known), validation=_among(fold.validation, known)) for fold in earlier.folds
        ),
        official=None,
    )
    joined, _ = with_new_cases(remaining, sorted(groups.keys() - known), groups=groups)
    if not known or any(_is_unfit(fold, groups) for fold in joined.folds):
        return assigned
    again = Splits(folds=joined.folds, official=assigned.official)
    return again.model_copy(update={"assigned_sha256": again.sha256})


def _among(cases: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    return tuple(case for case in cases if case in known)


def _is_unfit(fold: Fold, groups: Mapping[str, str]) -> bool:
    """Whether a side is empty, or a group on both."""
    learnt, tested = ({groups[case] for case in side} for side in (fold.training, fold.validation))
    return not learnt or not tested or bool(learnt & tested)


def _fold_of(
    group: str, held_out_by: Mapping[str, int], teaching: Collection[str], validation: Sequence[Sequence[str]]
) -> int | None:
    """The fold that holds a group out, or is to; None: none may."""
    if group in held_out_by or group in teaching or not validation:
        return held_out_by.get(group)
    return min(range(len(validation)), key=lambda number: len(validation[number]))


def _in_order(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Case ids by name, where they were so before; else new ones last."""
    return tuple(sorted(now)) if list(before) == sorted(before) else tuple(now)
