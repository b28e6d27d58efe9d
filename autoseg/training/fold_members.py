"""The cases of a run beside those of its fold now: whether it can be trained further, or has to begin again."""

from collections.abc import Collection

from autoseg.data.splits import Fold
from autoseg.wording import some


def lost_cases(before: Fold, now: Fold) -> dict[str, tuple[str, ...]]:
    """Cases of a run that its fold does not have on the same side now.

    Args:
        before: the cases that the run has.
        now: those of its fold.

    Returns:
        ids by side, `to learn from` and `held out`; empty where cases were only added, so that it can be trained further.
    """
    sides = {
        "to learn from": set(before.training) - set(now.training),
        "held out": set(before.validation) - set(now.validation),
    }
    return {side: tuple(sorted(cases)) for side, cases in sides.items() if cases}


def remedy_of_other_cases(before: Fold, now: Fold, *, labelled: Collection[str], finished: bool = True) -> str:
    """What works for a run whose fold has other cases now.

    Args:
        before: the cases that the run has.
        now: those of its fold.
        labelled: ids of the labelled cases of the data set; folds that name others are no use.
        finished: whether the run is, so that it may be trained further.
    """
    if finished and not lost_cases(before, now):
        return "Train it further with `autoseg train --continue`, or begin it again with --restart instead."
    again = "begin it again with `autoseg train --restart`, without --continue"
    if gone := sorted({*before.training, *before.validation}.difference(labelled)):
        return f"{again.capitalize()}: it had cases that the data set holds no more ({some(gone)})."
    return f"Bring splits.json back (what `autoseg plan` replaced is beside it), or {again}."
