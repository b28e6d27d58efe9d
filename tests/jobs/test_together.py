"""Processes that need one another, without any training in them."""

import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from oracles import parts_of_work, watched_runs
from oracles.watched_runs import Recorder

from autoseg.errors import InterruptedRunError, LostRankError, ProcessEndedError, WorkspaceError
from autoseg.events import Events, Silent
from autoseg.jobs.together import together
from autoseg.jobs.work import Run


def done(*parts: Callable[..., Any], events: Events | None = None) -> Any:
    runs = [Run(f"part {number}", part) for number, part in enumerate(parts)]
    return together(runs, initialise=watched_runs.nothing, events=events or Silent())


def test_the_first_talks_and_its_result_is_given() -> None:
    events = Recorder()
    parts = [partial(parts_of_work.say, name) for name in "abc"]
    assert done(*parts, events=events) == ("a", 0)
    assert events.notes == ["a is at work"]


@pytest.mark.parametrize("bad", [0, 1])
def test_where_one_fails_all_end_with_its_error(tmp_path: Path, bad: int) -> None:
    parts: list[Callable[..., Any]] = [partial(parts_of_work.wait, tmp_path / str(number)) for number in range(3)]
    parts[bad] = partial(parts_of_work.refuse_when_there, [tmp_path / str(number) for number in range(3) if number != bad])
    with pytest.raises(WorkspaceError, match=r"somewhere: not this one"):
        done(*parts)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"was asked to end"}


def test_who_was_lost_says_why_even_when_the_loss_is_told_first(tmp_path: Path) -> None:
    mark = tmp_path / "lost"
    with pytest.raises(ProcessEndedError, match=r"part 1: its process was killed \(SIGKILL\)"):
        done(partial(parts_of_work.lose_another, mark), partial(parts_of_work.die_when_there, mark, signal.SIGKILL))


def test_where_nobody_says_why_the_loss_itself_is_the_error() -> None:
    with pytest.raises(LostRankError, match="another process of this training has ended"):
        done(parts_of_work.lose, parts_of_work.lose)


def test_an_error_of_a_part_says_which_part_it_was() -> None:
    with pytest.raises(ProcessEndedError, match=r"^part 1: its process was told to stop"):
        done(parts_of_work.lose, partial(parts_of_work.end, InterruptedRunError.exit_code))
