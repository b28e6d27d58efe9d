"""What stands beside the bar of a run while it takes place."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from autoseg.events import LEFT, Progress, Silent
from autoseg.model.compute import Compute
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.training.clock import Stopwatch
from autoseg.training.config import TrainConfig
from autoseg.training.context import FoldData, RunContext
from autoseg.training.loop import train
from autoseg.training.run_state import note_scoring, read_state

MakePlan = Callable[..., Plan]
CPU = Compute(torch.device("cpu"), bfloat16=False)


class Kept(Silent):
    """Keeps what the bar was told, move by move."""

    def __init__(self) -> None:
        self.moves: list[dict[str, float | str]] = []

    @contextmanager
    def track(self, label: str, *, total: float | None, unit: str) -> Iterator[Progress]:
        yield self

    def advance(self, steps: float = 1, **fields: float | str) -> None:
        self.moves.append(fields)

    def info(self, message: str) -> None:
        self.moves.append({"said": message})

    def all(self, name: str) -> list[float | str]:
        return [move[name] for move in self.moves if name in move]


def ticking(step_s: float = 0.01) -> Stopwatch:
    """A clock on which each look takes as long as another."""
    looks = count()
    return Stopwatch(started=0.0, now=lambda: next(looks) * step_s)


def run(plan: Plan, fold: FoldData, folder: Path, kept: Kept, *, stopwatch: Stopwatch | None = None, **choices: Any) -> None:
    config = TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | choices)
    context = RunContext(folder, CPU, 0, kept, stopwatch=stopwatch or Stopwatch(), computed_on="here", scored_case_s=1000.0)
    train(plan, config, fold, context=context)


def test_the_dice_comes_first_and_a_run_that_goes_on_has_it_at_once(
    make_plan: MakePlan, fold: FoldData, tmp_path: Path
) -> None:
    kept = Kept()
    run(make_plan(), fold, tmp_path, kept, epochs=2)
    assert kept.moves[0] == {"validation_Dice": "after the first epoch", "best": "", "epoch": ""}
    last = kept.moves[-1]
    assert list(last)[:4] == ["validation_Dice", "best", "epoch", "validation_loss"]
    assert last["epoch"] == "2"
    state = read_state(tmp_path)
    assert state is not None
    best = max(state.epochs, key=lambda epoch: epoch.validation_dice)
    assert last["best"] == f"{best.validation_dice:.3f} (epoch {best.epoch})"
    assert state.computed_on == "here"
    again = Kept()
    run(make_plan(), fold, tmp_path, again, epochs=2)
    first = next(move for move in again.moves if "epoch" in move)
    assert {name: first[name] for name in ("validation_Dice", "best", "epoch")} == {
        name: last[name] for name in ("validation_Dice", "best", "epoch")
    }


def test_what_is_left_counts_the_scoring_and_falls(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    kept = Kept()
    run(make_plan(training={"steps_per_epoch": 15}), fold, tmp_path, kept, stopwatch=ticking(), epochs=4)
    left = [float(each) - 1000.0 for each in kept.all(LEFT)]  # of which scoring one case takes 1,000
    assert len(left) > 4 * 15 - 12  # known after ten steps
    assert max(left) < 3 * kept_seconds(tmp_path)
    assert left[-1] == pytest.approx(0.0)
    assert left[0] > left[len(left) // 2] > left[-1]
    (said,) = (str(each) for each in kept.all("said") if "slices/s" in str(each))
    assert "4 epochs will take about" in said
    assert "scoring 1 held-out case then takes at least 16.7 min more; done about " in said


def kept_seconds(folder: Path) -> float:
    state = read_state(folder)
    assert state is not None
    return state.elapsed_s


def test_minutes_are_left_to_their_end(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    kept = Kept()
    plan = make_plan(training={"epochs": None, "minutes": 60})
    run(plan, fold, tmp_path, kept, stopwatch=ticking(), minutes=0.05)
    left = [float(each) for each in kept.all(LEFT)]
    assert left == sorted(left, reverse=True)
    assert 1000.0 <= left[-1] < left[0] <= 1003.0


def test_without_held_out_cases_the_training_is_told(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    kept = Kept()
    run(make_plan(), FoldData(DataKeys(all_labelled="tiny"), fold.training, []), tmp_path, kept)
    assert "validation_loss" not in kept.moves[-1]
    assert not math.isnan(float(str(kept.moves[-1]["training_Dice"])))


def test_how_long_scoring_took_is_added_to_a_stored_run(make_plan: MakePlan, fold: FoldData, tmp_path: Path) -> None:
    run(make_plan(), fold, tmp_path, Kept(), epochs=1)
    before = read_state(tmp_path)
    note_scoring(tmp_path, 12.5)
    after = read_state(tmp_path)
    assert before is not None
    assert after == before.model_copy(update={"scoring_s": 12.5})
