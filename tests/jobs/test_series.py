import os
from functools import partial
from typing import Any

import pytest
from oracles import watched_runs
from oracles.watched_runs import Recorder

from autoseg.errors import CasesFailedError
from autoseg.events import Events
from autoseg.jobs.series import TITLE, run_series
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
    assert overview.fields == {"finished": 3}
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
    assert (events.bars[TITLE].done, events.bars[TITLE].fields) == (3, {"finished": 1, "failed": 2})


def test_a_bug_ends_the_series() -> None:
    def stumble(*, events: Events, started: float, slot: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        series([Run("bug", stumble), counting("never")])
