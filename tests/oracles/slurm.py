"""A SLURM of emulated nodes on this machine: brought up for tests, and taken down whatever becomes of them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from filelock import FileLock, Timeout

SCRIPTS: Final = Path(__file__).parents[1] / "cluster"
PROGRAMS: Final = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel", "sinfo")
NODES: Final = 2
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_PORTS: Final = range(17000, 30000, 50)
"""First of the ports of a cluster each; below those that systems give away by themselves."""


@dataclass(frozen=True)
class Slurm:
    """A cluster.

    Attributes:
        folder: its settings, logs and state; nothing of a test.
    """

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that shall know the cluster, those of this process included."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
        return {**variables, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
        """Run one of SLURM's programs, which must succeed; gives what it prints."""
        done = subprocess.run(
            command, cwd=cwd, env={**self.environment, **(environment or {})}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
        """Hand in a job by arguments of `sbatch`; gives its number."""
        return self.ask("sbatch", "--parsable", *arguments, cwd=cwd, environment=environment).strip().partition(";")[0]

    def jobs(self, job: str) -> dict[str, str]:
        """State of a job, or of every task of an array, by number, as in `7` and `7_2`; a pending array is one job."""
        shown = self.ask("scontrol", "show", "--oneliner", "job", job)
        found = {}
        for line in filter(None, shown.splitlines()):
            fields = dict(re.findall(r"(\w+)=(\S*)", line))
            array, task = fields.get("ArrayJobId"), fields.get("ArrayTaskId")
            found[f"{array}_{task}" if array else fields["JobId"]] = fields["JobState"]
        return found

    def field(self, job: str, name: str) -> str:
        """One field of what is known of a job, as `Restarts`."""
        found = re.search(rf"\b{name}=(\S*)", self.ask("scontrol", "show", "--oneliner", "job", job))
        assert found is not None, name
        return found[1]

    def wait(self, job: str, *states: str, patience_s: float) -> None:
        """Wait until a job, or every task of an array, is in one of some states; fails where it ended in another."""
        self.until(lambda: set(self.jobs(job).values()) <= set(states), job, *states, patience_s=patience_s)

    def until(self, condition: Callable[[], object], job: str, *fine: str, patience_s: float) -> None:
        """Wait for something that a job does, which must not end meanwhile, but in states that are `fine`."""
        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"} - set(fine)
        deadline = time.monotonic() + patience_s
        while not condition():
            states = self.jobs(job)
            assert not ended.intersection(states.values()), f"job {job} ended: {states}\n{self._output(job)}"
            assert time.monotonic() < deadline, f"waited in vain for job {job}: {states}\n{self._output(job)}"
            time.sleep(0.1)

    def cancel(self, job: str, *, patience_s: float = 30) -> None:
        """End a job, and wait until it has."""
        self.ask("scancel", job)
        self.until(lambda: not set(self.jobs(job).values()) & {"RUNNING", "PENDING", "COMPLETING"}, job, "CANCELLED",
                   "COMPLETED", "FAILED", "TIMEOUT", patience_s=patience_s)  # fmt: skip

    def kill_node(self, node: str) -> None:
        """End all that runs on a node by force: its daemon, the steps that watch over jobs, and the jobs."""
        _kill(int((self.folder / "pid" / f"slurmd-{node}.pid").read_text()))
        for process in sorted(self._of_node(node), key=lambda found: found.is_job):  # a step would report its job's end
            _kill(process.number)

    def revive_node(self, node: str) -> None:
        """Bring a node back that was killed, and wait until jobs can run there."""
        environment = {**self.environment, "PATH": _PATH}
        with (self.folder / "log" / "revived.txt").open("ab") as log:
            subprocess.run(["slurmd", "-c", "-N", node], env=environment, stdout=log, stderr=log, timeout=30, check=True)
        deadline = time.monotonic() + 60
        while self.ask("sinfo", "-h", "-n", node, "-p", "low", "-o", "%t").strip() not in {"idle", "mix", "alloc"}:
            assert time.monotonic() < deadline, self.ask("sinfo", "-N", "-l")
            time.sleep(0.1)

    def _of_node(self, node: str) -> Iterator["_Process"]:
        log = f"{self.folder}/log/slurmd-{node}.log"
        for place in Path("/proc").iterdir():
            if not place.name.isdecimal():
                continue
            with suppress(OSError):  # it has just ended
                environment = (place / "environ").read_bytes().split(b"\0")
                ours = f"SLURM_CONF={self.folder}/slurm.conf".encode() in environment
                job = ours and f"SLURMD_NODENAME={node}".encode() in environment
                step = (place / "cmdline").read_bytes().startswith(b"slurmstepd") and _uses(place, log)
                if job or step:
                    yield _Process(int(place.name), is_job=not step)

    def _output(self, job: str) -> str:
        """What a job, or the tasks of an array, have written."""
        places = re.findall(r"\bStdOut=(\S+)", self.ask("scontrol", "show", "--oneliner", "job", job))
        return "\n".join(Path(place).read_text(errors="replace") for place in places if Path(place).is_file())


@dataclass(frozen=True)
class _Process:
    number: int
    is_job: bool


@contextmanager
def slurm_cluster() -> Iterator[Slurm]:
    """A SLURM of two nodes n1 and n2 of two cores, partitions `low` (preempted by requeueing) and `high`.

    Where programs are missing, or daemons may not run, the test is skipped with the reason. All of it, jobs included, ends
    with the block, and with this process where that is killed.
    """
    if missing := [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]:
        pytest.skip(f"no SLURM here: {', '.join(missing)} not found")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="autoseg-slurm-"))  # sockets need short paths
        port = stack.enter_context(_free_ports())
        stack.enter_context(_taken_down(folder))
        if reason := _bring_up(folder, port):
            pytest.skip(f"SLURM cannot run here: {reason}")
        yield Slurm(folder)


def _bring_up(folder: Path, port: int) -> str:
    """Start all daemons; gives why that is not possible."""
    report = folder / "up.txt"  # not a pipe, which daemons would keep open
    with report.open("wb") as stream:
        script = subprocess.Popen(
            ["bash", SCRIPTS / "slurm-up.sh", folder, str(NODES)], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "SLURM_TEST_PORT": str(port)},
        )  # fmt: skip
    try:
        code = script.wait(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(script.pid, signal.SIGKILL)
        script.wait()
        return "not up after a minute"
    lines = report.read_text(errors="replace").strip().splitlines()
    return "" if code == 0 else lines[-1] if lines else f"exit code {code}"


@contextmanager
def _taken_down(folder: Path) -> Iterator[None]:
    """End and remove everything with the block, or when this process is no more: then the guard's input ends."""
    command = f"cat >/dev/null; bash '{SCRIPTS}/slurm-down.sh' '{folder}'; rm -rf '{folder}'"
    guard = subprocess.Popen(
        ["bash", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(timeout=60)


@contextmanager
def _free_ports() -> Iterator[int]:
    """The first of some ports that nobody uses, and no other cluster of tests will."""
    for first in _PORTS:
        claim = FileLock(Path(tempfile.gettempdir()) / f"autoseg-slurm-ports-{first}.lock")
        with suppress(Timeout, OSError), claim.acquire(blocking=False):
            if all(_is_free(port) for port in (first, *range(first + 10, first + 10 + NODES))):
                yield first
                return
    pytest.skip("SLURM cannot run here: no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _uses(process: Path, file: str) -> bool:
    """Whether a process has a file open."""
    return any(str(link.readlink()) == file for link in (process / "fd").iterdir())


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
