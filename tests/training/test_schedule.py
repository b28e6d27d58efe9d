import math

import pytest

from autoseg.training.schedule import BestEpoch, Cosine, EarlyStopping, EpochResult, Plateau


def result(loss: float, dice: float = 0.5) -> EpochResult:
    return EpochResult(validation_loss=loss, validation_dice=dice)


def test_the_cosine_rises_peaks_after_the_warm_up_and_ends_near_zero() -> None:
    schedule = Cosine(max_rate=2e-3, warmup_fraction=0.1)
    assert schedule.rate(0.05) == pytest.approx(1e-3)
    assert schedule.rate(0.1) == pytest.approx(2e-3)
    assert schedule.rate(0.55) == pytest.approx(2e-3 * (0.01 + 0.99 * 0.5))
    assert schedule.rate(1.0) == pytest.approx(2e-5)
    assert schedule.rate(0.0) > 0


def test_the_plateau_divides_by_ten_after_ten_epochs_without_a_lower_loss() -> None:
    schedule = Plateau(initial=5e-4, patience=10)
    schedule.epoch_ended(result(1.0))
    for _ in range(9):
        schedule.epoch_ended(result(1.0))
    assert schedule.rate(0.3) == pytest.approx(5e-4)
    schedule.epoch_ended(result(1.2))
    assert schedule.rate(0.3) == pytest.approx(5e-5)
    for _ in range(10):
        schedule.epoch_ended(result(1.0))
    assert schedule.rate(0.3) == pytest.approx(5e-6)


def test_a_lower_loss_starts_the_plateaus_patience_anew() -> None:
    schedule = Plateau(initial=1.0, patience=3)
    for loss in (1.0, 1.1, 1.1, 0.9, 1.0, 1.0):
        schedule.epoch_ended(result(loss))
    assert schedule.rate(0.0) == 1.0


def test_early_stopping_waits_twenty_epochs_in_a_row() -> None:
    stopping = EarlyStopping(20)
    stopping.epoch_ended(result(1.0))
    for _ in range(19):
        stopping.epoch_ended(result(1.5))
    assert not stopping.reached
    stopping.epoch_ended(result(0.9))
    for _ in range(19):
        stopping.epoch_ended(result(0.9))
    assert not stopping.reached
    stopping.epoch_ended(result(0.9))
    assert stopping.reached


def test_without_a_patience_nothing_stops() -> None:
    stopping = EarlyStopping(None)
    for _ in range(100):
        stopping.epoch_ended(result(math.inf))
    assert not stopping.reached


def test_the_best_model_has_the_lowest_validation_loss() -> None:
    best = BestEpoch("validation_loss")
    losses = [1.0, 0.8, 0.9, 0.8, 0.7]
    assert [best.epoch_ended(result(loss, dice=-loss)) for loss in losses] == [True, True, False, False, True]


def test_the_best_model_by_dice_ignores_the_loss() -> None:
    best = BestEpoch("validation_dice")
    assert [best.epoch_ended(result(1.0, dice)) for dice in (0.5, 0.4, 0.6)] == [True, False, True]


def test_the_last_model_is_always_the_best() -> None:
    best = BestEpoch("last")
    assert [best.epoch_ended(result(loss)) for loss in (1.0, 2.0, 3.0)] == [True, True, True]


def test_the_first_epoch_gives_a_model_even_if_no_class_has_a_dice() -> None:
    best = BestEpoch("validation_dice")
    assert [best.epoch_ended(result(1.0, dice)) for dice in (math.nan, math.nan, 0.2, math.nan, 0.1)] == [
        True, False, True, False, False,
    ]  # fmt: skip
