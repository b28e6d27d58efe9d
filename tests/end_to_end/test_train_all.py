"""Several runs of one command: side by side, with failures, interrupted and repeated."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from oracles.processes import Process, is_alive, start, wait_until
from oracles.watched_runs import Recorder

import autoseg
from autoseg.model.description import read_document

pytestmark = pytest.mark.gate


@pytest.fixture(autouse=True)
def _one_thread_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same arithmetic whatever the part of the cores."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def make_workspace(root: Path, cohort: Path, *, folds: int) -> Path:
    """A plan whose epochs last a fraction of a second."""
    autoseg.plan(cohort, workspace=root, folds=folds)
    path = root / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"]["steps_per_epoch"] = 5
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")
    return root


def begin(root: Path, *, epochs: int) -> Process:
    """The command, two runs at a time."""
    choices = ("--fold", "all", "--precision", "float32", "--epochs", str(epochs), "--jobs", "2", "--json", "-w", str(root))
    return start("train", *choices)


def holder(folder: Path) -> int:
    """The process at work on a model."""
    process: int = json.loads((folder / ".lock").read_bytes())["process"]
    return process


def is_held(folder: Path) -> bool:
    return (folder / ".lock").exists()


def digests(root: Path) -> list[str]:
    return [read_document(root / "models" / "unet" / f"fold_{fold}").weights_sha256 for fold in (0, 1)]


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_an_interrupted_series_goes_on_side_by_side_with_the_weights_of_one_in_turn(cohort: Path, tmp_path: Path) -> None:
    turn = make_workspace(tmp_path / "turn", cohort, folds=2)
    side = Path(shutil.copytree(turn, tmp_path / "side"))
    autoseg.train(fold="all", epochs=40, precision="float32", workspace=turn)

    process = begin(side, epochs=40)
    folders = [side / "models" / "unet" / f"fold_{fold}" for fold in (0, 1)]
    wait_until(lambda: all(folder.exists() and is_held(folder) for folder in folders), process)
    wait_until(lambda: any((folder / "checkpoint.json").exists() for folder in folders), process)
    children = [holder(folder) for folder in folders]
    assert len({*children, process.pid}) == 3
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "same command" in errors
    assert not any(map(is_alive, children))

    events = Recorder()
    autoseg.train(fold="all", epochs=40, precision="float32", workspace=side, jobs=2, events=events)
    assert any("continuing after epoch" in note for note in events.notes)
    assert digests(side) == digests(turn)


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_a_broken_and_a_killed_run_do_not_keep_the_others(cohort: Path, tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "run", cohort, folds=3)
    broken, killed = (root / "models" / "unet" / f"fold_{fold}" / "checkpoint.json" for fold in (0, 1))
    broken.parent.mkdir(parents=True)
    broken.write_text("{}", encoding="utf-8")

    process = begin(root, epochs=30)
    wait_until(killed.exists, process)
    os.kill(holder(killed.parent), signal.SIGKILL)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 7, errors
    failures = json.loads(output)["failures"]
    assert list(failures) == ["unet, fold 0", "unet, fold 1"]
    assert failures["unet, fold 0"]["where"] == str(broken)
    assert failures["unet, fold 1"]["error"] == "ProcessEndedError"
    assert "SIGKILL" in failures["unet, fold 1"]["what"]
    assert "all runs: 3/3 runs, done" in errors
    assert "finished 1  failed 2" in errors

    broken.unlink()
    events = Recorder()
    result = autoseg.train(fold="all", epochs=30, precision="float32", workspace=root, events=events)
    assert [model.trained_now for model in result.models] == [True, True, False]
    assert any(note.startswith("unet, fold 1: continuing after epoch") for note in events.notes)
    assert any(note.startswith("unet, fold 2: finished earlier") for note in events.notes)
