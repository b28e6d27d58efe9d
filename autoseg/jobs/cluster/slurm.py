"""Workers as jobs of SLURM, with a scheduler in this process.

A job is a script that starts one worker. Jobs that end while they are wanted, because their node was lost, their time was up
or others came first, are replaced; jobs that end before their worker has come say that something is wrong with them
(`slurm_jobs`).
"""

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import dask
from distributed import Scheduler, Security, SpecCluster

from autoseg.errors import SystemFailureError
from autoseg.events import Events
from autoseg.jobs.cluster.client import ClusterExecutor, connected, quiet, working
from autoseg.jobs.cluster.desk import Desk
from autoseg.jobs.cluster.settings import SlurmSettings
from autoseg.jobs.cluster.slurm_jobs import WORKER, Jobs

_LOST_WORKERS: Final = 10
"""Workers that may be lost over a run. Source: ours; jobs may be preempted often, and a run goes on from its last epoch."""
_WITHOUT_SCHEDULER_S: Final = 60
"""Time after which a worker ends that cannot reach the scheduler. Source: ours."""
_RUN: Final = {"run": 1}
"""What a run takes of a worker, which offers as much: a run has a job to itself, while cases share its cores."""


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
        supply = Jobs(_script(settings, logs, command), scheduler, most=most, logs=logs, events=events)
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
    return f'exec {shlex.join(command)} --name "{WORKER}$SLURM_JOB_ID"'


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


@contextmanager
def _cancelled(jobs: Jobs) -> Iterator[Jobs]:
    try:
        yield jobs
    finally:
        jobs.cancel()
