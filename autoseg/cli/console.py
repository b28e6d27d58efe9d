"""How commands look in a terminal or a log file: the only place that draws with rich.

Information, warnings, errors and progress go to stderr, so that stdout holds results alone. Without a terminal there are no
bars, colours or control characters, but plain lines now and then. Text from outside (file names, class names) is never
read as markup, and passes `autoseg.cli.printing`.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final, TextIO, cast

from rich.console import Console as RichConsole
from rich.text import Text

from autoseg.cli.layout import fitted_line, laid_out, wrapped
from autoseg.cli.printing import Outlet, printable
from autoseg.cli.progress import Bar, Hidden, Lines, make_bars
from autoseg.errors import AutosegError
from autoseg.events import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

PLAIN_WIDTH: Final = 120
"""Columns of tables that go to a file or a pipe."""

_OWN_LINES: Final = re.compile(r"\n(?:  )")
"""Where an error lists something, each on a line of its own; line breaks of other kinds are in names."""


class Console:
    """Events drawn for a person.

    Args:
        quiet: show warnings and errors only.
        verbose: say when things happened.
        tables: show tables; without, stdout is left to something else.
        stream: where to; None: stderr.
        terminal: whether it is a terminal that can move its cursor; None: find out.
        now: monotonic clock, in seconds.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        tables: bool = True,
        stream: TextIO | None = None,
        terminal: bool | None = None,
        now: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        stream = sys.stderr if stream is None else stream
        self.is_terminal = _is_terminal(stream) if terminal is None else terminal
        self._rich = _rich_console(stream, terminal=self.is_terminal, soft_wrap=True)
        self._encoding = stream.encoding or "utf-8"
        self._quiet = quiet
        self._verbose = verbose
        self._tables = tables
        self._now, self._wall_clock = now, wall_clock
        self._bars: Bars | None = None

    def info(self, message: str) -> None:
        """Show something worth knowing."""
        if not self._quiet:
            self._say(self._stamp() + message)

    def warn(self, message: str) -> None:
        """Show something that may make the result worse than the user thinks."""
        self._say(f"{self._stamp()}Warning: {message}", style="yellow")

    def error(self, message: str, *, remedy: str) -> None:
        """Show why the command ends, and on its own line what to do next."""
        first, *others = _OWN_LINES.split(f"Error: {message}")
        self._say(first, style="bold red")
        for line in others:
            self._say(f"  {line}", style="bold red")
        self._say(remedy)

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        """Show how a piece of work gets on: a bar in a terminal, else a line at both ends and some between.

        Args:
            label: what is being done.
            total: its length; None: unknown.
            unit: what is counted; "s" is shown as minutes and seconds.
        """
        if self._quiet:
            yield Hidden()
        elif self.is_terminal:
            with self._bar(self._printable(label), total=total, unit=unit) as bar:
                yield bar
        else:
            lines = Lines(label, total=total, unit=unit, say=self.info, now=self._now, wall_clock=self._wall_clock)
            yield lines
            lines.close()

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        headings: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        """Show a table in which nothing is cut off, no word and no number broken: see `autoseg.cli.layout`.

        Args:
            title: what the table shows.
            columns: headings.
            rows: as many cells each as there are columns.
            headings: whether they are shown.
            stream: where to; None: stdout.
        """
        if not self._tables:
            return
        stream = sys.stdout if stream is None else stream
        encoding = stream.encoding or "utf-8"

        def shown(text: str) -> str:
            return printable(text, lines=False, encoding=encoding)

        out = _rich_console(stream, terminal=_is_terminal(stream), soft_wrap=True, needed=True)
        cells = [[shown(cell) for cell in row] for row in rows]
        heads, body = laid_out([shown(column) for column in columns], cells, headings=headings, width=out.width)
        for line in [*wrapped(shown(title), out.width), *heads]:
            out.print(Text(line, style="bold"))
        for line in body:
            out.print(Text(line))

    def fitted(self, text: str) -> str:
        """Lines of a result as they fit the terminal that stdout is; as they are where it is none."""
        if not _is_terminal(sys.stdout):
            return text
        width = _rich_console(sys.stdout, terminal=True).width
        return "\n".join(line for long in text.split("\n") for line in fitted_line(long, width))

    def _stamp(self) -> str:
        return time.strftime("%H:%M:%S ") if self._verbose else ""

    def _say(self, message: str, *, style: str = "") -> None:
        self._rich.print(Text(self._printable(message), style=style))

    def _printable(self, text: str) -> str:
        return printable(text, lines=False, encoding=self._encoding)

    @contextmanager
    def _bar(self, label: str, *, total: float | None, unit: str) -> Iterator[Bar]:
        """A bar in the one live display, which all bars open at the same time share."""
        outermost = self._bars is None
        bars = self._bars = self._bars or make_bars(
            self._rich, now=self._now, wall_clock=self._wall_clock, shown=self._printable
        )
        task = bars.add_task(label, total=total, unit=unit, cells=())
        bars.start()
        try:
            yield Bar(bars, task, now=self._now)
            if total is None:
                bars.update(task, total=bars.tasks[bars.task_ids.index(task)].completed)
        finally:
            if outermost:
                bars.stop()
                self._bars = None
            else:  # finished inner bars would pile up
                bars.remove_task(task)


def show_error(error: AutosegError, *, console: Console) -> None:
    """Say what went wrong and what to do next, without a traceback."""
    console.error(error.message, remedy=error.remedy)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


def _rich_console(stream: TextIO, *, terminal: bool, soft_wrap: bool = False, needed: bool = False) -> RichConsole:
    return RichConsole(
        file=cast("IO[str]", Outlet(stream, needed=needed)),
        force_terminal=terminal,
        width=None if terminal else PLAIN_WIDTH,
        highlight=False,
        soft_wrap=soft_wrap,
    )
