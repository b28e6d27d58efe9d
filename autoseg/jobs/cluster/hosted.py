"""Processes that a worker starts for work of autoseg.

They are programs of their own, not children of `multiprocessing`: workers are daemons, which may have none. Otherwise they
are like those that a command starts on its own machine: signals are held back until they can be answered, and they end with
the worker.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from autoseg.jobs import machine
from autoseg.jobs.children import SPAWN, Child
from autoseg.jobs.interruption import STOPPING
from autoseg.jobs.run_process import Crashed, do_run
from autoseg.jobs.server import Target

_PROGRAM: Final = (
    "import json, sys; sys.path += [path for path in json.loads(sys.argv[1]) if path not in sys.path]; "
    "from autoseg.jobs.cluster.hosted import main; main()"
)
_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What workers of Dask set to 1 for all that they start."""


class HostedProcess:
    """A process as `multiprocessing` shows one."""

    def __init__(self, command: Sequence[str], *, folder: Path, environment: dict[str, str], descriptor: int) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments that are ours
            command, cwd=folder, env=environment, pass_fds=[descriptor], stdin=subprocess.DEVNULL
        )

    @property
    def exitcode(self) -> int | None:
        """How it ended, negative where a signal killed it; None while it runs."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it by force."""
        self._process.kill()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, so many seconds at most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)


def start_hosted(target: Target, *, folder: Path, cores: int) -> tuple[Child, Connection]:
    """Start a process that ends with this one, at the latest.

    Args:
        target: what it does.
        folder: its working folder.
        cores: how many it may use.

    Returns:
        the process, and the other end of its pipe.
    """
    ours, theirs = SPAWN.Pipe()
    with theirs:
        paths = json.dumps([path for path in sys.path if path])
        process = HostedProcess(
            [sys.executable, "-P", "-c", _PROGRAM, paths, str(theirs.fileno()), str(os.getpid()), str(cores)],
            folder=folder,
            environment={**os.environ, **dict.fromkeys(_THREADS, str(cores))},
            descriptor=theirs.fileno(),
        )
    with suppress(OSError):  # it has ended, as whoever listens will find
        ours.send(target)
    return process, ours


def main() -> None:
    """What such a process does: what it is told through the pipe."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # until they can be answered
    descriptor, parent, cores = map(int, sys.argv[2:5])
    machine.share_cores(cores)
    with Connection(descriptor) as pipe:
        try:
            target: Target = pipe.recv()
        except EOFError:
            return
        target(pipe, parent=parent)


def do_pickled_run(run: bytes, started: float, slot: int, pipe: Connection, /, *, parent: int | None = None) -> None:
    """A run that the worker has not unpickled, because that may load what workers need not load.

    Args:
        run: the work and what is called first, pickled.
        started: when it began, on `time.monotonic`.
        slot: of the run, on this worker.
        pipe: as for `do_run`.
        parent: as for `do_run`.
    """
    try:
        work, initialise = pickle.loads(run)  # noqa: S301 - from whoever may run anything here
    except Exception:  # noqa: BLE001 - whatever the work cannot load here
        pipe.send([Crashed(traceback.format_exc())])
        return
    do_run(partial(work, started=started, slot=slot), initialise, pipe, parent=parent)
