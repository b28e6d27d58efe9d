"""What happened in a run, epoch by epoch and step by step, as tables."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from autoseg.storage import files


class EpochRecord(BaseModel):
    """One epoch. Losses are in the loss's own units, Dice in [0, 1]; a class that did not occur has a Dice of NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    epoch: int
    seconds: float
    learning_rate: float
    slices_per_s: float
    training_loss: float
    training_dice: float
    validation_loss: float
    validation_dice: float
    class_dice: dict[str, float]

    def row(self) -> dict[str, float]:
        """The epoch as one flat row; per-class values are called `validation_dice_<class>`."""
        flat = self.model_dump(exclude={"class_dice"})
        return {**flat, **{f"validation_dice_{name}": dice for name, dice in self.class_dice.items()}}


class StepRecord(BaseModel):
    """One optimiser step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    seconds: float
    learning_rate: float
    loss: float


def write_history(path: Path, epochs: Sequence[EpochRecord]) -> None:
    """Write one line per epoch as CSV."""
    _write_csv(path, [record.row() for record in epochs])


def write_steps(path: Path, steps: Sequence[StepRecord]) -> None:
    """Write one line per optimiser step as CSV."""
    _write_csv(path, [record.model_dump() for record in steps])


def read_history(path: Path) -> list[dict[str, float]]:
    """Read a history back, one dictionary per epoch."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def _write_csv(path: Path, rows: Sequence[dict[str, float]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
    files.write_text(path, text.getvalue())
