"""What a run has done so far, without its tensors: read without loading torch, which the tensors need.

`training.checkpoint` stores it together with them.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from autoseg.catalogue import MemoryFormat
from autoseg.data.splits import Fold
from autoseg.errors import AutosegError
from autoseg.model.description import AdoptedLabels, Origin, ScanDigests, TensorsFile, weights_digest
from autoseg.preprocessing.keys import DataKeys
from autoseg.storage.documents import DocumentType
from autoseg.training.config import TrainConfig
from autoseg.training.history import BEGIN_AGAIN, EpochRecord, StoredEpochs, read_epochs

CHECKPOINT_FILE: Final = "checkpoint.json"
CONTINUED_FOLDER: Final = "continued"
"""Where, in a model's folder, a finished run is trained further."""

HELD_OUT_FOLDER: Final = "validation"
"""Where, beside a run's other files, its held-out cases are."""

RECORD_FILE: Final = "record.json"
"""What is written last into it: that they were predicted and scored to the end."""

BatchPlace = Literal["host", "device"]


class Stretch(BaseModel):
    """What one call trains of a run that several calls train, each further than the one before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: TrainConfig
    """The choices of the call."""
    after_epochs: int = Field(default=0, ge=0)
    """Epochs of the run before it."""
    after_steps: int = Field(default=0, ge=0)
    """Optimiser steps of the run before it."""
    after_s: float = Field(default=0.0, ge=0.0)
    """Seconds of the run before it."""
    rate_factor: float = Field(default=1.0, gt=0.0)
    """What the learning rate of the run is multiplied by."""
    revision: int = Field(default=0, ge=0)
    """Revision of the data that it learns from."""
    same_held_out: bool = True
    """Whether it learns from the same revision and is judged on the same data as before, so that earlier epochs compete."""


class RunState(BaseModel):
    """A run after an epoch, without its tensors."""

    model_config = ConfigDict(extra="forbid")

    plan_digest: str
    data_key: str
    case_keys: dict[str, str] = {}
    members: Fold
    config: TrainConfig
    elapsed_s: float = 0.0
    closing_s: float = 0.0
    finished: bool = False
    threads: int | None = None
    """Processor threads it computes on; None: not recorded (version 0.1), or not decided yet."""
    memory_format: MemoryFormat | None = None
    """Order of a batch's values in memory; None: not recorded (version 0.1), or not decided yet."""
    batches: BatchPlace | None = None
    """Where its batches are made; None: not recorded (version 0.1), then on the host."""
    halvings: int = Field(default=0, ge=0, le=16)
    """How often the plan's batches were halved, because the device's memory is too small for them."""
    epochs: list[EpochRecord] = []
    steps_taken: int = 0
    """Optimiser steps of these epochs; what they were is in the table of steps."""
    half_resolution_steps: int = 0
    """How many of them, from the first on, were at half resolution."""
    computed_on: str | None = None
    """Digest of the machine and the hardware that the last of them were computed on, as of `machine_digest`."""
    scoring_s: float | None = None
    """How long predicting and scoring the held-out cases took there; None: not recorded, or not done yet."""
    scans: ScanDigests | None = None
    """Digests of the training scans; None: not recorded."""
    revision: int = Field(default=0, ge=0)
    """Revision of the data that it learns from."""
    adopted: AdoptedLabels = AdoptedLabels()
    """Which of their label maps were adopted."""
    origin: Origin | None = None
    """The model that it was started from; None: from nothing."""
    rate_factor: float = Field(default=1.0, gt=0.0)
    """What the plan's learning rate is multiplied by."""
    stretches: tuple[Stretch, ...] = ()
    """What each call trains, in order; none: the first call trains all of it, as `config` says."""

    @property
    def stretch(self) -> Stretch:
        """What is trained now, or was last."""
        return self.stretches[-1] if self.stretches else Stretch(config=self.config)

    @property
    def choices(self) -> TrainConfig:
        """What the user chose for it."""
        return self.stretch.config

    @property
    def stretches_after(self) -> tuple[int, ...]:
        """How many epochs there were before each stretch; none where the first call trained all of it."""
        return tuple(stretch.after_epochs for stretch in self.stretches)

    @property
    def judged_alike_after(self) -> int:
        """How many epochs there were before those that are judged on the same data as what is trained now."""
        return max((stretch.after_epochs for stretch in self.stretches if not stretch.same_held_out), default=0)

    @property
    def trained_times(self) -> int:
        """How many calls have trained it, the one under way included."""
        return max(1, len(self.stretches))

    @property
    def keys(self) -> DataKeys:
        """The data it learns from and is judged on; of a run of version 0.1, one key stands for all."""
        return DataKeys(cases=self.case_keys, all_labelled=self.data_key)


class StoredRun(BaseModel):
    """A run's document: its state, and which file of tensors belongs to it."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")

    version: Literal[3] = 3
    state: RunState
    epochs: StoredEpochs | list[EpochRecord]
    """Which of the file of epochs are the state's, which has none here; of an older format the epochs themselves."""
    tensors_file: TensorsFile
    tensors_sha256: str

    @field_validator("state")
    @classmethod
    def _epochs_elsewhere(cls, state: RunState) -> RunState:
        if state.epochs:
            msg = "epochs lie in a file of their own"
            raise ValueError(msg)
        return state


def _with_steps_counted(document: dict[str, Any]) -> dict[str, Any]:
    """Format 1 held every step, which the table of steps has, too."""
    state = document.get("state")
    if isinstance(state, dict) and isinstance(state.get("steps"), list):
        state["steps_taken"] = len(state.pop("steps"))
    return document


def _with_epochs_beside(document: dict[str, Any]) -> dict[str, Any]:
    """Format 2 held every epoch, which have a file of their own since."""
    state = document.get("state")
    if isinstance(state, dict) and "epochs" not in document:
        document["epochs"] = state.pop("epochs", [])
    return document


CHECKPOINT: Final = DocumentType(
    name="checkpoint",
    model=StoredRun,
    missing=BEGIN_AGAIN,
    unusable=BEGIN_AGAIN,
    migrations={1: _with_steps_counted, 2: _with_epochs_beside},
    compact=True,
)


def run_folder(model: Path) -> Path:
    """Where the files of a model's run lie, but for the model itself: in its folder.

    While a finished continuation takes the place of a run (`training.continuing`), they lie where it was trained, from the
    moment its weights are the model's until the last file is in its place. Whoever reads sees one run or the other.
    """
    continued = model / CONTINUED_FOLDER
    if not (continued / CHECKPOINT_FILE).exists():
        return model
    with suppress(AutosegError):  # whoever goes on with it is told
        finished = CHECKPOINT.read(continued / CHECKPOINT_FILE).state.finished
        if finished and weights_digest(continued) == weights_digest(model):
            return continued
    return model


def read_progress(folder: Path) -> tuple[RunState, int] | None:
    """A stored run without its epochs, and how many these are; None where there is none.

    Raises:
        WorkspaceError: its document cannot be used.
    """
    path = run_folder(folder) / CHECKPOINT_FILE
    if not path.exists():
        return None
    document = CHECKPOINT.read(path)
    epochs = document.epochs
    return document.state, len(epochs) if isinstance(epochs, list) else epochs.taken


def note_scoring(folder: Path, seconds: float) -> None:
    """Add to a stored run how long the scoring of its held-out cases took.

    Raises:
        WorkspaceError: its document cannot be used.
    """
    document = CHECKPOINT.read(folder / CHECKPOINT_FILE)
    document.state.scoring_s = seconds
    CHECKPOINT.write(folder / CHECKPOINT_FILE, document)


def read_state(folder: Path) -> RunState | None:
    """Read a stored run without its tensors; None where there is none.

    Raises:
        WorkspaceError: its document or its epochs cannot be used.
    """
    document = read_stored_run(folder)
    return None if document is None else document.state


def read_stored_run(folder: Path) -> StoredRun | None:
    """Read the document of a run with its epochs; None where there is none.

    Raises:
        WorkspaceError: it or its epochs cannot be used.
    """
    folder = run_folder(folder)
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    document = CHECKPOINT.read(path)
    epochs = document.epochs
    document.state.epochs = epochs if isinstance(epochs, list) else read_epochs(folder, epochs)
    return document
