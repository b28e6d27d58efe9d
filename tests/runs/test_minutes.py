"""When the clock of a run starts, and what becomes of minutes that preprocessing takes; no scan is read here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from oracles import rank_work
from oracles.watched_runs import Recorder

from autoseg.commands.train import TrainOptions
from autoseg.errors import UsageError, WorkspaceError
from autoseg.runs import minutes
from autoseg.runs.minutes import clock_start, counts_preprocessing, preprocess_missing
from autoseg.runs.session import Session

MakeSession = Callable[..., Session]
TARGET = rank_work.TARGET
TOOK_S = 360.0
"""What preprocessing takes in these tests."""


@dataclass
class State:
    """As much of a run's state as says how much time it has left."""

    elapsed_s: float
    finished: bool = False
    stretch: Any = field(default_factory=lambda: SimpleNamespace(after_s=0.0))


@pytest.fixture
def preprocess(session: MakeSession, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Preprocesses cases, and gives the warnings."""

    def run(*, made: int = 3, runs: int = 1, state: Any = None, here: bool = True, **chosen: Any) -> list[str]:
        plan: Any = SimpleNamespace()
        opened = replace(session(), choices=TrainOptions(**chosen), plan=plan)

        def earlier(*_: Any) -> Any:
            if isinstance(state, Exception):
                raise state
            return state

        monkeypatch.setattr(minutes, "fill_store", lambda *_, **__: made)
        monkeypatch.setattr(minutes, "earlier_state", earlier)
        events, clock = Recorder(), iter([100.0, 100.0 + TOOK_S])
        opened = opened if here else replace(opened, computes=())
        preprocess_missing(opened, [TARGET] * runs, readers=1, events=events, now=lambda: next(clock))
        return events.warnings

    return run


@pytest.mark.parametrize(
    ("chosen", "runs", "here", "counts"),
    [
        ({"minutes": 60.0}, 1, True, True),
        ({"minutes": 60.0, "epochs": 12}, 1, True, True),
        ({}, 1, True, False),
        ({"epochs": 12}, 1, True, False),
        ({"minutes": 60.0}, 2, True, False),
        ({"minutes": 60.0}, 1, False, False),
    ],
)
def test_only_minutes_that_the_user_gave_a_single_run_count_from_the_start_of_the_command(
    session: MakeSession, chosen: dict[str, Any], runs: int, *, here: bool, counts: bool
) -> None:
    opened = replace(session(), choices=TrainOptions(**chosen))
    opened = opened if here else replace(opened, computes=())
    assert counts_preprocessing(opened, [TARGET] * runs) == counts
    assert (clock_start(opened, [TARGET] * runs, command=-1e9) == -1e9) == counts


def test_a_little_of_the_minutes_is_not_worth_a_word(preprocess: Callable[..., list[str]]) -> None:
    assert preprocess(minutes=60.0) == []


def test_more_than_a_tenth_is_warned_of(preprocess: Callable[..., list[str]]) -> None:
    (said,) = preprocess(minutes=59.0)
    assert said.startswith("unet, fold 0: preprocessing took 6 min, and the run had 59 min from the start of the command; ")
    assert "`autoseg preprocess` beforehand" in said
    assert len(preprocess(minutes=12.0)) == 1


@pytest.mark.parametrize("given", [11.9, 5.0])
def test_a_run_of_which_less_than_half_is_left_is_not_begun(preprocess: Callable[..., list[str]], given: float) -> None:
    with pytest.raises(UsageError, match=rf"--minutes: .* took 6 min, and the run had {given:g} min .*same command now has"):
        preprocess(minutes=given)


def test_once_its_cases_are_preprocessed_any_run_begins(preprocess: Callable[..., list[str]]) -> None:
    assert preprocess(minutes=5.0, made=0) == []


@pytest.mark.parametrize("chosen", [{"runs": 2}, {"here": False}, {"minutes": None}])
def test_clocks_that_start_later_lose_nothing(preprocess: Callable[..., list[str]], chosen: dict[str, Any]) -> None:
    assert preprocess(**{"minutes": 5.0, **chosen}) == []


def test_of_a_run_that_goes_on_what_it_has_left_counts(preprocess: Callable[..., list[str]]) -> None:
    assert preprocess(minutes=61.0, state=State(60.0)) == []
    assert len(preprocess(minutes=61.0, state=State(30 * 60.0))) == 1
    with pytest.raises(UsageError, match="had 11 min"):
        preprocess(minutes=61.0, state=State(50 * 60.0))
    further = State(3 * 3600.0, stretch=SimpleNamespace(after_s=3 * 3600.0 - 60.0))
    assert preprocess(minutes=61.0, state=further) == []


@pytest.mark.parametrize("state", [State(60.0, finished=True), WorkspaceError("begun differently", remedy="Restart.")])
def test_a_run_that_trains_nothing_loses_nothing(preprocess: Callable[..., list[str]], state: object) -> None:
    assert preprocess(minutes=5.0, state=state) == []


def test_a_run_that_is_restarted_has_all_its_minutes(preprocess: Callable[..., list[str]]) -> None:
    assert preprocess(minutes=60.0, state=State(58 * 60.0), restart=True) == []
    with pytest.raises(UsageError):
        preprocess(minutes=5.0, state=State(60.0, finished=True), restart=True)
