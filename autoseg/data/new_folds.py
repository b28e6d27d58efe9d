"""Folds of cases that join a data set later: all other cases stay where they are."""

from collections.abc import Mapping, Sequence

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
    assigned: dict[str, int | None] = {}
    for case in sorted(new):
        assigned[case] = number = _fold_of(groups[case], training, validation, groups)
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


def _fold_of(
    group: str, training: Sequence[Sequence[str]], validation: Sequence[Sequence[str]], groups: Mapping[str, str]
) -> int | None:
    """The fold that holds a group out, or is to; None: none may."""
    for number, cases in enumerate(validation):
        if any(groups.get(case) == group for case in cases):
            return number
    if not validation or any(groups.get(case) == group for cases in training for case in cases):
        return None
    return min(range(len(validation)), key=lambda number: len(validation[number]))


def _in_order(before: Sequence[str], now: Sequence[str]) -> tuple[str, ...]:
    """Case ids by name, where they were so before; else new ones last."""
    return tuple(sorted(now)) if list(before) == sorted(before) else tuple(now)
