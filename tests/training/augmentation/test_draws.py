import numpy as np
import pytest

from autoseg.training.augmentation.draws import around_one, between, numbers_of_images


def test_an_images_numbers_do_not_depend_on_what_is_drawn_with_them() -> None:
    every = numbers_of_images(seed=4, epoch=2, positions=range(40), count=11)
    for start, stop in ((0, 8), (8, 16), (13, 14), (39, 40)):
        part = numbers_of_images(seed=4, epoch=2, positions=range(start, stop), count=11)
        assert np.array_equal(part, every[start:stop])


def test_images_epochs_and_seeds_have_numbers_of_their_own() -> None:
    drawn = [
        numbers_of_images(seed=seed, epoch=epoch, positions=range(50), count=6) for seed in (0, 1) for epoch in (0, 1, 2)
    ]
    values = np.concatenate(drawn)
    assert len(np.unique(values)) == values.size
    assert values.min() >= 0.0
    assert values.max() < 1.0
    assert values.mean() == pytest.approx(0.5, abs=0.03)


def test_positions_follow_one_another() -> None:
    with pytest.raises(ValueError, match="steps of 2"):
        numbers_of_images(seed=0, epoch=0, positions=range(0, 8, 2), count=1)


def test_factors_are_spread_over_both_sides_of_one() -> None:
    numbers = np.array([0.0, 0.5, 0.0, 0.5])
    coins = np.array([0.0, 0.0, 0.9, 0.9])
    np.testing.assert_allclose(between(numbers, (2.0, 4.0)), [2.0, 3.0, 2.0, 3.0])
    np.testing.assert_allclose(around_one(coins, numbers, (0.6, 1.5)), [0.6, 0.8, 1.0, 1.25])
    np.testing.assert_allclose(around_one(coins, numbers, (1.2, 1.5)), [1.2, 1.35, 1.2, 1.35])
