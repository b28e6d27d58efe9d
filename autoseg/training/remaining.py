"""What is still to be done of a run, and how long that takes: the one place that knows.

A run is steps, the end of each epoch (validation and storing), and, after the last one, the scoring of its held-out cases.
Lengths are told by a `Budget`, paces by what was measured; nothing here looks at a clock.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median
from typing import Final

from autoseg.planning.budget import step_cost
from autoseg.planning.plan import Plan
from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget
from autoseg.training.history import EpochRecord

PIXELS_OF_ONE: Final = 4.0
"""Pixels that are one at half resolution: a step takes about as many times as long without it."""

_RECENT: Final = 5
"""Epochs by which the pace of a run is judged. Source: chosen; the last ones are whole, and at full resolution."""


@dataclass(frozen=True)
class Costs:
    """How long the parts of a run take.

    Attributes:
        step_s: a step at full resolution, in seconds > 0.
        closing_s: from an epoch's last step to its stored model.
        scoring_s: predicting and scoring all held-out cases after the last epoch.
    """

    step_s: float
    closing_s: float = 0.0
    scoring_s: float = 0.0

    def on_fewer_threads(self, threads: int, *, measured_on: int) -> "Costs":
        """The same on fewer processor threads than they were measured on, if each does its share; on more, as they are.

        Steps are computed by all threads; the ends of epochs wait for the disk as well, and are left as they are.
        """
        return replace(self, step_s=self.step_s * max(measured_on / threads, 1.0))


@dataclass(frozen=True)
class Remaining:
    """What is left of a run.

    Attributes:
        epochs: of the whole run, those that are done included; not always a whole number.
        training_s: until the last epoch is stored.
        scoring_s: from then on.
        cut_short: whether the clock ends it before its epochs are done.
    """

    epochs: float
    training_s: float
    scoring_s: float = 0.0
    cut_short: bool = False

    @property
    def seconds(self) -> float:
        """All that is left."""
        return self.training_s + self.scoring_s


def remaining(
    budget: Budget, section: TrainingSection, costs: Costs, *, steps_done: int = 0, elapsed_s: float = 0.0
) -> Remaining:
    """What is left of a run whose paces are known.

    Args:
        budget: length of the run.
        section: what the plan says about training.
        costs: how long its parts take.
        steps_done: since the run was begun.
        elapsed_s: likewise.

    Raises:
        ValueError: the budget has no end.
    """
    whole_s = section.steps_per_epoch * costs.step_s + costs.closing_s
    half_s = section.steps_per_epoch * costs.step_s / PIXELS_OF_ONE + costs.closing_s
    half, done = section.half_resolution_fraction, steps_done / section.steps_per_epoch
    if budget.steps is None and budget.seconds is None:
        msg = "a run has a length in steps or in seconds"
        raise ValueError(msg)
    time_left_s = math.inf if budget.seconds is None else max(budget.seconds - elapsed_s, 0.0)
    if budget.steps is None:
        at_half_s = min(max(half * (budget.seconds or 0.0) - elapsed_s, 0.0), time_left_s)
        fitting = _epochs_within(time_left_s, at_half_s / half_s, half_s=half_s, whole_s=whole_s)
        return Remaining(done + fitting, time_left_s, costs.scoring_s)
    epochs = budget.steps / section.steps_per_epoch
    at_half, left = max(half * epochs - done, 0.0), max(epochs - done, 0.0)
    needed_s = at_half * half_s + (left - at_half) * whole_s
    if needed_s <= time_left_s:
        return Remaining(epochs, needed_s, costs.scoring_s)
    fitting = _epochs_within(time_left_s, at_half, half_s=half_s, whole_s=whole_s)
    return Remaining(done + fitting, time_left_s, costs.scoring_s, cut_short=True)


def costs_of(
    epochs: Sequence[EpochRecord], *, slices_per_step: float, steps_per_epoch: int, at_half: bool, after: int
) -> Costs | None:
    """How long steps and the ends of epochs took in a run, by its last epochs.

    Args:
        epochs: of the run.
        slices_per_step: slices of a step, on average.
        steps_per_epoch: steps of a whole epoch.
        at_half: whether all its steps were at half resolution.
        after: how many epochs there were before the last call trained it, perhaps elsewhere or in another number format.

    Returns:
        None where it has no epoch whose pace was measured.
    """
    recent = [epoch for epoch in epochs[after:][-_RECENT:] if math.isfinite(epoch.slices_per_s) and epoch.slices_per_s > 0]
    if not recent:
        return None
    step_s = median(slices_per_step / epoch.slices_per_s for epoch in recent)
    lengths = [after.seconds - before.seconds for before, after in pairwise(epochs[max(after - 1, 0) :][-_RECENT - 1 :])]
    whole = lengths[:-1] or lengths  # the clock may have cut the last one short
    closing_s = max(median(whole) - steps_per_epoch * step_s, 0.0) if whole else 0.0
    return Costs(step_s * (PIXELS_OF_ONE if at_half else 1.0), closing_s)


def planned_costs(plan: Plan) -> Costs | None:
    """How long a step takes on the machine that a plan was made for, by the speed that it recorded, on all of its threads.

    Returns:
        None where it recorded none. How long epochs take to end, and held-out cases to be scored, is not known then.

    Source: `planning.budget`, which sizes networks by the same rule.
    """
    speed = plan.inputs.speed_kpx_s
    if speed is None:
        return None
    pixels = fmean(view.batch_size * math.prod(view.patch_px) for view in plan.views)
    return Costs(pixels / (speed * 1000) * step_cost(plan.network.features[0]))


def _epochs_within(seconds: float, at_half: float, *, half_s: float, whole_s: float) -> float:
    """Epochs that fit into a time, of which the first `at_half` take `half_s` each, the others `whole_s`."""
    fitting = seconds / half_s
    return fitting if fitting <= at_half else at_half + (seconds - at_half * half_s) / whole_s
