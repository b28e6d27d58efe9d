"""A run that starts from the weights of another model: what it begins with, how it goes on, and what is recorded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from autoseg.errors import WorkspaceError
from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.description import Origin
from autoseg.planning.plan import Plan
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import EpochRecord, read_steps
from autoseg.training.loop import train
from autoseg.training.run_state import RunState, read_state
from autoseg.training.start import Start

MakePlan = Callable[..., Plan]
SCANS = ("a" * 64, "b" * 64)


def config(**choices: Any) -> TrainConfig:
    return TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | choices)


def run(
    plan: Plan, fold: FoldData, folder: Path, *, start: Start | None = None, on_epoch: Any = None, **choices: Any
) -> RunState:
    context = RunContext(folder, Compute(torch.device("cpu"), bfloat16=False), 0, Silent())
    if on_epoch is not None:
        context = replace(context, on_epoch=on_epoch)
    started_from = None if start is None else start.origin.weights_sha256
    return train(plan, config(started_from=started_from, **choices), fold, context=context, start=start)


def start_from(folder: Path, *, rate_factor: float = 1.0, **recorded: Any) -> Start:
    bundle = load_bundle(folder)
    origin = Origin.model_validate(
        {
            "weights_sha256": bundle.document.weights_sha256,
            "name": "unet, fold 0 of discs",
            "epochs": bundle.document.provenance.epochs,
            "minutes": bundle.document.provenance.minutes,
            "classes_kept": True,
            "channels_kept": True,
            "learnt_from": bundle.document.provenance.learnt_from,
        }
        | recorded
    )
    return Start(bundle.network.state_dict(), origin, rate_factor)


@pytest.fixture
def begun(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> Path:
    """A model that was trained for a while."""
    run(make_plan(), replace(fold, scans=SCANS), tmp_path / "origin", epochs=8)
    return tmp_path / "origin"


def test_a_run_starts_where_its_origin_ended_and_says_so(
    make_plan: MakePlan, fold: FoldData, begun: Path, tmp_path: Path
) -> None:
    start = start_from(begun, rate_factor=1e-6)
    state = run(make_plan(), replace(fold, scans=("c" * 64,)), tmp_path / "run", start=start, epochs=1)
    earlier, provenance = read_state(begun), load_bundle(tmp_path / "run").document.provenance
    assert earlier is not None
    # So low a rate moves no weight; batch normalisation goes on counting.
    assert state.epochs[0].training_loss < 1.2 * earlier.epochs[-1].training_loss < earlier.epochs[0].training_loss
    assert provenance.origin == state.origin == start.origin
    assert provenance.learnt_from == ("a" * 64, "b" * 64, "c" * 64)
    assert (state.config.started_from, state.rate_factor) == (start.origin.weights_sha256, 1e-6)
    rates = [step.learning_rate for step in read_steps(tmp_path / "run" / "steps.csv")]
    assert max(rates) <= 1e-6 * make_plan().training.learning_rate


def test_what_was_learnt_from_is_not_told_where_a_link_of_the_chain_did_not_record_it(
    make_plan: MakePlan, fold: FoldData, begun: Path, tmp_path: Path
) -> None:
    run(make_plan(), replace(fold, scans=SCANS), tmp_path / "a", start=start_from(begun, learnt_from=None), epochs=1)
    run(make_plan(), fold, tmp_path / "b", start=start_from(begun), epochs=1)
    assert load_bundle(tmp_path / "a").document.provenance.learnt_from is None
    assert load_bundle(tmp_path / "b").document.provenance.learnt_from is None


def test_an_interrupted_run_ends_with_the_same_bits_and_does_not_look_at_its_start_again(
    make_plan: MakePlan, fold: FoldData, begun: Path, tmp_path: Path
) -> None:
    def stop(epochs: list[EpochRecord]) -> None:
        if len(epochs) == 2:
            raise KeyboardInterrupt

    start = start_from(begun, rate_factor=0.5)
    run(make_plan(), fold, tmp_path / "whole", start=start, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        run(make_plan(), fold, tmp_path / "parts", start=start, on_epoch=stop, epochs=4)
    run(make_plan(), fold, tmp_path / "parts", start=replace(start, state={}, rate_factor=9.0), epochs=4)
    one, other = (load_bundle(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    steps = [[step.loss for step in read_steps(tmp_path / name / "steps.csv")] for name in ("whole", "parts")]
    assert steps[0] == steps[1]


def test_a_run_does_not_go_on_from_another_start(make_plan: MakePlan, fold: FoldData, begun: Path, tmp_path: Path) -> None:
    start = start_from(begun)
    digest = start.origin.weights_sha256[:12]
    run(make_plan(), fold, tmp_path / "run", start=start, epochs=1)
    with pytest.raises(WorkspaceError, match=rf"the model it was started from \('{digest}' before, None now\)"):
        run(make_plan(), fold, tmp_path / "run", epochs=1)
    with pytest.raises(WorkspaceError, match=rf"the model it was started from \(None before, '{digest}' now\)"):
        run(make_plan(), fold, begun, start=start, epochs=8)


def test_a_start_is_the_one_that_was_chosen(make_plan: MakePlan, fold: FoldData, begun: Path, tmp_path: Path) -> None:
    context = RunContext(tmp_path / "run", Compute(torch.device("cpu"), bfloat16=False), 0, Silent())
    with pytest.raises(ValueError, match="to start from"):
        train(make_plan(), config(started_from="0" * 64), fold, context=context, start=start_from(begun))
