"""The validation of a run: at which slices it looks, how long that takes, and how it is shown."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from functools import cached_property
from itertools import chain
from typing import Final

from autoseg.events import Events
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.clock import Stopwatch
from autoseg.training.learner import Learner
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.validation import PartScores, ValidationResult
from autoseg.training.validation_parts import ValidationPart, chosen_part

WORTH_A_BAR_S: Final = 3.0
"""Shortest validation that is shown by a bar of its own. Source: ours."""


class Watch:
    """Looks at the same slices of the held-out cases again and again; several ranks share them case by case.

    Args:
        learner: what is looked at.
        cases: held-out cases; may be empty.
        plan: how slices are shown, and whether the run depends on what is seen.
        seed: of the choice of slices.
        stopwatch: measures how long it takes.
        ranks: share the cases; every one has the same learner.
    """

    def __init__(
        self,
        learner: Learner,
        cases: Sequence[StoredCase],
        *,
        plan: Plan,
        seed: int,
        stopwatch: Stopwatch,
        ranks: Ranks = ALONE,
    ) -> None:
        self._learner, self._plan, self._stopwatch, self._ranks = learner, plan, stopwatch, ranks
        self._cases = tuple(cases)
        self._shares = shares(chosen_part(cases, plan=plan, seed=seed), number=ranks.size)
        self._parts = [part for _, part in self._shares[ranks.rank]]
        self._slice_s = 0.0

    @property
    def slices(self) -> int:
        """Slices that one validation looks at, on this rank."""
        return sum(len(part.slices) for part in self._parts)

    @property
    def cases(self) -> int:
        """Held-out cases of the run."""
        return len(self._cases)

    @property
    def judges(self) -> bool:
        """Whether there is any slice to look at, on any rank: of held-out cases without a single label there is none."""
        return any(self._shares)

    @property
    def seconds(self) -> float:
        """How long a validation takes, as last measured; 0 before."""
        return self._slice_s * self.slices

    @property
    def scoring_s(self) -> float:
        """How long the networks need to predict the held-out cases whole, every mirror image included."""
        return self._slice_s * self._scored_slices

    @cached_property
    def _scored_slices(self) -> int:
        passes = [1 << len(view.tta_axes) for view in self._plan.views]
        return sum(count * stack.shape[0] for case in self._cases for count, stack in zip(passes, case.stacks, strict=True))

    def measure(self) -> None:
        """Take the time of one batch, where this rank looks at any."""
        if not self._parts:
            return
        part = self._parts[0]
        batch = replace(part, slices=part.batches(self._plan.prediction.batch_size)[0])
        started_s = self._stopwatch.elapsed_s
        self._learner.validate([batch])
        self._slice_s = (self._stopwatch.elapsed_s - started_s) / len(batch.slices)

    def look(self, title: str, *, events: Events, tick: Callable[[], None]) -> ValidationResult:
        """Validate, with a bar of its own where that takes a while; every rank has the result of all, and its own samples.

        Args:
            title: of the run.
            events: where the bar goes.
            tick: called after each batch.
        """
        result = self._look(title, events=events, tick=tick)
        if self._ranks.size == 1 or not self.judges:
            return result
        said = self._ranks.gathered([astuple(part) for part in result.scores])
        places = [place for share in self._shares for place, _ in share]
        scores = dict(zip(places, chain.from_iterable(said), strict=True))
        return ValidationResult.of([PartScores(*scores[place]) for place in sorted(scores)], samples=result.samples)

    def _look(self, title: str, *, events: Events, tick: Callable[[], None]) -> ValidationResult:
        """The part of this rank."""
        if self.seconds < WORTH_A_BAR_S:
            return self._learner.validate(self._parts, seen=lambda _: tick())
        with events.track(f"{title}: validating", total=self.slices, unit="slices") as bar:

            def seen(slices: int) -> None:
                bar.advance(slices)
                tick()

            return self._learner.validate(self._parts, seen=seen)


def shares(parts: Sequence[ValidationPart], *, number: int) -> list[list[tuple[int, ValidationPart]]]:
    """Share parts out, the views of a case together, the longest cases first, each to whom has least so far.

    Args:
        parts: case by case.
        number: of shares, which may stay empty.

    Returns:
        for each share its parts, with the place of each in the order given.
    """
    by_case: dict[int, list[tuple[int, ValidationPart]]] = {}
    for place, part in enumerate(parts):
        by_case.setdefault(part.number, []).append((place, part))
    found: list[list[tuple[int, ValidationPart]]] = [[] for _ in range(number)]
    for of_case in sorted(by_case.values(), key=_length, reverse=True):
        min(found, key=_length).extend(of_case)
    return [sorted(share, key=lambda each: each[0]) for share in found]


def _length(parts: Sequence[tuple[int, ValidationPart]]) -> int:
    return sum(len(part.slices) for _, part in parts)
