"""Progress in a notebook, against what a front end is sent."""

import sys
import time
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from autoseg.cli.console import Console
from autoseg.cli.notebook import INTERVAL_S, Notebook, publisher
from autoseg.cli.watching import events_here
from autoseg.events import LEFT, Silent


class Front:
    """A front end: what each place shows."""

    def __init__(self) -> None:
        self.places: dict[str, Mapping[str, str]] = {}
        self.sent = 0

    def publish(self, data: Mapping[str, str], *, transient: Mapping[str, str], update: bool) -> None:
        place = transient["display_id"]
        assert update == (place in self.places)
        self.places[place] = data
        self.sent += 1

    @property
    def texts(self) -> list[str]:
        return [data["text/plain"] for data in self.places.values()]


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def front() -> Front:
    return Front()


def test_a_bar_is_drawn_in_place_and_stays(front: Front) -> None:
    clock = Clock()
    with Notebook(front, now=clock).track("scoring", total=4, unit="cases") as progress:
        clock.seconds = 10.0
        progress.advance(1, dice=0.91234)
        assert front.texts == ["scoring:  25%  1/4 cases  0:10, 0:30 left\n  dice 0.912"]
        (shown,) = front.places.values()
        assert '<progress value="1" max="4">' in shown["text/html"]
        clock.seconds = 75.0
        progress.advance(3)
    assert front.texts == ["scoring: 100%  4/4 cases  done in 1:15\n  dice 0.912"]


def test_the_time_left_is_that_which_the_work_tells(front: Front) -> None:
    """As in a terminal: what is left of a training does not follow from its pace so far."""
    clock = Clock()
    noon = time.mktime((2026, 11, 26, 12, 0, 0, 0, 0, -1))
    notebook = Notebook(front, now=clock, wall_clock=lambda: noon + clock.seconds)
    with notebook.track("all runs", total=4, unit="runs") as progress:
        clock.seconds = 60.0
        progress.advance(1, **{LEFT: 3600.0})
        assert front.texts == ["all runs:  25%  1/4 runs  1:00:00 left (until 13:01)"]
        with notebook.track("loading", total=None, unit="cases"):
            clock.seconds = 120.0
        assert front.texts == ["all runs:  25%  1/4 runs  59:00 left (until 13:01)"]
        progress.advance(3, **{LEFT: 0.0})
    assert front.texts == ["all runs: 100%  4/4 runs  done in 2:00"]


def test_bars_of_one_time_share_a_place_and_inner_ones_go(front: Front) -> None:
    notebook = Notebook(front)
    with notebook.track("outer", total=2, unit="folds") as outer:
        with notebook.track("inner", total=None, unit="cases") as inner:
            inner.advance(3)
            (text,) = front.texts
            assert [line.split(":")[0] for line in text.splitlines()] == ["outer", "inner"]
        outer.advance(2)
    assert len(front.texts) == 1
    assert front.texts[0].startswith("outer: 100%  2/2 folds  done")
    with notebook.track("next", total=None, unit="files"):
        pass
    assert len(front.texts) == 2
    assert front.texts[1].startswith("next: 0 files  done")


def test_a_bar_that_fails_is_not_called_done(front: Front) -> None:
    notebook = Notebook(front)
    with pytest.raises(KeyboardInterrupt), notebook.track("training", total=2, unit="epochs"):
        raise KeyboardInterrupt
    assert "stopped after 0:00" in front.texts[0]


def test_a_browser_is_not_flooded(front: Front) -> None:
    clock = Clock()
    with Notebook(front, now=clock).track("steps", total=1000, unit="steps") as progress:
        for step in range(1000):
            clock.seconds = step / 1000
            progress.advance()
    assert front.sent <= 3 + 1 / INTERVAL_S


def test_names_are_text_and_not_html(front: Front) -> None:
    with Notebook(front).track("<b>a</b>\x1b[2J", total=1, unit="<i>s</i>") as progress:
        progress.advance(scan="<script>")
    (shown,) = front.places.values()
    assert not any(tag in shown["text/html"] for tag in ("<b>", "<i>", "<script>", "\x1b"))


def test_lines_are_printed_and_warnings_marked(front: Front, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = Notebook(front)
    notebook.info("averaging")
    notebook.warn("a scan unlike\nothers")
    printed = capsys.readouterr()
    assert printed.out == "averaging\n"
    assert printed.err == "Warning: a scan unlike\\x0aothers\n"


def ipython(monkeypatch: pytest.MonkeyPatch, shell: Any) -> None:
    module = ModuleType("IPython")
    module.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", module)


def test_a_notebook_is_told_from_ipython_in_a_terminal(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    ipython(monkeypatch, SimpleNamespace(kernel=object(), display_pub=front))
    assert publisher() is front
    assert isinstance(events_here(), Notebook)
    for shell in (None, SimpleNamespace(display_pub=front)):
        ipython(monkeypatch, shell)
        assert publisher() is None
        assert isinstance(events_here(), Console)


def test_a_program_without_stderr_is_shown_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(events_here(), Silent)
