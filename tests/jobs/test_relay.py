import multiprocessing
from multiprocessing.connection import Connection

import pytest
from oracles.watched_runs import Recorder

from autoseg.jobs.relay import Outbox, Shown


def relayed(outbox: Outbox, receiver: Connection, events: Recorder) -> list[object]:
    """Show all that was sent, up to the last message, which comes back with whatever else was no event."""
    outbox.close("last")
    shown, others = Shown(events), []
    while "last" not in others:
        for message in receiver.recv():
            others.append(message) if isinstance(message, str) else shown.take(message)
    shown.abandon()
    return others


def test_what_is_said_here_is_shown_there() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    outbox, events = Outbox(sender), Recorder()
    outbox.info("begun")
    outbox.warn("careful")
    with outbox.track("steps", total=3, unit="steps") as progress:
        for step in range(3):
            progress.advance(loss=float(step))
    with pytest.raises(ZeroDivisionError), outbox.track("broken", total=1, unit="steps"):
        _ = 1 / 0
    opened = outbox.track("open", total=None, unit="s")
    opened.__enter__()
    assert relayed(outbox, receiver, events) == ["last"]
    assert (events.notes, events.warnings) == (["begun"], ["careful"])
    ends = {label: (bar.done, bar.end) for label, bar in events.bars.items()}
    assert ends == {"steps": (3, "done"), "broken": (0, "given up"), "open": (0, "given up")}
    assert events.bars["steps"].fields == {"loss": 2.0}


def test_nobody_listens_any_more() -> None:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    receiver.close()
    outbox = Outbox(sender)
    outbox.info("begun")
    outbox.close("last")  # neither an error nor for ever
