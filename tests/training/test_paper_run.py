"""The paper's schedule, early stop and choice of the model, in the real loop, driven by scripted validation losses."""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Protocol

import numpy as np
import pytest
import torch
from torch import nn

from autoseg.errors import AutosegError
from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.planning.recipes import CONSTANTS
from autoseg.preprocessing.stored import SliceStack, StoredCase
from autoseg.training import learner
from autoseg.training.batches import TrainingBatch
from autoseg.training.checkpoint import read_checkpoint
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import read_history
from autoseg.training.loop import train
from autoseg.training.run_state import RunState
from autoseg.training.validation import ValidationResult
from autoseg.training.validation_parts import whole
from autoseg.training.watch import Watch

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


@pytest.fixture
def paper(make_plan: MakePlan) -> Plan:
    """A tiny network that learns by the recipe's own constants, one step per epoch."""
    recipe = {path.removeprefix("training."): choice.value for path, choice in CONSTANTS["paper"].items()}
    keys = (
        "loss",
        "optimiser",
        "learning_rate",
        "weight_decay",
        "grad_clip_norm",
        "schedule",
        "warmup_fraction",
        "lr_patience",
    )
    chosen = {key: recipe[key] for key in (*keys, "early_stopping_patience", "best_model")}
    return make_plan(training={**chosen, "steps_per_epoch": 1, "epochs": 200, "minutes": None})


class Snapshots:
    """The weights of every epoch's checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.weights: list[dict[str, torch.Tensor]] = []

    def __call__(self, _: object) -> None:
        checkpoint = read_checkpoint(self._folder)
        assert checkpoint is not None
        self.weights.append(
            {
                name.removeprefix("network."): tensor.clone()
                for name, tensor in checkpoint.tensors.items()
                if name.startswith("network.")
            }
        )


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path)


class Run(Protocol):
    def __call__(self, script: Iterable[float], *, epochs: int | None = None) -> RunState: ...


@pytest.fixture
def run(paper: Plan, fold: FoldData, tmp_path: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Trains with scripted validation losses; the Dice gets better from epoch to epoch, so that it decides nothing."""

    def follow(script: Iterable[float], *, epochs: int | None = None) -> RunState:
        losses = iter(script)
        dice = iter(index / 1000 for index in range(1000))
        monkeypatch.setattr(Watch, "look", lambda *_, **__: ValidationResult(next(losses), (next(dice),), slices=1))
        config = TrainConfig(architecture="unet", fold="0", precision="float32", epochs=epochs)
        return train(paper, config, fold, context=RunContext(tmp_path, CPU, 0, Silent(), on_epoch=snapshots))

    return follow


def rates(folder: Path) -> list[float]:
    return [row["learning_rate"] for row in read_history(folder / "history.csv")]


def test_eq_2_by_hand_in_training_and_in_validation(make_plan: MakePlan, make_case: Callable[..., StoredCase]) -> None:
    """A network that predicts 1/2, 1/4, 1/8, 1/8 everywhere, on one voxel each of background, CSF and WM."""
    classes = [{"value": value, "name": name} for value, name in enumerate(["background", "CSF", "GM", "WM"])]
    plan = make_plan(data={"classes": classes}, training={"loss": "cross_entropy", "class_weights": [1.0, 10.0, 3.0, 3.0]})
    learns = learner.Learner(plan, architecture="unet", compute=CPU)
    (head,) = learns.network.heads.convolutions
    nn.init.zeros_(head.weight)
    head.bias.data = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 8]).log()
    # 1 log 2 + 10 log 4 + 3 log 8 = 30 log 2, over the voxels' weights 1 + 10 + 3.
    expected = 30 / 14 * math.log(2)

    labels = np.array([[[0, 1, 3]]], np.uint8)
    stack = SliceStack(np.ones((1, 1, 1, 3), np.float32), labels, make_case(0).stack(0).footprint)
    assert learns.validate(whole([StoredCase((stack,))], plan)).loss == pytest.approx(expected)
    batch = TrainingBatch(torch.ones(1, 1, 1, 3), torch.from_numpy(labels.astype(np.int64)), (("case", 0),))
    assert float(learns.step(batch, rate=5e-4).loss) == pytest.approx(expected)


def test_a_tenth_of_the_rate_after_ten_epochs_and_the_end_after_twenty(run: Run, tmp_path: Path) -> None:
    # Epoch 5 has the lowest loss; ten epochs later the rate falls, twenty epochs later the run ends.
    state = run([1.0, 0.9, 0.8, 0.7, 0.6, *[2.0] * 100])
    assert len(state.epochs) == 25
    assert rates(tmp_path) == pytest.approx([5e-4] * 15 + [5e-5] * 10)


def test_a_lower_loss_starts_both_counts_anew(run: Run, tmp_path: Path) -> None:
    # Nine epochs in vain, then a lower loss: no fall of the rate until ten more have passed.
    state = run([1.0, *[1.5] * 9, 0.9, *[1.5] * 100])
    assert len(state.epochs) == 11 + 20
    assert rates(tmp_path) == pytest.approx([5e-4] * 21 + [5e-5] * 10)


def test_an_equal_loss_is_no_lower_loss(run: Run, tmp_path: Path) -> None:
    state = run([1.0] * 100)
    assert len(state.epochs) == 21
    assert rates(tmp_path) == pytest.approx([5e-4] * 11 + [5e-5] * 10)
    assert load_bundle(tmp_path).document.provenance.epochs == 1


def test_the_rate_falls_again(run: Run, tmp_path: Path) -> None:
    # Down after epoch 11; epoch 16 has a lower loss and keeps the run alive; down again after 26, the end after 36.
    state = run([1.0, *[1.5] * 14, 0.9, *[1.5] * 100])
    assert len(state.epochs) == 36
    assert rates(tmp_path) == pytest.approx([5e-4] * 11 + [5e-5] * 15 + [5e-6] * 10)


def test_the_network_learns_at_the_rates_that_are_recorded(run: Run, snapshots: Snapshots) -> None:
    # Adam's steps are about as long as the rate, which falls to a tenth after epoch 11.
    run([1.0] * 100)
    parameters = [
        torch.cat([tensor.flatten() for name, tensor in sorted(weights.items()) if name.endswith((".weight", ".bias"))])
        for weights in snapshots.weights
    ]
    lengths = [float((later - earlier).abs().median()) for earlier, later in pairwise(parameters)]
    assert 1e-4 < median(lengths[:10]) < 1e-3
    assert 1e-5 < median(lengths[10:]) < 1e-4


@pytest.mark.parametrize(("lowest", "stopped"), [(4, True), (0, True), (11, False)])
def test_the_model_is_that_of_the_lowest_validation_loss_stopped_or_not(
    run: Run, snapshots: Snapshots, tmp_path: Path, lowest: int, stopped: bool
) -> None:
    script = [0.5 if epoch == lowest else 1.0 for epoch in range(100)]
    state = run(script, epochs=None if stopped else lowest + 3)
    assert len(state.epochs) == (lowest + 21 if stopped else lowest + 3)
    bundle = load_bundle(tmp_path)
    assert bundle.document.provenance.epochs == lowest + 1
    model = bundle.network.state_dict()
    same = [
        weights.keys() == model.keys() and all(torch.equal(model[name], weights[name]) for name in model)
        for weights in snapshots.weights
    ]
    assert same == [epoch == lowest for epoch in range(len(state.epochs))]


@pytest.mark.parametrize("done", [7, 15], ids=["before the rate falls", "after it fell"])
def test_an_interrupted_wait_goes_on_counting(run: Run, tmp_path: Path, done: int) -> None:
    def interrupted() -> Iterable[float]:
        yield from [1.0, *[1.5] * (done - 1)]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted())
    assert len(rates(tmp_path)) == done
    state = run([1.5] * 100)
    assert len(state.epochs) == 21
    assert rates(tmp_path) == pytest.approx([5e-4] * 11 + [5e-5] * 10)
    assert load_bundle(tmp_path).document.provenance.epochs == 1


def test_a_loss_that_is_not_a_number_never_becomes_the_model(run: Run, tmp_path: Path) -> None:
    with pytest.raises(AutosegError, match="not finite"):
        run([1.0, 0.9, float("nan")])
    assert load_bundle(tmp_path).document.provenance.epochs == 2
