"""Storing beside a run that goes on: the same files, one epoch after the other, and no error that nobody hears of."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch

from autoseg.errors import SystemFailureError
from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.training.checkpoint import read_checkpoint
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import EpochLog, EpochRecord
from autoseg.training.learner import Learner
from autoseg.training.loop import train
from autoseg.training.storing import Storing

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


def test_epochs_are_stored_one_after_the_other_beside_what_goes_on() -> None:
    stored: list[int] = []
    go_on, here = threading.Event(), threading.current_thread()

    def store(number: int) -> None:
        assert threading.current_thread() is not here
        go_on.wait(10)
        stored.append(number)

    with closing(Storing(beside=True)) as storing:
        storing.begin(lambda: store(1))
        assert stored == []  # and this is not waited for
        go_on.set()
        storing.begin(lambda: store(2))
        assert stored[0] == 1
        storing.end()
        assert stored == [1, 2]


def test_what_goes_wrong_is_raised_by_the_next_one_or_at_the_end() -> None:
    for ask in ("begin", "end"):
        with closing(Storing(beside=True)) as storing:
            storing.begin(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
            with pytest.raises(ZeroDivisionError):
                storing.begin(lambda: None) if ask == "begin" else storing.end()
            storing.end()  # only once


def test_what_is_stored_does_not_change_with_the_network(make_plan: MakePlan) -> None:
    learner = Learner(make_plan(), architecture="unet", compute=CPU)
    with closing(Storing(beside=True)) as storing, closing(Storing(beside=False)) as at_once:
        copied = storing.of(learner.network).state_dict()
        assert at_once.of(learner.network) is learner.network
        name = next(iter(copied))
        before = copied[name].clone()
        with torch.no_grad():
            next(learner.network.parameters()).add_(1.0)
        assert torch.equal(copied[name], before)
        assert not torch.equal(learner.network.state_dict()[name], before)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretends that the device has a memory of its own, beside which one may store."""
    monkeypatch.setattr(Compute, "free_bytes", lambda _: 10**9)


def run(plan: Plan, fold: FoldData, folder: Path, *, stop_after: int | None = None) -> None:
    def on_epoch(epochs: "list[EpochRecord] | object") -> None:
        if len(epochs) == stop_after:  # type: ignore[arg-type]
            raise KeyboardInterrupt

    config = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32", "epochs": 4})
    train(plan, config, fold, context=RunContext(folder, CPU, 0, Silent(), on_epoch=on_epoch))


@pytest.mark.usefixtures("beside")
def test_a_run_beside_which_is_stored_is_the_same_and_resumes_from_every_epoch(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for epochs in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            run(make_plan(), fold, parts, stop_after=epochs)
        checkpoint = read_checkpoint(parts)
        assert checkpoint is not None
        assert (len(checkpoint.state.epochs), checkpoint.state.steps_taken) == (epochs, 3 * epochs)
    run(make_plan(), fold, parts)
    monkeypatch.setattr(Compute, "free_bytes", lambda _: None)
    run(make_plan(), fold, whole)
    one, other = (load_bundle(folder).network.state_dict() for folder in (parts, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len((parts / "steps.csv").read_text(encoding="utf-8").splitlines()) == 13


@pytest.mark.usefixtures("beside")
def test_a_full_disk_ends_a_run_beside_which_is_stored(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise SystemFailureError("no space left", where=tmp_path, remedy="Make some.")

    monkeypatch.setattr(EpochLog, "append", full)
    with pytest.raises(SystemFailureError, match="no space left"):
        run(make_plan(), fold, tmp_path)
