"""Work in this process and in others: equal results, in order, and errors that arrive."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest
from oracles.processes import eventually, is_alive

from autoseg.errors import SystemFailureError, WorkspaceError
from autoseg.jobs import crew
from autoseg.jobs.pool import ordered_map, workers
from autoseg.storage import files

# Other processes cannot import this file, so that the work is made of what they can.
PROCESS_ID = "__import__('os').getpid()"
SLOW_THEN_FAST = ["[__import__('time').sleep(0.3), 0][1]", "1", "2", "3"]


def results(work: Callable[[Any], Any], items: list[Any], *, jobs: int) -> list[Any]:
    with ordered_map(work, items, jobs=jobs) as found:
        return list(found)


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_have_the_order_of_the_items(jobs: int) -> None:
    assert results(eval, SLOW_THEN_FAST, jobs=jobs) == [0, 1, 2, 3]


def test_a_partial_function_works_in_other_processes() -> None:
    assert results(partial(math.pow, 2), [3, 1, 2], jobs=2) == [8, 2, 4]


@pytest.mark.parametrize("jobs", [1, 8])
def test_no_items_give_no_results(jobs: int) -> None:
    assert results(math.sqrt, [], jobs=jobs) == []


def test_one_job_or_one_item_stays_in_this_process() -> None:
    assert results(eval, [PROCESS_ID] * 3, jobs=1) == [os.getpid()] * 3
    assert results(eval, [PROCESS_ID], jobs=8) == [os.getpid()]


def test_two_jobs_use_other_processes() -> None:
    assert os.getpid() not in results(eval, [PROCESS_ID] * 3, jobs=2)


def test_one_job_works_only_when_asked_for_the_next_result() -> None:
    done = []
    with ordered_map(done.append, [1, 2, 3], jobs=1) as found:
        next(iter(found))
        assert done == [1]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_mistake_in_the_work_arrives(jobs: int) -> None:
    with pytest.raises(ValueError, match=r"math domain|nonnegative"):
        results(math.sqrt, [1, -1], jobs=jobs)


def test_an_error_keeps_its_fields_between_processes(tmp_path: Path) -> None:
    missing = [tmp_path / "a.json", tmp_path / "b.json"]
    with pytest.raises(WorkspaceError) as caught:
        results(partial(files.read_json, remedy="Make it."), missing, jobs=2)
    assert caught.value.where == str(missing[0])
    assert caught.value.remedy == "Make it."


def test_an_item_that_kills_every_process_is_a_failure_of_the_system_and_never_hangs() -> None:
    with pytest.raises(SystemFailureError, match=r"2 processes died.*SIGKILL"):
        results(signal.raise_signal, [signal.SIGKILL] * 2, jobs=2)


def test_an_item_that_kills_every_process_is_replaced_where_something_stands_for_it_and_the_others_go_on() -> None:
    def lost(number: int, error: SystemFailureError) -> Any:
        return f"{number}: {error}"

    items = ["1", "__import__('signal').raise_signal(9)", "2", "3"]
    with ordered_map(eval, items, jobs=2, on_death=lost) as found:
        one, replaced, *rest = found
    assert (one, rest) == (1, [2, 3])
    assert replaced.startswith(items[1])
    assert "2 processes died that worked on it, the last one so: killed, SIGKILL" in replaced


def test_an_item_is_tried_again_where_a_process_died_over_it(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    first_dies = f"__import__('pathlib').Path({str(mark)!r})"
    first_dies = f"{first_dies}.exists() or ({first_dies}.touch(), __import__('os')._exit(9))"
    assert results(eval, [first_dies, "1", "2"], jobs=2) == [True, 1, 2]


def test_a_process_killed_while_it_is_idle_is_replaced() -> None:
    with workers(2, most=9) as apply:
        for process in set(apply(eval, [PROCESS_ID] * 9)):
            os.kill(process, signal.SIGKILL)
        assert list(apply(math.sqrt, [4, 9, 16])) == [2, 3, 4]


def test_what_waits_for_a_slow_item_is_bounded(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.touch()
    quick = f"open({str(done)!r}, 'a').write('x')"
    look = f"__import__('pathlib').Path({str(done)!r}).stat().st_size"
    begun_meanwhile = (
        f"[0 for _ in iter(lambda: {look} >= {2 * crew._AHEAD - 1}, True) if __import__('time').sleep(0.02)]"
        f" or __import__('time').sleep(0.5) or {look}"
    )
    with ordered_map(eval, [begun_meanwhile, *[quick] * 100], jobs=2) as found:
        first, *others = found
    assert first == 2 * crew._AHEAD - 1
    assert others == [1] * 100


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_while_another_starts_never_hangs(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    start, started = SpawnProcess.start, list[SpawnProcess]()

    def start_slowly(process: SpawnProcess) -> None:
        if moment == "after":
            start(process)
        if started:
            started[0].kill()
            started[0].join()
            time.sleep(0.5)  # the pool sees the first one's end, and does not know of this one yet
        if moment == "before":
            start(process)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start_slowly)
    with pytest.raises(SystemFailureError, match="died"):
        results(eval, SLOW_THEN_FAST, jobs=2)
    assert all(process.exitcode is not None for process in started)


PATIENCE_S = 60.0

POOL = """
import sys
from autoseg.jobs.interruption import Interruption
from autoseg.jobs.pool import ordered_map, workers
from pathlib import Path

if __name__ == "__main__":
    work = "__import__('pathlib').Path({!r}, str(__import__('os').getpid())).touch()\\n".format(sys.argv[1])
    work += "while True: __import__('time').sleep(0.05)"
    with Interruption().heard(), ordered_map(exec, [work, work], jobs=2) as results:
        list(results)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=str)
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, stop: signal.Signals) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "began"
    script.write_text(POOL)
    folder.mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(script), str(folder)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    eventually(lambda: len(list(folder.iterdir())) == 2, patience_s=PATIENCE_S)
    if stop in {signal.SIGINT, signal.SIGHUP}:  # they reach all processes of a terminal
        os.killpg(parent.pid, stop)
    else:
        parent.send_signal(stop)
    _, errors = parent.communicate(timeout=PATIENCE_S)
    assert errors.count("Traceback") == (stop != signal.SIGKILL)  # the parent's own
    eventually(lambda: not any(is_alive(int(path.name)) for path in folder.iterdir()), patience_s=PATIENCE_S)


def test_processes_do_several_rounds_of_work() -> None:
    with workers(2, most=9) as apply:
        first, second = list(apply(eval, [PROCESS_ID] * 4)), list(apply(math.sqrt, [4, 9, 16]))
    assert second == [2, 3, 4]
    assert os.getpid() not in first


def test_results_larger_than_a_pipe_arrive() -> None:
    assert [len(text) for text in results(eval, ["'x' * 3_000_000"] * 3, jobs=2)] == [3_000_000] * 3


def test_a_mistake_in_another_process_says_where_it_was_made() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        results(eval, ["1 / 0"] * 2, jobs=2)
    (note,) = caught.value.__notes__
    assert "In a process of its own" in note
    assert 'File "<string>", line 1' in note


def test_errors_of_files_are_those_of_the_work(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        results(os.stat, [tmp_path / "a", tmp_path / "b"], jobs=2)
