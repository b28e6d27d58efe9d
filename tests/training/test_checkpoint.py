"""A run on disk: what comes back, and what is refused."""

import json
import math
from pathlib import Path

import pytest
import torch

from autoseg.data.splits import Fold
from autoseg.errors import WorkspaceError
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.storage import files
from autoseg.training.checkpoint import read_checkpoint, save_checkpoint
from autoseg.training.config import TrainConfig
from autoseg.training.history import EPOCHS_FILE, EpochLog, EpochRecord
from autoseg.training.run_state import CHECKPOINT_FILE, RunState, read_state


@pytest.fixture
def saved(tiny_plan: Plan, tmp_path: Path) -> Path:
    """A run after an epoch in which one class did not occur."""
    network = build_network("unet", in_channels=1, classes=2, size=tiny_plan.network)
    record = EpochRecord(
        epoch=1,
        seconds=2.5,
        learning_rate=0.01,
        slices_per_s=3.0,
        training_loss=1.25,
        training_dice=0.5,
        validation_loss=math.nan,
        validation_dice=math.nan,
        class_dice={"disc": math.nan},
    )
    config = TrainConfig(architecture="unet", fold="0", seed=2**63 + 1, precision="float32")
    members = Fold(training=("a", "b"), validation=("c",))
    state = RunState(plan_digest=tiny_plan.digest, data_key="key", members=members, config=config, elapsed_s=2.5)
    epochs = EpochLog(tmp_path, [record]).stored
    save_checkpoint(tmp_path, state, epochs=epochs, network=network, optimiser=torch.optim.Adam(network.parameters()))
    return tmp_path


def edit(folder: Path, **changes: object) -> None:
    path = folder / CHECKPOINT_FILE
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_numbers_that_are_none_and_large_seeds_come_back(saved: Path) -> None:
    state = read_state(saved)
    assert state is not None
    assert state.config.seed == 2**63 + 1
    assert math.isnan(state.epochs[0].validation_loss)
    assert math.isnan(state.epochs[0].class_dice["disc"])
    assert state.epochs[0].training_loss == 1.25


def test_what_0_1_wrote_is_read_with_its_steps_counted() -> None:
    folder = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace" / "models" / "unet" / "fold_0"
    stored = json.loads((folder / CHECKPOINT_FILE).read_text(encoding="utf-8"))["state"]["steps"]
    state = read_state(folder)
    assert state is not None
    assert state.steps_taken == len(stored) > 0


def test_what_format_2_wrote_is_read_with_its_epochs(saved: Path) -> None:
    stored = json.loads((saved / CHECKPOINT_FILE).read_text(encoding="utf-8"))
    (line,) = (saved / EPOCHS_FILE).read_text(encoding="utf-8").splitlines()
    before = read_state(saved)
    (saved / EPOCHS_FILE).unlink()
    del stored["epochs"]
    edit(saved, version=2, state={**stored["state"], "epochs": [json.loads(line)]})
    path = saved / CHECKPOINT_FILE
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "epochs"}))
    after = read_state(saved)
    assert before is not None
    assert after is not None
    assert [repr(epoch) for epoch in after.epochs] == [repr(epoch) for epoch in before.epochs]  # some are NaN
    assert len(after.epochs) == 1


@pytest.mark.parametrize("damage", ["gone", "changed", "cut", "empty"])
def test_epochs_that_are_not_those_of_the_checkpoint_are_refused(saved: Path, damage: str) -> None:
    path = saved / EPOCHS_FILE
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes({"changed": content.replace(b"1.25", b"1.35"), "cut": content[:-9], "empty": b""}[damage])
    with pytest.raises(WorkspaceError, match=r"epochs\.jsonl.*--restart"):
        read_state(saved)


def test_an_epoch_that_was_interrupted_before_its_checkpoint_does_not_count(saved: Path) -> None:
    with (saved / EPOCHS_FILE).open("ab") as stream:
        stream.write(b'{"epoch":2,"seco')
    state = read_state(saved)
    assert state is not None
    assert [epoch.epoch for epoch in state.epochs] == [1]


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    assert read_checkpoint(tmp_path) is None


def test_values_that_would_be_read_as_others_are_refused(saved: Path) -> None:
    state = json.loads((saved / CHECKPOINT_FILE).read_text(encoding="utf-8"))["state"]
    edit(saved, state={**state, "finished": 1})
    with pytest.raises(WorkspaceError, match=r"checkpoint\.json.*state\.finished: expected true, found.*--restart"):
        read_state(saved)


def test_a_key_that_comes_twice_is_refused(saved: Path) -> None:
    path = saved / CHECKPOINT_FILE
    text = path.read_text(encoding="utf-8").replace('"elapsed_s":2.5', '"elapsed_s":2.5,"elapsed_s":9.0')
    assert "9.0" in text
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="the key 'elapsed_s' comes twice"):
        read_state(saved)


@pytest.mark.parametrize("name", ["../other/x.safetensors", "a\0.safetensors", "checkpoint.json"])
def test_tensors_lie_beside_their_document(saved: Path, name: str) -> None:
    edit(saved, tensors_file=name, tensors_sha256=files.sha256_bytes(b""))
    with pytest.raises(WorkspaceError, match="tensors_file"):
        read_checkpoint(saved)
