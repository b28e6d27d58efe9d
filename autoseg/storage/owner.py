"""Which process holds something, among those of all machines, and whether it still runs.

A number of a process means something where it was given alone: on one machine since its start, and in one container.
"""

import hashlib
import json
import os
import re
import secrets
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_ENDED: Final = {"Z", "X"}
"""States of a process that runs no more, but whose parent has not asked for its exit code. Source: proc_pid_stat(5)."""

_JOBS: Final = (
    ("SLURM", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
    ("SLURM", "SLURM_JOB_ID"),
    ("PBS", "PBS_JOBID"),
    ("LSF", "LSB_JOBID", "LSB_JOBINDEX"),
    ("SGE", "JOB_ID", "SGE_TASK_ID"),
)
"""Batch systems with the variables in which they give a job's number and, in an array, its task's. Source: their manuals."""


@dataclass(frozen=True)
class Owner:
    """A process that holds something.

    Attributes:
        token: tells apart all that was ever held.
        host: name of its machine, for people.
        space: where its number counts; empty where that is not known.
        process: its number.
        started: when it started, in ticks since the machine did; None where the system does not say.
        job: the batch system's job it is part of, as in `SLURM job 42`; empty: none.
        cluster: name of the batch system's cluster.
        restarts: how often the batch system has begun this job again.
        since: when it began to hold it, by its machine's clock, for people.
    """

    token: str
    host: str
    space: str
    process: int
    started: int | None
    job: str
    cluster: str
    restarts: int
    since: str

    def __str__(self) -> str:
        job = f" ({self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job} since {self.since}"


def this_process() -> Owner:
    """An owner with a token of its own."""
    process = os.getpid()
    return Owner(
        token=secrets.token_hex(8),
        host=socket.gethostname(),
        space=space(),
        process=process,
        started=started(process),
        job=batch_job(os.environ),
        cluster=_cluster(),
        restarts=_restarts(),
        since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def written(owner: Owner) -> bytes:
    """The document of an owner."""
    return json.dumps(asdict(owner)).encode() + b"\n"


def parse_owner(content: bytes) -> Owner | None:
    """The owner of a document; None where it holds none."""
    try:
        document = json.loads(content)
        found = {field.name: document[field.name] for field in fields(Owner)}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = [found[name] for name in ("token", "host", "space", "job", "cluster", "since")]
    numbers = [found["process"], found["restarts"], found["started"] or 0]
    fits = all(isinstance(text, str) for text in texts) and all(type(number) is int for number in numbers)
    return Owner(**found) if fits and re.fullmatch("[0-9a-f]+", found["token"]) else None


def runs(owner: Owner) -> bool | None:
    """Whether an owner still runs; None where that cannot be known from here."""
    if owner.space and owner.space == space():
        return runs_here(owner.process, owner.started)
    return False if _is_of_restarted_job(owner, this_process()) else None


def goes_on_from(earlier: Owner, now: Owner) -> bool:
    """Whether an owner is the same as an earlier one, or of the same job, which the batch system has begun again since."""
    return earlier.token == now.token or _is_of_restarted_job(earlier, now)


def _is_of_restarted_job(earlier: Owner, now: Owner) -> bool:
    """Whether an earlier owner was of the same job before the batch system began that again, so that it has ended."""
    same = bool(earlier.job) and (earlier.job, earlier.cluster) == (now.job, now.cluster)
    return same and earlier.restarts < now.restarts


def runs_here(process: int, began: int | None) -> bool | None:
    """Whether a process of this machine still runs; None where the system does not say: numbers are given again."""
    if sys.platform == "win32":
        return None  # asking as below would end it
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # somebody else's
    state = _state(process)
    return None if state is None or began is None else state[0] not in _ENDED and began == state[1]


def started(process: int) -> int | None:
    """When a process started, in ticks since the machine did; None where the system does not say."""
    state = _state(process)
    return None if state is None else state[1]


@cache
def space() -> str:
    """Where numbers of processes are the same: this machine since its start, this container; 16 digits, or empty."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:  # not Linux, or hidden: what is left is as good as unique, but does not change with a restart
        return "" if sys.platform == "linux" else _digest(socket.gethostname())
    return _digest(f"{socket.gethostname()} {boot} {namespace}")


def batch_job(variables: Mapping[str, str]) -> str:
    """The batch system's job of a process with these variables, as in `SLURM job 40_3`; empty: none."""
    for system, *names in _JOBS:
        numbers = [variables.get(name, "") for name in names]
        if all(numbers):
            return f"{system} job {'_'.join(numbers)}"
    return ""


def _state(process: int) -> tuple[str, int] | None:
    """State of a process, and when it started."""
    with suppress(OSError, ValueError, IndexError):
        values = (_PROC / str(process) / "stat").read_bytes().rpartition(b")")[2].split()  # names may hold anything
        return values[0].decode(), int(values[19])
    return None


def _cluster() -> str:
    return os.environ.get("SLURM_CLUSTER_NAME", "")


def _restarts() -> int:
    digits = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(digits) if digits.isdecimal() else 0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
