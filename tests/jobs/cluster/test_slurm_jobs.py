"""The jobs of a command, with a SLURM and a scheduler that are pretended."""

import itertools
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.errors import SystemFailureError
from autoseg.jobs.cluster import slurm_jobs

UNREACHABLE = "Unable to contact slurm controller (connect failure)"
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n"
REFUSED = "Batch job submission failed: Invalid account or account/partition combination specified"


class Pretended:
    """A SLURM whose jobs get numbers from 100 on, and a scheduler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queued: list[str] = []
        self.scheduler = SimpleNamespace(workers={}, retire_workers=self.retire)
        self.events = Recorder()
        self.did: list[tuple[str, list[str]]] = []
        self.now_s = 0.0
        self.fails = ""  # what all programs say against their work
        self.loses_answers = False  # of sbatch
        self._numbers = itertools.count(100)
        monkeypatch.setattr(slurm_jobs, "_said", self.said)
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        cluster: Any = self
        self.jobs = slurm_jobs.Jobs("script", cluster, most=4, logs=Path("logs"), events=self.events)

    def said(self, command: Sequence[str], *, given: str | None = None) -> str:
        if self.fails:
            raise subprocess.CalledProcessError(1, list(command), stderr=f"{command[0]}: error: {self.fails}\n")
        if command[0] == "squeue":
            return "\n".join(f"{job} R None" for job in self.queued)
        assert (command[0], given) == ("sbatch", "script")
        self.queued.append(str(next(self._numbers)))
        if self.loses_answers:
            raise subprocess.CalledProcessError(1, list(command), stderr=TIMED_OUT)
        return f"{self.queued[-1]}\n"

    def run(self, command: Sequence[str], **_: Any) -> SimpleNamespace:
        assert command[0] == "scancel"
        if self.fails:
            return SimpleNamespace(stderr=f"scancel: error: {self.fails}\n")
        self.did.append(("cancel", list(command[1:])))
        self.queued = [job for job in self.queued if job not in command]
        return SimpleNamespace(stderr="")

    def sync(self, function: Any, **options: Any) -> None:
        function(**options)

    def retire(self, *, names: list[str], callback_timeout: float) -> None:
        assert callback_timeout > 0
        self.did.append(("retire", names))
        for name in names:
            del self.scheduler.workers[name]

    def come(self, *jobs: str, working: Sequence[str] = ()) -> None:
        """Have the workers of some jobs come, some of which have something to do."""
        for job in jobs:
            name = f"autoseg-{job}"
            self.scheduler.workers[name] = SimpleNamespace(name=name, processing={"task"} if job in working else set())

    def go(self, *jobs: str) -> None:
        """Have the workers of some jobs lose their connection."""
        for job in jobs:
            del self.scheduler.workers[f"autoseg-{job}"]

    def check(self, *, after_s: float = 10.0) -> None:
        self.now_s += after_s
        self.jobs.check()


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    return Pretended(monkeypatch)


SUBMITTED = "submitting 4 SLURM jobs, whose output goes to logs"


def test_jobs_that_are_not_wanted_any_more_are_cancelled_those_that_wait_first(pretended: Pretended) -> None:
    pretended.jobs.want(9)
    pretended.come("100", "101", "102", working=["100"])
    pretended.check()
    pretended.jobs.want(2)
    assert pretended.queued == ["100", "101", "102", "103"]  # further cases may come
    pretended.jobs.release(2)
    assert pretended.did == [("retire", ["autoseg-101"]), ("cancel", ["103", "101"])]
    pretended.jobs.release(1)
    assert pretended.did[2:] == [("retire", ["autoseg-102"]), ("cancel", ["102"])]
    pretended.check()
    pretended.jobs.release(1)
    assert pretended.queued == ["100"]
    assert pretended.events.notes == [
        SUBMITTED,
        "cancelling 2 SLURM jobs with nothing left to do",
        "cancelling 1 SLURM job with nothing left to do",
    ]


def test_jobs_that_work_are_kept_until_they_are_done(pretended: Pretended) -> None:
    pretended.jobs.want(4)
    pretended.come("100", "101", "102", "103", working=["100", "101", "102", "103"])
    pretended.jobs.release(1)
    assert pretended.queued == ["100", "101", "102", "103"]
    pretended.come("102")
    pretended.jobs.release(1)
    assert pretended.queued == ["100", "101", "103"]


def test_a_job_that_ends_is_replaced_only_while_it_is_wanted(pretended: Pretended) -> None:
    pretended.jobs.want(4)
    pretended.come("100", "101", "102", "103")
    pretended.check()
    pretended.queued.remove("101")
    pretended.check()
    assert pretended.queued == ["100", "102", "103", "104"]
    pretended.come("104")
    pretended.check()
    pretended.jobs.want(3)
    pretended.queued.remove("102")
    pretended.check()
    assert pretended.queued == ["100", "103", "104"]
    assert pretended.events.notes == [SUBMITTED, "SLURM job 101 has ended, and is replaced", "SLURM job 102 has ended"]


SILENT = f"SLURM does not answer, and is asked again: squeue: error: {UNREACHABLE}"


def test_jobs_whose_workers_are_connected_outlast_a_controller_that_is_silent(pretended: Pretended) -> None:
    pretended.jobs.want(4)
    pretended.come("100", "101", "102", working=["100", "101"])
    pretended.check()
    pretended.fails = UNREACHABLE
    for _ in range(40):
        pretended.check()
    pretended.go("101")
    pretended.check(after_s=3600.0)
    assert pretended.queued == ["100", "101", "102", "103"]
    assert pretended.events.notes == [SUBMITTED, SILENT]
    pretended.fails = ""
    pretended.queued.remove("101")
    pretended.check()
    assert pretended.queued == ["100", "102", "103", "104"]
    pretended.jobs.cancel()
    assert pretended.did == [("cancel", ["100", "102", "103", "104"])]
    assert pretended.queued == []


def test_without_workers_a_controller_is_asked_for_two_minutes(pretended: Pretended) -> None:
    pretended.jobs.want(4)
    pretended.come("100")
    pretended.check()
    pretended.fails = UNREACHABLE
    pretended.check(after_s=1000.0)  # nobody asked meanwhile
    pretended.go("100")
    pretended.check(after_s=119.0)
    pretended.fails = ""
    pretended.check()
    pretended.fails = UNREACHABLE
    pretended.check()
    with pytest.raises(SystemFailureError, match=r"not answered for 120 s, and no worker is there; found .*connect failure"):
        pretended.check(after_s=120.0)
    pretended.jobs.cancel()
    (left,) = pretended.events.warnings
    assert left.endswith("scancel 100 101 102 103")


def test_a_job_is_submitted_when_the_controller_can_be_reached_again(pretended: Pretended) -> None:
    pretended.fails = UNREACHABLE
    pretended.jobs.want(2)
    pretended.check(after_s=119.0)
    pretended.fails = ""
    pretended.check()
    assert pretended.queued == ["100", "101"]
    pretended.come("100")
    pretended.fails = UNREACHABLE
    pretended.jobs.want(3)
    pretended.check(after_s=1000.0)  # a worker is there
    pretended.fails = ""
    pretended.check()
    assert pretended.queued == ["100", "101", "102"]


def test_a_controller_that_never_answers_gets_two_minutes(pretended: Pretended) -> None:
    pretended.fails = UNREACHABLE
    pretended.jobs.want(2)
    with pytest.raises(SystemFailureError, match="not answered for 120 s"):
        pretended.check(after_s=120.0)


def test_a_job_that_slurm_refuses_is_refused_at_once(pretended: Pretended) -> None:
    pretended.fails = REFUSED
    with pytest.raises(SystemFailureError, match=r"SLURM refuses a job; found .*Invalid account"):
        pretended.jobs.want(2)
    pretended.fails = ""
    pretended.jobs.want(2)
    pretended.come("100", "101")
    pretended.fails = REFUSED
    with pytest.raises(SystemFailureError, match="SLURM refuses a job"):
        pretended.jobs.want(3)


def test_a_job_of_which_sbatch_did_not_hear_counts_when_its_worker_comes(pretended: Pretended) -> None:
    pretended.loses_answers = True
    pretended.jobs.want(2)
    pretended.come("100")
    pretended.loses_answers = False
    pretended.check()
    assert pretended.queued == ["100", "101"]
    pretended.jobs.cancel()
    assert pretended.did == [("cancel", ["100", "101"])]


def test_jobs_that_slurm_has_forgotten_are_replaced(pretended: Pretended) -> None:
    pretended.jobs.want(1)
    pretended.come("100")
    pretended.check()
    pretended.go("100")
    told, pretended.queued = pretended.said, []

    def forgets(command: Sequence[str], *, given: str | None = None) -> str:
        if command[0] == "squeue" and not pretended.queued:
            raise subprocess.CalledProcessError(1, list(command), stderr="slurm_load_jobs error: Invalid job id specified\n")
        return told(command, given=given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slurm_jobs, "_said", forgets)
        pretended.check()
    assert pretended.queued == ["101"]
