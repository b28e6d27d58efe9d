import os
from functools import partial
from typing import Any

import pytest
from oracles import watched_runs
from oracles.watched_runs import Recorder

from autoseg.errors import CasesFailedError
from autoseg.events import LEFT, Events
from autoseg.jobs.series import TITLE, Overview, left_of_all, run_series
from autoseg.jobs.work import Run


def series(runs: list[Run[Any]], *, jobs: int = 1, events: Any = None) -> list[Any]:
    return run_series(runs, jobs=jobs, initialise=watched_runs.nothing, events=events or Recorder())


def counting(name: str, **options: bool) -> Run[str]:
    return Run(name, partial(watched_runs.count, name), **options)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_have_the_order_of_the_runs_and_those_already_done_need_no_process(jobs: int) -> None:
    runs = [Run(name, watched_runs.report, already_done=name == "c") for name in "abc"]
    a, b, c = series(runs, jobs=jobs)
    assert c["process"] == os.getpid()
    assert c["ended"] <= min(a["began"], b["began"])
    assert len({a["process"], b["process"], os.getpid()}) == (1 if jobs == 1 else 3)


def test_every_run_has_a_clock_of_its_own() -> None:
    first, second = series([Run(name, watched_runs.report) for name in "ab"])
    assert second["started"] >= first["ended"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_overview_moves_with_the_runs_and_ends_whole(jobs: int) -> None:
    events = Recorder()
    series([counting("one"), counting("two"), counting("three")], jobs=jobs, events=events)
    overview = events.bars[TITLE]
    assert overview.done == 3
    assert overview.moves == sorted(overview.moves)
    assert overview.fields == {"finished": 3, LEFT: 0.0}
    assert overview.end == "done"
    if jobs == 1:
        assert 0.49 < overview.moves[4] <= 0.5  # the fifth of ten steps


def test_runs_that_are_over_at_once_are_counted_in_one_step() -> None:
    events = Recorder()
    series([Run(name, watched_runs.report, already_done=name != "d") for name in "abcd"], events=events)
    assert events.bars[TITLE].moves == [3, 4]


def test_remarks_and_bars_say_which_run_they_belong_to_once() -> None:
    events = Recorder()
    series([counting("one"), counting("two")], events=events)
    assert events.notes == ["one: begun", "two: begun"]
    assert events.warnings == ["one: careful", "two: careful"]
    assert list(events.bars) == [TITLE, "one", "one: scoring", "two", "two: scoring"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_failure_does_not_keep_the_others(jobs: int) -> None:
    events = Recorder()
    runs = [Run("bad", watched_runs.refuse), Run("worse", watched_runs.refuse, already_done=True), counting("good")]
    with pytest.raises(CasesFailedError) as failed:
        series(runs, jobs=jobs, events=events)
    assert {name for name, _ in failed.value.failures} == {"bad", "worse"}
    assert failed.value.done == 1
    assert [warning.split(":")[0] for warning in events.warnings if "another run" in warning] == ["worse", "bad"]
    assert (events.bars[TITLE].done, events.bars[TITLE].fields) == (3, {"finished": 1, "failed": 2, LEFT: 0.0})


def test_a_bug_ends_the_series() -> None:
    def stumble(*, events: Events, started: float, slot: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        series([Run("bug", stumble), counting("never")])


@pytest.mark.parametrize(
    ("under_way", "waiting", "side_by_side", "expected"),
    [
        ([30.0], [], 1, 30.0),
        ([30.0], [100.0, 100.0], 1, 230.0),
        ([30.0, 80.0], [100.0], 2, 130.0),
        ([30.0], [100.0, 100.0], 2, 130.0),  # one begins at once, the other when the first is over
        ([], [10.0, 20.0, 30.0], 2, 40.0),
        ([], [10.0], 0, 10.0),  # nobody is there yet
        ([], [], 1, 0.0),
    ],
)
def test_runs_are_over_when_the_last_of_them_is(
    under_way: list[float], waiting: list[float], side_by_side: int, expected: float
) -> None:
    assert left_of_all(under_way, waiting=waiting, side_by_side=side_by_side) == expected


def test_the_overview_tells_the_time_that_is_left_of_all_runs() -> None:
    now = [0.0]
    bar = watched_runs.Bar()
    overview = Overview(bar, Recorder(), runs=4, at_once=1, now=lambda: now[0])
    overview.ended("finished earlier", None)
    assert LEFT not in bar.fields
    overview.moved("one", 0.25, 90.0)  # of this one 90 s are left, and two more take as long
    assert bar.fields[LEFT] == 90.0 + 2 * 90.0
    now[0] = 60.0
    overview.moved("one", 0.5, 40.0)  # it will have taken 100 s
    assert bar.fields[LEFT] == 40.0 + 2 * 100.0
    now[0] = 110.0
    overview.ended("one", None)  # it took 110 s
    assert bar.fields[LEFT] == 2 * 110.0
    overview.moved("two", 0.0)  # has not told yet
    assert bar.fields[LEFT] == 2 * 110.0
    now[0] = 120.0
    overview.moved("two", 0.5, 60.0)  # a run takes 90 s on average
    assert bar.fields[LEFT] == 60.0 + 90.0
    now[0] = 200.0
    overview.moved("three", 0.0)  # beside a run that is late
    assert bar.fields[LEFT] == pytest.approx(0.0 + (110.0 + 90.0) / 2)


def test_a_line_is_said_of_each_run_that_has_ended() -> None:
    events = Recorder()
    runs = [counting("one"), Run("two", watched_runs.report, already_done=True), Run("bad", watched_runs.refuse)]
    with pytest.raises(CasesFailedError):
        run_series(runs, jobs=1, initialise=watched_runs.nothing, events=events, said=lambda result: f"{result} is over")
    assert [note for note in events.notes if note.endswith("is over")] == ["one is over"]
