"""Several runs as one piece of work: one after the other or side by side, with one overview of their progress."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import Final

from autoseg.errors import AutosegError, CasesFailedError
from autoseg.events import Events, Progress
from autoseg.jobs.local import executor_of, here
from autoseg.jobs.work import Jobs, Outcomes, Result, Run

TITLE: Final = "all runs"
"""What the overview is called."""
_PARTS: Final = 1024
"""Parts of a run that the overview distinguishes. Source: ours; a power of two, so that floats add them without rounding."""


def run_series(runs: Sequence[Run[Result]], *, jobs: Jobs, initialise: Callable[[], None], events: Events) -> list[Result]:
    """Do all runs, those already done first; one that fails does not keep the others.

    Args:
        runs: in the order in which they are begun.
        jobs: how many at a time (1: in this process, else each in one of its own), or an executor.
        initialise: called first in each of these processes.
        events: notified of each run, and of all together.

    Returns:
        the results, in the order of the runs.

    Raises:
        CasesFailedError: some runs failed; the others are done.
    """
    ended: dict[str, Result | AutosegError] = {}
    with events.track(TITLE, total=len(runs), unit="runs") as progress:
        overview = _Overview(progress, events, at_once=sum(run.already_done for run in runs))
        with closing(_outcomes(runs, jobs=jobs, initialise=initialise, events_of=overview.events_of)) as outcomes:
            for run, outcome in outcomes:
                ended[run.name] = outcome
                overview.ended(run.name, outcome)
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


class _Overview:
    """How far all runs together have come: those that are over, and the part done of those under way.

    Args:
        progress: the bar of all runs.
        events: where those of each run go.
        at_once: this many first runs are counted in one step: the time left follows from the pace of the others.
    """

    def __init__(self, progress: Progress, events: Events, *, at_once: int) -> None:
        self._progress, self._events, self._at_once = progress, events, at_once
        self._fractions: dict[str, float] = {}
        self._shown = 0.0
        self._finished = self._failed = 0

    def events_of(self, name: str) -> Events:
        """Events of one run, which also move the overview."""
        return _RunEvents(name, self._events, moved=partial(self._moved, name))

    def ended(self, name: str, outcome: object) -> None:
        """Count a run as over, and say why it failed if it did."""
        if isinstance(outcome, AutosegError):
            self._failed += 1
            self._events.warn(f"{name}: {outcome}")
        else:
            self._finished += 1
        self._moved(name, 1.0)

    def _moved(self, name: str, fraction: float) -> None:
        self._fractions[name] = math.floor(fraction * _PARTS) / _PARTS
        if len(self._fractions) < self._at_once:
            return
        done = math.fsum(self._fractions.values())
        failures = {"failed": self._failed} if self._failed else {}
        self._progress.advance(done - self._shown, finished=self._finished, **failures)
        self._shown = done


class _RunEvents:
    """Events of one of several runs: each says which, and the bar called like the run tells how far it has come."""

    def __init__(self, name: str, events: Events, *, moved: Callable[[float], None]) -> None:
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

    def __init__(self, progress: Progress, *, total: float, moved: Callable[[float], None]) -> None:
        self._progress, self._total, self._moved = progress, total, moved
        self._done = 0.0

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self._progress.advance(steps, **fields)
        self._done += steps
        self._moved(min(self._done / self._total, 1.0))
