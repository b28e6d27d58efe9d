"""How ranks share what they look at; the other properties of a validation are in test_validation.py."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from oracles.one_of_ranks import OneOf

from autoseg.events import Silent
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.clock import Stopwatch
from autoseg.training.learner import Learner
from autoseg.training.validation import ValidationResult
from autoseg.training.validation_parts import whole
from autoseg.training.watch import Watch, shares

MakePlan = Callable[..., Plan]
MakeCase = Callable[..., StoredCase]
CPU = Compute(torch.device("cpu"), bfloat16=False)


def test_views_of_a_case_stay_together_and_shares_are_about_equal(make_plan: MakePlan, make_case: MakeCase) -> None:
    plan = make_plan(views=[{}, {"plane": "coronal"}])
    lengths = [3, 9, 4, 5, 2]
    cases = [StoredCase(make_case(seed, slices=slices).stacks * 2) for seed, slices in enumerate(lengths)]
    found = shares(whole(cases, plan), number=2)
    assert [[part.number for _, part in share] for share in found] == [[0, 0, 1, 1], [2, 2, 3, 3, 4, 4]]
    assert [[place for place, _ in share] for share in found] == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9]]
    assert shares(whole(cases[:1], plan), number=3)[1:] == [[], []]


class _Said(Exception):  # noqa: N818 - not an error
    """What a rank says, where nobody answers."""


class _Unanswered(OneOf):
    def gathered(self, value: Any) -> list[Any]:
        raise _Said(value)


class _Answered(OneOf):
    """A rank that hears what each rank has said."""

    said: Sequence[Any] = ()

    def gathered(self, value: Any) -> list[Any]:
        assert json.loads(json.dumps(value)) == self.said[self.rank]
        return list(self.said)


@pytest.mark.parametrize(("size", "cases"), [(2, 5), (3, 5), (3, 2)])
def test_the_result_of_several_ranks_is_that_of_one_to_the_last_digit(
    make_plan: MakePlan, make_case: MakeCase, size: int, cases: int
) -> None:
    plan = make_plan(training={"best_model": "validation_loss"}, prediction={"batch_size": 3})
    learner = Learner(plan, architecture="unet", compute=CPU)
    held_out = [make_case(seed, slices=4 + seed % 3) for seed in range(cases)]

    def look(ranks: OneOf) -> ValidationResult:
        watch = Watch(learner, held_out, plan=plan, seed=0, stopwatch=Stopwatch(), ranks=ranks)
        return watch.look("", events=Silent(), tick=lambda: None)

    alone = look(OneOf(0, 1))
    said: list[Any] = []
    for rank in range(size):
        with pytest.raises(_Said) as heard:
            look(_Unanswered(rank, size))
        said += json.loads(json.dumps(heard.value.args))
    for rank in range(size):
        ranks = _Answered(rank, size)
        ranks.said = said
        together = look(ranks)
        assert (together.loss, together.class_dice, together.slices) == (alone.loss, alone.class_dice, alone.slices)
        own = [sample.case for sample in together.samples]
        assert set(own) <= set(range(cases))
    assert np.isfinite(alone.loss)
    assert replace(alone, samples=(), scores=()) == replace(together, samples=(), scores=())


def test_where_nothing_is_held_out_nobody_is_asked(make_plan: MakePlan) -> None:
    class Unasked(OneOf):
        def gathered(self, value: Any) -> list[Any]:
            raise AssertionError

    plan = make_plan()
    learner = Learner(plan, architecture="unet", compute=CPU)
    watch = Watch(learner, [], plan=plan, seed=0, stopwatch=Stopwatch(), ranks=Unasked(1, 2))
    result = watch.look("", events=Silent(), tick=lambda: None)
    assert np.isnan(result.loss)
    assert result.slices == 0
