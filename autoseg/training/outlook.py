"""What a run is told about beforehand, and whether it was long enough: in one line each."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Final

from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget, build_budget
from autoseg.training.history import EpochRecord
from autoseg.training.remaining import Remaining
from autoseg.training.run_state import RunState
from autoseg.training.schedule import EarlyStopping, EpochResult
from autoseg.wording import counted, duration

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


def forecast(budget: Budget, section: TrainingSection, left: Remaining, *, steps_done: int, elapsed_s: float) -> str:
    """What fits into a run's time, or how long its epochs take.

    Args:
        budget: length of the run.
        section: what the plan says about training.
        left: what is left of it.
        steps_done: since the run was begun.
        elapsed_s: likewise.
    """
    if budget.steps is not None:
        most = "at most " if section.early_stopping_patience is not None else ""
        epochs = counted(budget.steps // section.steps_per_epoch, "epoch")
        if left.cut_short and budget.seconds is not None:
            return f"{left.epochs:.1f} of {epochs} fit into {duration(budget.seconds)}, after which the run ends"
        return f"{epochs} will take {most or 'about '}{duration(elapsed_s + left.training_s)}"
    text = f"about {left.epochs:.1f} epochs of {section.steps_per_epoch} steps fit into {duration(budget.seconds or 0.0)}"
    recommended = math.ceil(RECOMMENDED_STEPS / section.steps_per_epoch)
    if left.epochs >= recommended:
        return text
    to_come = left.epochs - steps_done / section.steps_per_epoch
    epoch_s = left.training_s / to_come if to_come > 0 else math.inf
    if not math.isfinite(epoch_s):
        return text
    minutes = math.ceil((elapsed_s + recommended * epoch_s) / 60)
    return f"{text}; {recommended} are recommended (--minutes {minutes})"


def after_the_run(cases: int, seconds: float) -> str:
    """What is still to be done when the time of a run is over; empty where nothing is."""
    return f"; scoring {counted(cases, 'held-out case')} then takes at least {duration(seconds)} more" if cases else ""


def longer(budget: Budget, *, steps: int, elapsed_s: float) -> str:
    """What to do about a run that was too short: train it on to the recommended steps, at least twice as many as it took.

    Args:
        budget: how long it was to be.
        steps: those it took.
        elapsed_s: how long they took.
    """
    if budget.steps is None:
        minutes = (max(2, RECOMMENDED_STEPS / steps) - 1) * elapsed_s / 60
        return f"Train it further: --continue --minutes {math.ceil(minutes)}"
    return "Train it further, with --continue and a number of --epochs or --minutes"


def too_short(state: RunState, section: TrainingSection) -> str | None:
    """Why a finished run is probably far from converged, and what to do about it; None where nothing speaks for it.

    Args:
        state: of the run.
        section: what the plan says about training.
    """
    found = doubts_about(state, section)
    if not found:
        return None
    remedy = longer(build_budget(section, state.choices), steps=state.steps_taken, elapsed_s=state.elapsed_s)
    return f"{'; '.join(found)}. {remedy}"


def doubts_about(state: RunState, section: TrainingSection) -> list[str]:
    """Why a finished run is probably far from converged, by what the last call trained of it; empty: nothing speaks for it.

    Args:
        state: of the run.
        section: what the plan says about training.
    """
    stretch = state.stretch
    if not (epochs := state.epochs[stretch.after_epochs :]):
        return []
    stopping = EarlyStopping(section.early_stopping_patience)
    for record in epochs:
        stopping.epoch_ended(EpochResult.of(record))
    return doubts(
        epochs,
        steps=state.steps_taken,
        before=stretch.after_steps,
        budget=build_budget(section, stretch.config),
        stopped_early=stopping.reached,
    )


def doubts(epochs: Sequence[EpochRecord], *, steps: int, budget: Budget, stopped_early: bool, before: int = 0) -> list[str]:
    """Why a finished run is probably far from converged; empty where nothing speaks for it.

    Args:
        epochs: of the whole run, at least one; where several calls trained it, of the last.
        steps: optimiser steps of the whole run.
        budget: how long it was to be, or its last part where several calls trained it.
        stopped_early: whether the plan's rule ended it, because nothing more was learnt.
        before: steps of earlier calls.
    """
    last = epochs[-1]
    missing = [name for name, dice in last.class_dice.items() if dice < FOUND]
    found = [f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} hardly found"] if missing else []
    if stopped_early:
        return found
    if budget.steps is not None and steps - before < budget.steps:
        found.append(f"its time was up after {counted(len(epochs), 'epoch')}, {steps - before} of {budget.steps} steps")
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
