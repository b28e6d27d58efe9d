"""The state of a run after an epoch, stored so that a kill at any moment loses at most the epoch under way.

One JSON document names one safetensors file by its digest and is written last; it says how much of the file of epochs,
which only grows, counts. No pickle: the optimiser's tensors are stored by parameter number and name, everything else is
plain data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import nn

from autoseg.catalogue import MemoryFormat
from autoseg.data.splits import Fold
from autoseg.model.bundle import HasState, TensorsFile, drop_other_tensors, load_tensors, save_tensors
from autoseg.preprocessing.keys import DataKeys
from autoseg.storage.documents import DocumentType, parse
from autoseg.training.config import TrainConfig
from autoseg.training.history import EpochRecord, StoredEpochs, read_epochs
from autoseg.training.ranks import Ranks

CHECKPOINT_FILE = "checkpoint.json"
BatchPlace = Literal["host", "device"]

_NETWORK, _OPTIMISER, _GENERATOR = "network.", "optimiser.", "generator"
_BEGIN_AGAIN: Final = "Train with --restart to begin this model again."


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

    @property
    def keys(self) -> DataKeys:
        """The data it learns from and is judged on; of a run of version 0.1, one key stands for all."""
        return DataKeys(cases=self.case_keys, all_labelled=self.data_key)


class _Document(BaseModel):
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


_CHECKPOINT: Final = DocumentType(
    name="checkpoint",
    model=_Document,
    missing=_BEGIN_AGAIN,
    unusable=_BEGIN_AGAIN,
    migrations={1: _with_steps_counted, 2: _with_epochs_beside},
    compact=True,
)


@dataclass(frozen=True)
class Checkpoint:
    """A stored run."""

    state: RunState
    tensors: Mapping[str, torch.Tensor]


def save_checkpoint(folder: Path, state: RunState, *, epochs: StoredEpochs, network: HasState, optimiser: HasState) -> None:
    """Store a run after an epoch in one step.

    Args:
        folder: the model's folder.
        state: of the run.
        epochs: its epochs, which are stored already.
        network: as it is now.
        optimiser: likewise.
    """
    tensors = {_NETWORK + name: value.detach().cpu() for name, value in network.state_dict().items()}
    for number, entries in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{number}.{name}": value.detach().cpu() for name, value in entries.items()}
    tensors[_GENERATOR] = torch.get_rng_state()
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    file, digest = save_tensors(folder, contiguous, prefix="checkpoint")
    state = state.model_copy(update={"epochs": []})
    document = _Document(state=state, epochs=epochs, tensors_file=file, tensors_sha256=digest)
    _CHECKPOINT.write(folder / CHECKPOINT_FILE, document)
    drop_other_tensors(folder, keep=file, prefix="checkpoint")


def read_state(folder: Path) -> RunState | None:
    """Read a stored run without its tensors; None where there is none.

    Raises:
        WorkspaceError: its document or its epochs cannot be used.
    """
    document = _read_document(folder)
    return None if document is None else document.state


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read a stored run; None where there is none.

    Raises:
        BundleError: its tensors are missing or changed.
        WorkspaceError: its document or its epochs cannot be used.
    """
    document = _read_document(folder)
    if document is None:
        return None
    tensors = load_tensors(folder / document.tensors_file, sha256=document.tensors_sha256)
    return Checkpoint(document.state, tensors)


def told_to_all(checkpoint: Checkpoint | None, ranks: Ranks) -> Checkpoint | None:
    """The checkpoint that rank 0 has read, on every rank: others need not see its folder, nor the same state of it."""
    said = None
    if checkpoint is not None:
        tensors = [(name, list(each.shape), _dtype_name(each)) for name, each in checkpoint.tensors.items()]
        said = {"state": checkpoint.state.model_dump_json(), "tensors": tensors}
    said = ranks.from_first(said)
    if said is None:
        return None
    told = {}
    for name, shape, dtype in said["tensors"]:
        own = torch.empty(shape, dtype=getattr(torch, dtype)) if checkpoint is None else checkpoint.tensors[name]
        told[name] = ranks.from_first(own)
    return Checkpoint(parse(json.loads(said["state"]), RunState), told)


def restore(checkpoint: Checkpoint, *, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Put network, optimiser and torch's generator back to where they were."""
    network.load_state_dict(_with_prefix(checkpoint.tensors, _NETWORK))
    entries: dict[int, dict[str, Any]] = {}
    for name, value in _with_prefix(checkpoint.tensors, _OPTIMISER).items():
        number, _, key = name.partition(".")
        entries.setdefault(int(number), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": entries, "param_groups": groups})
    torch.set_rng_state(checkpoint.tensors[_GENERATOR])


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _read_document(folder: Path) -> _Document | None:
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    document = _CHECKPOINT.read(path)
    epochs = document.epochs
    document.state.epochs = epochs if isinstance(epochs, list) else read_epochs(folder, epochs, remedy=_BEGIN_AGAIN)
    return document
