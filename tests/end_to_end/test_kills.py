"""kill -9 at random moments: afterwards nothing is half-written, and the same command ends as if nothing had happened.

A few kills in every run of the gate; `pytest -m slow tests/end_to_end/test_kills.py` makes a hundred and counts them.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from oracles.leftovers import read_everything
from oracles.processes import Process, finish, start

from autoseg.errors import AutosegError
from autoseg.storage.files import sha256_file

pytestmark = pytest.mark.gate

MANY = 102


@dataclass(frozen=True)
class Stage:
    """A command, with the state it starts from and what it must leave.

    Attributes:
        arguments: of the command, run in the folder that holds `data` and `run`.
        before: folder with that state.
        seconds: how long it takes when it is left alone.
        after: digests of what it makes, by file.
    """

    arguments: tuple[str, ...]
    before: Path
    seconds: float
    after: Mapping[str, str]


COMMANDS: Mapping[str, tuple[str, ...]] = {
    "plan": ("plan", "data", "-w", "run", "--folds", "2", "--jobs", "2"),
    "preprocess": ("preprocess", "-w", "run", "--jobs", "2"),
    "train": ("train", "-w", "run", "--epochs", "4", "--precision", "float32"),
    "select": ("select", "-w", "run", "--jobs", "1"),
    "predict": ("predict", "data/Test_Set", "out", "-w", "run", "--uncertainty", "--precision", "float32"),
    "export": ("export", "model.autoseg", "-w", "run", "--force"),
}
"""In the order of the story: each starts from what the one before left."""


_TIMED = {"checkpoint.json", "bundle.json", "dataset.json", "checksums.json"}
"""What else tells times or places; the last one those of the scans, which lie elsewhere in every copy."""


def begin(arguments: tuple[str, ...], folder: Path) -> Process:
    return start(*arguments, cwd=folder, environment={"OMP_NUM_THREADS": "1"})


def run(arguments: tuple[str, ...], folder: Path) -> float:
    """Run to the end; gives the seconds it took."""
    began = time.monotonic()
    finish(begin(arguments, folder))
    return time.monotonic() - began


def made(folder: Path) -> dict[str, str]:
    """Digests of every result; what tells times, places or is only looked at is left out."""
    results = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        timed = path.suffix in {".csv", ".png", ".jsonl"} or path.name in _TIMED
        if path.is_file() and not name.startswith("data") and not path.name.startswith(".") and not timed:
            results[name] = "" if path.suffix == ".autoseg" else sha256_file(path)  # its bundle.json tells the minutes
    return results


class Story:
    """The story once without interruption, its state before each command kept; told as far as is asked for."""

    def __init__(self, root: Path, cohort: Path) -> None:
        self._root, self._now, self._told = root, root / "now", dict[str, Stage]()
        shutil.copytree(cohort, self._now / "data")

    def __getitem__(self, wanted: str) -> Stage:
        for name, arguments in COMMANDS.items():
            if wanted in self._told:
                break
            if name not in self._told:
                before = self._root / name
                shutil.copytree(self._now, before, symlinks=True)
                seconds = run(arguments, self._now)
                self._told[name] = Stage(arguments, before, seconds, made(self._now))
        return self._told[wanted]


@pytest.fixture(scope="module")
def stages(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return Story(tmp_path_factory.mktemp("story"), cohort)


def kill_once(stage: Stage, folder: Path, *, dice: random.Random) -> bool:
    """Start, kill, look, start again, look again; says whether the kill came before the end."""
    shutil.copytree(stage.before, folder)
    process = begin(stage.arguments, folder)
    time.sleep(dice.uniform(0, stage.seconds))
    killed = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL) if killed else None
    process.communicate()
    try:
        read_everything(folder)
    except (AutosegError, ValueError, OSError) as broken:
        pytest.fail(f"after kill -9: {broken}")
    run(stage.arguments, folder)
    read_everything(folder)
    results = made(folder)
    assert results.keys() == stage.after.keys()
    assert {name for name in results if results[name] != stage.after[name]} == set()
    shutil.rmtree(folder)
    return killed


IN_THE_GATE = {"plan", "preprocess", "train"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in IN_THE_GATE else pytest.mark.slow) for name in COMMANDS]
)
def test_a_killed_command_goes_on_as_if_nothing_had_happened(stages: Story, tmp_path: Path, name: str) -> None:
    kill_once(stages[name], tmp_path / "home", dice=random.Random(name))  # noqa: S311


@pytest.mark.slow
def test_a_hundred_kills(stages: Story, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice, kills, tries = random.Random(0), dict.fromkeys(COMMANDS, 0), 0  # noqa: S311
    while sum(kills.values()) < MANY and tries < 3 * MANY:
        name = list(COMMANDS)[tries % len(COMMANDS)]
        kills[name] += kill_once(stages[name], tmp_path / f"home{tries}", dice=dice)
        tries += 1
    with capsys.disabled():
        print(f"\n{sum(kills.values())} kills in {tries} runs: {kills}")
    assert sum(kills.values()) >= 100
