"""Jobs of SLURM that make room for others, or whose time is nearly up: they are requeued, and go on from what was stored.

What was found with SLURM 22.05 (docs/explanation/decisions.md): `srun python` gets SIGTERM when preemption begins, and a job
that ends then has ended by itself and is not requeued; without `srun`, SIGTERM comes when all is decided. A job that was
cancelled gets SIGTERM, too, and requeueing it would bring it back.
"""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Final

from autoseg.events import Events

_ANSWER_S: Final = 60.0
"""Time that SLURM's controller is given to answer. Source: ours; it may be busy."""
_TRIES: Final = 3
_STAY_S: Final = 3600.0
"""Time after which a process ends that nobody kills. Source: ours; longer than the grace that clusters give."""
_POLL_S: Final = 1.0


def slurm_task(variables: Mapping[str, str]) -> str | None:
    """The job of a process with these variables, of an array its one task, as SLURM's programs name it; None: no job."""
    array, task = variables.get("SLURM_ARRAY_JOB_ID"), variables.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else variables.get("SLURM_JOB_ID")


def leave_to_slurm(asked_by: signal.Signals | None, *, events: Events) -> None:
    """Requeue this job, where it was asked to end but is not ending yet; returns when this process may end.

    Args:
        asked_by: the signal that asked.
        events: told what becomes of the job.
    """
    job = slurm_task(os.environ)
    if job is None or asked_by not in {signal.SIGTERM, signal.SIGUSR1}:
        return
    for number in (signal.SIGTERM, signal.SIGUSR1):  # they come again when the job ends
        signal.signal(number, signal.SIG_IGN)
    state = _state(job)
    if state is not None and state != "RUNNING":
        return  # requeued, cancelled or out of time already
    if state is not None and _is_requeued(job):
        events.info(f"SLURM job {job} is requeued, and goes on after the last epoch that was stored")
    elif asked_by == signal.SIGUSR1:
        events.warn(f"SLURM does not requeue job {job}: submit it again to go on after the last epoch that was stored")
    else:
        events.info(f"waiting until SLURM ends job {job}, which it may then requeue")
        deadline = time.monotonic() + _STAY_S
        while time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _state(job: str) -> str | None:
    """What the controller says of a job; None where it cannot be asked."""
    found = re.search(r"\bJobState=(\w+)", _asked("scontrol", "show", "--oneliner", "job", job) or "")
    return None if found is None else found[1]


def _is_requeued(job: str) -> bool:
    return _asked("scontrol", "requeue", job) is not None


def _asked(*command: str) -> str | None:
    """What a program of SLURM prints; None where it fails."""
    program = shutil.which(command[0])
    for _ in range(_TRIES if program else 0):
        try:
            done = subprocess.run(  # noqa: S603 - a program of SLURM, wherever it is installed, with arguments that are ours
                command, capture_output=True, text=True, timeout=_ANSWER_S, check=False
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if done.returncode == 0:
            return done.stdout
    return None
