"""`train --continue`: a finished model stays in use until it has been trained further, and the same command goes on."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from oracles.processes import finish, start, wait_until
from oracles.watched_runs import Recorder

import autoseg
from autoseg.commands import clean, status, train
from autoseg.commands.train import TrainOptions, TrainResult
from autoseg.errors import BundleError, CasesFailedError, UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.images.image import read_labels, write_labels
from autoseg.model.bundle import load_bundle
from autoseg.model.description import read_document
from autoseg.postprocessing.held_out import read_record
from autoseg.training import continuing, loop
from autoseg.training.run_state import read_progress, read_state


@pytest.fixture(scope="module")
def finished(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the U-Net on both of two folds, three epochs of two steps each."""
    root = tmp_path_factory.mktemp("finished")
    folder, data = root / "run", shutil.copytree(cohort, root / "data")
    autoseg.plan(data, workspace=folder, folds=2, planes="axial", overrides=["training.steps_per_epoch=2"])
    autoseg.train("unet", fold="all", workspace=folder, epochs=3, precision="float32")
    return folder


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def further(workspace: Path, *, events: Any = None, **choices: Any) -> TrainResult:
    defaults: dict[str, Any] = {"epochs": 1, "precision": "float32", "fold": 0, "further": True}
    return train.run(TrainOptions("unet", workspace=workspace, **(defaults | choices)), events or Silent())


def model(workspace: Path, fold: int = 0) -> Path:
    return workspace / "models" / "unet" / f"fold_{fold}"


def epochs(workspace: Path) -> list[int]:
    """Epochs of the model of each fold."""
    return [read_document(model(workspace, fold)).provenance.epochs for fold in (0, 1)]


@contextmanager
def stopped(*, after: int = 0, at: str = "epoch") -> Iterator[None]:
    """Ends the training, as Ctrl-C does, once so many epochs were stored; or another step of a run."""
    calls = 0
    owner: Any = {"epoch": loop._Run, "complete": continuing, "score_held_out": train_runs()}[at]
    own = getattr(owner, at)

    def interrupted(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        if at == "complete" and not (arguments[0] / "continued").exists():
            return own(*arguments, **more)
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return own(*arguments, **more)

    with mock.patch.object(owner, at, interrupted), pytest.raises(KeyboardInterrupt):
        yield


def train_runs() -> Any:
    from autoseg.commands.train import runs as train_runs

    return train_runs


def test_the_finished_model_is_in_use_until_the_continued_one_takes_its_place(
    workspace: Path, cohort: Path, tmp_path: Path
) -> None:
    autoseg.select(workspace=workspace)
    folder, before = model(workspace), read_document(model(workspace))
    record = read_record(folder)
    with stopped(after=1):
        further(workspace, epochs=2)
    assert read_document(folder) == before
    assert read_record(folder) == record
    whole = read_state(folder)
    assert whole is not None
    assert whole.finished
    told = status.describe(status.run(status.StatusOptions(workspace=workspace), Silent()))
    assert "scored; continued: interrupted, epoch 1 of 2" in str(told)
    assert "autoseg train --arch unet --fold 0 --continue --epochs 2" in told.text
    assert not [each for each in clean.run(clean.CleanOptions(workspace), Silent()).leftovers if "continued" in each.name]
    with pytest.raises(WorkspaceError, match=r"epochs \(2 before, 3 now\).*--restart to --continue"):
        further(workspace, epochs=3)
    events = Recorder()
    result = further(workspace, epochs=2, events=events)
    (trained,) = result.models
    assert (trained.epochs, trained.trained_now, trained.trained_times) == (5, True, 2)
    assert not (folder / "continued").exists()
    document = read_document(folder)
    assert [(each.first_epoch, each.epochs) for each in document.provenance.stretches] == [(1, 3), (4, 2)]
    assert read_record(folder).model_digest != record.model_digest
    with pytest.raises(BundleError, match=r"trained again, or further, since.*Run `autoseg select` again"):
        autoseg.predict(cohort / "Test_Set", tmp_path / "out", workspace=workspace)
    assert "finished earlier" in " ".join(said(workspace, epochs=3, further=False))
    autoseg.select(workspace=workspace)


def said(workspace: Path, **choices: Any) -> list[str]:
    events = Recorder()
    further(workspace, events=events, **choices)
    return list(events.notes)


@pytest.mark.gate  # nine runs
def test_an_interrupted_series_trains_no_run_twice(workspace: Path) -> None:
    with stopped(after=1):
        further(workspace, fold="all")
    assert epochs(workspace) == [4, 3]
    further(workspace, fold="all")
    assert epochs(workspace) == [4, 4]
    further(workspace, fold="all")
    assert epochs(workspace) == [5, 5]
    further(workspace, fold=1)
    assert epochs(workspace) == [5, 6]
    further(workspace, fold="all")
    assert epochs(workspace) == [6, 6]  # what was trained less often catches up


@pytest.mark.parametrize("at", ["complete", "score_held_out"])
def test_one_that_was_interrupted_at_its_end_is_brought_to_it_and_no_further(workspace: Path, at: str) -> None:
    with stopped(at=at):
        further(workspace)
    further(workspace)
    assert epochs(workspace)[0] == 4
    assert (model(workspace) / "validation" / "record.json").exists()
    further(workspace)
    assert epochs(workspace)[0] == 5


def test_any_training_completes_what_was_interrupted_while_it_took_its_place(workspace: Path) -> None:
    with stopped(at="complete"):
        further(workspace)
    events = Recorder()
    further(workspace, further=False, epochs=3, events=events)
    assert epochs(workspace)[0] == 4


def test_only_what_is_finished_is_trained_further(workspace: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no run to train further.*without --continue"):
        further(workspace, fold="full")
    with stopped(after=1):
        further(workspace, fold="full", further=False, epochs=2)
    with pytest.raises(WorkspaceError, match=r"is not finished. The same command without --continue"):
        further(workspace, fold="full")
    shutil.rmtree(model(workspace, 1))
    with pytest.raises(CasesFailedError):
        further(workspace, fold="all")
    assert read_document(model(workspace)).provenance.epochs == 4


def test_a_restart_discards_the_continuation_alone(workspace: Path) -> None:
    before = read_document(model(workspace))
    with stopped(after=1):
        further(workspace, epochs=2)
    with stopped():
        further(workspace, epochs=3, restart=True)
    assert read_document(model(workspace)) == before
    (model(workspace) / "continued" / "checkpoint.json").unlink()
    (left,) = clean.run(clean.CleanOptions(workspace), Silent()).leftovers
    assert left.name == "models/unet/fold_0/continued"
    assert not (model(workspace) / "continued").exists()
    further(workspace, epochs=3)
    assert epochs(workspace)[0] == 6


def test_what_cannot_be_read_of_a_continuation_is_refused_and_discarded(workspace: Path) -> None:
    with stopped(after=1):
        further(workspace, epochs=2)
    (model(workspace) / "continued" / "checkpoint.json").write_text("{")
    with pytest.raises(WorkspaceError, match="--continue --restart"):
        further(workspace, epochs=2)
    further(workspace, epochs=2, restart=True)
    assert epochs(workspace)[0] == 5


def test_a_case_that_changes_its_side_is_refused(workspace: Path) -> None:
    splits = json.loads((workspace / "splits.json").read_text())
    first, second = splits["folds"]
    for side in ("training", "validation"):
        first[side][0], second[side][0] = second[side][0], first[side][0]
    (workspace / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(WorkspaceError, match=rf"missing on the side.*{second['training'][0]} \(to learn from\)"):
        further(workspace)


def test_it_starts_from_no_other_model(workspace: Path) -> None:
    with pytest.raises(UsageError, match="either trained further or started from another model"):
        further(workspace, init=model(workspace, 1))


def test_an_edited_plan_is_refused(workspace: Path) -> None:
    plan = json.loads((workspace / "plan.json").read_text())
    plan["training"]["learning_rate"] *= 2
    (workspace / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(WorkspaceError, match=r"under another plan.*plan.json"):
        further(workspace)


def test_other_lengths_of_a_finished_run_hint_at_it(workspace: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"epochs \(3 before, 4 now\).*--continue"):
        further(workspace, epochs=4, further=False)


def test_a_dry_run_tells_it(workspace: Path) -> None:
    result = further(workspace, epochs=4, dry_run=True)
    text = train.describe(result).text
    assert "is trained further after epoch 3" in text
    assert "4 more epochs" in text
    assert epochs(workspace)[0] == 3


@pytest.fixture
def corrected(finished: Path, workspace: Path) -> Iterator[str]:
    """A case of which the label map was changed; afterwards it is as it was."""
    case = json.loads((workspace / "splits.json").read_text())["folds"][0]["training"][0]
    path = finished.parent / "data" / "Training_Set" / case / f"{case}_seg.nii.gz"
    before = path.read_bytes()
    labels = read_labels(path)
    changed = labels.array.copy()
    changed[:, :, ::2] = 0
    write_labels(path, changed, labels.geometry)
    yield case
    path.write_bytes(before)


def test_a_corrected_label_map_is_learnt_from_and_said(workspace: Path, corrected: str) -> None:
    with pytest.raises(WorkspaceError, match=rf"the data of {corrected}.*on changed data, too"):
        further(workspace, further=False, epochs=3)
    keys = read_state(model(workspace))
    assert any(note.endswith("trained further after epoch 3; 1 changed") for note in said(workspace))
    state = read_state(model(workspace))
    assert keys is not None
    assert state is not None
    assert state.keys.differing(keys.keys) == (corrected,)
    assert said(workspace, dry_run=True)  # and goes on


@pytest.mark.slow  # six processes, three of which are killed; others look after every file operation of the same
def test_kill_9_at_any_moment_ends_with_the_same_bits(workspace: Path, tmp_path: Path) -> None:
    arguments = ("train", "-w", str(workspace), "--continue", "--epochs", "12", "--precision", "float32", "--device", "cpu")
    alike = Path(shutil.copytree(workspace, tmp_path / "alike"))
    autoseg.train(workspace=alike, epochs=12, precision="float32", further=True)
    folder, dice = model(workspace), random.Random(0)  # noqa: S311
    before = read_document(folder)
    for after in (0, 4, 9):
        process = start(*arguments)
        wait_until(partial(has_reached, folder / "continued", 3 + after), process)
        time.sleep(dice.uniform(0, 0.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert read_document(folder) == before
        load_bundle(folder)
    finish(start(*arguments))
    assert read_document(folder).weights_sha256 == read_document(model(alike)).weights_sha256
    finish(start(*arguments, "--device", "cpu,cpu"))
    assert epochs(workspace)[0] == 3 + 24
    assert not (folder / "continued").exists()


def has_reached(folder: Path, epochs: int) -> bool:
    progress = read_progress(folder)
    return progress is not None and progress[1] >= epochs
