"""One training on two and three ranks that are real processes: the same run as of one, whatever their clocks say."""

import importlib.util
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import pytest
import torch
from oracles.spawned_ranks import on_ranks
from oracles.stopping import StopAfter

from autoseg.errors import TrainingError, UsageError
from autoseg.events import Silent
from autoseg.model.bundle import load_bundle
from autoseg.model.compute import Compute
from autoseg.model.description import Origin
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.training.checkpoint import read_checkpoint
from autoseg.training.clock import Stopwatch
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.history import read_history, read_steps
from autoseg.training.loop import train
from autoseg.training.ranks import ALONE, Ranks
from autoseg.training.run_state import RunState
from autoseg.training.start import Start, drawn_weights

pytestmark = pytest.mark.gate

CPU: Final = Compute(torch.device("cpu"), bfloat16=False)
EPOCHS: Final = 3
ORIGIN: Final = Origin(
    weights_sha256="a" * 64, name="unet, fold 0 of discs", epochs=1, minutes=0.1, classes_kept=True, channels_kept=True
)
TOLERANCE: Final = 2e-5
"""Largest difference of a weight after 9 steps. Source: 2.4e-7 measured; Adam divides gradients of some 1e-8, which are
rounding, by their own size, so that other processors may show more."""


def _conftest() -> ModuleType:
    specification = importlib.util.spec_from_file_location("tiny_cases_of_ranks", Path(__file__).with_name("conftest.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def tiny_fold() -> FoldData:
    """Three cases to learn from, three to watch, of which no rank of two gets as many slices as the other."""
    make = _conftest().disc_case
    return FoldData(
        DataKeys(all_labelled="tiny"),
        training=[(f"case{number}", make(number)) for number in range(3)],
        validation=[(f"held-out{number}", make(9 + number, slices=3 + number)) for number in range(3)],
    )


def run(
    ranks: Ranks,
    plan: str,
    folder: str,
    *,
    stop_after: int | None = None,
    clock_s: float | None = None,
    broken_on: int | None = None,
    workers: int = 0,
    starts: bool = False,
    **choices: Any,
) -> RunState | None:
    """Train, or go on; what an interruption ends gives None.

    Args:
        ranks: this one and the others.
        plan: as JSON.
        folder: of the model; only the first rank may write there.
        stop_after: steps after which every rank is interrupted.
        clock_s: what this rank's clock shows at first; each look at it takes it a hundredth further. None: the real one.
        broken_on: number of the rank whose first image is broken.
        workers: processes that prepare batches.
        starts: whether the run starts from another model, more slowly.
        choices: of the run's configuration.
    """
    fold = tiny_fold()
    if broken_on == ranks.rank:
        for _, case in fold.training:
            case.stack(0).image[:] = np.nan
    readings = count()
    stopwatch = Stopwatch() if clock_s is None else Stopwatch(started=0.0, now=lambda: clock_s + next(readings) / 100)
    config = TrainConfig.model_validate(
        {"architecture": "unet", "fold": "0", "precision": "float32", "epochs": EPOCHS} | choices
    )
    planned = Plan.model_validate_json(plan)
    start = Start(drawn_weights("unet", planned, seed=7), ORIGIN, rate_factor=0.5) if starts else None
    place = Path(folder) if ranks.is_first else Path(folder) / f"of rank {ranks.rank}"
    events = Silent() if stop_after is None else StopAfter(stop_after)
    context = RunContext(place, CPU, workers, events, stopwatch, ranks=ranks)
    try:
        state = train(planned, config, fold, context=context, start=start)
    except KeyboardInterrupt:
        state = None
    assert ranks.is_first or not place.exists()
    return state


def on_each(ranks: Ranks, *, runs: dict[str, dict[str, dict[str, Any]]], clocks_s: Sequence[float]) -> dict[str, Any]:
    """The runs of this number of ranks after one another: what each rank had at the end of each."""
    found: dict[str, Any] = {}
    for name, options in runs[str(ranks.size)].items():
        own = {"clock_s": clocks_s[ranks.rank]} if options.pop("clocks", False) else {}
        try:
            state = run(ranks, **options, **own)
            found[name] = None if state is None else [state.steps_taken, [epoch.model_dump() for epoch in state.epochs]]
        except (TrainingError, UsageError) as error:
            found[name] = f"{type(error).__name__}: {error}"
        ranks.barrier()
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_bundle(folder).network.state_dict())


def moments(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = read_checkpoint(folder)
    assert checkpoint is not None
    return dict(checkpoint.tensors)


def farthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def close(first: Path, second: Path) -> None:
    """Two runs are the same but for rounding: weights, statistics, losses and Dice."""
    assert farthest(weights(first), weights(second)) < TOLERANCE
    for name in ("loss", "learning_rate"):
        one, other = ([getattr(step, name) for step in read_steps(folder / "steps.csv")] for folder in (first, second))
        assert one == pytest.approx(other, rel=1e-3)
    for one, other in zip(read_history(first / "history.csv"), read_history(second / "history.csv"), strict=True):
        assert one["validation_loss"] == pytest.approx(other["validation_loss"], rel=1e-3)
        assert one["training_dice"] == pytest.approx(other["training_dice"], abs=0.01)
        assert one["validation_slices"] == other["validation_slices"] == 12


MakePlan = Callable[..., Plan]


@pytest.fixture(scope="module")
def plans(make_plan: MakePlan) -> dict[str, str]:
    """Plans by what is special about them, as JSON."""
    training = {"best_model": "validation_loss", "learning_rate": 3e-3}
    found = {
        "image": make_plan(training={**training, "seeding": "image"}, view={"batch_size": 5}),
        "batch": make_plan(
            training={**training, "seeding": "batch", "optimiser": "muon"},
            view={"batch_size": 5},
            network={"features": [16, 16]},
        ),
        "minutes": make_plan(training={**training, "epochs": None, "minutes": 60.0}),
        "small": make_plan(view={"batch_size": 1}),
    }
    return {name: plan.model_dump_json() for name, plan in found.items()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, plans: dict[str, str]) -> Path:
    """Runs of one rank, whole and interrupted, which those of several are compared with or go on with."""
    root = tmp_path_factory.mktemp("ranks")
    for name in ("image", "batch"):
        run(ALONE, plans[name], str(root / "one" / name))
    run(ALONE, plans["image"], str(root / "one" / "started"), starts=True)
    run(ALONE, plans["image"], str(root / "two" / "after one"), stop_after=4)
    return root


@pytest.fixture(scope="module")
def found(root: Path, plans: dict[str, str]) -> dict[int, list[dict[str, Any]]]:
    """What each of two and of three ranks had at the end of every run."""
    image = plans["image"]
    of_two: dict[str, dict[str, Any]] = {
        "image": {"plan": image, "workers": 1},
        "batch": {"plan": plans["batch"]},
        "after one": {"plan": image},
        "before one": {"plan": image, "stop_after": 5},
        "skewed": {"plan": plans["minutes"], "clocks": True, "epochs": None, "minutes": 0.05},
        "broken": {"plan": image, "broken_on": 1},
        "small": {"plan": plans["small"]},
        "started": {"plan": image, "starts": True},
    }
    runs = {
        "2": {name: {**options, "folder": str(root / "two" / name)} for name, options in of_two.items()},
        "3": {"image": {"plan": image, "folder": str(root / "three" / "image")}},
    }
    return on_ranks(on_each, 2, 3, folder=root / "output", runs=runs, clocks_s=[0.0, 1e6, -1e6])


@pytest.fixture(scope="module")
def two(found: dict[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return found[2]


def test_two_ranks_train_as_one(root: Path, two: list[dict[str, Any]]) -> None:
    for name in ("image", "batch"):
        close(root / "one" / name, root / "two" / name)
        first, second = (found[name] for found in two)
        assert repr(first) == repr(second)  # what steers a run is the same everywhere, to the last digit
        assert first[0] == 3 * EPOCHS


def test_two_ranks_start_from_another_model_as_one_does(root: Path, two: list[dict[str, Any]]) -> None:
    close(root / "one" / "started", root / "two" / "started")
    assert repr(two[0]["started"]) == repr(two[1]["started"])
    assert load_bundle(root / "two" / "started").document.provenance.origin == ORIGIN
    assert farthest(weights(root / "one" / "started"), weights(root / "one" / "image")) > 100 * TOLERANCE


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.usefixtures("found")
def test_three_ranks_train_as_one(root: Path) -> None:
    close(root / "one" / "image", root / "three" / "image")


def test_a_run_goes_on_with_another_number_of_ranks(root: Path, plans: dict[str, str], two: list[dict[str, Any]]) -> None:
    close(root / "one" / "image", root / "two" / "after one")
    checkpoint = read_checkpoint(root / "two" / "before one")
    assert checkpoint is not None
    assert len(checkpoint.state.epochs) == 1
    run(ALONE, plans["image"], str(root / "two" / "before one"))
    close(root / "one" / "image", root / "two" / "before one")
    assert farthest(moments(root / "one" / "image"), moments(root / "two" / "before one")) < TOLERANCE


def test_the_clock_of_the_first_rank_decides(root: Path, two: list[dict[str, Any]]) -> None:
    first, second = (found["skewed"] for found in two)
    steps, epochs = first
    assert second[0] == steps > 3
    assert [epoch["learning_rate"] for epoch in second[1]] == [epoch["learning_rate"] for epoch in epochs]
    assert 2.0 < epochs[-1]["seconds"] <= 3.0  # of 3 seconds by its clock; that of the other showed a million at once
    rates = [step.learning_rate for step in read_steps(root / "two" / "skewed" / "steps.csv")]
    assert rates[-1] < 0.1 * max(rates)


def test_a_loss_that_one_rank_breaks_is_named_alike_by_all(two: list[dict[str, Any]]) -> None:
    first, second = (found["broken"] for found in two)
    assert first == second
    assert first.startswith("TrainingError: the loss became nan in step 1, on: case")
    assert first.count("slice") >= 5  # of the whole batch


def test_more_ranks_than_images_are_refused(two: list[dict[str, Any]]) -> None:
    assert [found["small"] for found in two] == [
        "UsageError: a batch of 1 images cannot be shared by 2 processes. Use fewer processes, or plan with a larger batch."
    ] * 2
