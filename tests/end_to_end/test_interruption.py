"""Training that is stopped, politely or not, goes on with the same command and ends with the same bits."""

import json
import signal
from pathlib import Path

import pytest
from oracles.commands import autoseg
from oracles.processes import start, wait_until

from autoseg.model.description import read_document

pytestmark = pytest.mark.gate

TRAIN = ["train", "--epochs", "4", "--precision", "float32", "-w", "run"]


def make_workspace(folder: Path, cohort: Path) -> None:
    """A plan whose epochs last about a second."""
    folder.mkdir()
    autoseg("plan", str(cohort), "-w", "run", "-q", cwd=folder)
    path = folder / "run" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"]["steps_per_epoch"] = 5
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")


MODEL = Path("run", "models", "unet", "fold_0")


@pytest.fixture(scope="module")
def whole(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the weights of a training that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "home"
    make_workspace(folder, cohort)
    autoseg(*TRAIN, cwd=folder)
    return read_document(folder / MODEL).weights_sha256


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 130, marks=pytest.mark.slow),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
    ids=str,
)
def test_a_stopped_training_goes_on(cohort: Path, tmp_path: Path, whole: str, stop: signal.Signals, code: int) -> None:
    home = tmp_path / "home"
    make_workspace(home, cohort)
    process = start(*TRAIN, cwd=home)
    wait_until((home / MODEL / "checkpoint.json").exists, process)
    process.send_signal(stop)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == code, errors
    if code == 130:
        assert "Traceback" not in errors
        assert "same command" in errors
    assert "continuing after epoch" in autoseg(*TRAIN, cwd=home).said
    assert read_document(home / MODEL).weights_sha256 == whole


def test_a_second_run_in_the_same_place_is_refused_while_the_first_goes_on(cohort: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_workspace(home, cohort)
    long = ("train", "--epochs", "1000", "--precision", "float32", "-w", "run")
    first = start(*long, cwd=home)
    wait_until((home / MODEL / "checkpoint.json").exists, first)
    second = autoseg(*long, cwd=home, expect=5)
    first.kill()
    first.communicate(timeout=300)
    assert f"process {first.pid}" in second.said


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.parametrize(
    "options", [("--workers", "2"), pytest.param(("--fold", "all", "--jobs", "2"), marks=pytest.mark.slow)], ids=" ".join
)
def test_after_kill_9_the_next_command_starts_at_once(cohort: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    home = tmp_path / "home"
    make_workspace(home, cohort)
    first = start("train", "--epochs", "1000", "--precision", "float32", "-w", "run", *options, cwd=home)
    wait_until((home / MODEL / "checkpoint.json").exists, first)
    first.kill()
    first.communicate(timeout=300)
    autoseg(*TRAIN, "--restart", cwd=home)
    assert not [path for path in home.rglob(".autoseg-*") if path.parent == home / MODEL]
