"""Runs in processes of their own, side by side, whose progress and remarks are shown in this one.

Each process hands its events to a thread of its own, which sends them through a pipe: a run never waits for whoever
watches it. Progress that has not been sent yet is merged; remarks are all sent. A run that fails or dies leaves the others
alone, and no process outlives the one that started it.
"""

import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Final, Generic, NoReturn, Protocol, TypeVar

from autoseg.errors import AutosegError, InterruptedRunError, TrainingError
from autoseg.events import Events, Progress

SENDING_INTERVAL_S: Final = 0.25
"""Time between two messages of one process. Source: ours; a terminal is redrawn four times a second."""
GRACE_S: Final = 30.0
"""Time a process gets to end by itself. Source: ours; many times an optimiser step, after which it notices."""

_SPAWN: Final = multiprocessing.get_context("spawn")  # a fork of a process that runs threads may hang
_STOPPING: Final = frozenset({signal.SIGINT, signal.SIGTERM})

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Work(Protocol[Result_co]):
    """What a run does; another process can import it."""

    def __call__(self, *, events: Events, started: float) -> Result_co:
        """Do it.

        Args:
            events: where progress and remarks go.
            started: when the run began, on `time.monotonic`.
        """


@dataclass(frozen=True)
class Run(Generic[Result]):
    """One of several runs.

    Attributes:
        name: what users call it; no two runs share it.
        work: what it does.
        already_done: whether it ends at once, having been finished earlier for example; needs no process of its own.
    """

    name: str
    work: Work[Result]
    already_done: bool = False


Outcomes = Generator[tuple[Run[Result], Result | AutosegError], None, None]
"""Runs in the order in which they end, each with its result or failure."""


def side_by_side(
    runs: Sequence[Run[Result]],
    *,
    jobs: int,
    initialise: Callable[[], None],
    events_of: Callable[[str], Events],
) -> Outcomes[Result]:
    """Do several runs, each in a process of its own, and give each with its result or failure when it ends.

    Closing the iterator, or an interruption, stops what is still running.

    Args:
        runs: in the order in which they are begun.
        jobs: how many at a time, >= 1.
        initialise: called in each process before its run; other processes can import it.
        events_of: where the events of the run of that name go.

    Raises:
        RuntimeError: a run failed with something other than an `AutosegError`.
    """
    resource_tracker.ensure_running()  # begun later, it would let through the signals that are held back below
    waiting, running = deque(runs), dict[Connection, _Child[Result]]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                with _stopping_held_back():  # a process that was started is known, and can be stopped
                    child = _Child(waiting[0], initialise=initialise, events=events_of(waiting[0].name))
                    running[child.receiver] = child
                waiting.popleft()
            for child in [running[ready] for ready in wait(list(running)) if isinstance(ready, Connection)]:
                if not child.listen():
                    del running[child.receiver]
                    yield child.run, child.end()
    finally:
        _stop(list(running.values()))


def _stop(children: "Sequence[_Child[Result]]") -> None:
    """End processes: all politely and together, then by force."""
    for child in children:
        child.interrupt()
    deadline = time.monotonic() + GRACE_S
    try:
        for child in children:
            child.process.join(max(0.0, deadline - time.monotonic()))
    finally:  # time is up, or the user pressed Ctrl-C once more
        for child in children:
            child.process.kill()
            child.process.join()


@contextmanager
def _stopping_held_back() -> Iterator[None]:
    """Keep Ctrl-C and SIGTERM waiting, here and in processes that start meanwhile, until those can answer them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class _Remark:
    text: str
    warning: bool


@dataclass(frozen=True)
class _Opened:
    track: int
    label: str
    total: float | None
    unit: str


@dataclass
class _Advanced:
    track: int
    steps: float = 0.0
    fields: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Closed:
    track: int
    failed: bool


@dataclass(frozen=True)
class _Returned(Generic[Result]):
    result: Result


@dataclass(frozen=True)
class _Failed:
    error: AutosegError


@dataclass(frozen=True)
class _Crashed:
    traceback: str


_Event = _Remark | _Opened | _Advanced | _Closed
_Outcome = _Returned[Result] | _Failed | _Crashed


class _Child(Generic[Result]):
    """A process, as seen by the one that started it."""

    def __init__(self, run: Run[Result], *, initialise: Callable[[], None], events: Events) -> None:
        self.run = run
        self.receiver, sender = _SPAWN.Pipe(duplex=False)
        self.process = _SPAWN.Process(target=_run_here, args=(run.work, initialise, sender, time.monotonic()), name=run.name)
        self.process.start()
        sender.close()  # the process holds the only other one: the pipe ends when it does
        self._shown = _Shown(events)
        self._outcome: _Outcome[Result] | None = None

    def listen(self) -> bool:
        """Show what the process has said; False where it said nothing more and has ended."""
        try:
            messages: list[_Event | _Outcome[Result]] = self.receiver.recv()
        except (EOFError, OSError):  # ended between two messages, or was killed in the midst of one
            return False
        for message in messages:
            if isinstance(message, _Returned | _Failed | _Crashed):
                self._outcome = message
            else:
                self._shown.take(message)
        return True

    def end(self) -> Result | AutosegError:
        """What became of a run whose process has ended."""
        self.process.join()
        self.receiver.close()
        self._shown.abandon()
        match self._outcome:
            case _Returned(result):
                return result
            case _Failed(error):
                return error
            case _Crashed(where):
                raise RuntimeError(f"{self.run.name}, in a process of its own:\n{where}")
        return _death(self.process.exitcode)

    def interrupt(self) -> None:
        """Ask the process to end, and listen no more."""
        self.process.terminate()
        self.receiver.close()
        self._shown.abandon()


def _death(exit_code: int | None) -> TrainingError:
    """Why a process ended without a word."""
    again = "The same command continues from the last epoch."
    if exit_code == InterruptedRunError.exit_code:
        return TrainingError("its process was told to stop", remedy=again)
    if exit_code is not None and exit_code < 0:
        return TrainingError(
            f"its process was killed ({signal.Signals(-exit_code).name})",
            remedy=f"Often the machine ran out of memory: close other programs, or choose fewer --jobs. {again}",
        )
    return TrainingError(
        f"its process ended with exit code {exit_code} before the run did",
        remedy="The reason stands above. A script of your own that trains side by side must be guarded by "
        "`if __name__ == '__main__':`.",
    )


class _AbandonedError(Exception):
    """What a bar is told whose work did not end well."""


class _Shown:
    """The bars of one run, drawn where its messages arrive."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._bars: dict[int, tuple[AbstractContextManager[Progress], Progress]] = {}

    def take(self, event: _Event) -> None:
        """Show one event."""
        match event:
            case _Remark(text, warning=True):
                self._events.warn(text)
            case _Remark(text):
                self._events.info(text)
            case _Opened(track, label, total, unit):
                bar = self._events.track(label, total=total, unit=unit)
                self._bars[track] = bar, bar.__enter__()
            case _Advanced(track, steps, fields):
                self._bars[track][1].advance(steps, **fields)
            case _Closed(track, failed):
                self._close(track, failed=failed)

    def abandon(self) -> None:
        """Take away the bars of work that will not go on."""
        for track in list(self._bars):
            self._close(track, failed=True)

    def _close(self, track: int, *, failed: bool) -> None:
        bar, _ = self._bars.pop(track)
        if failed:
            bar.__exit__(_AbandonedError, _AbandonedError(), None)
        else:
            bar.__exit__(None, None, None)


def _run_here(work: Work[Result], initialise: Callable[[], None], sender: Connection, started: float) -> None:
    """What a process does: the run, then a last message that says how it ended."""
    outbox = _Outbox(sender)
    try:
        _follow_parent()
        outbox.close(_attempt(work, initialise, events=outbox, started=started))
    except KeyboardInterrupt:
        sys.exit(InterruptedRunError.exit_code)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending already


def _attempt(work: Work[Result], initialise: Callable[[], None], *, events: Events, started: float) -> _Outcome[Result]:
    try:
        initialise()
        return _Returned(work(events=events, started=started))
    except AutosegError as error:
        return _Failed(error)
    except Exception:  # noqa: BLE001 - a bug, which the parent shows and ends with
        return _Crashed(traceback.format_exc())


def _follow_parent() -> None:
    """Stop when the parent says so, and when it is no more."""
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent decides
    signal.signal(signal.SIGTERM, _interrupt)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def _stop_with_parent() -> None:
    parent, main = multiprocessing.parent_process(), threading.main_thread().ident
    if parent is None or main is None:
        msg = "only a process started by another follows it"
        raise RuntimeError(msg)
    parent.join()
    signal.pthread_kill(main, signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(InterruptedRunError.exit_code)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
    raise KeyboardInterrupt


class _Outbox:
    """Events that are watched in another process."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender
        self._messages: list[object] = []
        self._advances: dict[int, _Advanced] = {}  # those among the messages, by track
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._tracks = itertools.count()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def info(self, message: str) -> None:
        """Say something worth knowing."""
        self._put(_Remark(message, warning=False))

    def warn(self, message: str) -> None:
        """Say something that may make the result worse than the user thinks."""
        self._put(_Remark(message, warning=True))

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        """Open a bar in the other process."""
        track, failed = next(self._tracks), True
        self._put(_Opened(track, label, total, unit))
        try:
            yield _SentProgress(self, track)
            failed = False
        finally:
            self._put(_Closed(track, failed=failed))

    def advance(self, track: int, steps: float, fields: dict[str, float | str]) -> None:
        """Move a bar, together with all of its moves that have not been sent."""
        with self._changed:
            if track not in self._advances:
                self._advances[track] = _Advanced(track)
                self._messages.append(self._advances[track])
                self._changed.notify()
            self._advances[track].steps += steps
            self._advances[track].fields |= fields

    def close(self, outcome: _Outcome[Result]) -> None:
        """Send all that is left and how the run ended."""
        self._put(outcome)
        self._closing.set()
        self._thread.join()

    def _put(self, message: object) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify()

    def _send(self) -> None:
        while not (self._closing.is_set() and not self._messages):
            try:
                self._sender.send(list(self._take()))
            except OSError:  # nobody listens any more
                return
            self._closing.wait(SENDING_INTERVAL_S)

    def _take(self) -> Iterable[object]:
        with self._changed:
            self._changed.wait_for(lambda: self._messages)
            messages, self._messages, self._advances = self._messages, [], {}
        return messages


class _SentProgress:
    def __init__(self, outbox: _Outbox, track: int) -> None:
        self._outbox, self._track = outbox, track

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self._outbox.advance(self._track, steps, fields)
