"""Scans segmented part by part, by processes that may die: whoever dies is found, and the others are segmented."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.data.folders import PassedOver
from autoseg.errors import (
    AutosegError,
    CasesFailedError,
    ImageError,
    MemoryLimitError,
    ProcessEndedError,
    SystemFailureError,
    TrainingError,
)
from autoseg.events import Events
from autoseg.inference.part import Part
from autoseg.inference.scans import FoundScans, Scan
from autoseg.inference.side_by_side import BAR, segment_parts
from autoseg.jobs.work import Outcomes, Run


@dataclass
class InTurn:
    """Does runs one after the other; a run that raises SystemExit is one whose process died."""

    rounds: list[list[str]] = field(default_factory=list)
    is_local: bool = True
    tasks: int = 2

    def workers(self, *, most: int) -> Any:
        raise NotImplementedError

    def outcomes(
        self, runs: Sequence[Run[Any]], *, initialise: Callable[[], None], events_of: Callable[[str], Events]
    ) -> Outcomes[Any]:
        self.rounds.append([run.name for run in runs])
        for run in runs:
            try:
                yield run, run.work(events=events_of(run.name), started=0.0, slot=0)
            except AutosegError as error:
                yield run, error
            except SystemExit:
                yield run, ProcessEndedError("its process was killed", remedy="")


def found(*names: str, bad: Sequence[str] = ()) -> FoundScans:
    failures = tuple((name, ImageError("is no image", remedy="Remove it.")) for name in bad)
    return FoundScans(tuple(Scan(name, (Path(name),)) for name in names), failures, PassedOver(Path()))


class Segment:
    """Segments by noting ids; dies over some scans."""

    def __init__(self, scans: FoundScans, *, deadly: Sequence[str] = (), too_large: Sequence[str] = ()) -> None:
        self.scans, self.deadly, self.too_large = scans, deadly, too_large
        self.done: set[str] = set()

    def __call__(self, part: Part, *, events: Events, started: float, slot: int) -> list[str]:
        mine = self.scans.of(part)
        events.info("using a plan that was edited")
        ids = [scan.id for scan in mine.scans]
        if ids and set(ids) <= set(self.too_large):
            raise MemoryLimitError("too large", remedy="More.")
        failures = [
            *mine.failures,
            *((each, MemoryLimitError("too large", remedy="More.")) for each in ids if each in self.too_large),
        ]
        with events.track(BAR, total=len(ids), unit="scans") as progress:
            for each in ids:
                if each in self.deadly:
                    raise SystemExit
                self.done.add(each)
                progress.advance()
        if failures:
            failed = {name for name, _ in failures}
            raise CasesFailedError(failures, done=0, result=[each for each in ids if each not in failed] or None)
        return ids


NAMES = tuple(f"scan_{number}" for number in range(300))


def segmented(scans: FoundScans, segment: Segment, executor: InTurn, events: Recorder) -> list[list[str]]:
    return segment_parts(scans, segment, executor, initialise=lambda: None, events=events)


def test_every_scan_is_in_one_part_and_what_parts_say_alike_is_said_once() -> None:
    scans, events, executor = found(*NAMES), Recorder(), InTurn()
    results = segmented(scans, Segment(scans), executor, events)
    assert sorted(case for part in results for case in part) == sorted(NAMES)
    assert executor.rounds == [[f"part {number}/8" for number in range(1, 9)]]
    assert events.notes == ["using a plan that was edited"]
    assert events.bars[BAR].done == len(NAMES)


def test_scans_that_processes_die_over_are_found_and_the_others_are_segmented() -> None:
    deadly = ("scan_7", "scan_123")
    scans, events, executor = found(*NAMES, bad=["text"]), Recorder(), InTurn()
    segment = Segment(scans, deadly=deadly)
    with pytest.raises(CasesFailedError) as caught:
        segmented(scans, segment, executor, events)
    failures = dict(caught.value.failures)
    assert sorted(failures) == sorted([*deadly, "text"])
    assert all(isinstance(failures[name], SystemFailureError) for name in deadly)
    assert caught.value.done == len(NAMES) - 2
    assert sorted(name for part in caught.value.result for name in part) == sorted(set(NAMES) - set(deadly))
    assert segment.done == set(NAMES) - set(deadly)
    assert len(executor.rounds) <= 3
    assert all(len({name.partition("/")[2] for name in names}) == 1 for names in executor.rounds)  # one division at a time
    assert events.bars[BAR].done == len(NAMES)


def test_scans_that_are_too_large_fail_alone_and_all_of_them_at_once() -> None:
    scans = found("a", "b", "c", "d")
    with pytest.raises(CasesFailedError) as caught:
        segmented(scans, Segment(scans, too_large=["a", "c"]), InTurn(), Recorder())
    assert [name for name, _ in caught.value.failures] == ["a", "c"]
    assert sorted(name for part in caught.value.result for name in part) == ["b", "d"]
    with pytest.raises(MemoryLimitError):
        segmented(scans, Segment(scans, too_large=["a", "b", "c", "d"]), InTurn(), Recorder())


@pytest.mark.parametrize("failure", [SystemFailureError, TrainingError])
def test_a_failure_of_the_whole_command_ends_it(failure: type[AutosegError]) -> None:
    def refuse(part: Part, *, events: Events, started: float, slot: int) -> list[str]:
        raise failure("the disk is full", remedy="Delete something.")

    with pytest.raises(failure, match="disk"):
        segment_parts(found("a", "b"), refuse, InTurn(), initialise=lambda: None, events=Recorder())
