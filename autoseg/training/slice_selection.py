"""Which slices of the training scans a run learns from, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoseg.errors import TrainingError
from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import SliceStack


@dataclass(frozen=True)
class SlicePool:
    """Slices to draw from.

    Attributes:
        slices: (N, 2), int64: number of the case, number of the slice; N >= 1.
        fraction: fraction of an epoch's slices that come from here, in [0, 1].
        weights: what they are drawn in proportion to, (N,), > 0; None: all alike.
    """

    slices: NDArray[np.int64]
    fraction: float
    weights: NDArray[np.int64] | None = None


def slice_pools(stacks: Sequence[SliceStack], plan: Plan) -> tuple[SlicePool, ...]:
    """The pools that a plan's slice selection draws from; their fractions sum to 1.

    A slice without a single labelled pixel teaches nothing and is in none of them.

    Args:
        stacks: the training cases, as one view shows them.
        plan: its `training.slices` says which slices.

    Raises:
        TrainingError: no slice of these cases shows what is asked for.

    Source: section 3.1.3 of the paper names the choice between all slices and those with a class; drawing a fraction from
    slices with foreground is nnU-Net's habit.
    """
    selection = plan.training.slices
    every = _slices([stack.labelled(plan) for stack in stacks])
    if not len(every):
        raise TrainingError(
            "no slice of the training cases has a labelled pixel",
            remedy="Draw labels on some slices of these cases, or plan with other data.",
        )
    classes = len(plan.data.classes)
    if selection.rule == "with_class":
        values = [label.value for label in plan.data.classes]
        inside = plan.data.encoding.members[:classes]  # (K, K): regions show in the pixels of those inside them
        index = values.index(selection.label) if selection.label is not None else 0
        showing = [stack.class_pixels(classes)[:, inside[:, index]].sum(axis=1) > 0 for stack in stacks]
        return (SlicePool(_found(_slices(showing), what=f"the class {plan.data.classes[index].name}"), fraction=1.0),)
    if selection.fraction is None:
        return (SlicePool(every, fraction=1.0),)
    pixels = [stack.class_pixels(classes)[:, 1:].sum(axis=1) for stack in stacks]
    foreground = _found(_slices([counted > 0 for counted in pixels]), what="any foreground")
    weights = np.concatenate(pixels) if selection.rule == "foreground_weighted" else None
    return (
        SlicePool(foreground, fraction=selection.fraction, weights=None if weights is None else weights[weights > 0]),
        SlicePool(every, fraction=1.0 - selection.fraction),
    )


def draw_epoch(pools: Sequence[SlicePool], *, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """The slices of one epoch in random order: from each pool its fraction.

    Where all slices of a pool are alike, they come in shuffled passes over all of it; else each comes as often as its weight
    says, up to the next whole number.

    Args:
        pools: as of `slice_pools`.
        count: slices wanted.
        generator: where all randomness comes from.

    Returns:
        (count, 2), int64: number of the case, number of the slice.
    """
    first = round(pools[0].fraction * count)
    drawn = [
        _drawn(pool, count=part, generator=generator)
        for pool, part in zip(pools, (first, count - first)[: len(pools)], strict=True)
    ]
    if len(drawn) == 1:
        return drawn[0]
    mixed: NDArray[np.int64] = generator.permutation(np.concatenate(drawn))
    return mixed


def _drawn(pool: SlicePool, *, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    if pool.weights is None:
        return _passes(pool.slices, count=count, generator=generator)
    ends = np.cumsum(pool.weights) / pool.weights.sum()
    points = (np.arange(count) + generator.random()) / count  # evenly spaced: no slice is drawn much too often by chance
    chosen: NDArray[np.int64] = pool.slices[np.searchsorted(ends[:-1], points, side="right")]
    return chosen


def _passes(slices: NDArray[np.int64], *, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    passes = -(-count // len(slices))
    order = [generator.permutation(len(slices)) for _ in range(passes)]
    chosen: NDArray[np.int64] = slices[np.concatenate([np.zeros(0, dtype=np.int64), *order])[:count]]
    return chosen


def _slices(showing: Sequence[NDArray[np.bool_]]) -> NDArray[np.int64]:
    numbers = np.repeat(np.arange(len(showing)), [len(slices) for slices in showing])
    indices = np.concatenate([np.arange(len(slices)) for slices in showing])
    return np.stack([numbers, indices], axis=1)[np.concatenate(showing)]


def _found(slices: NDArray[np.int64], *, what: str) -> NDArray[np.int64]:
    if not len(slices):
        raise TrainingError(
            f"no slice of the training cases shows {what}, which training.slices asks for",
            remedy="Choose another rule for training.slices in plan.json, for example `all`.",
        )
    return slices
