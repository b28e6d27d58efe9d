"""The scans of one command segmented part by part, each part by a process of its own, here or on a cluster.

A part whose process dies is divided further, and so on, until it is known which scan it dies over: the others are segmented.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, TypeVar

from autoseg.errors import AutosegError, CasesFailedError, MemoryLimitError, ProcessEndedError, SystemFailureError
from autoseg.events import Events, Progress
from autoseg.inference.part import BAR, MOST_PARTS, Part
from autoseg.inference.scans import FoundScans
from autoseg.jobs.work import Executor, Run

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

_PARTS_AT_A_TIME: Final = 4
"""Parts per process: Source: ours; a part costs the start of a process, and parts of unequal size are shared out better."""
_FINER: Final = 16
"""How much finer a part is divided whose process died. Source: ours; a scan among 4,000 is found by three divisions."""


class SegmentPart(Protocol[Result_co]):
    """Segments the scans of a part; other processes can import it."""

    def __call__(self, part: Part, *, events: Events, started: float, slot: int) -> Result_co:
        """Do it."""


def segment_parts(
    found: FoundScans, segment: SegmentPart[Result], executor: Executor, *, initialise: Callable[[], None], events: Events
) -> list[Result]:
    """Have an executor segment scans, part by part.

    Args:
        found: the scans.
        segment: segments a part.
        executor: does that.
        initialise: called first in each process.
        events: notified of everything once, however many parts say it.

    Returns:
        what came of the parts, in their order.

    Raises:
        CasesFailedError: some scans could not be segmented; the others are written, and its `result` is what came of them,
            as given back otherwise.
        MemoryLimitError: none of the scans can be segmented within the memory that is allowed.
    """
    results: dict[Part, Result] = {}
    failures: list[tuple[str, AutosegError]] = []
    parts = divided(found, Part(), count=min(MOST_PARTS, max(1, len(found.scans)), _PARTS_AT_A_TIME * executor.tasks))
    with events.track(BAR, total=len(found.scans), unit="scans") as progress:
        told = _Told(events, progress, left=len(found.scans))
        while parts:
            died = list[Part]()  # parts in work at a time are of one division: a folder of results takes no other beside it
            for part, outcome in _outcomes(parts, segment, executor, initialise=initialise, events=told):
                match outcome:
                    case ProcessEndedError():
                        died.append(part)
                    case CasesFailedError():
                        failures += outcome.failures
                        if outcome.result is not None:
                            results[part] = outcome.result
                    case MemoryLimitError():
                        failures += [(scan.id, outcome) for scan in found.of(part).scans]
                    case AutosegError():
                        raise outcome
                    case _:
                        results[part] = outcome
            parts, given_up = _finer(found, died)
            failures += given_up
    made = [results[part] for part in sorted(results, key=lambda part: (part.count, part.number))]
    _raise_failures(failures, found, made)
    return made


def divided(found: FoundScans, part: Part, *, count: int) -> list[Part]:
    """The parts of a part, so many times as fine, that hold scans, or files that are none."""
    parts = [Part(part.number + part.count * step, part.count * count) for step in range(count)]
    return [each for each in parts if (mine := found.of(each)).scans or mine.failures]


def _finer(found: FoundScans, died: Sequence[Part]) -> tuple[list[Part], list[tuple[str, AutosegError]]]:
    """Smaller parts instead of those whose processes died, and the scans that are known to be why."""
    parts, given_up = list[Part](), list[tuple[str, AutosegError]]()
    for part in died:
        scans = found.of(part).scans
        if len(scans) > 1 and part.count * _FINER <= MOST_PARTS:
            parts += divided(found, part, count=_FINER)
        else:
            given_up += [(scan.id, _death()) for scan in scans]
    return parts, given_up


def _death() -> SystemFailureError:
    return SystemFailureError(
        "the process that segments it dies",
        remedy="It may need more memory than there is: allow less with --memory, give workers more, or leave it out.",
    )


def _outcomes(
    parts: Sequence[Part],
    segment: SegmentPart[Result],
    executor: Executor,
    *,
    initialise: Callable[[], None],
    events: Events,
) -> Iterator[tuple[Part, Result | AutosegError]]:
    runs = {f"part {part}": Run(f"part {part}", partial(segment, part)) for part in parts}
    named = dict(zip(runs, parts, strict=True))
    for run, outcome in executor.outcomes(list(runs.values()), initialise=initialise, events_of=lambda _: events):
        yield named[run.name], outcome


def _raise_failures(failures: Sequence[tuple[str, AutosegError]], found: FoundScans, made: Sequence[object]) -> None:
    if not failures:
        return
    refused = [error for _, error in failures if isinstance(error, MemoryLimitError)]
    if len(refused) == len(failures) == len(found.scans):
        raise refused[0]
    done = len(found.scans) + len(found.failures) - len(failures)
    raise CasesFailedError(sorted(failures, key=lambda failure: failure[0]), done=done, result=made or None)


@dataclass
class _Told:
    """Events of all parts: what several of them say is said once, and their bars are one."""

    events: Events
    progress: Progress
    left: int
    said: set[tuple[bool, str]] = field(default_factory=set)

    def info(self, message: str) -> None:
        """Say something worth knowing, once."""
        self._say(self.events.info, (False, message))

    def warn(self, message: str) -> None:
        """Say something that may make results worse than the user thinks, once."""
        self._say(self.events.warn, (True, message))

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        """Move the bar of all scans with that of a part."""
        if label == BAR:
            yield self
            return
        with self.events.track(label, total=total, unit=unit) as progress:
            yield progress

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        """Move on, as far as there are scans."""
        steps = min(steps, self.left)
        self.left -= int(steps)
        self.progress.advance(steps, **fields)

    def _say(self, say: Callable[[str], None], what: tuple[bool, str]) -> None:
        if what not in self.said:
            self.said.add(what)
            say(what[1])
