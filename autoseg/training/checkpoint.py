"""The state of a run after an epoch, stored so that a kill at any moment loses at most the epoch under way.

One JSON document names one safetensors file by its digest and is written last; it says how much of the file of epochs,
which only grows, counts. No pickle: the optimiser's tensors are stored by parameter number and name, everything else is
plain data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autoseg.model.bundle import HasState, drop_other_tensors, load_tensors, save_tensors
from autoseg.storage.documents import parse
from autoseg.training.history import StoredEpochs
from autoseg.training.ranks import Ranks
from autoseg.training.run_state import CHECKPOINT, CHECKPOINT_FILE, RunState, StoredRun, read_stored_run, run_folder

NETWORK, _OPTIMISER, GENERATOR = "network.", "optimiser.", "generator"


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
    tensors = {NETWORK + name: value.detach().cpu() for name, value in network.state_dict().items()}
    for number, entries in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{number}.{name}": value.detach().cpu() for name, value in entries.items()}
    tensors[GENERATOR] = torch.get_rng_state()
    file, digest = save_tensors(folder, tensors, prefix="checkpoint")
    state = state.model_copy(update={"epochs": []})
    document = StoredRun(state=state, epochs=epochs, tensors_file=file, tensors_sha256=digest)
    CHECKPOINT.write(folder / CHECKPOINT_FILE, document)
    drop_other_tensors(folder, keep=file, prefix="checkpoint")


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read a stored run; None where there is none.

    Raises:
        BundleError: its tensors are missing or changed.
        WorkspaceError: its document or its epochs cannot be used.
    """
    document = read_stored_run(folder)
    if document is None:
        return None
    tensors = load_tensors(run_folder(folder) / document.tensors_file, sha256=document.tensors_sha256)
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
    network.load_state_dict(_with_prefix(checkpoint.tensors, NETWORK))
    entries: dict[int, dict[str, Any]] = {}
    for name, value in _with_prefix(checkpoint.tensors, _OPTIMISER).items():
        number, _, key = name.partition(".")
        entries.setdefault(int(number), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": entries, "param_groups": groups})
    torch.set_rng_state(checkpoint.tensors[GENERATOR])


def _dtype_name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
