"""The installed command, run as a user runs it: in a process of its own, with real exit codes.

For tests about signals, kills, memory, terminals and what is loaded; others call `oracles.commands`.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Answer:
    """How a command ended.

    Attributes:
        code: its exit code.
        told: its result, on standard output.
        said: everything else, on standard error.
    """

    code: int
    told: str
    said: str

    @property
    def document(self) -> dict[str, Any]:
        """What was told, where `--json` asked for it."""
        document: dict[str, Any] = json.loads(self.told)
        return document


def start(
    *arguments: str,
    cwd: Path | None = None,
    surroundings: Callable[[], None] | None = None,
    environment: Mapping[str, str | None] | None = None,
) -> Process:
    """Start a command in a group of processes of its own.

    Args:
        arguments: of `autoseg`.
        cwd: the working folder.
        surroundings: called before the command begins, in its process.
        environment: variables to set, or to leave out where they are None.
    """

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a run of the tests in the background may ignore it
        if surroundings is not None:
            surroundings()

    variables = {**os.environ, "COLUMNS": "1000", **(environment or {})}
    return subprocess.Popen(
        [sys.executable, "-m", "autoseg", *arguments],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - tests run no threads
        env={name: value for name, value in variables.items() if value is not None},
    )  # fmt: skip


def finish(process: Process, *, expect: int = 0) -> Answer:
    """Wait for a command, which must end as expected."""
    told, said = process.communicate(timeout=300)
    assert process.returncode == expect, f"{process.args}: {process.returncode} instead of {expect}\n{told}\n{said}"
    assert "Traceback" not in said
    return Answer(process.returncode, told, said)


def autoseg(*arguments: str, cwd: Path | None = None, expect: int = 0) -> Answer:
    """Run a command, which must end as expected."""
    return finish(start(*arguments, cwd=cwd), expect=expect)


def run_python(code: str, *arguments: object) -> Process:
    """Start a Python process that may be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], object], process: Process, *, patience_s: float = 300.0) -> None:
    """Wait for something that a running command does."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if condition():
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.025)
    process.kill()
    process.communicate()
    pytest.fail("waited in vain")


def eventually(condition: Callable[[], object], *, patience_s: float) -> None:
    """Wait for something that processes of any kind do."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(process: int) -> bool:
    """Whether a process of this number runs; one that has ended and is not waited for by anybody does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return not Path("/proc/self/stat").exists()  # ended just now; or a system that tells no more
    return status.rpartition(")")[2].split()[0] != "Z"
