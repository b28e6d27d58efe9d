"""Work given to a real scheduler of Dask with two workers, which are processes and speak over TCP."""

import math
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from oracles import watched_runs
from oracles.dask_cluster import PATIENCE_S, Cluster, dask_cluster
from oracles.processes import eventually
from oracles.watched_runs import Recorder

from autoseg.errors import AutosegError, ProcessEndedError, SystemFailureError, UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.jobs.cluster.client import ClusterExecutor, on_scheduler
from autoseg.jobs.pool import ordered_map
from autoseg.jobs.work import Run
from autoseg.storage import files

pytestmark = pytest.mark.slow

TESTS = {"PYTHONPATH": os.pathsep.join([str(Path(watched_runs.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
PROCESS_ID = "__import__('os').getpid()"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), environment=TESTS) as found:
        yield found


@pytest.fixture
def executor(cluster: Cluster, tmp_path: Path) -> Iterator[ClusterExecutor]:
    with on_scheduler(cluster.address, jobs=None, folder=tmp_path, write=True, events=Silent()) as found:
        yield found
    assert not cluster.hosted
    assert not list(tmp_path.glob(".autoseg*"))


def results(executor: ClusterExecutor, work: Any, items: list[Any], **more: Any) -> list[Any]:
    with ordered_map(work, items, jobs=executor, **more) as found:
        return list(found)


def outcomes(executor: ClusterExecutor, runs: list[Run[Any]], events: Any = None) -> dict[str, Any]:
    events = events or Recorder()
    ended = executor.outcomes(runs, initialise=watched_runs.prepare, events_of=lambda _: events)
    return {run.name: outcome for run, outcome in ended}


def test_results_have_the_order_of_the_items_and_come_from_processes_of_the_workers(
    executor: ClusterExecutor, cluster: Cluster
) -> None:
    assert results(executor, partial(math.pow, 2), list(range(200))) == [2**number for number in range(200)]
    processes = set(results(executor, eval, [PROCESS_ID] * 20))
    assert 1 <= len(processes) <= 2
    assert not processes & {os.getpid(), *cluster.workers}
    assert results(executor, eval, []) == []


def test_errors_keep_their_fields_and_mistakes_say_where_they_were_made(executor: ClusterExecutor, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError) as caught:
        results(executor, partial(files.read_json, remedy="Make it."), [tmp_path / "a.json", tmp_path / "b.json"])
    assert caught.value.where == str(tmp_path / "a.json")
    with pytest.raises(ZeroDivisionError) as mistake:
        results(executor, eval, ["1", "1 / 0"])
    assert 'File "<string>", line 1' in mistake.value.__notes__[0]


def test_an_item_that_kills_its_process_is_given_up_and_the_others_go_on(executor: ClusterExecutor) -> None:
    items = [*map(str, range(10)), "__import__('signal').raise_signal(9)", *map(str, range(10))]
    found = results(executor, eval, items, on_death=lambda item, error: f"{item}: {error}")
    poisoned = found.pop(10)
    assert found == [*range(10), *range(10)]
    assert "2 processes died that worked on it, the last one so: killed, SIGKILL" in poisoned
    with pytest.raises(SystemFailureError, match="SIGKILL"):
        results(executor, eval, items)


def test_each_run_is_a_process_of_its_own_whose_events_come_home(executor: ClusterExecutor, cluster: Cluster) -> None:
    events = Recorder()
    runs = [
        Run("a", partial(watched_runs.count, "a")),
        Run("bad", watched_runs.refuse),
        Run("dying", partial(watched_runs.die, signal.SIGKILL)),
        *(Run(str(number), watched_runs.report) for number in range(3)),
    ]
    ended = outcomes(executor, runs, events)
    assert ended["a"] == "a"
    assert (events.notes, events.warnings) == (["begun"], ["a: careful"])
    ends = {label: (bar.done, bar.end) for label, bar in events.bars.items()}
    assert ends == {"a": (10, "done"), "scoring": (3, "done"), "refused": (0, "given up"), "dying": (0, "given up")}
    assert isinstance(ended["bad"], WorkspaceError)
    assert ended["bad"].remedy == "Choose another."
    with pytest.raises(ProcessEndedError, match=r"killed \(SIGKILL\)"):
        raise ended["dying"]
    reports = [ended[str(number)] for number in range(3)]
    assert {report["prepared"] for report in reports} == {"yes"}
    assert len({report["process"] for report in reports} | {os.getpid(), *cluster.workers}) == 6


def test_a_bug_is_not_dressed_up_and_stops_the_others(executor: ClusterExecutor, cluster: Cluster, tmp_path: Path) -> None:
    runs = [Run("endless", partial(watched_runs.linger, tmp_path)), Run("bug", partial(watched_runs.stumble, tmp_path))]
    with pytest.raises(RuntimeError, match=r"(?s)bug.*Traceback.*ZeroDivisionError"):
        outcomes(executor, runs)
    assert not cluster.hosted


def test_closing_stops_what_is_running(executor: ClusterExecutor, cluster: Cluster, tmp_path: Path) -> None:
    runs = [Run("short", watched_runs.report), Run("endless", partial(watched_runs.linger, tmp_path))]
    ended = executor.outcomes(runs, initialise=watched_runs.nothing, events_of=lambda _: Recorder())
    assert next(ended)[0].name == "short"
    eventually(lambda: bool(list(tmp_path.glob("*.began"))), patience_s=PATIENCE_S)
    ended.close()
    assert not cluster.hosted
    assert len(list(tmp_path.glob("*.stopped"))) == 1


KILL_WORKER = "__import__('os').kill(__import__('os').getppid(), 9)"


def test_what_a_lost_worker_did_is_done_by_another_and_an_item_that_ends_every_worker_is_given_up(tmp_path: Path) -> None:
    mark = f"__import__('pathlib').Path({str(tmp_path / 'mark')!r})"
    kill_once = f"{mark}.exists() or ({mark}.touch(), {KILL_WORKER}, __import__('time').sleep(60))"
    with (
        dask_cluster(tmp_path, workers=6, environment=TESTS) as cluster,
        on_scheduler(cluster.address, jobs=2, folder=tmp_path, write=True, events=Silent()) as executor,
    ):
        runs = [Run(name, partial(watched_runs.end_the_worker_once, tmp_path / "run")) for name in "ab"]
        assert outcomes(executor, runs) == {"a": "done", "b": "done"}
        assert results(executor, eval, [*map(str, range(5)), kill_once, "7"]) == [*range(5), True, 7]
        assert len(cluster.alive) == 4
        items = [*map(str, range(5)), f"({KILL_WORKER}, __import__('time').sleep(60))", "7"]
        found = results(executor, eval, items, on_death=lambda _, error: str(error))
        assert "2 workers or more were lost" in found.pop(5)
        assert found == [*range(5), 7]
        assert len(cluster.alive) == 2


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "tcp://autoseg.invalid:8786"])
def test_a_wrong_address_is_named_soon(address: str, tmp_path: Path) -> None:
    with pytest.raises(AutosegError, match=r"no scheduler answers|no address of a scheduler") as caught:
        on_scheduler(address, jobs=None, folder=tmp_path, write=True, events=Silent()).__enter__()
    assert address in str(caught.value)
    assert isinstance(caught.value, UsageError if address == "nowhere" else SystemFailureError)
