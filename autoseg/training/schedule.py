"""What changes in the course of a run: learning rate, the decision to stop, the choice of the best epoch."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict

from autoseg import catalogue
from autoseg.planning.sections import TrainingSection
from autoseg.training.history import EpochRecord

FINAL_FRACTION: Final = 0.01
"""The cosine ends at this fraction of the maximum learning rate. Source: ours; ending at 0 would waste the last steps."""

PLATEAU_FACTOR: Final = 0.1
"""Source: the paper, section 3.3: "reduced by a factor of ten"."""


class EpochResult(BaseModel):
    """What the rules below look at after an epoch."""

    model_config = ConfigDict(frozen=True)

    validation_loss: float
    validation_dice: float

    @classmethod
    def of(cls, record: EpochRecord) -> "EpochResult":
        """That of an epoch: its validation, or its training where nothing is held out."""
        if math.isnan(record.validation_loss):
            return cls(validation_loss=record.training_loss, validation_dice=record.training_dice)
        return cls(validation_loss=record.validation_loss, validation_dice=record.validation_dice)


class Schedule(Protocol):
    """A learning rate that follows the run."""

    def rate(self, progress: float) -> float:
        """Learning rate when the fraction `progress`, in [0, 1], of the run is done."""

    def epoch_ended(self, result: EpochResult) -> None:
        """Update with an epoch's validation."""


@dataclass(frozen=True)
class Cosine:
    """A linear warm-up, then half a cosine that ends with the run.

    Source: Loshchilov and Hutter 2017 (SGDR) without restarts; warm-up after Goyal et al. 2017.
    """

    max_rate: float
    warmup_fraction: float

    def rate(self, progress: float) -> float:
        """Learning rate at `progress`, in [0, 1]."""
        if progress < self.warmup_fraction:
            return self.max_rate * max(progress / self.warmup_fraction, FINAL_FRACTION)
        fall = min((progress - self.warmup_fraction) / max(1.0 - self.warmup_fraction, 1e-9), 1.0)
        return self.max_rate * (FINAL_FRACTION + (1.0 - FINAL_FRACTION) * 0.5 * (1.0 + math.cos(math.pi * fall)))

    def epoch_ended(self, result: EpochResult) -> None:
        """Nothing: the cosine knows only progress."""


class Plateau:
    """A constant learning rate, a tenth of it after `patience` epochs in a row without a lower validation loss.

    Source: the paper, section 3.3; it leaves open which loss is watched, and the validation loss is ours.
    """

    def __init__(self, *, initial: float, patience: int) -> None:
        self._rate = initial
        self._patience = patience
        self._lowest = math.inf
        self._waited = 0

    def rate(self, progress: float) -> float:  # noqa: ARG002 - the Protocol's signature
        """Learning rate now, whatever the progress."""
        return self._rate

    def epoch_ended(self, result: EpochResult) -> None:
        """Lower the rate where the loss has not fallen for `patience` epochs."""
        if result.validation_loss < self._lowest:
            self._lowest, self._waited = result.validation_loss, 0
            return
        self._waited += 1
        if self._waited >= self._patience:
            self._rate *= PLATEAU_FACTOR
            self._waited = 0


class EarlyStopping:
    """Says when `patience` epochs in a row have not lowered the validation loss.

    Source: the paper, section 3.3.
    """

    def __init__(self, patience: int | None) -> None:
        self._patience = patience
        self._lowest = math.inf
        self._waited = 0

    def epoch_ended(self, result: EpochResult) -> None:
        """Update with an epoch's validation."""
        if result.validation_loss < self._lowest:
            self._lowest, self._waited = result.validation_loss, 0
        else:
            self._waited += 1

    @property
    def reached(self) -> bool:
        """Whether the run should end."""
        return self._patience is not None and self._waited >= self._patience


class BestEpoch:
    """Says whether the epoch that just ended gives the model.

    Source: lowest validation loss is the paper's rule, section 3.3; `last` is ours for runs whose learning rate ends
    near zero: it lets the validation cases judge the model without having chosen it.
    """

    def __init__(self, rule: catalogue.BestModel) -> None:
        self._rule = rule
        self._best: float | None = None

    def epoch_ended(self, result: EpochResult) -> bool:
        """Update with an epoch's validation and say whether it is the best so far."""
        if self._rule == "last":
            return True
        score = -result.validation_loss if self._rule == "validation_loss" else result.validation_dice
        # A Dice that no class defines is worse than any other; but even a run of such epochs ends with a model.
        score = -math.inf if math.isnan(score) else score
        if self._best is not None and score <= self._best:
            return False
        self._best = score
        return True


def build_schedule(section: TrainingSection, *, rate_factor: float) -> Schedule:
    """Make the learning-rate schedule that a plan names, every rate multiplied by a factor."""
    highest = section.learning_rate * rate_factor
    if section.schedule == "cosine":
        return Cosine(max_rate=highest, warmup_fraction=section.warmup_fraction)
    if section.lr_patience is None:
        msg = "a plan with the schedule `plateau` has lr_patience"
        raise ValueError(msg)
    return Plateau(initial=highest, patience=section.lr_patience)
