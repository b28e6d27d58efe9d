import pytest

from autoseg.planning.sections import TrainingSection
from autoseg.training.clock import Budget, Stopwatch, build_budget
from autoseg.training.config import TrainConfig


def section(**changes: object) -> TrainingSection:
    values: dict[str, object] = {
        "slices": {"rule": "all"},
        "steps_per_epoch": 10,
        "loss": "cross_entropy",
        "class_weights": (1.0, 1.0),
        "optimiser": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "grad_clip_norm": None,
        "schedule": "cosine",
        "warmup_fraction": 0.0,
        "lr_patience": None,
        "early_stopping_patience": None,
        "best_model": "last",
        "epochs": None,
        "minutes": 60.0,
    }
    return TrainingSection.model_validate(values | changes)


def config(**choices: object) -> TrainConfig:
    return TrainConfig.model_validate({"architecture": "unet", "fold": "0", "precision": "float32"} | choices)


def test_by_the_clock_the_last_validation_is_kept_free() -> None:
    budget = Budget(steps=None, seconds=100.0)
    assert budget.progress(step=5, elapsed_s=40.0, closing_s=16.0) == pytest.approx(0.5)
    assert budget.progress(step=5, elapsed_s=80.0, closing_s=16.0) == 1.0


def test_by_steps_the_clock_does_not_matter() -> None:
    budget = Budget(steps=50, seconds=None)
    assert budget.progress(step=10, elapsed_s=1e6, closing_s=1e6) == pytest.approx(0.2)


def test_minutes_cut_a_run_by_steps_short_without_moving_its_schedule() -> None:
    budget = Budget(steps=50, seconds=100.0)
    assert budget.progress(step=10, elapsed_s=90.0, closing_s=1.0) == pytest.approx(0.2)
    assert budget.progress(step=10, elapsed_s=99.0, closing_s=1.0) == 1.0


def test_a_validation_longer_than_the_budget_ends_the_run() -> None:
    assert Budget(steps=None, seconds=10.0).progress(step=1, elapsed_s=0.0, closing_s=20.0) == 1.0


@pytest.mark.parametrize(
    ("plan", "choices", "steps", "seconds"),
    [
        ({}, {}, None, 3600.0),
        ({}, {"minutes": 5}, None, 300.0),
        ({}, {"epochs": 3}, 30, None),
        ({}, {"epochs": 3, "minutes": 5}, 30, 300.0),
        ({"epochs": 7, "minutes": None}, {}, 70, None),
        ({"epochs": 7, "minutes": None}, {"minutes": 5}, None, 300.0),
        ({"epochs": 7, "minutes": None, "schedule": "plateau", "lr_patience": 10}, {"minutes": 5}, 70, 300.0),
    ],
)
def test_the_users_length_comes_before_the_plans(
    plan: dict[str, object], choices: dict[str, object], steps: int | None, seconds: float | None
) -> None:
    assert build_budget(section(**plan), config(**choices)) == Budget(steps=steps, seconds=seconds)


def test_the_stopwatch_goes_on_where_an_interrupted_run_stopped() -> None:
    readings = iter([17.0])
    watch = Stopwatch(before_s=100.0, started=5.0, now=lambda: next(readings))
    assert watch.elapsed_s == pytest.approx(112.0)
