"""Where the batches of a run are made, and how large they may be there."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from autoseg.planning.plan import Plan
from autoseg.planning.sizing import SMALLEST_BATCH
from autoseg.preprocessing.stored import StoredCase
from autoseg.training.batches import SliceBatches, TrainingBatch
from autoseg.training.context import RunContext
from autoseg.training.device_batches import DeviceBatches, canvas_excess, uncut_bytes
from autoseg.training.halving import with_halved_batches
from autoseg.training.learner import Learner
from autoseg.training.loading import Loader
from autoseg.training.ranks import own_part
from autoseg.training.run_state import BatchPlace, RunState

_UNCUT_FRACTION: Final = 1 / 12
"""Slices of a batch, before patches are cut from them, may take so much of the memory that a step was planned to take.

Source: chosen; they are there up to three times (as sent, gathered, and as a recorded step has them), and a plan leaves a
fifth of a GPU's memory, a quarter of what a step takes. By the plan, because a run must not depend on what else is there."""


_MOST_EXCESS: Final = 4.0
"""Slices on a GPU all take the memory, and the time to be sent, of the largest; up to so many times what they are.

Source: chosen: beside one of 2048 x 2048 pixels, eight slices of 256 x 256 took 336 ms in place of 8 to be gathered."""


class BatchSource(Protocol):
    """The batches of a run, epoch by epoch."""

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """The batches of one epoch, in order."""

    def close(self) -> None:
        """End whatever makes them."""


def open_batches(
    state: RunState,
    cases: Sequence[tuple[str, StoredCase]],
    *,
    plan: Plan,
    learner: Learner,
    context: RunContext,
    begun: bool,
) -> BatchSource:
    """Make the batches of a run; where it is a new one, decide where, and how large they may be, and note it in its state.

    Args:
        state: of the run.
        cases: ids and arrays of the training cases.
        plan: how slices are shown and changed.
        learner: what learns from the batches.
        context: says where, else it is decided by the device.
        begun: whether an earlier call has decided.

    Raises:
        UsageError: there are more ranks than images in a batch.
    """
    if not begun:
        place = context.batches or _place(plan, cases, context, title=state.config.model.title)
        state.batches = context.ranks.from_first(place)
    batches = _make(state, cases, plan=plan, context=context)
    if begun or context.compute.free_bytes() is None:
        return batches
    # Tried beside the slices that the device holds by now.
    state.halvings = _halvings_needed(plan, learner, title=state.config.model.title, context=context)
    if state.halvings == 0:
        return batches
    batches.close()
    del batches  # before its slices are there a second time
    return _make(state, cases, plan=plan, context=context)


def _place(plan: Plan, cases: Sequence[tuple[str, StoredCase]], context: RunContext, *, title: str) -> BatchPlace:
    """On a GPU, unless what the plan asks for works on the host alone, or all or a few slices are too large."""
    if context.compute.device.type != "cuda":
        return "host"
    if own := plan.augmentation.additional:
        context.events.info(
            f"{title}: the host makes its batches, because augmentations of one's own work there ({', '.join(own)})"
        )
        return "host"
    if uncut_bytes(cases, plan) > _UNCUT_FRACTION * plan.inputs.memory_gb * 1e9:
        context.events.info(
            f"{title}: the host makes its batches, because the largest slices would fill the GPU's memory before patches "
            "are cut from them"
        )
        return "host"
    if canvas_excess(cases, plan) > _MOST_EXCESS:
        context.events.info(f"{title}: the host makes its batches, because a few slices are far larger than the others")
        return "host"
    return "device"


def _make(state: RunState, cases: Sequence[tuple[str, StoredCase]], *, plan: Plan, context: RunContext) -> BatchSource:
    used, seed, compute = with_halved_batches(plan, state.halvings), state.config.seed, context.compute
    for view in used.views:
        own_part(view.batch_size, context.ranks)  # every rank needs an image
    if state.batches == "device":
        return DeviceBatches(cases, plan=used, seed=seed, compute=compute, ranks=context.ranks)
    return Loader(
        SliceBatches(cases, plan=used, seed=seed, ranks=context.ranks),
        steps_per_epoch=plan.training.steps_per_epoch,
        workers=context.workers,
        pin_memory=compute.device.type == "cuda",
    )


def _halvings_needed(plan: Plan, learner: Learner, *, title: str, context: RunContext) -> int:
    """How often the batches have to be halved until every rank's device holds a step on each: tried before the first step.

    Where even the smallest batches do not fit, nothing is halved: the first step then says that the memory is too small.
    """
    times, ranks = 0, context.ranks
    while not all(learner.fits_into_memory(view) for view in with_halved_batches(plan, times).views):
        if all(view.batch_size <= max(SMALLEST_BATCH, ranks.size) for view in with_halved_batches(plan, times).views):
            return 0
        times += 1
        if any(view.batch_size < ranks.size for view in with_halved_batches(plan, times).views):
            return 0
    if times:
        planned, used = (
            " or ".join(str(size) for size in dict.fromkeys(view.batch_size for view in each.views))
            for each in (plan, with_halved_batches(plan, times))
        )
        context.events.warn(
            f"{title}: the GPU's memory does not hold a step on {planned} slices, as planned; this run takes {used}. "
            "A plan made with less --memory fits it"
        )
    return times
