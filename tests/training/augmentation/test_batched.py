"""Each transform in torch against batchgenerators' own at equal parameters."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from batchgenerators.augmentations import color_augmentations, noise_augmentations
from numpy.typing import NDArray

from autoseg.training.augmentation.batched import BatchedTransform
from autoseg.training.augmentation.batched_blur import BatchedBlurTransform
from autoseg.training.augmentation.batched_intensity import (
    BatchedBrightnessTransform,
    BatchedContrastTransform,
    BatchedGammaTransform,
    BatchedShiftTransform,
    MarkForeground,
)
from autoseg.training.augmentation.batched_noise import BatchedNoiseTransform, _mixed, normal_numbers

Original = Callable[[NDArray[np.float32], float], NDArray[np.float32]]


def images(count: int = 4) -> NDArray[np.float32]:
    """Two channels of 22 x 17 pixels, a third of which are a background."""
    drawn = np.random.default_rng(7).normal(0.3, 1.2, (count, 2, 22, 17)).astype(np.float32)
    drawn = np.maximum(drawn, -2.4)
    drawn[..., :7, :] = -2.5
    return drawn


def applied(transform: BatchedTransform, name: str, values: list[float], *, width: int = 1) -> NDArray[np.float32]:
    parameters = torch.tensor(values, dtype=torch.float32)[:, None].expand(-1, width)
    changed = transform(data=torch.from_numpy(images()), seg=None, **{name: parameters})["data"]
    assert changed.dtype == torch.float32
    return changed.numpy()


def gamma_of_batchgenerators(image: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "uniform", lambda *_: exponent)
        return color_augmentations.augment_gamma(image, (exponent, exponent), retain_stats=True)


@pytest.mark.parametrize(
    ("transform", "name", "neutral", "values", "original"),
    [
        (
            BatchedBrightnessTransform((0.5, 2.0), probability=1.0),
            "brightness",
            1.0,
            [0.7, 1.4],
            lambda image, factor: color_augmentations.augment_brightness_multiplicative(image, (factor, factor), False),
        ),
        (
            BatchedContrastTransform((0.5, 2.0), probability=1.0),
            "contrast",
            1.0,
            [0.6, 1.5],
            lambda image, factor: color_augmentations.augment_contrast(image, lambda: factor, per_channel=False),
        ),
        (
            BatchedShiftTransform(0.5, probability=1.0),
            "brightness_shift",
            0.0,
            [0.3, -0.8],
            lambda image, added: color_augmentations.augment_brightness_additive(image, added, 0.0, False),
        ),
        (BatchedGammaTransform((0.5, 2.0), probability=1.0), "gamma", 1.0, [0.7, 1.6], gamma_of_batchgenerators),
        (
            BatchedBlurTransform((0.0, 6.0), channels=2, probability=1.0),
            "blur_sigma_px",
            0.0,
            [0.6, 5.5],  # 22 pixels to either side: further than an image is wide
            lambda image, sigma: noise_augmentations.augment_gaussian_blur(image, (sigma, sigma)),
        ),
    ],
)
def test_intensities_become_those_of_batchgenerators(
    transform: BatchedTransform, name: str, neutral: float, values: list[float], original: Original
) -> None:
    width = transform.parameters[name]
    changed = applied(transform, name, [values[0], neutral, values[1], neutral], width=width)
    for number in (0, 2):
        expected = original(images()[number], values[number // 2])
        assert np.abs(expected - images()[number]).max() > 0.1
        np.testing.assert_allclose(changed[number], expected, atol=2e-5)
    assert np.array_equal(changed[1::2], images()[1::2])  # bit by bit


def test_noise_has_the_standard_deviation_asked_for_and_leaves_the_rest_alone() -> None:
    transform = BatchedNoiseTransform((0.0, 1.0), probability=1.0)
    still = torch.zeros((3, 2, 160, 120))
    std = torch.tensor([[0.5], [0.0], [2.0]])
    noise = transform(data=still, noise_std=std, noise_key=torch.tensor([[1.0], [2.0], [3.0]]))["data"].numpy()
    assert np.all(noise[1] == 0.0)
    for number, expected in ((0, 0.5), (2, 2.0)):
        assert noise[number].std() == pytest.approx(expected, rel=0.02)
        assert abs(noise[number].mean()) < 0.02 * expected
        fourth = ((noise[number] / expected) ** 4).mean()
        assert fourth == pytest.approx(3.0, abs=0.12)  # of a normal distribution; a uniform one has 1.8


def test_noise_of_voxels_channels_and_images_is_independent() -> None:
    noise = normal_numbers(torch.tensor([[0.0], [1.0], [2.0]]), torch.Size((2, 100, 101))).numpy()
    shifted = [noise[0, 0, :, 1:], noise[0, 0, :, :-1], noise[0, 0, 1:, :-1], noise[0, 1, 1:, 1:], noise[1, 0, 1:, 1:]]
    flat = np.stack([part[:99, :100].ravel() for part in (*shifted, noise[2, 0])])
    correlation = np.corrcoef(flat) - np.eye(len(flat))
    assert np.abs(correlation).max() < 0.05


def test_noise_is_the_same_whatever_stands_beside_an_image() -> None:
    shape = torch.Size((1, 5, 7))
    alone = normal_numbers(torch.tensor([[77.0]]), shape)
    assert torch.equal(alone[0], normal_numbers(torch.tensor([[3.0], [77.0]]), shape)[1])


def test_bits_are_mixed_as_in_unsigned_arithmetic() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 1000, dtype=np.uint64)
    expected = bits.copy()
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        expected ^= expected >> np.uint64(shift)
        expected = expected * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    mixed = _mixed(torch.from_numpy(bits.astype(np.uint32).view(np.int32)))
    assert np.array_equal(mixed.numpy().view(np.uint32), expected.astype(np.uint32))


@pytest.mark.parametrize(
    ("transform", "name", "limits"),
    [
        (BatchedBrightnessTransform((0.5, 2.0), probability=0.3), "brightness", (0.5, 2.0)),
        (BatchedContrastTransform((0.5, 2.0), probability=0.3), "contrast", (0.5, 2.0)),
        (BatchedGammaTransform((0.5, 2.0), probability=0.3), "gamma", (0.5, 2.0)),
        (BatchedBlurTransform((0.5, 2.0), channels=3, probability=0.3), "blur_sigma_px", (0.5, 2.0)),
        (BatchedNoiseTransform((0.5, 2.0), probability=0.3), "noise_std", (0.5, 2.0)),
    ],
)
def test_parameters_lie_within_their_limits_in_the_fraction_of_images_asked_for(
    transform: BatchedTransform, name: str, limits: tuple[float, float]
) -> None:
    numbers = np.random.default_rng(3).random((2000, transform.numbers))
    drawn = transform.draw(numbers)
    assert {key: values.shape for key, values in drawn.items()} == {
        key: (2000, width) for key, width in transform.parameters.items()
    }
    neutral = 0.0 if name in {"blur_sigma_px", "noise_std"} else 1.0
    values = drawn[name]
    changed = (values != neutral).all(axis=1)
    assert changed.mean() == pytest.approx(0.3, abs=0.03)
    assert limits[0] <= values[changed].min() < values[changed].max() <= limits[1]
    if name in {"contrast", "gamma"}:
        assert (values[changed] < 1.0).mean() == pytest.approx(0.5, abs=0.06)


def test_shifts_have_the_standard_deviation_asked_for() -> None:
    transform = BatchedShiftTransform(0.4, probability=1.0)
    shifts = transform.draw(np.random.default_rng(0).random((5000, 2)))["brightness_shift"]
    assert shifts.std() == pytest.approx(0.4, rel=0.03)
    assert shifts.mean() == pytest.approx(0.0, abs=0.02)
    assert np.isfinite(transform.draw(np.zeros((1, 2)))["brightness_shift"]).all()


def test_contrast_about_the_foreground_leaves_the_mean_of_what_is_no_background() -> None:
    drawn = images()
    drawn[0, 0, :7] += 1e-6 * np.random.default_rng(1).random((7, 17), dtype=np.float32)  # as resampling leaves it
    marked = MarkForeground()(data=torch.from_numpy(drawn))
    foreground = marked["foreground"].numpy()
    assert not foreground[..., :7, :].any()
    assert foreground[..., 7:, :].all()
    factors = torch.tensor([[1.3], [0.8], [1.0], [1.3]])
    changed = BatchedContrastTransform((0.5, 2.0), probability=1.0)(**marked, contrast=factors)
    assert "foreground" not in changed
    for number, channel in np.ndindex(4, 2):
        before, after = drawn[number, channel, 7:], changed["data"].numpy()[number, channel, 7:]
        mean = before.astype(np.float64).mean()
        expected = np.clip((before - mean) * factors[number].item() + mean, -2.5, drawn[number, channel].max())
        np.testing.assert_allclose(after, expected, atol=1e-5)


def test_contrast_where_everything_is_background_changes_nothing() -> None:
    still = MarkForeground()(data=torch.full((2, 1, 5, 5), -1.5))
    changed = BatchedContrastTransform((0.5, 2.0), probability=1.0)(**still, contrast=torch.tensor([[0.6], [1.4]]))
    assert torch.equal(changed["data"], torch.full((2, 1, 5, 5), -1.5))
