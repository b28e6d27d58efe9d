"""What a run is told about beforehand, and whether it was long enough: in one line each."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Final

from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget
from autoseg.training.history import EpochRecord

RECOMMENDED_STEPS: Final = 1000
"""Optimiser steps to give a network where nothing more is known.

Source: ours; within about as many the hippocampus models settled, and IBSR18 models came within .015 of their best Dice
(docs/explanation/results.md)."""

FEWEST_STEPS: Final = 100
"""With fewer a network is far from settled whatever its scores. Source: ours; the synthetic cohort needs 130."""

FOUND: Final = 0.1
"""A class with a lower Dice was practically not found. Source: ours."""

STILL_RISING: Final = 0.02
"""A rise of the training Dice, from one quarter of a run to the next, that promises more.

Source: ours; settled runs on three data sets gained less than .01 in their last quarter."""


_PIXELS_OF_ONE: Final = 4.0
"""Pixels that are one at half resolution: a step takes about as many times as long without it."""


def forecast(
    budget: Budget,
    section: TrainingSection,
    *,
    step_s: float,
    closing_s: float,
    elapsed_s: float,
    steps_done: int,
    half_resolution_steps: int = 0,
) -> str:
    """What fits into a run's time, or how long its epochs take.

    Args:
        budget: length of the run.
        section: what the plan says about training.
        step_s: time of a step, in seconds > 0.
        closing_s: time from an epoch's last step to its stored model.
        elapsed_s: since the run was begun.
        steps_done: since then.
        half_resolution_steps: how many of these were at half resolution; where all were, so were those that were timed.
    """
    if half_resolution_steps == steps_done and steps_done:
        step_s *= _times_longer(budget, section.half_resolution_fraction, elapsed_s=elapsed_s, steps_done=steps_done)
    epoch_s = section.steps_per_epoch * step_s + closing_s
    if budget.steps is not None:
        left_s = (budget.steps - steps_done) / section.steps_per_epoch * epoch_s
        text = f"{budget.steps // section.steps_per_epoch} epochs will take about {duration(elapsed_s + left_s)}"
        if budget.seconds is not None and elapsed_s + left_s > budget.seconds:
            text += f", but the run ends after {duration(budget.seconds)}"
        return text
    if budget.seconds is None:
        msg = "a run has a length in steps or in seconds"
        raise ValueError(msg)
    done = steps_done / section.steps_per_epoch
    fit = done + max(budget.seconds - elapsed_s, 0.0) / epoch_s
    text = f"about {fit:.1f} epochs of {section.steps_per_epoch} steps fit into {duration(budget.seconds)}"
    recommended = math.ceil(RECOMMENDED_STEPS / section.steps_per_epoch)
    if fit < recommended:
        text += f"; {recommended} are recommended (--minutes {math.ceil((elapsed_s + recommended * epoch_s) / 60)})"
    return text


def _times_longer(budget: Budget, fraction: float, *, elapsed_s: float, steps_done: int) -> float:
    """How many times as long as a step at half resolution the mean of all that are still to come takes."""
    so_far = budget.progress(step=steps_done, elapsed_s=elapsed_s, closing_s=0.0)
    half = max(fraction - so_far, 0.0) / max(1.0 - so_far, 1e-9)  # of the steps, or of the time, that are left
    if budget.steps is None:
        return 1.0 / (half + (1.0 - half) / _PIXELS_OF_ONE)
    return half + (1.0 - half) * _PIXELS_OF_ONE


def after_the_run(cases: int, seconds: float) -> str:
    """What is still to be done when the time of a run is over; empty where nothing is."""
    return f"; scoring {cases} held-out case(s) then takes at least {duration(seconds)} more" if cases else ""


def longer(budget: Budget, *, steps: int, elapsed_s: float) -> str:
    """What to do about a run that was too short: give it the recommended steps, at least twice as many as it took.

    Args:
        budget: how long it was to be.
        steps: those it took.
        elapsed_s: how long they took.
    """
    if budget.steps is None:
        minutes = max(2, RECOMMENDED_STEPS / steps) * elapsed_s / 60
        return f"Train it again for longer: --minutes {math.ceil(minutes)} --restart"
    return "Train it again for longer: more --epochs or --minutes, and --restart"


def duration(seconds: float) -> str:
    """A length of time for a sentence: `40 s`, `2.5 min`, `3.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def doubts(epochs: Sequence[EpochRecord], *, steps: int, budget: Budget, stopped_early: bool) -> list[str]:
    """Why a finished run is probably far from converged; empty where nothing speaks for it.

    Args:
        epochs: of the whole run, at least one.
        steps: optimiser steps of the whole run.
        budget: how long it was to be.
        stopped_early: whether the plan's rule ended it, because nothing more was learnt.
    """
    last = epochs[-1]
    missing = [name for name, dice in last.class_dice.items() if dice < FOUND]
    found = [f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} hardly found"] if missing else []
    if stopped_early:
        return found
    if budget.steps is not None and steps < budget.steps:
        found.append(f"its time was up after {len(epochs)} epochs, {steps} of {budget.steps} steps")
    if steps < FEWEST_STEPS:
        found.append(f"it took only {steps} steps")
    rise = _last_rise([epoch.training_dice for epoch in epochs])
    if rise > STILL_RISING:
        found.append(f"its training Dice still rose, by {rise:.2f} in the last quarter")
    return found


def _last_rise(values: Sequence[float]) -> float:
    """Mean of the last quarter of some values less that of the quarter before; 0 where there are too few."""
    quarter = len(values) // 4
    rise = fmean(values[-quarter:]) - fmean(values[-2 * quarter : -quarter]) if quarter else 0.0
    return 0.0 if math.isnan(rise) else rise
