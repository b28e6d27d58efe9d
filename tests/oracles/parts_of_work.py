"""Parts of work that processes do together, each small enough for a test."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from autoseg.errors import LostRankError, WorkspaceError
from autoseg.events import Events

LIMIT_S = 120.0
"""After which a part ends that waits for what never comes."""


def say(name: str, *, events: Events, started: float, slot: int) -> tuple[str, int]:
    """Say something, and give who did."""
    events.info(f"{name} is at work")
    return name, slot


def wait(mark: Path, *, events: Events, started: float, slot: int) -> None:
    """Leave a mark, wait for ever, and leave word when asked to end."""
    try:
        mark.write_text("is here")
        _wait_for([mark.with_name("what never comes")])
    except KeyboardInterrupt:
        mark.write_text("was asked to end")
        raise


def refuse_when_there(marks: Sequence[Path], *, events: Events, started: float, slot: int) -> None:
    """Fail once all others are at work."""
    _wait_for(marks)
    raise WorkspaceError("not this one", where="somewhere", remedy="None.")


def lose(*, events: Events, started: float, slot: int) -> None:
    """End because another one did."""
    raise LostRankError.of(told=True)


def lose_another(mark: Path, *, events: Events, started: float, slot: int) -> None:
    """End because another one did, which will be seen to have ended only after this."""
    mark.write_text("is lost")
    raise LostRankError.of(told=False)


def die_when_there(mark: Path, number: int, *, events: Events, started: float, slot: int) -> None:
    """Die of a signal, once another one has noticed that."""
    _wait_for([mark])
    os.kill(os.getpid(), number)


def end(code: int, *, events: Events, started: float, slot: int) -> None:
    """End without a word."""
    os._exit(code)


def _wait_for(marks: Sequence[Path]) -> None:
    until = time.monotonic() + LIMIT_S
    while not all(mark.exists() for mark in marks):
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.02)
