"""What is given to a scheduler, with one that is pretended."""

import itertools
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.errors import SystemFailureError
from autoseg.jobs.cluster import desk as desks
from autoseg.jobs.cluster.client import ClusterExecutor
from autoseg.jobs.cluster.desk import Desk, Done, Said, Supply
from autoseg.jobs.run_process import Returned
from autoseg.jobs.work import Run


class Client:
    """A connection to a scheduler with one worker."""

    def __init__(self) -> None:
        self.status = "running"

    def subscribe_topic(self, _topic: str, handler: Callable[[Any], None]) -> None:
        self.hear = handler

    def nthreads(self) -> dict[str, int]:
        return {"tcp://a:1": 1}


class Watched(Supply):
    """A supply that counts how often it is looked after."""

    def __init__(self) -> None:
        self.checks = 0

    def check(self) -> None:
        self.checks += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that passes only when told to."""
    found = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(desks.time, "monotonic", lambda: found.now_s)
    return found


def test_workers_are_looked_after_while_a_run_talks(clock: SimpleNamespace) -> None:
    client, supply = Client(), Watched()
    session: Any = SimpleNamespace(id="session")
    desk = Desk(client, session, supply, Recorder())  # type: ignore[arg-type]
    desk._open["run"] = None  # type: ignore[assignment]
    for _ in range(40):
        clock.now_s += 0.25
        client.hear((0.0, ["said", "run", "worker", b""]))
        assert isinstance(desk.hear(), Said)
    assert supply.checks == 10
    client.status = "closed"
    client.hear((0.0, ["said", "run", "worker", b""]))
    clock.now_s += 1.0
    with pytest.raises(SystemFailureError, match="connection to the scheduler is lost"):
        desk.hear()


class Given:
    """A desk whose tasks end at once, in their order."""

    threads = 2

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.keys: list[str] = []
        self._numbers = itertools.count()

    def want(self, tasks: int) -> None:
        self.calls.append(("want", tasks))

    def release(self, tasks: int) -> None:
        self.calls.append(("release", tasks))

    def submit(self, *_: Any, **__: Any) -> str:
        self.keys.append(f"task {next(self._numbers)}")
        return self.keys[-1]

    def hear(self) -> Done:
        return Done(self.keys.pop(0), (pickle.dumps([Returned("done")]), 0))

    def tidied(self) -> nullcontext[None]:
        return nullcontext()


def test_workers_are_given_up_as_fewer_runs_are_left() -> None:
    desk = Given()
    runs = [Run(name, print) for name in "abc"]
    executor = ClusterExecutor(desk, jobs=2)  # type: ignore[arg-type]
    outcomes = list(executor.outcomes(runs, initialise=print, events_of=lambda _: Recorder()))
    assert [(run.name, outcome) for run, outcome in outcomes] == [("a", "done"), ("b", "done"), ("c", "done")]
    assert desk.calls == [("want", 2), ("release", 3), ("release", 2), ("release", 1)]
