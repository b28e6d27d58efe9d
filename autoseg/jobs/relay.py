"""Events sent from one process to another, where they are shown."""

import itertools
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Final

from autoseg.events import Events, Progress

SENDING_INTERVAL_S: Final = 0.25
"""Time between two messages of one process. Source: ours; a terminal is redrawn four times a second."""


@dataclass(frozen=True)
class _Message:
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


Event = _Message | _Opened | _Advanced | _Closed
"""What was said, or what became of a bar."""


class Outbox:
    """Events that are watched in another process.

    A thread of its own sends them, so that work never waits for whoever watches. Progress that has not been sent yet is
    merged; messages are all sent.

    Args:
        sender: the writing end of a pipe, whose other end gets lists of `Event`s.
    """

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
        self._put(_Message(message, warning=False))

    def warn(self, message: str) -> None:
        """Say something that may make the result worse than the user thinks."""
        self._put(_Message(message, warning=True))

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

    def close(self, last: object) -> None:
        """Send all that is left, and `last` behind it."""
        self._put(last)
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
    def __init__(self, outbox: Outbox, track: int) -> None:
        self._outbox, self._track = outbox, track

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self._outbox.advance(self._track, steps, fields)


class _AbandonedError(Exception):
    """What a bar is told whose work did not end well."""


class Shown:
    """The bars of one run, drawn where its messages arrive."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._bars: dict[int, tuple[AbstractContextManager[Progress], Progress]] = {}

    def take(self, event: Event) -> None:
        """Show one event."""
        match event:
            case _Message(text, warning=True):
                self._events.warn(text)
            case _Message(text):
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
