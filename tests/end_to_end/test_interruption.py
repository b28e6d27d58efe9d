"""Training that is stopped, politely or not, goes on with the same command and ends with the same bits."""

import json
import signal
from pathlib import Path

import pytest
from oracles.processes import autoseg, start, wait_until

from autoseg.model.bundle import read_document

TRAIN = ["train", "--epochs", "4", "--precision", "float32", "-w", "run"]


def make_workspace(folder: Path, cohort: Path) -> None:
    """A plan whose epochs last about a second."""
    autoseg("plan", str(cohort), "-w", "run", "-q", cwd=folder)
    path = folder / "run" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"]["steps_per_epoch"] = 5
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")


@pytest.mark.parametrize(
    ("stop", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=str,
)
def test_a_stopped_training_goes_on(cohort: Path, tmp_path: Path, stop: signal.Signals, code: int) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
        make_workspace(tmp_path / name, cohort)
    autoseg(*TRAIN, cwd=tmp_path / "whole")
    process = start(*TRAIN, cwd=tmp_path / "parts")
    model = Path("run", "models", "unet", "fold_0")
    wait_until((tmp_path / "parts" / model / "checkpoint.json").exists, process)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    if code == 130:
        assert "Traceback" not in errors
        assert "same command" in errors
    assert "continuing after epoch" in autoseg(*TRAIN, cwd=tmp_path / "parts").said
    digests = {read_document(tmp_path / name / model).weights_sha256 for name in ("whole", "parts")}
    assert len(digests) == 1


def test_a_second_run_in_the_same_place_is_refused_while_the_first_goes_on(cohort: Path, tmp_path: Path) -> None:
    make_workspace(tmp_path, cohort)
    first = start("train", "--epochs", "1000", "--precision", "float32", "-w", "run", cwd=tmp_path)
    wait_until((tmp_path / "run" / "models" / "unet" / "fold_0" / "checkpoint.json").exists, first)
    second = start("train", "--epochs", "1000", "--precision", "float32", "-w", "run", cwd=tmp_path)
    _, errors = second.communicate(timeout=300)
    first.kill()
    first.communicate(timeout=300)
    assert second.returncode == 5
    assert f"process {first.pid}" in errors
