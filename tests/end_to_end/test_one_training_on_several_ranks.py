"""One training on several ranks, as commands: started by torchrun or by the command itself, killed, broken, continued."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from oracles.processes import Process, finish, is_alive, start, wait_until

from autoseg.model.bundle import load_bundle
from autoseg.training.history import read_steps
from autoseg.training.run_state import RunState, read_state

pytestmark = pytest.mark.gate

PAGE: Final = Path(__file__).parents[2] / "docs" / "how-to" / "several-gpus.md"
FOLDER: Final = Path("runs/IBSR18/models/unet/fold_full")
EPOCHS: Final = 5
TRAINING: Final = ("--fold", "full", "--epochs", str(EPOCHS), "--precision", "float32")


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A working folder with a workspace, as the page has it."""
    shutil.copytree(trained, tmp_path / "runs" / "IBSR18")
    return tmp_path


def shown(program: str) -> list[str]:
    """The command of the page that a program runs, on processors."""
    (line,) = re.findall(rf"```sh\n({program} .*)\n```", PAGE.read_text(encoding="utf-8"))
    words = shlex.split(line.replace("cuda:0,1", "cpu,cpu"))
    return [*words[1:], *TRAINING, *([] if "cpu,cpu" in words else ["--device", "cpu"])]


def begin_torchrun(home: Path) -> Process:
    program = str(Path(sys.executable).with_name("torchrun"))
    return subprocess.Popen(
        [program, *shown("torchrun")],
        cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "COLUMNS": "1000"},
    )  # fmt: skip


def begin(home: Path) -> Process:
    return start(*shown("autoseg"), cwd=home)


def ranks_of(process: Process) -> list[int]:
    """The processes that train, in the order of their ranks."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    lines = [line.split(maxsplit=1) for line in found.stdout.splitlines()]
    return [int(number) for number, arguments in lines if "resource_tracker" not in arguments]


def state_of(home: Path) -> RunState:
    state = read_state(home / FOLDER)
    assert state is not None
    return state


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_killed_ranks_leave_a_run_that_others_go_on_with(home: Path) -> None:
    """Started by the command and killed, goes on under torchrun, which is killed, too, and starts it again."""
    process = begin(home)
    wait_until((home / FOLDER / "checkpoint.json").exists, process)
    ranks = ranks_of(process)
    os.kill(ranks[1], signal.SIGKILL)
    answer = finish(process, expect=8)
    assert not any(map(is_alive, ranks))
    assert answer.said.count("Error:") == 1
    assert "unet, fold full, rank 1 on cpu: its process was killed (SIGKILL)" in answer.said
    assert "The same command continues from the last epoch" in answer.said
    begun = len(state_of(home).epochs)
    assert begun < EPOCHS

    process = begin_torchrun(home)
    wait_until(lambda: len(state_of(home).epochs) > begun, process)
    ranks = ranks_of(process)
    os.kill(ranks[1], signal.SIGKILL)
    answer = finish(process)
    assert not any(map(is_alive, ranks))
    assert answer.told.count("nothing was held out") == 1  # by the first
    assert answer.said.count(f"continuing after epoch {begun}\n") == 1
    state = state_of(home)
    assert state.finished
    assert [epoch.epoch for epoch in state.epochs] == list(range(1, EPOCHS + 1))
    steps = read_steps(home / FOLDER / "steps.csv")
    assert [step.step for step in steps] == list(range(1, state.steps_taken + 1))
    assert steps[-1].loss < steps[0].loss
    assert load_bundle(home / FOLDER).document.provenance.epochs == EPOCHS


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_ctrl_c_leaves_no_process_behind(home: Path) -> None:
    process = begin(home)
    wait_until((home / FOLDER / "checkpoint.json").exists, process)
    ranks = ranks_of(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    answer = finish(process, expect=130)
    assert not any(map(is_alive, ranks))
    assert answer.said.count("interrupted") == 1
