"""Which networks, averaged, score best on held-out cases, and how sure that is."""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import Final

from autoseg.catalogue import Architecture, Plane
from autoseg.evaluation.cases import CaseMetrics
from autoseg.evaluation.statistics import LEVEL, defined, holm, meaningful, paired_test
from autoseg.postprocessing.choice import Choice, Networks
from autoseg.postprocessing.scoring import as_estimate, case_means, score_of
from autoseg.postprocessing.selection import Candidate, Score
from autoseg.wording import counted, listing

TIE_DICE: Final = 0.0005
"""Mean Dice within this of the best counts as equal, and the Hausdorff distance decides. Source: ours; half of the last
digit that is published."""


def comparable(cases: Mapping[Architecture, AbstractSet[str]]) -> tuple[Networks, tuple[str, ...]]:
    """Networks that can be compared, and the cases they can be compared on.

    Args:
        cases: ids of the held-out cases of every network; any network with none is left out.

    Returns:
        networks in the order given, and the ids held out by all of them, sorted. A network that would leave no common
        case is left out, the one with fewer cases first.
    """
    by_size = sorted(cases, key=lambda network: -len(cases[network]))  # a stable sort: equal ones keep their order
    chosen: list[Architecture] = []
    common: set[str] = set()
    for network in by_size:
        shared = common & cases[network] if chosen else set(cases[network])
        if shared:
            chosen.append(network)
            common = shared
    return tuple(network for network in cases if network in chosen), tuple(sorted(common))


def all_combinations(networks: Sequence[Architecture]) -> list[Networks]:
    """Every network, then every pair, and so on to all of them together."""
    return [chosen for count in range(1, len(networks) + 1) for chosen in combinations(networks, count)]


def candidates(networks: Sequence[Architecture], *, views: int) -> list[Choice]:
    """What is compared: with one view every combination of networks; with several, of which there would be too many, not.

    Then it is all networks with all views, each network left out, each alone, and each view left out: what does not help
    shows in one of them.

    Args:
        networks: that can be compared.
        views: how many there are, >= 1.
    """
    if views == 1:
        return [Choice(chosen) for chosen in all_combinations(networks)]
    alone = [(network,) for network in networks]
    without = [tuple(other for other in networks if other != network) for network in networks]
    chosen = dict.fromkeys([*alone, *filter(None, without), tuple(networks)])
    every = range(views)
    left_out = [Choice(tuple(networks), tuple(other for other in every if other != view)) for view in every]
    return [*(Choice(each) for each in chosen), *left_out]


def rank(
    scores: Mapping[Choice, Sequence[CaseMetrics]], *, planes: Sequence[Plane | None] = (None,)
) -> tuple[Candidate, ...]:
    """Order candidates: by mean Dice; those that tie with the best by Hausdorff distance, then by fewer networks and views.

    A candidate whose distance is undefined for more cases, because it did not find a class there, comes after those that
    have one: its mean is over the others.

    Args:
        scores: the same cases in the same order for every candidate.
        planes: of all views.

    Returns:
        the best first, each of the others with its difference from the best and the chance of seeing such a difference
        where there is none.
    """
    means = {choice: score_of(cases) for choice, cases in scores.items()}
    top = max(_dice(score) for score in means.values())

    def order(choice: Choice) -> tuple[float, ...]:
        score = means[choice]
        if _dice(score) >= top - TIE_DICE:
            return (0, *_distance(score), len(choice.networks), len(choice.planes(planes)) or len(planes))
        return (1, -_dice(score), *_distance(score))

    best, *others = sorted(means, key=order)
    dice = {choice: case_means(cases, "dice") for choice, cases in scores.items()}
    tests = [paired_test(dice[choice], dice[best]) for choice in others]
    corrected = holm([test.p for test in tests])
    return (
        Candidate(networks=best.networks, views=best.planes(planes), score=means[best], difference=None, p=None),
        *(
            Candidate(
                networks=choice.networks,
                views=choice.planes(planes),
                score=means[choice],
                difference=as_estimate(test.difference),
                p=defined(p),
            )
            for choice, test, p in zip(others, tests, corrected, strict=True)
        ),
    )


def not_in_difference(candidate: Candidate, best: Candidate) -> str:
    """In words, what the difference of a candidate from the best does not show; empty where it is over the same cases.

    A case that has no class has no Dice unless something is found in it: where one of both finds something there, the Dice
    is 0 on that side alone, and no difference is defined.

    Args:
        candidate: as `rank` gives it.
        best: the first of them.
    """
    if candidate.difference is None:
        return ""
    shared = candidate.difference.cases
    alone = [(one.title, one.score.dice.cases - shared) for one in (candidate, best)]
    found = [f"{title} alone finds something in {counted(count, 'case')}" for title, count in alone if count]
    return f"{listing(found)} without any class, not in their difference over {counted(shared, 'case')}" if found else ""


def why_first(ranked: Sequence[Candidate], *, cases: int) -> str:
    """In words, why the first candidate of `rank` is before the others.

    Args:
        ranked: candidates as `rank` gives them.
        cases: how many they were scored on.
    """
    best, *others = ranked
    if not others:
        return "nothing else was trained"
    if _dice(best.score) > max(_dice(other.score) for other in others):
        return f"highest mean Dice of {len(ranked)} on {counted(cases, 'held-out case')}"
    level = f"mean Dice within {TIE_DICE} of the highest"
    top = max(_dice(candidate.score) for candidate in ranked)
    tied = [other.score for other in others if _dice(other.score) >= top - TIE_DICE]
    if all(_distance(best.score) < _distance(score) for score in tied):
        return f"{level}, and the least Hausdorff distance"
    return f"{level}, no Hausdorff distance to tell it from others, and as few networks and views as any of these"


def told_differences(ranked: Sequence[Candidate], *, cases: int) -> list[str]:
    """In words, what differs from the best by no more than chance, and what differences do not show.

    Args:
        ranked: candidates as `rank` gives them.
        cases: how many they were scored on.
    """
    best, *others = ranked
    apart = {candidate.title: not_in_difference(candidate, best) for candidate in others}
    said = list(filter(None, apart.values()))
    if others and not meaningful(cases):
        return [f"{counted(cases, 'case')} cannot tell a difference from chance: at least six are needed", *said]
    similar = [each.title for each in others if (each.p or 0) > 1 - LEVEL and not apart[each.title]]
    return [*([f"not significantly different (p > {1 - LEVEL:.2f}): {'; '.join(similar)}"] if similar else []), *said]


def choice_of(candidate: Candidate, choices: Iterable[Choice], planes: Sequence[Plane | None]) -> Choice:
    """The choice that a candidate of `rank` stands for."""
    wanted = candidate.networks, candidate.views
    return next(choice for choice in choices if (choice.networks, choice.planes(planes)) == wanted)


def _dice(score: Score) -> float:
    return -math.inf if score.dice.mean is None else score.dice.mean


def _distance(score: Score) -> tuple[float, float]:
    """Cases without a distance count first, then the mean over the others: both the less the better."""
    distance = score.hausdorff_mm
    return -distance.cases, math.inf if distance.mean is None else distance.mean
