"""Jobs of SLURM: submitted, watched, replaced and cancelled by SLURM's own programs.

What counts is what `squeue` answers. While it does not, nothing is known of jobs, and nothing is done about them: those
whose workers are connected work on, and the command goes on as long as there are any.
"""

import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from distributed import SpecCluster

from autoseg.errors import SystemFailureError
from autoseg.events import Events
from autoseg.jobs.cluster.desk import Supply
from autoseg.wording import counted

_LOOK_S: Final = 5.0
"""Time between two looks at the queue. Source: ours; SLURM's controller is asked gently."""
_SILENCE_S: Final = 120.0
"""Time without an answer of SLURM after which a command without workers ends. Source: ours; controllers are restarted."""
_RETIRING_S: Final = 30.0
"""Longest wait until workers that are given up have passed on what they hold. Source: ours; that is next to nothing."""
_FUTILE: Final = 3
"""Jobs in sequence that may end before their worker has come. Source: ours; one bad node is no reason to end."""
WORKER: Final = "autoseg-"
"""What names of workers begin with; the number of the job follows."""
_SAYS: Final = 600
"""Characters of a job's output that are shown. Source: ours."""
_FORGOTTEN: Final = "Invalid job id"
"""What `squeue` says of a single job that ended some minutes ago. Source: SLURM's slurm_errno.c, as are the next ones."""
_UNREACHABLE: Final = re.compile(
    "contact slurm controller|Communication (connection|shutdown) failure|Message (send|receive) failure|Socket timed out|"
    "Zero Bytes were transmitted|zero length message|send entire message|longer than data received|standby mode|"
    "Transport endpoint is not connected|Connection (refused|reset|timed out)|configuration source",
    re.IGNORECASE,
)
"""What SLURM's programs say where the controller cannot be reached, which refuses nothing then."""


class Jobs(Supply):
    """Jobs, as many as are wanted.

    Args:
        script: what each of them is.
        cluster: the scheduler that their workers come to.
        most: jobs at a time.
        logs: folder for their output.
        events: told what becomes of them.
    """

    def __init__(self, script: str, cluster: SpecCluster, *, most: int, logs: Path, events: Events) -> None:
        self._script, self._cluster, self._most, self._logs, self._events = script, cluster, most, logs, events
        self._wanted, self._looked = 0, time.monotonic()
        self._alive: list[str] = []
        self._came: set[str] = set()  # jobs whose workers have come
        self._futile = 0
        self._silent_since: float | None = None
        self._reasons = set[str]()

    def want(self, tasks: int) -> None:
        """Have so many jobs, or as many as are allowed."""
        self._wanted = max(1, min(tasks, self._most))
        if (missing := self._wanted - len(self._alive)) > 0:
            self._events.info(f"submitting {counted(missing, 'SLURM job')}, whose output goes to {self._logs}")
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
        self._events.info(f"cancelling {counted(len(released), 'SLURM job')} with nothing left to do")
        names = [name for job in released if (name := _worker_of(job)) in workers]
        if names:  # from here on they are given nothing
            with suppress(OSError, TimeoutError):
                self._cluster.sync(self._cluster.scheduler.retire_workers, names=names, callback_timeout=_RETIRING_S)
        _cancel(released)
        self._alive = [job for job in self._alive if job not in released]

    def check(self) -> None:
        """Replace jobs that have ended, and submit those that could not be.

        Raises:
            SystemFailureError: they end before workers have come; or there is no worker, and SLURM does not answer.
        """
        now = time.monotonic()
        if now < self._looked + _LOOK_S or not self._wanted:
            return
        self._looked = now
        come = self._connected() - self._came
        self._futile = 0 if come else self._futile
        self._came |= come
        self._alive += sorted(come - set(self._alive))  # they were submitted, but `sbatch` did not hear so
        queued = self._queued()
        for job in [job for job in self._alive if job not in queued]:
            self._alive.remove(job)
            if job not in self._came:
                self._note_futile(job)
            else:
                replaced = ", and is replaced" if len(self._alive) < self._wanted else ""
                self._events.info(f"SLURM job {job} has ended{replaced}")
        self._submit()

    def cancel(self) -> None:
        """Have no jobs any more; names those that are left because SLURM does not answer."""
        self._wanted = 0
        if _UNREACHABLE.search(_cancel(self._alive)):
            jobs = " ".join(self._alive)
            self._events.warn(f"SLURM does not answer, and jobs may be left, which end soon by themselves: scancel {jobs}")

    def _connected(self) -> set[str]:
        """The jobs whose workers are there."""
        names = [str(worker.name) for worker in list(self._cluster.scheduler.workers.values())]
        return {name.removeprefix(WORKER) for name in names}

    def _queued(self) -> set[str]:
        """The jobs that wait or run, all of them as long as SLURM does not answer; says once why some wait."""
        if not self._alive:
            return set()
        try:
            answer = _said(["squeue", "--noheader", "--format=%i %t %r", f"--jobs={','.join(self._alive)}"])
        except subprocess.CalledProcessError as error:
            if _FORGOTTEN not in error.stderr:
                self._note_silence(error.stderr)
                return set(self._alive)
            answer = ""
        self._silent_since = None
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
                if _UNREACHABLE.search(error.stderr):
                    self._note_silence(error.stderr)
                    return  # the next look tries again
                raise SystemFailureError(
                    "SLURM refuses a job",
                    found=error.stderr.strip(),
                    remedy="Change the settings of SLURM (--slurm-settings).",
                ) from None
            self._silent_since = None
            self._alive.append(answer.strip().partition(";")[0])

    def _note_silence(self, said: str) -> None:
        """Say that SLURM does not answer; while workers are there, work goes on without it.

        Raises:
            SystemFailureError: there is no worker, and it has not answered for long.
        """
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
            self._events.info(f"SLURM does not answer, and is asked again: {said.strip()}")
        if now >= self._silent_since + _SILENCE_S and not self._connected():
            raise SystemFailureError(
                f"SLURM has not answered for {now - self._silent_since:.0f} s, and no worker is there",
                found=said.strip(),
                remedy="What is finished is kept: run the same command again when SLURM answers.",
            )

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
    """Name of the worker that a job starts, as of `slurm._worker_command`."""
    return f"{WORKER}{job}"


def _cancel(jobs: Sequence[str]) -> str:
    """Cancel some jobs; gives what is said against that."""
    if not jobs:
        return ""
    command = ["scancel", *jobs]
    return subprocess.run(command, check=False, capture_output=True, text=True).stderr  # noqa: S603 - numbers of jobs


def _said(command: Sequence[str], *, given: str | None = None) -> str:
    """What a program of SLURM says.

    Raises:
        subprocess.CalledProcessError: it refuses.
    """
    done = subprocess.run(  # noqa: S603 - programs of SLURM, wherever they are installed, with arguments that are ours
        command, check=True, capture_output=True, text=True, input=given
    )
    return done.stdout
