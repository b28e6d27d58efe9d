"""How a piece of work gets on, drawn for a person: a bar in a terminal, plain lines now and then elsewhere.

What is known beside a bar stands below it, in as many lines as the terminal is wide for; a value is never broken.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.text import Text

from autoseg.cli.amounts import cells_of, clock, count, described, left_until, progress_of
from autoseg.events import LEFT

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

PLAIN_INTERVAL_S: Final = 10.0
"""Seconds between two progress lines of one track where there is no terminal."""

_GAP: Final = "  "


class Hidden:
    """Progress that nobody wants to see."""

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        """Show nothing."""


class Bar:
    """One bar of a live display.

    Args:
        bars: the display.
        task: which of its bars.
        now: monotonic clock, in seconds.
    """

    def __init__(self, bars: "Bars", task: "TaskID", *, now: Callable[[], float]) -> None:
        self._bars, self._task, self._now = bars, task, now
        self._fields: dict[str, float | str] = {}

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        """Move the bar."""
        self._fields |= fields
        if LEFT in fields:
            self._bars.update(self._task, ends_s=self._now() + float(fields[LEFT]))
        self._bars.update(self._task, advance=steps, cells=cells_of(self._fields))


class Lines:
    """Plain lines in place of a bar: one at both ends, and some between.

    Args:
        label: what is being done.
        total: its length; None: unknown.
        unit: what is counted; "s" is shown as minutes and seconds.
        say: prints a line.
        now: monotonic clock, in seconds.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        label: str,
        *,
        total: float | None,
        unit: str,
        say: Callable[[str], None],
        now: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._label, self._total, self._unit, self._say = label, total, unit, say
        self._now, self._wall_clock = now, wall_clock
        self._done = 0.0
        self._fields: dict[str, float | str] = {}
        self._started_s = self._last_s = now()
        say(f"{label} ..." if total is None else f"{label}: {count(total, unit)}")

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        """Move on, and say so where the last line is long past."""
        self._done += steps
        self._fields |= fields
        now_s = self._now()
        if now_s - self._last_s >= PLAIN_INTERVAL_S:
            self._last_s = now_s
            fraction = f" ({self._done / self._total:.0%})" if self._total else ""
            left = f", {left_until(float(self._fields[LEFT]), now=self._wall_clock())}" if LEFT in self._fields else ""
            self._show(fraction + left)

    def close(self) -> None:
        """Say that it is done."""
        self._show(f", done in {clock(self._now() - self._started_s)}")

    def _show(self, addition: str) -> None:
        progress = progress_of(self._done, self._total, self._unit)
        self._say(f"{self._label}: {progress}{addition}  {described(self._fields)}".rstrip())


def make_bars(
    console: RichConsole, *, now: Callable[[], float], wall_clock: Callable[[], float], shown: Callable[[str], str]
) -> "Bars":
    """A live display for bars.

    Args:
        console: where it is drawn.
        now: monotonic clock, in seconds.
        wall_clock: seconds since 1970.
        shown: makes text from outside harmless.
    """
    # rich.progress takes a while to load, and many commands show no bar.
    from rich import progress as rp  # noqa: PLC0415
    from rich.table import Column  # noqa: PLC0415

    class Count(rp.ProgressColumn):
        def render(self, task: rp.Task) -> Text:
            return Text(progress_of(task.completed, task.total, task.fields["unit"]))

    class Times(rp.ProgressColumn):
        max_refresh = 0.5  # estimates that change faster cannot be read

        def render(self, task: rp.Task) -> Text:
            ends_s = task.fields.get("ends_s")
            if ends_s is not None and not task.finished:
                return Text(left_until(max(ends_s - now(), 0.0), now=wall_clock()))
            left = "" if task.time_remaining is None or task.finished else f", {clock(task.time_remaining)} left"
            return Text(clock(task.finished_time or task.elapsed or 0.0) + left)

    class Share(rp.ProgressColumn):
        def render(self, task: rp.Task) -> Text:
            return Text("" if task.total is None else f"{task.percentage:3.0f}%")

    class CellsBelow(rp.Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            for task in self.tasks:  # beside the bars they would be squeezed into a narrow column
                owner = f"{task.description}: " if len(self.tasks) > 1 else ""
                for line in packed(task.fields["cells"], owner=owner, width=console.width):
                    yield Text(shown(line), no_wrap=True, overflow="ellipsis")

    return CellsBelow(
        rp.TextColumn("{task.description}", markup=False),
        rp.BarColumn(bar_width=16),
        Share(Column(no_wrap=True)),
        Count(Column(no_wrap=True)),
        Times(Column(no_wrap=True)),
        console=console,
        get_time=now,
        refresh_per_second=4,
        # Results on stdout stay there; and a forked loading process that writes to a redirected stderr could wait for
        # ever for a lock that the display held at the moment of the fork.
        redirect_stdout=False,
        redirect_stderr=False,
    )


def packed(cells: Sequence[str], *, owner: str, width: int) -> list[str]:
    """Cells in as few indented lines as hold them; a cell that is wider than a line has one of its own.

    Args:
        cells: in their order.
        owner: what the first line begins with.
        width: columns of a line.
    """
    lines, line = list[str](), _GAP + owner
    for number, cell in enumerate(cells):
        gap = "" if number == 0 else _GAP
        if number and len(line) + len(gap) + len(cell) > width:
            lines.append(line)
            line, gap = _GAP + " " * len(_GAP), ""
        line += gap + cell
    return [*lines, line] if cells else []
