"""Runs small enough to be done in processes of their own within a test, and events that remember what they were told."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from oracles.garbage import interrupt_collection

from autoseg.errors import WorkspaceError
from autoseg.events import Events, Progress
from autoseg.jobs import children
from autoseg.jobs.interruption import Interruption
from autoseg.jobs.relay import SENDING_INTERVAL_S
from autoseg.jobs.side_by_side import side_by_side
from autoseg.jobs.work import Run


class Bar:
    """A bar that adds up its steps."""

    def __init__(self) -> None:
        self.done = 0.0
        self.moves: list[float] = []
        self.fields: dict[str, float | str] = {}
        self.end = "open"

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self.done += steps
        self.moves.append(self.done)
        self.fields |= fields


class Recorder:
    """Events that keep everything."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.bars: dict[str, Bar] = {}

    def info(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        bar = self.bars[label] = Bar()
        try:
            yield bar
        except GeneratorExit:
            bar.end = "forgotten"
            raise
        except BaseException:
            bar.end = "given up"
            raise
        bar.end = "done"


def nothing() -> None:
    """What is called first in a process that needs no preparation."""


def prepare() -> None:
    """Leave a mark that a run can see."""
    os.environ["WATCHED_RUN_PREPARED"] = "yes"


def report(*, events: Events, started: float, slot: int) -> dict[str, object]:
    """Say where and when the run takes place."""
    began = time.monotonic()
    time.sleep(0.2)
    prepared = os.environ.get("WATCHED_RUN_PREPARED")
    return {"process": os.getpid(), "started": started, "began": began, "ended": time.monotonic(), "prepared": prepared}


def tell_slot(gate: Path, *, waits: bool, events: Events, started: float, slot: int) -> int:
    """Say which slot the run has, once the gate is open: wait for that, or open it."""
    while waits and not gate.exists():
        time.sleep(0.02)
    gate.touch()
    return slot


def count(name: str, *, events: Events, started: float, slot: int) -> str:
    """Ten steps of a bar called like the run, with messages."""
    events.info("begun")
    events.warn(f"{name}: careful")
    with events.track(name, total=10, unit="steps") as progress:
        for step in range(10):
            progress.advance(loss=float(step))
    with events.track("scoring", total=3, unit="cases") as progress:
        progress.advance(3)
    return name


def refuse(*, events: Events, started: float, slot: int) -> str:
    """Fail with a cure, in the midst of a bar."""
    with events.track("refused", total=2, unit="steps"):
        raise WorkspaceError("is another run's", where="models", expected="one", found="two", remedy="Choose another.")


def stumble(folder: Path, *, events: Events, started: float, slot: int) -> str:
    """Fail with a bug as soon as another run lingers in the folder."""
    while not list(folder.iterdir()):
        time.sleep(0.02)
    return str(1 / 0)


def die(number: int, *, events: Events, started: float, slot: int) -> str:
    """Be killed in the midst of a bar."""
    with events.track("dying", total=2, unit="steps"):
        time.sleep(2 * SENDING_INTERVAL_S)
        signal.raise_signal(number)
        time.sleep(60)
    return ""


def exit_early(*, events: Events, started: float, slot: int) -> str:
    """End the process in the midst of a bar."""
    with events.track("dying", total=2, unit="steps"):
        time.sleep(2 * SENDING_INTERVAL_S)
        os._exit(3)


def chatter(mark: Path, *, events: Events, started: float, slot: int) -> str:
    """More messages and progress than a pipe holds; then leave a mark."""
    with events.track("talk", total=100_000, unit="words") as progress:
        for number in range(2000):
            events.info(f"remark {number} {'.' * 100}")
        for _ in range(100_000):
            progress.advance()
        mark.touch()
    return "said"


def end_the_worker_once(mark: Path, *, events: Events, started: float, slot: int) -> str:
    """End the process that has started this one, where no other run has done so."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return "done"
    with events.track("begun", total=2, unit="steps"):
        time.sleep(2 * SENDING_INTERVAL_S)
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return ""


def linger(folder: Path, *, events: Events, started: float, slot: int) -> str:
    """Wait for ever; leave a mark with the process id at the beginning and another in the end."""
    try:
        (folder / f"{os.getpid()}.began").touch()
        while True:
            time.sleep(0.05)
    finally:
        (folder / f"{os.getpid()}.stopped").touch()


def linger_deafly(folder: Path, *, events: Events, started: float, slot: int) -> str:
    """Wait for ever, whatever signals ask for; leave a mark with the process id at the beginning."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    (folder / f"{os.getpid()}.began").touch()
    while True:
        time.sleep(0.05)


def collect(*, events: Events, started: float, slot: int) -> str:
    """Be told to stop while garbage is collected, which discards it; then go on for ever."""
    interrupt_collection(signal.SIGTERM)
    with events.track("unmoved", total=None, unit="steps") as progress:
        while True:
            progress.advance()
            time.sleep(0.01)


def linger_twice(folder: Path, *, deaf: bool) -> None:
    """Two runs that wait for ever, side by side; one may not listen to signals."""
    runs = [Run("one", partial(linger, folder)), Run("two", partial(linger_deafly if deaf else linger, folder))]
    with Interruption().heard():
        for _ in side_by_side(runs, jobs=2, initialise=nothing, events_of=lambda _: Recorder()):
            pass


if "portable" in sys.argv:  # in each of the processes
    mock.patch.object(children, "_killed_with_parent", return_value=False).start()

if __name__ == "__main__":
    linger_twice(Path(sys.argv[1]), deaf="deaf" in sys.argv)
