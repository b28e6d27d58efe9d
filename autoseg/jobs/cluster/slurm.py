"""Workers as jobs of SLURM, with a scheduler in this process.

A job is a script that starts one worker. Jobs that end while they are wanted, because their node was lost, their time was up
or others came first, are replaced; jobs that end before their worker has come say that something is wrong with them.
"""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import dask
from distributed import Scheduler, Security, SpecCluster

from autoseg.errors import SystemFailureError
from autoseg.events import Events
from autoseg.jobs.cluster.client import ClusterExecutor, connected, quiet, working
from autoseg.jobs.cluster.desk import Desk, Supply
from autoseg.jobs.cluster.settings import SlurmSettings

_LOST_WORKERS: Final = 10
"""Workers that may be lost over a run. Source: ours; jobs may be preempted often, and a run goes on from its last epoch."""
_LOOK_S: Final = 5.0
"""Time between two looks at the queue. Source: ours; SLURM's controller is asked gently."""
_SILENCE_S: Final = 120.0
"""Time without an answer of SLURM after which jobs count as ended. Source: ours; controllers are restarted now and then."""
_RETIRING_S: Final = 30.0
"""Longest wait until workers that are given up have passed on what they hold. Source: ours; that is next to nothing."""
_FUTILE: Final = 3
"""Jobs in sequence that may end before their worker has come. Source: ours; one bad node is no reason to end."""
_WITHOUT_SCHEDULER_S: Final = 60
"""Time after which a worker ends that cannot reach the scheduler. Source: ours."""
_RUN: Final = {"run": 1}
"""What a run takes of a worker, which offers as much: a run has a job to itself, while cases share its cores."""
_SAYS: Final = 600
"""Characters of a job's output that are shown. Source: ours."""


@contextmanager
def on_slurm(
    settings: SlurmSettings, *, jobs: int | None, folder: Path, write: bool, events: Events
) -> Iterator[ClusterExecutor]:
    """Work on workers that are started as SLURM jobs, and cancelled in the end.

    Args:
        settings: what each job gets.
        jobs: jobs at a time; None: as the settings say.
        folder: one that workers must see, too.
        write: whether a file may be written into it for the while.
        events: told what is going on.

    Raises:
        SystemFailureError: SLURM is not there, or refuses the jobs.
    """
    for program in ("sbatch", "squeue", "scancel"):
        if shutil.which(program) is None:
            remedy = "Run this on a machine that jobs are submitted from."
            raise SystemFailureError("SLURM is not there", found=f"no {program}", remedy=remedy)
    logs = Path(settings.logs).expanduser()
    logs.mkdir(parents=True, exist_ok=True)
    most = jobs or settings.jobs
    security = Security.temporary()
    with quiet(), TemporaryDirectory(prefix="keys-", dir=logs) as keys, _scheduler(settings, security) as scheduler:
        command = _worker_command(settings, scheduler.scheduler_address, _tls_options(security, Path(keys)))
        supply = _Jobs(_script(settings, logs, command), scheduler, most=most, logs=logs, events=events)
        with (
            _cancelled(supply),
            connected(scheduler) as client,
            working(client, folder=folder, write=write) as session,
        ):
            yield ClusterExecutor(Desk(client, session, supply, events), jobs=most, run_resources=_RUN)


@contextmanager
def _scheduler(settings: SlurmSettings, security: Security) -> Iterator[SpecCluster]:
    """A scheduler in this process; connections to it are encrypted, because who speaks to a scheduler may run anything."""
    options = {
        "interface": settings.interface,
        "protocol": "tls://",
        "security": security,
        "port": 0,
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",  # what it still serves there concerns nobody else
    }
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": _LOST_WORKERS}),
        SpecCluster(scheduler={"cls": Scheduler, "options": options}, security=security, silence_logs=False) as cluster,
    ):
        yield cluster


def _tls_options(security: Security, folder: Path) -> list[str]:
    """Options of a worker that may speak to the scheduler; only this user may read what they name."""
    options = []
    for name, secret in security.get_tls_config_for_role("worker").items():
        if secret is not None and name != "ciphers":
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(secret, encoding="utf-8")
            options += [f"--tls-{name.removeprefix('tls_').replace('_', '-')}", str(path)]
    return options


def _worker_command(settings: SlurmSettings, address: str, tls: Sequence[str]) -> str:
    options = {
        "--nthreads": settings.cores,
        "--nworkers": 1,
        "--death-timeout": _WITHOUT_SCHEDULER_S,
        "--memory-limit": 0,  # the job has one, and the worker itself needs little
        "--resources": "run=1",
        "--local-directory": settings.scratch,
    }
    words = [str(word) for option in options.items() for word in option]
    python = settings.python or sys.executable
    command = [python, "-m", "distributed.cli.dask_worker", address, *words, *tls, "--no-nanny", "--no-dashboard"]
    return f'exec {shlex.join(command)} --name "autoseg-$SLURM_JOB_ID"'


def _script(settings: SlurmSettings, logs: Path, command: str) -> str:
    directives = [
        "--job-name=autoseg",
        f"--output={logs}/%j.txt",
        f"--time={settings.time}",
        f"--mem={settings.memory}",
        "--ntasks=1",
        f"--cpus-per-task={settings.cores}",
        "--no-requeue",  # a job that ends is replaced by another
        *([f"--partition={settings.partition}"] if settings.partition else []),
        *([f"--account={settings.account}"] if settings.account else []),
        *([f"--gres=gpu:{settings.gpus}"] if settings.gpus else []),
        *settings.directives,
    ]
    return "\n".join(["#!/bin/bash", *(f"#SBATCH {line}" for line in directives), *settings.before, command, ""])


class _Jobs(Supply):
    """Jobs, as many as are wanted."""

    def __init__(self, script: str, cluster: SpecCluster, *, most: int, logs: Path, events: Events) -> None:
        self._script, self._cluster, self._most, self._logs, self._events = script, cluster, most, logs, events
        self._wanted, self._looked = 0, time.monotonic()
        self._alive: list[str] = []
        self._came: set[str] = set()  # names of workers
        self._futile = 0
        self._heard, self._reasons = time.monotonic(), set[str]()

    def want(self, tasks: int) -> None:
        """Have so many jobs, or as many as are allowed."""
        self._wanted = max(1, min(tasks, self._most))
        if (missing := self._wanted - len(self._alive)) > 0:
            self._events.info(f"submitting {missing} SLURM job(s), whose output goes to {self._logs}")
        self._submit()

    def release(self, tasks: int) -> None:
        """Cancel jobs that wait or have nothing to do, those that wait first, where there are more than so many."""
        self._wanted = max(1, min(tasks, self._wanted))
        if (spare := len(self._alive) - self._wanted) <= 0:
            return
        workers = {str(worker.name): worker for worker in list(self._cluster.scheduler.workers.values())}
        working = {name for name, worker in workers.items() if worker.processing}
        idle = [job for job in self._alive if _worker_of(job) not in working]
        released = sorted(idle, key=lambda job: _worker_of(job) in workers)[:spare]
        if not released:
            return
        self._events.info(f"cancelling {len(released)} SLURM job(s) that have nothing left to do")
        names = [name for job in released if (name := _worker_of(job)) in workers]
        if names:  # from here on they are given nothing
            with suppress(OSError, TimeoutError):
                self._cluster.sync(self._cluster.scheduler.retire_workers, names=names, callback_timeout=_RETIRING_S)
        _cancel(released)
        self._alive = [job for job in self._alive if job not in released]

    def check(self) -> None:
        """Replace jobs that have ended.

        Raises:
            SystemFailureError: they end before workers have come.
        """
        now = time.monotonic()
        if now < self._looked + _LOOK_S or not self._alive:
            return
        self._looked = now
        here = {str(worker.name) for worker in list(self._cluster.scheduler.workers.values())}
        self._futile = 0 if here - self._came else self._futile
        self._came |= here
        queued = self._queued()
        for job in [job for job in self._alive if job not in queued]:
            self._alive.remove(job)
            if _worker_of(job) not in self._came:
                self._note_futile(job)
            else:
                replaced = ", and is replaced" if len(self._alive) < self._wanted else ""
                self._events.info(f"SLURM job {job} has ended{replaced}")
        self._submit()

    def cancel(self) -> None:
        """Have no jobs any more."""
        self._wanted = 0
        _cancel(self._alive)

    def _queued(self) -> set[str]:
        """The jobs that wait or run; says once why some wait."""
        try:
            answer = _said(["squeue", "--noheader", "--format=%i %t %r", f"--jobs={','.join(self._alive)}"])
        except subprocess.CalledProcessError:  # the controller is busy, or has forgotten all of them
            return set(self._alive) if time.monotonic() < self._heard + _SILENCE_S else set()
        self._heard = time.monotonic()
        states = [line.split(maxsplit=2) for line in answer.splitlines()]
        for _, state, reason in states:
            if state == "PD" and reason != "None" and reason not in self._reasons:
                self._reasons.add(reason)
                self._events.info(f"SLURM has jobs wait: {reason}")
        return {job for job, *_ in states}

    def _submit(self) -> None:
        while len(self._alive) < self._wanted:
            try:
                answer = _said(["sbatch", "--parsable"], given=self._script)
            except subprocess.CalledProcessError as error:
                raise SystemFailureError(
                    "SLURM refuses a job",
                    found=error.stderr.strip(),
                    remedy="Change the settings of SLURM (--slurm-settings).",
                ) from None
            self._alive.append(answer.strip().partition(";")[0])

    def _note_futile(self, job: str) -> None:
        self._futile += 1
        if self._futile < _FUTILE:
            return
        output = self._logs / f"{job}.txt"
        said = output.read_text(encoding="utf-8", errors="replace")[-_SAYS:].strip() if output.exists() else "nothing"
        raise SystemFailureError(
            f"{_FUTILE} SLURM jobs ended before their workers had come",
            where=output,
            found=said,
            remedy="Change the settings of SLURM (--slurm-settings): `before` prepares the machine, `python` names a Python "
            "that has autoseg, and `interface` a network by which jobs reach this machine.",
        )


def _worker_of(job: str) -> str:
    """Name of the worker that a job starts, as of `_worker_command`."""
    return f"autoseg-{job}"


def _cancel(jobs: Sequence[str]) -> None:
    if jobs:
        subprocess.run(["scancel", *jobs], check=False, capture_output=True)  # noqa: S603, S607 - numbers of jobs


@contextmanager
def _cancelled(jobs: _Jobs) -> Iterator[_Jobs]:
    try:
        yield jobs
    finally:
        jobs.cancel()


def _said(command: Sequence[str], *, given: str | None = None) -> str:
    """What a program of SLURM says.

    Raises:
        subprocess.CalledProcessError: it refuses.
    """
    done = subprocess.run(  # noqa: S603 - programs of SLURM, wherever they are installed, with arguments that are ours
        command, check=True, capture_output=True, text=True, input=given
    )
    return done.stdout
