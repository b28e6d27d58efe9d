"""How functions show their work in a notebook: bars below the cell that runs them, drawn again in place.

They are HTML that the notebook itself displays, which every front end can: the bars of rich and tqdm need the widgets of
another package there (docs/explanation/decisions.md). Nothing of Jupyter is imported: where a notebook runs, it is loaded.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from threading import RLock
from typing import Any, Final, Protocol
from uuid import uuid4

from autoseg.cli.amounts import clock, described, left_until, progress_of
from autoseg.cli.printing import printable
from autoseg.events import LEFT, Progress

INTERVAL_S: Final = 0.25
"""Seconds between two drawings, of which each is a message to the browser."""

_STYLE: Final = "font-family: monospace; white-space: pre-wrap"


class Publisher(Protocol):
    """What shows something below the cell that runs; IPython's `display_pub`."""

    def publish(self, data: Mapping[str, str], *, transient: Mapping[str, str], update: bool) -> None:
        """Show data of several types, of which the front end chooses one; `update`: in place of what has this id."""


def publisher() -> Publisher | None:
    """What shows something in the notebook that this process runs; None where it runs none."""
    shell_of: Any = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell: Any = None if shell_of is None else shell_of()
    if getattr(shell, "kernel", None) is None:  # IPython in a terminal has a shell, and no kernel
        return None
    found: Publisher = shell.display_pub
    return found


class Notebook:
    """Events shown in a notebook.

    Args:
        display: shows the bars.
        now: monotonic clock, in seconds.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        display: Publisher,
        *,
        now: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._display, self._now, self._wall_clock = display, now, wall_clock
        self._bars: list[_Bar] = []
        self._place = ""
        self._drawn_s = now()
        self._lock = RLock()

    def info(self, message: str) -> None:
        """Print something worth knowing."""
        print(printable(message, lines=False), flush=True)  # noqa: T201 - what a cell prints

    def warn(self, message: str) -> None:
        """Print what may make the result worse than the user thinks, where notebooks mark it."""
        print(f"Warning: {printable(message, lines=False)}", file=sys.stderr, flush=True)  # noqa: T201 - as above

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        """Show a bar; all that are open at the same time share one place, and the first of them stays there."""
        bar = _Bar(label, total, unit, draw=self._draw_now_and_then, now=self._now, wall_clock=self._wall_clock)
        with self._lock:
            first = not self._bars
            self._bars.append(bar)
            self._draw(new=first)
        try:
            yield bar
            bar.close("done in")
        except BaseException:
            bar.close("stopped after")
            raise
        finally:
            with self._lock:
                if not first and bar in self._bars:  # finished inner bars would pile up
                    self._bars.remove(bar)
                self._draw()
                if first:
                    self._bars.clear()

    def _draw_now_and_then(self) -> None:
        with self._lock:
            if self._now() - self._drawn_s >= INTERVAL_S:
                self._draw()

    def _draw(self, *, new: bool = False) -> None:
        if new:
            self._place = uuid4().hex
        html = "".join(bar.html() for bar in self._bars)
        data = {
            "text/html": f'<div style="{_STYLE}">{html}</div>',
            "text/plain": "\n".join(bar.text() for bar in self._bars),
        }
        self._display.publish(data, transient={"display_id": self._place}, update=not new)
        self._drawn_s = self._now()


class _Bar:
    def __init__(
        self,
        label: str,
        total: float | None,
        unit: str,
        *,
        draw: Callable[[], None],
        now: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._draw, self._now, self._wall_clock = draw, now, wall_clock
        self._done, self._started_s = 0.0, now()
        self._ends_s: float | None = None
        self._fields: dict[str, float | str] = {}
        self._end = ""

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self._done += steps
        self._fields |= fields
        if LEFT in fields:
            self._ends_s = self._now() + float(fields[LEFT])
        self._draw()

    def close(self, how: str) -> None:
        self._end = f"{how} {clock(self._now() - self._started_s)}"

    def text(self) -> str:
        fraction = f"{self._done / self._total:4.0%}" if self._total else ""
        parts = [fraction, progress_of(self._done, self._total, self._unit), self._end or self._times()]
        below = described(self._fields)
        lines = [f"{self._label}: {'  '.join(filter(None, parts))}", *([f"  {below}"] if below else [])]
        return "\n".join(printable(line, lines=False) for line in lines)

    def html(self) -> str:
        known = f' value="{min(self._done, self._total):g}" max="{self._total:g}"' if self._total else ""
        if self._end and not known:
            known = ' value="1" max="1"'
        return f"<div><progress{known}></progress> {escape(self.text())}</div>"

    def _times(self) -> str:
        elapsed_s, is_full = self._now() - self._started_s, self._total is not None and self._done >= self._total
        if self._ends_s is not None and not is_full:
            return left_until(max(self._ends_s - self._now(), 0.0), now=self._wall_clock())
        if not self._total or not self._done or is_full:
            return clock(elapsed_s)
        left_s = elapsed_s * (self._total - self._done) / self._done
        return f"{clock(elapsed_s)}, {clock(left_s)} left"
