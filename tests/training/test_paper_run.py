"""The paper's schedule, early stop and choice of the model, in the real loop, driven by scripted validation losses."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch

from autoseg.errors import AutosegError
from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.planning.recipes import CONSTANTS
from autoseg.training import learner
from autoseg.training.checkpoint import RunState, read_checkpoint
from autoseg.training.config import TrainConfig
from autoseg.training.history import EpochRecord, read_history
from autoseg.training.loop import FoldData, Surroundings, train
from autoseg.training.validation import ValidationResult

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)
HEAD = "heads.convolutions.0.weight"
CONFIG = TrainConfig(architecture="unet", fold="0", precision="float32")


@pytest.fixture
def paper(make_plan: MakePlan) -> Plan:
    """A tiny network that learns by the recipe's own constants, one step per epoch."""
    recipe = {path.removeprefix("training."): choice.value for path, choice in CONSTANTS["paper"].items()}
    keys = ("loss", "optimiser", "learning_rate", "weight_decay", "gradient_limit", "schedule", "warmup", "patience")
    chosen = {key: recipe[key] for key in (*keys, "stop_after", "best_model")}
    return make_plan(training={**chosen, "steps_per_epoch": 1, "epochs": 200, "minutes": None})


@pytest.fixture
def run(
    paper: Plan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Iterable[float]], RunState]:
    """Trains with scripted validation losses; the Dice gets better from epoch to epoch, so that it decides nothing."""

    def follow(script: Iterable[float]) -> RunState:
        losses = iter(script)
        dice = iter(index / 1000 for index in range(1000))
        monkeypatch.setattr(learner, "validate", lambda *_, **__: ValidationResult(next(losses), (next(dice),)))
        return train(paper, CONFIG, fold, around=Surroundings(tmp_path, CPU, 0, Silent()))

    return follow


def rates(folder: Path) -> list[float]:
    return [row["learning_rate"] for row in read_history(folder / "history.csv")]


def falling(epochs: int, *, start: float = 1.0) -> list[float]:
    return [start - 0.001 * epoch for epoch in range(epochs)]


def test_the_recipe_holds_the_papers_numbers() -> None:
    values = {path: choice.value for path, choice in CONSTANTS["paper"].items()}
    assert values["training.loss"] == "cross_entropy"
    assert values["training.optimiser"] == "adam"
    assert values["training.learning_rate"] == 5e-4
    assert values["training.schedule"] == "plateau"
    assert values["training.patience"] == 10
    assert values["training.stop_after"] == 20
    assert values["training.best_model"] == "validation_loss"
    assert values["training.slices"].rule == "all"
    assert values["network.deep_supervision"] is False
    assert values["augmentation.intensity_probability"] == 0


def test_a_tenth_of_the_rate_after_ten_epochs_and_the_end_after_twenty(
    run: Callable[[Iterable[float]], RunState], tmp_path: Path
) -> None:
    # Epoch 5 has the lowest loss; ten epochs later the rate falls, twenty epochs later the run ends.
    state = run([*falling(5), *[2.0] * 100])
    assert len(state.epochs) == 25
    assert rates(tmp_path) == pytest.approx([5e-4] * 15 + [5e-5] * 10)


def test_a_lower_loss_starts_both_counts_anew(run: Callable[[Iterable[float]], RunState], tmp_path: Path) -> None:
    # Nine epochs in vain, then a lower loss: no fall of the rate until ten more have passed.
    state = run([1.0, *[1.5] * 9, 0.9, *[1.5] * 100])
    assert len(state.epochs) == 11 + 20
    assert rates(tmp_path) == pytest.approx([5e-4] * 21 + [5e-5] * 10)


def test_an_equal_loss_is_no_lower_loss(run: Callable[[Iterable[float]], RunState], tmp_path: Path) -> None:
    state = run([1.0] * 100)
    assert len(state.epochs) == 21
    assert rates(tmp_path) == pytest.approx([5e-4] * 11 + [5e-5] * 10)


def test_the_rate_falls_again_after_ten_more(run: Callable[[Iterable[float]], RunState], tmp_path: Path) -> None:
    # A lower loss at the 15th epoch in vain keeps the run alive; the rate has fallen once by then and falls again.
    run([1.0, *[1.5] * 14, 0.9, *[1.5] * 100])
    assert sorted({round(rate, 9) for rate in rates(tmp_path)}, reverse=True) == pytest.approx([5e-4, 5e-5, 5e-6])


class _Keep(Silent):
    """Copies the checkpoint's weights after every epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.weights: list[torch.Tensor] = []

    def __call__(self, _: list[EpochRecord]) -> None:
        checkpoint = read_checkpoint(self.folder)
        assert checkpoint is not None
        self.weights.append(checkpoint.tensors[f"network.{HEAD}"].clone())


@pytest.mark.parametrize(("lowest", "stopped"), [(4, True), (0, True), (11, False)])
def test_the_model_is_that_of_the_lowest_validation_loss_stopped_or_not(
    paper: Plan, fold: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lowest: int, stopped: bool
) -> None:
    script = [0.5 if epoch == lowest else 1.0 for epoch in range(100 if stopped else lowest + 3)]
    losses = iter(script)
    monkeypatch.setattr(learner, "validate", lambda *_, **__: ValidationResult(next(losses), (0.5,)))
    keep = _Keep(tmp_path)
    config = CONFIG if stopped else CONFIG.model_copy(update={"epochs": len(script)})
    state = train(paper, config, fold, around=Surroundings(tmp_path, CPU, 0, Silent(), on_epoch=keep))
    assert len(state.epochs) == (lowest + 21 if stopped else lowest + 3)
    bundle = load_bundle(tmp_path)
    assert bundle.document.provenance.epochs == lowest + 1
    head = bundle.network.state_dict()[HEAD]
    same = [torch.equal(head, weights) for weights in keep.weights]
    assert same == [epoch == lowest for epoch in range(len(keep.weights))]


def test_an_interrupted_wait_goes_on_counting(
    run: Callable[[Iterable[float]], RunState], paper: Plan, tmp_path: Path
) -> None:
    def broken() -> Iterable[float]:
        yield from [1.0, *[1.5] * 6]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(broken())
    assert len(rates(tmp_path)) == 7
    state = run([1.5] * 100)
    assert len(state.epochs) == 21
    assert rates(tmp_path) == pytest.approx([5e-4] * 11 + [5e-5] * 10)


def test_a_loss_that_is_not_a_number_never_becomes_the_model(
    run: Callable[[Iterable[float]], RunState], tmp_path: Path
) -> None:
    with pytest.raises(AutosegError, match="not finite"):
        run([1.0, 0.9, float("nan")])
    assert load_bundle(tmp_path).document.provenance.epochs == 2
