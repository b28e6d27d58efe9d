"""What a selection scores on cases that had no part in it: each fold is left out once, and the others choose.

The networks are those that are there: only what `select` chooses is chosen without the fold, that is the combination, the
shift of the prior and the postprocessing.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from autoseg.catalogue import Plane
from autoseg.errors import UsageError
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.statistics import mean_interval
from autoseg.events import Events
from autoseg.inference.steps import Step
from autoseg.jobs.work import Apply
from autoseg.model.identity import fold_order
from autoseg.postprocessing.choice import Choice
from autoseg.postprocessing.combinations import choice_of, rank
from autoseg.postprocessing.held_out import HeldOutCase, score_postprocessed
from autoseg.postprocessing.prior import find_shift
from autoseg.postprocessing.scoring import as_estimate, case_means, score_of
from autoseg.postprocessing.search import find_postprocessing
from autoseg.postprocessing.selection import NestedFold, NestedScore

_FEWEST_FOLDS: Final = 3
"""Source: of two folds, one alone would choose, from half the cases and without a second fold to judge a shift on."""

Scores = Mapping[Choice, Sequence[CaseMetrics]]


def require_folds(cases: Sequence[HeldOutCase]) -> None:
    """Require enough folds to leave one out.

    Raises:
        UsageError: there are fewer than three among the cases that all networks held out.
    """
    folds = sorted({case.fold for case in cases}, key=fold_order)
    if len(folds) < _FEWEST_FOLDS:
        raise UsageError(
            "too few folds to choose without each of them",
            expected=f"cases of at least {_FEWEST_FOLDS} folds that every compared network held out",
            found=f"fold {', '.join(folds)}",
            remedy="Train more folds, with `autoseg train --fold all`. Or select without --nested.",
        )


def nested_score(
    cases: Sequence[HeldOutCase],
    scores: Scores,
    selected: Mapping[str, CaseMetrics],
    *,
    planes: Sequence[Plane | None],
    folder: Path,
    apply: Apply,
    events: Events,
) -> NestedScore:
    """Choose without each fold, and score its cases with what was chosen.

    Args:
        cases: that all candidates are compared on.
        scores: of every candidate, in the order of the cases.
        selected: by id, the cases' scores under what was selected on all of them.
        planes: of all views.
        folder: where label maps are kept meanwhile; all processes see it.
        apply: processes to work with.
        events: notified of progress.
    """
    folds: list[NestedFold] = []
    reached: dict[str, CaseMetrics] = {}
    for fold in sorted({case.fold for case in cases}, key=fold_order):
        events.info(f"choosing without fold {fold}")
        others = [index for index, case in enumerate(cases) if case.fold != fold]
        choice, steps = _choose(
            [cases[index] for index in others],
            {candidate: [of_cases[index] for index in others] for candidate, of_cases in scores.items()},
            planes=planes,
            folder=folder,
            apply=apply,
            events=events,
        )
        left_out = [case for case in cases if case.fold == fold]
        found = apply(partial(score_postprocessed, choice=choice, steps=steps), left_out)
        reached |= {each.id: each for each in found}
        folds.append(
            NestedFold(
                fold=fold,
                cases=len(left_out),
                networks=choice.networks,
                views=choice.planes(planes),
                log_shift=choice.log_shift,
                postprocessing=steps,
            )
        )
    in_order = [reached[case.id] for case in cases]
    chosen = case_means([selected[case.id] for case in cases], "dice")
    gains = [one - other for one, other in zip(chosen, case_means(in_order, "dice"), strict=True)]
    return NestedScore(score=score_of(in_order), optimism=as_estimate(mean_interval(gains)), folds=tuple(folds))


def _choose(
    cases: Sequence[HeldOutCase],
    scores: Scores,
    *,
    planes: Sequence[Plane | None],
    folder: Path,
    apply: Apply,
    events: Events,
) -> tuple[Choice, tuple[Step, ...]]:
    """What `select` would choose if these were all cases."""
    best = choice_of(rank(scores, planes=planes)[0], scores, planes)
    prior = find_shift(cases, choice=best, before=scores[best], apply=apply, events=events)
    found = find_postprocessing(cases, choice=prior.choice, before=prior.scores, folder=folder, apply=apply, events=events)
    return prior.choice, found.steps
