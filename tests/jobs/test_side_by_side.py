import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from oracles import watched_runs
from oracles.processes import eventually, is_alive
from oracles.watched_runs import Recorder

from autoseg.errors import AutosegError, ProcessEndedError, WorkspaceError
from autoseg.jobs.side_by_side import side_by_side
from autoseg.jobs.work import Run

PATIENCE_S = 300.0


def outcomes(
    runs: list[Run[Any]], *, jobs: int = 2, initialise: Callable[[], None] = watched_runs.nothing, events: Any = None
) -> dict[str, Any]:
    events = events or Recorder()
    ended = side_by_side(runs, jobs=jobs, initialise=initialise, events_of=lambda _: events)
    return {run.name: outcome for run, outcome in ended}


def processes(folder: Path, mark: str) -> set[int]:
    return {int(path.stem) for path in folder.glob(f"*.{mark}")}


def test_each_run_has_a_process_that_is_prepared_first_and_not_more_run_than_asked() -> None:
    runs = [Run(str(number), watched_runs.report) for number in range(3)]
    before = time.monotonic()
    reports = outcomes(runs, initialise=watched_runs.prepare)
    assert len({report["process"] for report in reports.values()} | {os.getpid()}) == 4
    assert {report["prepared"] for report in reports.values()} == {"yes"}
    third = reports["2"]
    assert third["began"] >= min(reports["0"]["ended"], reports["1"]["ended"])
    for report in reports.values():  # the clock of a run starts with its process
        assert before <= report["started"] <= report["began"]
    assert third["started"] >= min(reports["0"]["ended"], reports["1"]["ended"])


def test_events_arrive_where_the_runs_are_watched() -> None:
    events = Recorder()
    assert outcomes([Run("a", partial(watched_runs.count, "a"))], events=events) == {"a": "a"}
    assert (events.notes, events.warnings) == (["begun"], ["a: careful"])
    assert {label: (bar.done, bar.end) for label, bar in events.bars.items()} == {"a": (10, "done"), "scoring": (3, "done")}
    assert events.bars["a"].fields == {"loss": 9.0}


def test_progress_that_nobody_collects_is_merged_and_never_waited_for(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    class Asleep(Recorder):
        def info(self, message: str) -> None:
            eventually(mark.exists, patience_s=PATIENCE_S)  # nothing is received until the run has said everything
            super().info(message)

    events = Asleep()
    assert outcomes([Run("a", partial(watched_runs.chatter, mark))], events=events) == {"a": "said"}
    assert [note.split()[1] for note in events.notes] == [str(number) for number in range(2000)]
    assert events.bars["talk"].done == 100_000
    assert len(events.bars["talk"].moves) < 100


def test_a_failure_arrives_whole_and_leaves_the_others_alone() -> None:
    events = Recorder()
    ended = outcomes([Run("bad", watched_runs.refuse), Run("good", watched_runs.report)], events=events)
    error = ended["bad"]
    assert isinstance(error, WorkspaceError)
    assert error.message == "models: is another run's; expected one; found two"
    assert error.remedy == "Choose another."
    assert events.bars["refused"].end == "given up"
    assert ended["good"]["process"]


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (partial(watched_runs.die, signal.SIGKILL), "killed \\(SIGKILL\\).*memory.*--jobs"),
        (partial(watched_runs.die, signal.SIGTERM), "told to stop"),
        (watched_runs.collect, "told to stop"),
        (watched_runs.exit_early, "exit code 3.*__main__"),
    ],
    ids=["killed", "stopped", "stopped while collecting garbage", "exited"],
)
def test_a_process_that_dies_is_a_failure_of_its_run_alone(work: Any, words: str) -> None:
    events = Recorder()
    ended = outcomes([Run("bad", work), Run("good", watched_runs.report)], events=events)
    with pytest.raises(ProcessEndedError, match=words):
        raise ended["bad"]
    begun = {} if work is watched_runs.collect else {"dying": "given up"}
    assert {label: bar.end for label, bar in events.bars.items()} == begun
    assert not isinstance(ended["good"], AutosegError)


def test_a_run_gives_its_slot_back_however_it_ends(tmp_path: Path) -> None:
    gate, elsewhere = tmp_path / "gate", tmp_path / "open"
    runs = [
        Run("long", partial(watched_runs.tell_slot, gate, waits=True)),
        Run("returns", partial(watched_runs.tell_slot, elsewhere, waits=False)),
        Run("killed", partial(watched_runs.die, signal.SIGKILL)),
        Run("refuses", watched_runs.refuse),
        Run("last", partial(watched_runs.tell_slot, gate, waits=False)),
    ]
    ended = outcomes(runs, jobs=2)
    assert isinstance(ended["killed"], ProcessEndedError)
    assert isinstance(ended["refuses"], WorkspaceError)
    assert {name: ended[name] for name in ("long", "returns", "last")} == {"long": 0, "returns": 1, "last": 1}


def test_runs_take_place_at_the_same_time_each_in_a_slot_of_its_own(tmp_path: Path) -> None:
    gates = [tmp_path / str(number) for number in range(3)]
    waiting = [Run(str(number), partial(watched_runs.tell_slot, gates[number], waits=True)) for number in range(2)]
    opening = [Run(gate.name, partial(watched_runs.tell_slot, gate, waits=False)) for gate in gates[2:]]
    ended = side_by_side([*waiting, *opening], jobs=3, initialise=watched_runs.nothing, events_of=lambda _: Recorder())
    found = [next(ended)]
    for gate in reversed(gates[:2]):
        gate.touch()
        found.append(next(ended))
    assert [(run.name, slot) for run, slot in found] == [("2", 2), ("1", 1), ("0", 0)]
    assert list(ended) == []


def test_a_bug_is_not_dressed_up_and_stops_the_others(tmp_path: Path) -> None:
    runs = [Run("endless", partial(watched_runs.linger, tmp_path)), Run("bug", partial(watched_runs.stumble, tmp_path))]
    with pytest.raises(RuntimeError, match=r"(?s)bug.*Traceback.*ZeroDivisionError"):
        outcomes(runs)
    (process,) = processes(tmp_path, "began")
    assert not is_alive(process)


def test_closing_stops_what_is_running(tmp_path: Path) -> None:
    runs = [Run("short", watched_runs.report), Run("endless", partial(watched_runs.linger, tmp_path))]
    ended = side_by_side(runs, jobs=2, initialise=watched_runs.nothing, events_of=lambda _: Recorder())
    assert next(ended)[0].name == "short"
    eventually(lambda: bool(processes(tmp_path, "began")), patience_s=PATIENCE_S)
    ended.close()
    assert processes(tmp_path, "stopped") == processes(tmp_path, "began")
    assert not any(map(is_alive, processes(tmp_path, "began")))


def start_two(folder: Path, *more: str) -> "subprocess.Popen[str]":
    """A process with two others that wait for ever."""
    parent = subprocess.Popen(
        [sys.executable, watched_runs.__file__, str(folder), *more],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(watched_runs.__file__).parents[1]), *sys.path])},
    )  # fmt: skip
    eventually(lambda: len(processes(folder, "began")) == 2, patience_s=PATIENCE_S)
    return parent


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_who_is_asked_to_end_asks_the_processes_it_has_started(tmp_path: Path, stop: signal.Signals) -> None:
    parent = start_two(tmp_path)
    if stop == signal.SIGTERM:
        parent.send_signal(stop)
    else:  # they reach all processes of a terminal
        os.killpg(parent.pid, stop)
    _, errors = parent.communicate(timeout=PATIENCE_S)
    assert errors.count("Traceback") == 1  # the parent's own
    assert not any(map(is_alive, processes(tmp_path, "began")))
    assert processes(tmp_path, "stopped") == processes(tmp_path, "began")


@pytest.mark.parametrize("portable", [False, True])
def test_no_process_outlives_one_that_was_killed_whatever_it_is_doing(tmp_path: Path, *, portable: bool) -> None:
    parent = start_two(tmp_path, "deaf", *(["portable"] if portable else []))
    parent.kill()
    _, errors = parent.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in errors
    eventually(lambda: not any(map(is_alive, processes(tmp_path, "began"))), patience_s=PATIENCE_S)
    assert not processes(tmp_path, "stopped")
