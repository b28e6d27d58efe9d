"""Processes that end with the one that started them, however it ends, and when it says so."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, Final, Protocol

from autoseg.errors import InterruptedRunError
from autoseg.jobs.interruption import NOTICE, STOPPING, Interruption, end_at_once

SPAWN: Final = multiprocessing.get_context("spawn")
"""How processes are started: afresh, because a fork of a process that runs threads may hang."""

GRACE_S: Final = 30.0
"""Time a process gets to end by itself. Source: ours; many times an optimiser step, after which it notices."""

_POLL_S: Final = 0.5
"""Time between two looks at whether the parent is still there. Source: ours."""

_HELD_BACK: Final = STOPPING if NOTICE is None else (*STOPPING, NOTICE)

_HAS_MASKS: Final = hasattr(signal, "pthread_sigmask")  # Windows has neither these nor signals of single threads
_PR_SET_PDEATHSIG: Final = 1
"""Source: linux/prctl.h."""


@contextmanager
def stopping_held_back() -> Iterator[None]:
    """Keep Ctrl-C, SIGTERM and SIGHUP waiting, here and in processes that start meanwhile, until those can answer them."""
    if not _HAS_MASKS:
        yield
        return
    resource_tracker.ensure_running()  # begun later, it would let through the signals that are held back
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Child(Protocol):
    """A process that this one has started."""

    @property
    def exitcode(self) -> int | None:
        """How it ended, negative where a signal killed it; None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it by force."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, so many seconds at most."""


def stop(processes: Sequence[Child]) -> None:
    """End processes: all politely and together, then by force."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE_S
    try:
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
    finally:  # time is up, or the user pressed Ctrl-C once more
        kill(processes)


def kill(processes: Sequence[Child]) -> None:
    """End processes by force."""
    for process in processes:
        process.kill()
    for process in processes:
        process.join()


def work_as_child(work: Callable[[Interruption], Any], *, parent: int | None = None) -> None:
    """What a process does that was started while signals were held back: its work, until it is asked to end.

    Args:
        work: told of what asks the process to end.
        parent: number of the process that started this one; None: `multiprocessing` knows it.
    """
    interruption = Interruption()
    try:
        with interruption.heard([signal.SIGTERM]):
            end_with_parent(parent)
            let_signals_through()
            work(interruption)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends anyway: being asked to would only disturb that
        end_at_once(0)
    except KeyboardInterrupt:
        os._exit(InterruptedRunError.exit_code)  # only the interpreter is left to tidy up, which takes seconds


def let_signals_through() -> None:
    """Answer SIGTERM from now on; Ctrl-C and a closed terminal reach every process, and the parent decides what follows."""
    for number in _HELD_BACK:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if _HAS_MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)


def end_with_parent(parent: int | None = None) -> None:
    """Let this process end at once when the one that started it is no more, even if that was killed.

    What it holds, such as locks, is free then. Results are whole or not there at any moment, so that nothing is lost.

    Args:
        parent: number of the process that started this one; None: `multiprocessing` knows it.
    """
    if parent is None:
        process = multiprocessing.parent_process()
        if process is None or process.pid is None:
            msg = "only a process started by another ends with it"
            raise RuntimeError(msg)
        parent = process.pid
    if not _killed_with_parent():
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    elif os.getppid() != parent:  # it ended before the system was asked
        os._exit(InterruptedRunError.exit_code)


def _killed_with_parent() -> bool:
    """Ask Linux to kill this process with its parent, whatever it is doing then; False where that cannot be."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)


def _end_after(parent: int) -> None:
    if (process := multiprocessing.parent_process()) is not None:
        process.join()
    else:
        while os.getppid() == parent:
            time.sleep(_POLL_S)
    os._exit(InterruptedRunError.exit_code)
