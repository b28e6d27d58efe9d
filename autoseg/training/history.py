"""What happened in a run, epoch by epoch and step by step: files to which every epoch adds its own.

`history.csv` and `steps.csv` are for people. What a run goes on from is in `epochs.jsonl`, a record on each line with all
its digits; the checkpoint says how many of its lines count.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from autoseg.errors import WorkspaceError
from autoseg.storage import files, tables
from autoseg.storage.documents import parse
from autoseg.storage.tables import TableKind

EPOCHS_FILE: Final = "epochs.jsonl"
HISTORY_FILE: Final = "history.csv"
STEPS_FILE: Final = "steps.csv"
BEGIN_AGAIN: Final = "Train with --restart to begin this model again."
STRETCH: Final = "stretch"
"""Column of the number of a stretch, from 1 on, where several calls trained a run."""

_CLASS_DICE: Final = "validation_dice_"
_DIGITS: Final = 6
_HISTORY: Final = TableKind(
    "a history of epochs",
    required=("epoch",),
    remedy="Remove it and repeat the train command of this model; where it is finished, add --restart.",
)
_STEPS: Final = TableKind("a table of steps", required=("step", "seconds", "learning_rate", "loss"), remedy="Remove it.")


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


class StoredEpochs(BaseModel):
    """How much of a file of epochs counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    taken: int = Field(default=0, ge=0, description="epochs, each a line of the file")
    sha256: str = Field(default=hashlib.sha256().hexdigest(), description="of these lines")


class EpochLog:
    """The files of a run's epochs, to each of which an epoch adds a line.

    Args:
        folder: the model's folder.
        epochs: those so far; what an interrupted one left behind them goes.
        after: how many epochs there were before each stretch of a run that was trained further.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """

    def __init__(self, folder: Path, epochs: Sequence[EpochRecord], *, after: Sequence[int] = ()) -> None:
        self._folder, self._taken, self._digest, self._after = folder, len(epochs), hashlib.sha256(), after
        if not epochs:
            for name in (EPOCHS_FILE, HISTORY_FILE):
                (folder / name).unlink(missing_ok=True)
            return
        content = b"".join(map(_line, epochs))
        self._digest.update(content)
        files.write_bytes(folder / EPOCHS_FILE, content)
        write_history(folder / HISTORY_FILE, epochs, after=after)

    @property
    def stored(self) -> StoredEpochs:
        """What it holds."""
        return StoredEpochs(taken=self._taken, sha256=self._digest.hexdigest())

    def append(self, record: EpochRecord) -> None:
        """Add an epoch.

        Raises:
            SystemFailureError: the disk is full, or the place may not be written.
        """
        line, row = _line(record), row_of(record, after=self._after)
        files.append_bytes(self._folder / EPOCHS_FILE, line)
        tables.append_to_table(self._folder / HISTORY_FILE, list(row), [_rounded(row)])
        self._digest.update(line)
        self._taken += 1


def read_epochs(folder: Path, stored: StoredEpochs) -> list[EpochRecord]:
    """The first epochs of a file of epochs; an interrupted one may have left more.

    Raises:
        WorkspaceError: they are missing or were changed.
    """
    path = folder / EPOCHS_FILE
    try:
        lines = path.read_bytes().splitlines(keepends=True)[: stored.taken] if stored.taken else []
        if hashlib.sha256(b"".join(lines)).hexdigest() != stored.sha256:
            raise WorkspaceError("not the epochs of the checkpoint beside it", where=path, remedy=BEGIN_AGAIN)
        return [parse(json.loads(line), EpochRecord) for line in lines]
    except (OSError, ValueError) as cause:
        raise WorkspaceError(f"cannot be read ({cause})", where=path, remedy=BEGIN_AGAIN) from None


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step."""

    step: int
    seconds: float
    learning_rate: float
    loss: float


_NUMBERS: Final = tuple(name for name in EpochRecord.model_fields if name not in {"epoch", "class_dice"})


def row_of(record: EpochRecord, *, after: Sequence[int] = ()) -> dict[str, float]:
    """An epoch as one flat row, as of `EpochRecord.row`; of a run that was trained further with the number of its stretch.

    Args:
        record: the epoch.
        after: how many epochs there were before each stretch; none: one call trained all of them.
    """
    row = record.row()
    return {**row, STRETCH: sum(record.epoch > before for before in after)} if after else row


def write_history(path: Path, epochs: Sequence[EpochRecord], *, after: Sequence[int] = ()) -> None:
    """Write one line per epoch as CSV; `after` as of `row_of`."""
    rows = [row_of(record, after=after) for record in epochs]
    tables.write_table(path, list(rows[0]) if rows else [], [_rounded(row) for row in rows])


def append_steps(path: Path, steps: Sequence[StepRecord]) -> None:
    """Add one line per optimiser step to a table as CSV."""
    tables.append_to_table(path, _STEPS.required, [_rounded(asdict(step)) for step in steps])


def read_steps(path: Path) -> list[StepRecord]:
    """Read the steps of a run back, to as many digits as were written.

    Raises:
        WorkspaceError: missing, or not such a table.
    """
    return tables.read_table(path, _parse_step, kind=_STEPS)


def keep_steps(path: Path, *, most: int) -> int:
    """Have a table of a run's first steps, without what an interrupted epoch left behind them, half a line included.

    Returns:
        how many steps it has; 0 where it was missing or no such table, and is begun again.

    Raises:
        SystemFailureError: the disk is full, or the place may not be written.
    """
    kept: list[StepRecord] = []
    with suppress(OSError, WorkspaceError):
        found = path.read_bytes()
        if 0 < (end := found.rfind(b"\n") + 1) < len(found):
            files.write_bytes(path, found[:end])
        kept = [step for step in read_steps(path) if step.step <= most]
    tables.write_table(path, _STEPS.required, [_rounded(asdict(step)) for step in kept])
    return len(kept)


def read_history(path: Path) -> list[dict[str, float]]:
    """Read a history back, one dictionary per epoch; what its table does not have is NaN.

    Raises:
        WorkspaceError: missing, or not such a table.
    """
    return tables.read_table(path, _parse, kind=_HISTORY)


def _line(record: EpochRecord) -> bytes:
    return f"{record.model_dump_json()}\n".encode()


def _parse(row: tables.Row) -> dict[str, float]:
    classes = [column for column in row.cells if column.startswith(_CLASS_DICE)]
    stretch = [STRETCH] if STRETCH in row.cells else []
    return {"epoch": row.integer("epoch"), **{column: row.number(column) for column in [*_NUMBERS, *classes, *stretch]}}


def _parse_step(row: tables.Row) -> StepRecord:
    return StepRecord(row.integer("step"), row.number("seconds"), row.number("learning_rate"), row.number("loss"))


def _rounded(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}") for name, value in row.items()}
