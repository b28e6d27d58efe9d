"""What happened in a run, epoch by epoch and step by step, as tables."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from autoseg.storage import tables
from autoseg.storage.tables import TableKind

_CLASS_DICE: Final = "validation_dice_"
_DIGITS: Final = 6
_KIND: Final = TableKind(
    "a history of epochs",
    required=("epoch",),
    remedy="Remove it and repeat the train command of this model; where it is finished, add --restart.",
)


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
    validation_slices: int | None = None
    """Slices of the validation; None: all, and not counted (version 0.1)."""

    def row(self) -> dict[str, float]:
        """The epoch as one flat row; per-class values are called `validation_dice_<class>`."""
        flat = self.model_dump(exclude={"class_dice", "validation_slices"})
        flat["validation_slices"] = math.nan if self.validation_slices is None else self.validation_slices
        return {**flat, **{_CLASS_DICE + name: dice for name, dice in self.class_dice.items()}}


class StepRecord(BaseModel):
    """One optimiser step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int
    seconds: float
    learning_rate: float
    loss: float


_NUMBERS: Final = tuple(name for name in EpochRecord.model_fields if name not in {"epoch", "class_dice"})


def write_history(path: Path, epochs: Sequence[EpochRecord]) -> None:
    """Write one line per epoch as CSV."""
    _write(path, [record.row() for record in epochs])


def write_steps(path: Path, steps: Sequence[StepRecord]) -> None:
    """Write one line per optimiser step as CSV."""
    _write(path, [record.model_dump() for record in steps])


def read_history(path: Path) -> list[dict[str, float]]:
    """Read a history back, one dictionary per epoch; what its table does not have is NaN.

    Raises:
        WorkspaceError: missing, or not such a table.
    """
    return tables.read_table(path, _parse, kind=_KIND)


def _parse(row: tables.Row) -> dict[str, float]:
    classes = [column for column in row.cells if column.startswith(_CLASS_DICE)]
    return {"epoch": row.integer("epoch"), **{column: row.number(column) for column in [*_NUMBERS, *classes]}}


def _write(path: Path, rows: Sequence[dict[str, float]]) -> None:
    columns = list(rows[0]) if rows else []
    tables.write_table(path, columns, [{name: _rounded(value) for name, value in row.items()} for row in rows])


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
