"""Several runs as one piece of work: one after the other or side by side, with one overview of their progress."""

import heapq
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from statistics import fmean
from typing import Final

from autoseg.errors import AutosegError, CasesFailedError
from autoseg.events import LEFT, Events, Progress
from autoseg.jobs.local import executor_of, here
from autoseg.jobs.work import Jobs, Outcomes, Result, Run

TITLE: Final = "all runs"
"""What the overview is called."""
_PARTS: Final = 1024
"""Parts of a run that the overview distinguishes. Source: ours; a power of two, so that floats add them without rounding."""


def run_series(
    runs: Sequence[Run[Result]],
    *,
    jobs: Jobs,
    initialise: Callable[[], None],
    events: Events,
    said: Callable[[Result], str] | None = None,
) -> list[Result]:
    """Do all runs, those already done first; one that fails does not keep the others.

    Args:
        runs: in the order in which they are begun.
        jobs: how many at a time (1: in this process, else each in one of its own), or an executor.
        initialise: called first in each of these processes.
        events: notified of each run, and of all together.
        said: a line about the result of a run that has ended; None: nothing is said of it.

    Returns:
        the results, in the order of the runs.

    Raises:
        CasesFailedError: some runs failed; the others are done.
    """
    ended: dict[str, Result | AutosegError] = {}
    with events.track(TITLE, total=len(runs), unit="runs") as progress:
        overview = Overview(
            progress,
            events,
            runs=len(runs),
            at_once=sum(run.already_done for run in runs),
            side_by_side=executor_of(jobs).tasks,
        )
        with closing(_outcomes(runs, jobs=jobs, initialise=initialise, events_of=overview.events_of)) as outcomes:
            for run, outcome in outcomes:
                ended[run.name] = outcome
                overview.ended(run.name, outcome)
                if said is not None and not isinstance(outcome, AutosegError) and not run.already_done:
                    events.info(said(outcome))
    failures = [(name, outcome) for name, outcome in ended.items() if isinstance(outcome, AutosegError)]
    if failures:
        raise CasesFailedError(failures, done=len(runs) - len(failures))
    return [result for run in runs if not isinstance(result := ended[run.name], AutosegError)]


def _outcomes(
    runs: Sequence[Run[Result]], *, jobs: Jobs, initialise: Callable[[], None], events_of: Callable[[str], Events]
) -> Outcomes[Result]:
    done, others = [run for run in runs if run.already_done], [run for run in runs if not run.already_done]
    yield from here(done, events_of=events_of)
    yield from executor_of(jobs).outcomes(others, initialise=initialise, events_of=events_of)


def left_of_all(under_way: Sequence[float], *, waiting: Sequence[float], side_by_side: int) -> float:
    """Seconds until all of several runs are done, each begun as soon as an earlier one has ended.

    Args:
        under_way: seconds that are left of each run that was begun.
        waiting: seconds that each of the others takes, in their order.
        side_by_side: how many are in work at a time.
    """
    ends = [*under_way, *[0.0] * max(side_by_side - len(under_way), 0 if under_way else 1)]
    heapq.heapify(ends)
    for run_s in waiting:
        heapq.heappush(ends, heapq.heappop(ends) + run_s)
    return max(ends)


class _UnderWay:
    """A run that was begun.

    Args:
        at: when that was, by the overview's clock.
    """

    def __init__(self, at: float) -> None:
        self.began_s = at
        self.fraction = 0.0
        self._ends_s: float | None = None

    def moved(self, fraction: float, left_s: float | None, *, at: float) -> None:
        """Update with what is done of it, and how many seconds are left of it, where that is known."""
        self.fraction = math.floor(fraction * _PARTS) / _PARTS
        if left_s is not None:
            self._ends_s = at + left_s

    def left_s(self, *, at: float) -> float | None:
        """Seconds that are left of it; None: not known."""
        return None if self._ends_s is None else max(self._ends_s - at, 0.0)


class Overview:
    """How far all runs together have come: those that are over, and the part done of those under way.

    Args:
        progress: the bar of all runs.
        events: where those of each run go.
        runs: how many there are.
        at_once: this many first runs are counted in one step: the time left follows from the pace of the others.
        side_by_side: how many are in work at a time.
        now: monotonic clock, in seconds.
    """

    def __init__(
        self,
        progress: Progress,
        events: Events,
        *,
        runs: int,
        at_once: int = 0,
        side_by_side: int = 1,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._events, self._runs, self._at_once = progress, events, runs, at_once
        self._side_by_side, self._now = side_by_side, now
        self._under_way: dict[str, _UnderWay] = {}
        self._taken_s: list[float] = []
        self._shown = 0.0
        self._finished = self._failed = 0

    def events_of(self, name: str) -> Events:
        """Events of one run, which also move the overview."""
        return _RunEvents(name, self._events, moved=partial(self.moved, name))

    def ended(self, name: str, outcome: object) -> None:
        """Count a run as over, and say why it failed if it did."""
        run = self._under_way.pop(name, None)
        if isinstance(outcome, AutosegError):
            self._failed += 1
            self._events.warn(f"{name}: {outcome}")
        else:
            self._finished += 1
            if run is not None and self._over > self._at_once:
                self._taken_s.append(self._now() - run.began_s)
        self._show()

    def moved(self, name: str, fraction: float, left_s: float | None = None) -> None:
        """Update with what is done of a run, and how many seconds are left of it, where that is known."""
        now = self._now()
        self._under_way.setdefault(name, _UnderWay(now)).moved(fraction, left_s, at=now)
        self._show()

    @property
    def _over(self) -> int:
        return self._finished + self._failed

    def _show(self) -> None:
        if self._over < self._at_once:
            return
        done = self._over + math.fsum(run.fraction for run in self._under_way.values())
        failures = {"failed": self._failed} if self._failed else {}
        left_s = self._left_s()
        left = {} if left_s is None else {LEFT: left_s}
        self._progress.advance(done - self._shown, finished=self._finished, **failures, **left)
        self._shown = done

    def _left_s(self) -> float | None:
        """Seconds until everything is done; None: not known yet."""
        now = self._now()
        left = [run.left_s(at=now) for run in self._under_way.values()]
        known = [each for each in left if each is not None]
        if not known and not self._taken_s:
            return None
        whole = [now - run.began_s + each for run in self._under_way.values() if (each := run.left_s(at=now)) is not None]
        waiting = self._runs - self._over - len(known)  # one that has not told yet is taken for a whole one
        one_s = fmean([*self._taken_s, *whole])
        return left_of_all(known, waiting=[one_s] * waiting, side_by_side=self._side_by_side)


class _RunEvents:
    """Events of one of several runs: each says which, and the bar called like the run tells how far it has come."""

    def __init__(self, name: str, events: Events, *, moved: Callable[[float, float | None], None]) -> None:
        self._name, self._events, self._moved = name, events, moved

    def info(self, message: str) -> None:
        """Say something worth knowing about the run."""
        self._events.info(self._named(message))

    def warn(self, message: str) -> None:
        """Say something that may make its result worse than the user thinks."""
        self._events.warn(self._named(message))

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        """Open a bar of the run."""
        with self._events.track(self._named(label), total=total, unit=unit) as progress:
            yield _Counted(progress, total=total, moved=self._moved) if total and label == self._name else progress

    def _named(self, text: str) -> str:
        return text if text.startswith(self._name) else f"{self._name}: {text}"


class _Counted:
    """A bar that also tells which fraction of it is done."""

    def __init__(self, progress: Progress, *, total: float, moved: Callable[[float, float | None], None]) -> None:
        self._progress, self._total, self._moved = progress, total, moved
        self._done = 0.0

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self._progress.advance(steps, **fields)
        self._done += steps
        left = fields.get(LEFT)
        self._moved(min(self._done / self._total, 1.0), None if left is None else float(left))
