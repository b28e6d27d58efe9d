"""What `autoseg train` gives back, and how its runs are told in words and as data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autoseg.results import Records, Result
from autoseg.wording import counted

if TYPE_CHECKING:
    from autoseg.commands.train.forecast import TrainForecast
    from autoseg.evaluation.score_table import ScoreTable
    from autoseg.evaluation.statistics import Interval
    from autoseg.evaluation.tables import Summary
    from autoseg.model.identity import ModelId
    from autoseg.runs.workspace import Workspace

_DIGITS: Final = 3
"""Of a Dice."""


@dataclass(frozen=True, repr=False)
class TrainedModel(Result):
    """One finished run.

    Attributes:
        id: its network, its fold, and its seed where that is part of its place.
        seed: of its training.
        folder: where everything about it lies.
        epochs: epochs trained.
        minutes: minutes trained.
        trained_now: False where an earlier call had finished it.
        summary: scores on the held-out cases in their own grids; None where nothing is held out.
        dice: of each class, by its name, the mean over these cases with its interval.
        trained_times: how often it was trained, each time further than before.
    """

    id: "ModelId"
    seed: int
    folder: Path
    epochs: int
    minutes: float
    trained_now: bool
    summary: "Summary | None"
    dice: "Mapping[str, Interval]" = field(default_factory=dict)
    trained_times: int = 1

    def _in_short(self) -> str:
        from autoseg.evaluation.formatting import number

        dice = "" if self.summary is None else f", mean Dice {number(self.summary.mean['dice'], 4)}"
        return f"{self.id.title}, {counted(self.epochs, 'epoch')} in {self.minutes:.1f} min{dice}"

    def _tables(self) -> "Sequence[ScoreTable]":
        return score_tables((self,))


@dataclass(frozen=True, repr=False)
class TrainResult(Records):
    """What training made.

    Attributes:
        workspace: where.
        models: every run that was asked for; none of a dry run.
        forecast: what was said beforehand; None where several processes train together.
    """

    workspace: "Workspace"
    models: tuple[TrainedModel, ...]
    forecast: "TrainForecast | None" = None

    def _in_short(self) -> str:
        from autoseg.commands.train.forecast_text import forecast_lines

        if self.forecast is not None and not self.models:
            return " ".join(line.strip() for line in forecast_lines(self.forecast))
        return f"{', '.join(model.id.title for model in self.models)}; {self.workspace.root}"

    def _tables(self) -> "Sequence[ScoreTable]":
        return score_tables(self.models)

    def _records(self) -> Sequence[Mapping[str, Any]]:
        """A row per model and class, with the mean of every metric over the cases that the model has not seen."""
        return [
            {
                "network": model.id.architecture,
                "fold": model.id.fold,
                "seed": model.seed,
                "view": model.id.view,
                "epochs": model.epochs,
                "minutes": model.minutes,
                "class": label.name,
                **{name: metric.mean for name, metric in label.metrics.items()},
            }
            for model in self.models
            for label in (() if model.summary is None else model.summary.classes)
        ]


def score_tables(models: Sequence[TrainedModel]) -> "Sequence[ScoreTable]":
    """The scores of each model that was judged."""
    from autoseg.evaluation.score_table import score_table

    return [
        score_table(model.summary, title=f"{model.id.title}, on the cases it has not seen")
        for model in models
        if model.summary is not None
    ]


def finished_line(model: TrainedModel) -> str:
    """What a run came to, and where it lies."""
    epochs = counted(model.epochs, "epoch")
    return f"{model.id.title}: {dice_in_words(model)}; {epochs} in {model.minutes:.1f} min; {model.folder}"


def model_document(model: TrainedModel) -> dict[str, Any]:
    """A finished run as data."""
    from autoseg.evaluation.tables import summary_document

    return {
        "architecture": model.id.architecture,
        "fold": model.id.fold,
        "seed": model.seed,
        "view": model.id.view,
        "folder": str(model.folder),
        "epochs": model.epochs,
        "minutes": model.minutes,
        "trained_now": model.trained_now,
        "trained_times": model.trained_times,
        "scores": None if model.summary is None else summary_document(model.summary),
    }


def dice_in_words(model: TrainedModel) -> str:
    """The Dice of each class over the held-out cases, with its interval as far as there is one."""
    if model.summary is None:
        return "nothing was held out"
    dice = ", ".join(f"{name} {_with_bounds(each)}" for name, each in model.dice.items())
    return f"Dice {dice} ({counted(model.summary.cases, 'held-out case')})"


def _with_bounds(dice: "Interval") -> str:
    from autoseg.evaluation.formatting import bounds, number

    mean = number(dice.mean, _DIGITS)
    return mean if math.isnan(dice.low) else f"{mean} {bounds(dice, _DIGITS)}"
