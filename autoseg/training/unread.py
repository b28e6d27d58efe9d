"""Steps whose losses still lie on the device: they are read together, because each reading waits for the device."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch

from autoseg import catalogue
from autoseg.errors import TrainingError
from autoseg.training.history import StepRecord
from autoseg.training.run_state import RunState

READ_EVERY: Final = 20
"""Steps after which their losses are read. Source: ours; a device that computes on its own is never waited for longer."""


@dataclass(frozen=True, eq=False)
class TakenStep:
    """An optimiser step that was asked for, and may still be under way.

    Attributes:
        number: from 1.
        seconds: of the run, when the step had been asked for.
        learning_rate: in this step.
        loss: before the step, a scalar where it was computed.
        sources: case id and slice number of every image of its batch.
        view: number of the view that they are shown in.
    """

    number: int
    seconds: float
    learning_rate: float
    loss: torch.Tensor
    sources: tuple[tuple[str, int], ...]
    view: int = 0


class UnreadSteps:
    """The last steps of a run, until their losses are read.

    Args:
        planes: of the run's views.
        state: of the run, as it is when they are read.
    """

    def __init__(self, planes: Sequence[catalogue.Plane | None], state: RunState) -> None:
        self._planes, self._state = planes, state
        self._steps: list[TakenStep] = []

    @property
    def due(self) -> bool:
        """Whether it is time to read them."""
        return len(self._steps) >= READ_EVERY

    def add(self, step: TakenStep) -> None:
        """Keep a step for later."""
        self._steps.append(step)

    def read(self) -> list[StepRecord]:
        """The steps since the last reading; waits for the device.

        Raises:
            TrainingError: a loss is not finite; names the slices of the first batch of which this is so.
        """
        steps, self._steps = self._steps, []
        losses = torch.stack([step.loss for step in steps]).tolist() if steps else []
        for step, loss in zip(steps, losses, strict=True):
            if not math.isfinite(loss):
                raise self._not_finite(loss, step)
        return [
            StepRecord(step=step.number, seconds=step.seconds, learning_rate=step.learning_rate, loss=loss)
            for step, loss in zip(steps, losses, strict=True)
        ]

    def _not_finite(self, loss: float, step: TakenStep) -> TrainingError:
        slice_ = f"{self._planes[step.view]} slice" if len(self._planes) > 1 else "slice"
        sources = ", ".join(f"{case} {slice_} {index}" for case, index in step.sources)
        return TrainingError(
            f"the loss became {loss} in step {step.number}, on: {sources}",
            remedy=f"Look at these slices. If they are in order: {_remedy(self._state)}",
        )


def broken_weights(state: RunState) -> TrainingError:
    """What is raised where every loss of an epoch was finite, and what they led to is not.

    Args:
        state: of the run before this epoch.
    """
    epoch = len(state.epochs) + 1
    return TrainingError(
        f"the network's weights or its validation loss are not finite after epoch {epoch}", remedy=_remedy(state)
    )


def _remedy(state: RunState) -> str:
    """What to change about a run: whatever it is, the run begins again, because it goes on under no other plan or choice."""
    lower, in_float32 = "lower training.learning_rate in plan.json", "--precision float32"
    coarse = state.choices.precision != "float32"
    if state.trained_times > 1:
        whole = f"{lower} and train with --restart, without --continue: the run begins again, and its model is discarded."
        again = f"add --restart {in_float32} to --continue: the continuation begins again, and the finished model stays. Or "
        return f"{again if coarse else ''}{whole}"
    change = f"{lower}, or train with {in_float32}" if coarse else lower
    discarded = "; either way add --restart" if coarse else ", and train with --restart"
    return f"{change}{discarded}: the run begins again, and what it saved is discarded." if state.epochs else f"{change}."
