"""The jobs of a command, with a SLURM and a scheduler that are pretended."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.jobs.cluster import slurm


class Pretended:
    """A SLURM whose jobs get numbers from 100 on, and a scheduler."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queued: list[str] = []
        self.scheduler = SimpleNamespace(workers={}, retire_workers=self.retire)
        self.events = Recorder()
        self.did: list[tuple[str, list[str]]] = []
        self.now_s = 0.0
        self._numbers = itertools.count(100)
        monkeypatch.setattr(slurm, "_said", self.said)
        monkeypatch.setattr(slurm.subprocess, "run", self.run)
        monkeypatch.setattr(slurm.time, "monotonic", lambda: self.now_s)
        cluster: Any = self
        self.jobs = slurm._Jobs("script", cluster, most=4, logs=Path("logs"), events=self.events)

    def said(self, command: Sequence[str], *, given: str | None = None) -> str:
        if command[0] == "squeue":
            return "\n".join(f"{job} R None" for job in self.queued)
        assert (command[0], given) == ("sbatch", "script")
        self.queued.append(str(next(self._numbers)))
        return f"{self.queued[-1]}\n"

    def run(self, command: Sequence[str], **_: Any) -> None:
        assert command[0] == "scancel"
        self.did.append(("cancel", list(command[1:])))
        self.queued = [job for job in self.queued if job not in command]

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

    def check(self) -> None:
        self.now_s += 10.0
        self.jobs.check()


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    return Pretended(monkeypatch)


SUBMITTED = "submitting 4 SLURM job(s), whose output goes to logs"


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
        "cancelling 2 SLURM job(s) that have nothing left to do",
        "cancelling 1 SLURM job(s) that have nothing left to do",
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
