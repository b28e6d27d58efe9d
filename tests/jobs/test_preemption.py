"""A job of SLURM that has to make room is requeued, and never one that was cancelled."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oracles.heard import Heard

from autoseg.cli import runner
from autoseg.jobs import preemption
from autoseg.jobs.interruption import Interruption
from autoseg.jobs.preemption import leave_to_slurm, slurm_task

FakeSlurm = Callable[..., Path]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A task of an array whose controller answers as asked for; gives the file that lists what it was asked."""

    def make(*, state: str, requeues: bool = True) -> Path:
        asked = tmp_path / "asked"
        asked.touch()
        program = tmp_path / "scontrol"
        answer = f"echo JobId=7 JobState={state} Reason=None" if state else "exit 1"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> "{asked}"\ncase $1 in show) {answer};; *) exit {0 if requeues else 1};; esac\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        for name, value in (("SLURM_JOB_ID", "7"), ("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "0")):
            monkeypatch.setenv(name, value)
        return asked

    return make


@pytest.mark.parametrize(
    ("variables", "task"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "7"}, "7"),
        ({"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"}, "7_0"),
    ],
)
def test_of_an_array_the_own_task_is_meant(variables: dict[str, str], task: str | None) -> None:
    assert slurm_task(variables) == task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_running_task_is_requeued_and_no_other(slurm: FakeSlurm, number: signal.Signals) -> None:
    asked, events = slurm(state="RUNNING"), Heard()
    leave_to_slurm(number, events=events)
    assert asked.read_text().splitlines() == ["show --oneliner job 7_0", "requeue 7_0"]
    assert events.said == ["SLURM job 7_0 is requeued, and goes on after the last epoch that was stored"]


@pytest.mark.parametrize("state", ["COMPLETING", "CANCELLED", "PENDING", "TIMEOUT"])
def test_a_job_that_is_ending_is_left_alone(slurm: FakeSlurm, state: str) -> None:
    asked, events = slurm(state=state), Heard()
    leave_to_slurm(signal.SIGTERM, events=events)
    assert asked.read_text().splitlines() == ["show --oneliner job 7_0"]
    assert events.said == []


@pytest.mark.parametrize("asked_by", [None, signal.SIGINT, signal.SIGHUP])
def test_who_presses_ctrl_c_wants_it_to_end(slurm: FakeSlurm, asked_by: signal.Signals | None) -> None:
    asked = slurm(state="RUNNING")
    leave_to_slurm(asked_by, events=Heard())
    assert asked.read_text() == ""


def test_without_a_job_nothing_is_asked(slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = slurm(state="RUNNING")
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name)
    leave_to_slurm(signal.SIGTERM, events=Heard())
    assert asked.read_text() == ""


@pytest.mark.parametrize("state", ["RUNNING", ""])
def test_what_slurm_does_not_requeue_by_itself_waits_for_its_end(
    slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    slurm(state=state, requeues=False)
    pauses, events = list[float](), Heard()
    clock = iter(range(10_000))
    monkeypatch.setattr(preemption.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(preemption.time, "sleep", pauses.append)
    leave_to_slurm(signal.SIGTERM, events=events)
    assert events.said == ["waiting until SLURM ends job 7_0, which it may then requeue"]
    assert pauses.count(preemption._POLL_S) > preemption._STAY_S / 2
    assert next(clock) > preemption._STAY_S
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_time_that_is_nearly_up_without_a_requeue_is_said(slurm: FakeSlurm) -> None:
    slurm(state="RUNNING", requeues=False)
    events = Heard()
    leave_to_slurm(signal.SIGUSR1, events=events)
    assert events.said == ["SLURM does not requeue job 7_0: submit it again to go on after the last epoch that was stored"]


def test_the_command_line_hears_the_signal_and_requeues(slurm: FakeSlurm) -> None:
    asked, interruption = slurm(state="RUNNING"), Interruption()
    with pytest.raises(KeyboardInterrupt), interruption.heard(), runner._requeued(interruption, Heard()):
        signal.raise_signal(signal.SIGUSR1)
    assert asked.read_text().splitlines() == ["show --oneliner job 7_0", "requeue 7_0"]
    assert interruption.asked_by == signal.SIGUSR1


def test_a_command_that_fails_by_itself_is_not_begun_again(slurm: FakeSlurm) -> None:
    asked, interruption = slurm(state="RUNNING"), Interruption()
    with pytest.raises(ZeroDivisionError), interruption.heard(), runner._requeued(interruption, Heard()):
        _ = 1 // 0
    assert asked.read_text() == ""
