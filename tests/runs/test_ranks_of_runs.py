"""Ranks, their devices, and what becomes of their errors."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from oracles import rank_work
from oracles.watched_runs import Recorder

from autoseg.commands.train import TrainOptions
from autoseg.errors import TrainingError, UsageError
from autoseg.events import Silent
from autoseg.jobs.torchrun import Launched
from autoseg.model.compute import Compute
from autoseg.runs import minutes, ranks
from autoseg.runs.preparing import Prepared
from autoseg.runs.ranks import device_of_rank, on_every_device
from autoseg.runs.restarting import LEAVE_OUT, note_restart
from autoseg.runs.run import working_on
from autoseg.runs.session import Session
from autoseg.storage.owner import written
from autoseg.training.ranks import Imagined

MakeSession = Callable[..., Session]


def computes(names: str) -> list[Compute]:
    return [Compute(torch.device(name), bfloat16=False) for name in names.split()]


@pytest.mark.parametrize(
    ("present", "local_rank", "expected"),
    [("cuda:0 cuda:1 cuda:2", 1, "cuda:1"), ("cuda:2 cuda:0", 0, "cuda:2"), ("cpu", 1, "cpu"), ("cpu cpu", 1, "cpu")],
)
def test_each_process_has_the_device_of_its_number_on_its_machine(present: str, local_rank: int, expected: str) -> None:
    rank = Launched(rank=4 + local_rank, size=8, local_rank=local_rank, local_size=2)
    assert str(device_of_rank(computes(present), rank).device) == expected


def test_more_processes_than_gpus_are_refused() -> None:
    rank = Launched(rank=0, size=3, local_rank=0, local_size=3)  # by all of them, though this one would have a GPU
    with pytest.raises(
        UsageError, match=r"more processes than devices; found 3 processes .*cuda:0, cuda:1\. .*--nproc-per-node"
    ):
        device_of_rank(computes("cuda:0 cuda:1"), rank)


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.gate
def test_a_process_for_each_device_and_one_error_where_one_memory_is_full(session: MakeSession) -> None:
    both, events = replace(session(device="cpu,cpu"), choices=TrainOptions()), Recorder()
    said = on_every_device(both, rank_work.say_where, title="it", events=events, started=7.0)
    assert said == [[rank, "cpu", 1, 1, 1, 7.0] for rank in range(2)]
    assert events.notes == ["rank 0 talks"]
    with pytest.raises(TrainingError, match=r"^unet, fold 0: the GPU cpu has too little memory left") as failure:
        on_every_device(both, rank_work.fill_memory, title="it", events=Silent(), started=0.0)
    assert failure.value.exit_code == 8
    with working_on(both, rank_work.TARGET, events=Silent()):  # nobody holds the model any more
        pass


@pytest.mark.parametrize(
    ("given", "runs", "expected"), [(1.0, 1, [3.0]), (None, 1, [50.0]), (1.0, 2, [50.0, 60.0]), (None, 2, [50.0, 60.0])]
)
def test_only_minutes_given_to_a_single_run_count_what_goes_before_the_first_run(
    session: MakeSession, monkeypatch: pytest.MonkeyPatch, given: float | None, runs: int, expected: list[float]
) -> None:
    choices, clock, begun = TrainOptions(device="cpu", minutes=given), SimpleNamespace(now=3.0), list[float]()
    opened = replace(session(), choices=choices)

    def prepared(*_: Any, **__: Any) -> Prepared:
        clock.now = 50.0  # cases were preprocessed
        return Prepared(opened, [rank_work.TARGET] * runs, 1)

    def begin(session: Session, targets: object, *, events: object) -> Session:
        return session

    def work(*_: Any, started: float, **__: Any) -> None:
        begun.append(started)
        clock.now += 10.0

    for module in (minutes, ranks):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(ranks, "joined_ranks", lambda *_, **__: nullcontext(Imagined(2)))
    monkeypatch.setattr(ranks, "_prepare", prepared)
    ranks.as_one_of_ranks(
        choices,
        Launched(rank=0, size=2, local_rank=0, local_size=2),
        begin=begin,
        check=lambda *_: None,
        work=work,
        events=Silent(),
        started=clock.now,
    )
    assert begun == expected


@pytest.mark.parametrize("restart", [False, True])
def test_any_rank_tells_not_to_restart_again_what_the_first_has_restarted(
    session: MakeSession, monkeypatch: pytest.MonkeyPatch, *, restart: bool
) -> None:
    choices = TrainOptions(device="cpu", restart=restart)
    first, second = (replace(session(), choices=choices) for _ in range(2))

    class Second(Imagined):
        """The second of two, where the first says that the command is its own."""

        rank, is_first = 1, False

        def from_first(self, _: object) -> Any:
            return written(first.command).decode()

    def fail(*_: Any, **__: Any) -> None:
        raise TrainingError("diverged", remedy="Again.")

    monkeypatch.setattr(ranks, "joined_ranks", lambda *_, **__: nullcontext(Second(2)))
    monkeypatch.setattr(ranks, "_prepare", lambda *_, **__: Prepared(second, [rank_work.TARGET], 1))
    with pytest.raises(TrainingError) as failed:
        ranks.as_one_of_ranks(
            choices,
            Launched(rank=1, size=2, local_rank=1, local_size=2),
            begin=lambda opened, _, **__: opened,
            check=lambda _, targets: [note_restart(first, target) for target in targets],
            work=fail,
            events=Silent(),
            started=0.0,
        )
    assert failed.value.remedy == (f"Again. {LEAVE_OUT}" if restart else "Again.")
