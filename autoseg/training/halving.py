"""Batches that are halved because a device's memory is too small for those of the plan."""

import math
from statistics import mean

from autoseg.planning.plan import Plan
from autoseg.planning.sizing import SMALLEST_BATCH


def with_halved_batches(plan: Plan, times: int) -> Plan:
    """The plan with every batch halved so often, down to two slices; for one run, whose plan stays what it is."""
    views = [
        view.model_copy(update={"batch_size": min(view.batch_size, max(SMALLEST_BATCH, view.batch_size >> times))})
        for view in plan.views
    ]
    return plan.model_copy(update={"views": tuple(views)})


def mean_pixels(plan: Plan, *, halvings: int) -> float:
    """Pixels of a batch, on average over the views that take turns.

    Args:
        plan: how slices are shown.
        halvings: how often its batches were halved.
    """
    return mean(view.batch_size * math.prod(view.patch_px) for view in with_halved_batches(plan, halvings).views)
