"""A scheduler of Dask and its workers, as a user starts them: each a process of its own, which speak over TCP."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from oracles.processes import eventually

PATIENCE_S = 120.0


@dataclass
class Cluster:
    """A scheduler.

    Attributes:
        folder: where it and its workers run, and write what they say.
        address: of the scheduler.
        workers: numbers of its workers' processes, which host those of autoseg.
    """

    folder: Path
    address: str
    workers: list[int] = field(default_factory=list)

    @property
    def options(self) -> tuple[str, ...]:
        """What has a command work here."""
        return "--executor", "dask", "--scheduler", self.address

    @property
    def alive(self) -> list[int]:
        """Numbers of the workers that are there."""
        return [worker for worker in self.workers if _runs(worker)]

    @property
    def hosted(self) -> set[int]:
        """Numbers of the processes that workers have started for autoseg, and that are there."""
        children = set()
        for worker in self.alive:
            for task in Path(f"/proc/{worker}/task").iterdir():
                children |= {int(number) for number in (task / "children").read_text().split()}
        return {child for child in children if _is_hosted(child)}


def _runs(process: int) -> bool:
    """Whether a process is there, and no zombie that its parent, the tests, has not asked about."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _is_hosted(process: int) -> bool:
    try:
        return b"autoseg.jobs.cluster.hosted" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


@contextmanager
def dask_cluster(folder: Path, *, workers: int = 2, environment: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A scheduler with workers of one thread each, all of which end with this context.

    Args:
        folder: for what they write.
        workers: how many.
        environment: variables that workers get besides those of this process.
    """
    file = folder / "scheduler.json"
    started = list[subprocess.Popen[bytes]]()
    try:
        started.append(_start(folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file))
        eventually(lambda: file.exists() and file.read_text().rstrip().endswith("}"), patience_s=PATIENCE_S)
        cluster = Cluster(folder, json.loads(file.read_text())["address"])
        for number in range(workers):
            options = (
                "--nthreads",
                "1",
                "--no-nanny",
                "--death-timeout",
                "60",
                "--local-directory",
                folder,
                "--name",
                number,
            )
            started.append(_start(folder, "worker", cluster.address, *options, environment=environment))
            cluster.workers.append(started[-1].pid)
        for number in range(workers):
            eventually(lambda log=folder / f"worker{number}.txt": "Registered to" in log.read_text(), patience_s=PATIENCE_S)
        yield cluster
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _start(
    folder: Path, what: str, *options: object, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    number = len(list(folder.glob(f"{what}*.txt")))
    with (folder / f"{what}{number}.txt").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *map(str, options), "--no-dashboard"],
            cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - tests run no threads
        )  # fmt: skip
