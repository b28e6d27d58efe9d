"""Commands, run within the tests' process: the installed command's entry point, without the seconds that a process takes.

`oracles.processes` starts the same as a process, for tests about signals, kills, memory, terminals and what is loaded.
"""

import io
import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import torch
from oracles.processes import Answer

from autoseg.__main__ import run


def autoseg(
    *arguments: str, cwd: Path | None = None, environment: Mapping[str, str | None] | None = None, expect: int = 0
) -> Answer:
    """Run a command, which must end as expected.

    Args:
        arguments: of `autoseg`.
        cwd: the working folder.
        environment: variables to set, or to leave out where they are None.
        expect: its exit code; any exception but `SystemExit` passes through, since a process would show its traceback.
    """
    told, said = _Captured(), _Captured()
    with _surroundings(cwd, environment or {}), redirect_stdout(told), redirect_stderr(said):
        code = _exit_code(list(arguments))
    assert code == expect, f"{arguments}: {code} instead of {expect}\n{told.text}\n{said.text}"
    assert "Traceback" not in said.text
    return Answer(code, told.text, said.text)


class _Captured(io.TextIOWrapper):
    """A stream that is no terminal and keeps what is written, bytes included."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    @property
    def text(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


def _exit_code(arguments: list[str]) -> int:
    with mock.patch.object(sys, "argv", ["autoseg", *arguments]):
        return run()


@contextmanager
def _surroundings(cwd: Path | None, environment: Mapping[str, str | None]) -> Iterator[None]:
    """What a process has for itself: its folder, variables, signal handlers, warnings, logging and threads."""
    folder, variables, threads = Path.cwd(), dict(os.environ), torch.get_num_threads()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    logger = logging.getLogger()
    level, logged = logger.level, list(logger.handlers)
    os.environ["COLUMNS"] = "1000"
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.chdir(cwd or folder)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        logger.setLevel(level)
        logger.handlers[:] = logged
        torch.set_num_threads(threads)
