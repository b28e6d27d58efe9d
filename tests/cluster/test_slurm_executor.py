"""Commands whose work is done by jobs of a real SLURM."""

import signal
from pathlib import Path

import pytest
from oracles.processes import eventually, finish, start, wait_until
from oracles.slurm import Slurm
from oracles.tiny_cases import write_tiny_cases

pytestmark = pytest.mark.gate

PATIENCE_S = 300.0

SETTINGS = """
time = "00:10:00"
memory = "500M"
partition = "low"
interface = "lo"
before = ["echo prepared on $SLURMD_NODENAME"]
"""


def settings(tmp_path: Path, *more: str) -> tuple[str, ...]:
    file = tmp_path / "slurm.toml"
    more = more or ('directives = ["--comment=test"]',)
    file.write_text("\n".join([SETTINGS, f'logs = "{tmp_path}/logs"', *more]))
    return "--executor", "slurm", "--slurm-settings", str(file)


def queued(slurm: Slurm) -> list[str]:
    return slurm.ask("squeue", "--noheader", "--format=%i", "--states=PENDING,RUNNING").split()


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_cases_and_runs_are_done_by_jobs_which_are_replaced_and_leave_nothing(slurm: Slurm, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_tiny_cases(data, 6)
    where = (*settings(tmp_path), "--jobs", "2")
    finish(start("plan", str(data), "-w", str(run), "--folds", "2", *where, environment=slurm.environment))
    assert not queued(slurm)
    train = ("train", "--fold", "all", "-w", str(run), "--epochs", "12", "--precision", "float32", *where, "--json")
    process = start(*train, environment=slurm.environment)
    checkpoint = run / "models" / "unet" / "fold_0" / "checkpoint.json"
    wait_until(checkpoint.exists, process, patience_s=PATIENCE_S)
    first, *_ = queued(slurm)
    slurm.ask("scancel", first)
    answer = finish(process)
    assert [model["epochs"] for model in answer.document["models"]] == [12, 12]
    assert not queued(slurm)
    logs = [path.read_text() for path in (tmp_path / "logs").glob("*.txt")]
    assert any("prepared on n" in log for log in logs)
    assert not list((tmp_path / "logs").glob("keys-*"))


@pytest.mark.slow  # the gate has three minutes for clusters
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL], ids=str)
def test_no_job_is_left_however_a_command_ends(slurm: Slurm, tmp_path: Path, stop: signal.Signals) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write_tiny_cases(data, 6)
    finish(start("plan", str(data), "-w", str(run), "--folds", "2"))
    train = ("train", "-w", str(run), "--epochs", "100000", "--precision", "float32", *settings(tmp_path), "--jobs", "1")
    process = start(*train, environment=slurm.environment)
    checkpoint = run / "models" / "unet" / "fold_0" / "checkpoint.json"
    wait_until(checkpoint.exists, process, patience_s=PATIENCE_S)
    assert len(queued(slurm)) == 1
    process.send_signal(stop)
    if stop == signal.SIGINT:
        finish(process, expect=130)
        assert not queued(slurm)
    else:
        process.communicate(timeout=60)
        eventually(lambda: not queued(slurm), patience_s=120)


@pytest.mark.slow  # the gate has three minutes for clusters
def test_what_slurm_refuses_and_jobs_that_end_too_soon_are_told(slurm: Slurm, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_tiny_cases(data, 2)
    refused = finish(
        start("check", str(data), *settings(tmp_path, 'directives = ["--nodes=none"]'), environment=slurm.environment),
        expect=9,
    )
    assert "SLURM refuses a job" in refused.said
    early = settings(tmp_path, 'python = "/no/such/python"')
    ended = finish(start("check", str(data), *early, environment=slurm.environment), expect=9)
    assert "3 SLURM jobs ended before their workers had come" in ended.said
    assert "/no/such/python" in ended.said
    assert not queued(slurm)
