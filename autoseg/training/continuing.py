"""A finished run that is trained further: in a folder of its own until that is done, then in place of the run before.

`<model folder>/continued/` begins as a copy of the run: its checkpoint with one more stretch, which `training.loop` goes on
with like with any other, its epochs, steps and model. When the stretch is finished, it replaces the run step by step:

1. weights and tensors are laid beside those of the run before, under names made of their content;
2. the model's document is replaced: from here on `run_folder` shows everybody the continued run, before it the old one;
3. the held-out cases of the old weights go, and the other files are replaced, the checkpoint last;
4. the continued checkpoint goes, so that the model's folder counts again; then the rest of its folder.

After a kill between any two of them, `complete` does the others.
"""

import shutil
from pathlib import Path
from typing import Final

import torch

from autoseg.errors import WorkspaceError
from autoseg.model.bundle import drop_other_tensors, load_bundle, save_tensors
from autoseg.model.description import BUNDLE_FILE, read_document
from autoseg.storage import files
from autoseg.training.checkpoint import GENERATOR, NETWORK
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData
from autoseg.training.history import EPOCHS_FILE, HISTORY_FILE, STEPS_FILE
from autoseg.training.run_state import (
    CHECKPOINT,
    CHECKPOINT_FILE,
    CONTINUED_FOLDER,
    HELD_OUT_FOLDER,
    RunState,
    read_state,
    read_stored_run,
    run_folder,
)
from autoseg.training.stretches import with_stretch

RATE_FACTOR: Final = 0.3
"""What the plan's learning rate is multiplied by in a continuation. Source: docs/explanation/decisions.md."""

CURVES_FILE: Final = "curves.png"
_TABLES: Final = (EPOCHS_FILE, HISTORY_FILE, STEPS_FILE, CURVES_FILE)


def next_stretch(state: RunState, config: TrainConfig, data: FoldData) -> RunState:
    """The state of a finished run that is about to be trained further.

    What depends on the machine is decided again; numbers of epochs and steps go on.

    Args:
        state: of the finished run.
        config: what the user chose for the stretch.
        data: what it learns from; may be other than before.
    """
    before, judging = (set(each.validation or each.training) for each in (state.members, data.members))
    changed = state.keys.differing(data.keys)
    judged_alike = judging == before and changed is not None and judging.isdisjoint(changed)
    same = judged_alike and data.revision == state.revision  # what learnt from other data is another model
    begun = with_stretch(state, config, rate_factor=RATE_FACTOR, revision=data.revision, same_held_out=same)
    return begun.model_copy(
        update={
            "data_key": data.keys.all_labelled,
            "case_keys": data.keys.cases,
            "members": data.members,
            "revision": data.revision,
            "adopted": data.adopted,
            "scans": None if state.scans is None or data.scans is None else tuple(sorted({*state.scans, *data.scans})),
            "closing_s": 0.0,
            "threads": None,
            "memory_format": None,
            "batches": None,
            "halvings": 0,
            "scoring_s": None,
        }
    )


def begin(model: Path, config: TrainConfig, data: FoldData) -> None:
    """Make the folder in which a finished run is trained further, the checkpoint last.

    Where the tensors of its checkpoint were removed, it goes on from the weights of the model, with an optimiser that has
    seen nothing.

    Args:
        model: folder of the run; the caller holds its lock.
        config: what the user chose for the stretch.
        data: what it learns from.

    Raises:
        BundleError: the weights are missing or changed.
        SystemFailureError: the disk is full, or the place may not be written.
        WorkspaceError: the run cannot be parsed.
    """
    discard(model)
    document = read_stored_run(model)
    if document is None:
        msg = f"{model} holds no run"
        raise ValueError(msg)
    continued, bundle = model / CONTINUED_FOLDER, read_document(model)
    files.link_or_copy(model / bundle.weights_file, continued / bundle.weights_file)
    files.link_or_copy(model / BUNDLE_FILE, continued / BUNDLE_FILE)
    _copy_tables(model, continued)
    if (model / document.tensors_file).exists():
        files.link_or_copy(model / document.tensors_file, continued / document.tensors_file)
    else:
        network = load_bundle(model).network.state_dict()
        weights = {NETWORK + name: tensor for name, tensor in network.items()}
        weights[GENERATOR] = torch.Generator().manual_seed(config.seed).get_state()
        file, digest = save_tensors(continued, weights, prefix="checkpoint")
        document = document.model_copy(update={"tensors_file": file, "tensors_sha256": digest})
    state = next_stretch(document.state, config, data)
    stored = document.model_copy(update={"state": state.model_copy(update={"epochs": []})})
    CHECKPOINT.write(continued / CHECKPOINT_FILE, stored)


def read_continued(model: Path, state: RunState) -> RunState | None:
    """The continuation of a run that is under way; None where there is none, or one of another run.

    Args:
        model: folder of the run.
        state: of it.

    Raises:
        WorkspaceError: it cannot be parsed.
    """
    try:
        found = read_state(model / CONTINUED_FOLDER)
    except WorkspaceError as broken:
        raise _unusable(broken) from None
    if found is None or (found.stretch.after_steps, found.stretch.after_s) != (state.steps_taken, state.elapsed_s):
        return None
    return found


def complete(model: Path) -> bool:
    """Let a continuation that is finished take the place of the run before, wherever that was interrupted.

    Args:
        model: folder of the run; the caller holds its lock.

    Returns:
        whether there was one.

    Raises:
        BundleError: its model cannot be used.
        SystemFailureError: the place may not be written.
        WorkspaceError: its checkpoint cannot be parsed.
    """
    continued = model / CONTINUED_FOLDER
    if not (continued / CHECKPOINT_FILE).exists():
        discard(model)  # it was not begun to the end, or is in place but for the rest of its folder
        return False
    try:
        checkpoint = CHECKPOINT.read(continued / CHECKPOINT_FILE)
    except WorkspaceError as broken:
        raise _unusable(broken) from None
    if not checkpoint.state.finished:
        return False
    bundle = read_document(continued)
    for name in (bundle.weights_file, checkpoint.tensors_file):
        files.link_or_copy(continued / name, model / name)
    files.link_or_copy(continued / BUNDLE_FILE, model / BUNDLE_FILE)  # from here on it counts
    if (model / HELD_OUT_FOLDER).exists():
        with files.explain_os_errors(model / HELD_OUT_FOLDER):
            shutil.rmtree(model / HELD_OUT_FOLDER)
    _copy_tables(continued, model)
    files.link_or_copy(continued / CHECKPOINT_FILE, model / CHECKPOINT_FILE)
    drop_other_tensors(model, keep=bundle.weights_file, prefix="weights")
    drop_other_tensors(model, keep=checkpoint.tensors_file, prefix="checkpoint")
    discard(model)
    return True


def discard_unfinished(model: Path) -> None:
    """Remove a continuation, unless it takes the place of the run already: then it does so to the end.

    Raises:
        AutosegError: as of `complete` and `discard`.
    """
    if run_folder(model) == model:
        discard(model)
    else:
        complete(model)


def discard(model: Path) -> None:
    """Remove the folder of a continuation, its checkpoint first, so that no half of it can be gone on with.

    Raises:
        SystemFailureError: it may not be removed.
    """
    continued = model / CONTINUED_FOLDER
    if continued.exists():
        files.remove([continued / CHECKPOINT_FILE])
        with files.explain_os_errors(continued):
            shutil.rmtree(continued)


def _copy_tables(source: Path, target: Path) -> None:
    """Copy what grows by lines, of which each folder needs its own."""
    for name in _TABLES:
        if (source / name).exists():
            files.write_bytes(target / name, (source / name).read_bytes())


def _unusable(broken: WorkspaceError) -> WorkspaceError:
    """Why a continuation cannot be gone on with; the run that it continues is whole."""
    return WorkspaceError(
        broken.what,
        where=broken.where,
        expected=broken.expected,
        found=broken.found,
        remedy="Train with --continue --restart: it discards the continuation alone, and the finished model stays.",
    )
