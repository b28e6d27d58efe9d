"""What the system does to a command: disks that fill up, scans that vanish, processes that are killed, company.

Each ends with a clear error and the last good state, and the same command then goes on to the same end.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracles.commands import autoseg
from oracles.leftovers import read_everything
from oracles.processes import Process, finish, start, wait_until
from oracles.restricted import shared_memory_of, small_disk, small_files

COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "plan": (("plan", "data", "-w", "run", "--folds", "2", "--jobs", "1"), 4_000),
    "preprocess": (("preprocess", "-w", "run", "--jobs", "2"), 30_000),
    "train": (("train", "-w", "run", "--epochs", "2", "--precision", "float32", "--workers", "0"), 50_000),
    "select": (("select", "-w", "run", "--jobs", "1"), 2_000),
    "predict": (("predict", "data/Test_Set", "out", "-w", "run", "--probabilities"), 20_000),
    "evaluate": (("evaluate", "run/selection", "run/selection", "-o", "scores"), 200),
    "report": (("report", "-w", "run"), 10_000),
    "export": (("export", "model.autoseg", "-w", "run"), 20_000),
}
"""In the order of the story, each with a size in bytes that its largest file exceeds."""

LONG = ("--epochs", "1000", "--precision", "float32")


def checkpoint(home: Path) -> Path:
    return home / "run" / "models" / "unet" / "fold_0" / "checkpoint.json"


def small_networks(plan_file: Path) -> None:
    """Epochs of a fraction of a second."""
    plan = json.loads(plan_file.read_text(encoding="utf-8"))
    plan["training"]["steps_per_epoch"] = 5
    plan["network"]["features"] = [8, 16, 16, 16][: len(plan["network"]["features"])]
    plan_file.write_text(json.dumps(plan), encoding="utf-8")


@pytest.fixture
def home(cohort: Path, tmp_path: Path) -> Path:
    """A data set that has been planned."""
    shutil.copytree(cohort, tmp_path / "data")
    autoseg("plan", "data", "-w", "run", "--folds", "2", "--jobs", "1", cwd=tmp_path)
    small_networks(tmp_path / "run" / "plan.json")
    return tmp_path


@pytest.mark.gate
def test_a_full_disk_ends_a_command_which_then_goes_on(cohort: Path, tmp_path: Path) -> None:
    """One story: every command first meets files that may not grow, then none of that."""
    shutil.copytree(cohort, tmp_path / "data")
    for arguments, limit_bytes in COMMANDS.values():
        with small_files(limit_bytes):
            answer = autoseg(*arguments, "--json", cwd=tmp_path, expect=9)
        assert answer.document["what"].startswith(("the disk is full", "could not be written whole")), arguments
        assert "space" in answer.document["remedy"], arguments
        assert answer.document["where"], arguments
        read_everything(tmp_path)
        assert not list(tmp_path.rglob(".autoseg-*")), f"{arguments}: a temporary file is left"
        autoseg(*arguments, cwd=tmp_path)
        read_everything(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, size_bytes=600_000) as mounted:
        if not mounted:
            pytest.skip("mounting a file system is not permitted here")
        yield folder


def test_a_disk_that_is_really_full_ends_training_with_the_last_good_state(disk: Path, cohort: Path) -> None:
    autoseg("plan", str(cohort), "-w", "run", "--folds", "2", "--jobs", "1", cwd=disk)
    small_networks(disk / "run" / "plan.json")
    full = disk / "ballast"
    with full.open("wb", buffering=0) as stream:
        while True:
            try:
                stream.write(bytes(4096))
            except OSError:
                break
    answer = autoseg("train", "-w", "run", "--epochs", "1", "--json", cwd=disk, expect=9)
    assert "the disk is full" in answer.said
    read_everything(disk)


@pytest.mark.gate
def test_a_scan_that_vanishes_during_prediction_fails_alone(home: Path) -> None:
    autoseg("train", "-w", "run", "--epochs", "1", "--precision", "float32", cwd=home)
    (home / "scans").mkdir()
    scan = next((home / "data" / "Test_Set").rglob("*.nii.gz"))
    for number in range(8):
        shutil.copy(scan, home / "scans" / f"scan{number}.nii.gz")
    predict = ("predict", "scans", "out", "-w", "run", "--json", "--pictures")
    process = start(*predict, cwd=home)
    wait_until((home / "out" / "scan0.nii.gz").exists, process)
    (home / "scans" / "scan7.nii.gz").unlink()
    answer = finish(process, expect=7)
    assert list(answer.document["failures"]) == ["scan7"]
    assert answer.document["failures"]["scan7"]["what"] == "the file does not exist"
    assert len(list((home / "out").glob("*.nii.gz"))) == 7
    shutil.copy(scan, home / "scans" / "scan7.nii.gz")
    assert len(autoseg(*predict, cwd=home).document["skipped"]) == 7


def held_out(home: Path) -> str:
    folds = json.loads((home / "run" / "splits.json").read_text(encoding="utf-8"))["folds"]
    case: str = folds[0]["validation"][0]
    return case


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_a_label_map_that_vanishes_during_training_leaves_the_model(home: Path) -> None:
    train = ("train", "-w", "run", "--epochs", "3", "--precision", "float32", "--json")
    (label,) = (home / "data").rglob(f"{held_out(home)}_seg.nii.gz")
    process = start(*train, cwd=home)
    wait_until(checkpoint(home).exists, process)
    label.rename(home / "elsewhere")
    answer = finish(process, expect=3)
    assert answer.document["where"] == str(label)
    assert answer.document["what"] == "the file does not exist"
    read_everything(home)
    (home / "elsewhere").rename(label)
    again = autoseg(*train, cwd=home)
    assert "finished earlier" in again.said
    assert not again.document["models"][0]["trained_now"]


def children(process: Process) -> list[int]:
    """Processes that a process has started."""
    return [
        int(child)
        for task in Path(f"/proc/{process.pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    ]


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list the children of a process")
@pytest.mark.gate
@pytest.mark.parametrize("stop", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=str)
def test_a_killed_loading_process_ends_training_at_once(home: Path, stop: signal.Signals) -> None:
    process = start("train", "-w", "run", *LONG, "--workers", "2", "--json", cwd=home)
    wait_until(checkpoint(home).exists, process)
    victim = next(child for child in children(process) if "resource_tracker" not in command_line(child))
    os.kill(victim, stop)
    answer = finish(process, expect=8)
    assert f"pid {victim} was killed ({stop.name})" in answer.said
    assert "--workers 0" in answer.document["remedy"]
    read_everything(home)
    goes_on(home)


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8")


def at_work(process: Process) -> list[int]:
    """Processes that a process has started, and that have loaded what reads scans."""
    readers = [child for child in children(process) if "spawn_main" in command_line(child)]
    return [child for child in readers if "SimpleITK" in Path(f"/proc/{child}/maps").read_text(encoding="utf-8")]


def goes_on(home: Path) -> None:
    """The same training continues where it was."""
    process = start("train", "-w", "run", *LONG, cwd=home)
    done = checkpoint(home).stat().st_mtime_ns
    wait_until(lambda: checkpoint(home).stat().st_mtime_ns != done, process)
    process.send_signal(signal.SIGTERM)
    assert "continuing after epoch" in finish(process, expect=130).said


@pytest.mark.skipif(sys.platform != "linux", reason="shared memory is a file system of Linux")
@pytest.mark.gate
@pytest.mark.parametrize("size_bytes", [pytest.param(65536, marks=pytest.mark.slow), 0])
def test_no_command_needs_shared_memory(home: Path, size_bytes: int) -> None:
    """Containers have little of it, and some none: processes that read scans or prepare batches do without."""
    for command in (
        ("preprocess", "-w", "run", "--jobs", "2"),
        ("train", "-w", "run", "--epochs", "2", "--precision", "float32", "--workers", "2"),
    ):
        try:
            process = start(*command, cwd=home, surroundings=shared_memory_of(size_bytes))
        except subprocess.SubprocessError:
            pytest.skip("mounting a file system is not permitted here")
        finish(process)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not list the children of a process")
@pytest.mark.gate
def test_planning_goes_on_without_a_killed_reading_process(home: Path) -> None:
    for number in range(60):  # enough to be met while they are read
        shutil.copytree(home / "data" / "Training_Set" / "IBSR_02", home / "data" / "Training_Set" / f"IBSR_{number + 20}")
        for path in (home / "data" / "Training_Set" / f"IBSR_{number + 20}").iterdir():
            path.rename(path.with_name(path.name.replace("IBSR_02", path.parent.name)))
    process = start("plan", "data", "-w", "other", "--jobs", "2", "--json", cwd=home)
    wait_until(lambda: at_work(process), process)
    os.kill(at_work(process)[0], signal.SIGKILL)
    finish(process)
    autoseg("plan", "data", "-w", "alone", "--jobs", "1", cwd=home)
    for name in ("plan.json", "fingerprint.json", "splits.json"):
        assert (home / "other" / name).read_bytes() == (home / "alone" / name).read_bytes()


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.gate
def test_a_second_prediction_into_the_same_folder_is_refused_while_the_first_goes_on(home: Path) -> None:
    autoseg("train", "-w", "run", "--epochs", "1", "--precision", "float32", cwd=home)
    (home / "scans").mkdir()
    scan = next((home / "data" / "Test_Set").rglob("*.nii.gz"))
    for number in range(40):
        shutil.copy(scan, home / "scans" / f"scan{number:02d}.nii.gz")
    predict = ("predict", "scans", "out", "-w", "run", "--pictures")
    first = start(*predict, cwd=home)
    wait_until((home / "out" / "scan00.nii.gz").exists, first)
    second = autoseg(*predict, cwd=home, expect=5)
    assert f"process {first.pid}" in second.said
    first.kill()
    first.communicate()
    autoseg(*predict, cwd=home)  # its lock has gone with it
    assert len(list((home / "out").glob("*.nii.gz"))) == 40
