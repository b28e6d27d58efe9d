from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from autoseg.catalogue import AUGMENTATIONS, AugmentationEntry
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.sections import MirrorAxis
from autoseg.training.augmentation import Augmentation, Batch, BatchSpatialTransform


def section(**changes: object) -> AugmentationSection:
    still: dict[str, object] = {
        "spatial_probability": 0.0,
        "rotation_deg": 0.0,
        "scale": (1.0, 1.0),
        "shift_fraction": 0.0,
        "intensity_probability": 0.0,
        "contrast": (1.0, 1.0),
        "brightness": (1.0, 1.0),
        "gamma": (1.0, 1.0),
        "noise_variance": 0.0,
        "blur_sigma_px": (0.0, 0.0),
    }
    return AugmentationSection.model_validate(still | changes)


class Twice:
    """Doubles intensities and adds a number drawn as batchgenerators draws, the same to a whole batch."""

    def __call__(self, **batch: Any) -> dict[str, Any]:
        batch["data"] = 2.0 * batch["data"] + np.random.uniform()  # noqa: NPY002
        return batch


class PlusOne:
    """Adds one to intensities."""

    def __call__(self, **batch: Any) -> dict[str, Any]:
        return {**batch, "data": batch["data"] + 1.0}


@pytest.fixture
def of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {name.lower(): AugmentationEntry(f"{__name__}:{name}", name) for name in ("Twice", "PlusOne")}
    monkeypatch.setattr(AUGMENTATIONS, "built_in", entries)


def batch(count: int = 64) -> Batch:
    rows, columns = np.indices((20, 24))
    blob = (np.hypot(rows - 6, columns - 15) < 4).astype(np.int16)
    seg = np.tile(blob, (count, 1, 1, 1))
    return {"data": np.concatenate([3.0 * seg - 1.0, 2.0 - seg], axis=1).astype(np.float32), "seg": seg}


def changed(mirror_axes: Sequence[MirrorAxis] = (), **changes: object) -> Batch:
    return Augmentation(section(**changes), mirror_axes=mirror_axes)(
        batch(), generator=np.random.default_rng(0), aspect=np.ones(64)
    )


def test_nothing_named_nothing_changed() -> None:
    result = changed()
    assert np.array_equal(result["data"], batch()["data"])
    assert np.array_equal(result["seg"], batch()["seg"])


def test_mirroring_flips_image_and_labels_together_about_half_of_the_time() -> None:
    result, original = changed(mirror_axes=["columns"]), batch()
    flipped = [
        np.array_equal(image, before[..., ::-1]) for image, before in zip(result["data"], original["data"], strict=True)
    ]
    assert 16 < sum(flipped) < 48
    for was_flipped, seg, before in zip(flipped, result["seg"], original["seg"], strict=True):
        assert np.array_equal(seg, before[..., ::-1] if was_flipped else before)


def test_image_and_labels_move_together() -> None:
    result = changed(spatial_probability=1.0, rotation_deg=30.0, scale=(0.8, 1.25), shift_fraction=0.1)
    brightness = result["data"][:, 0]
    inside, outside = brightness[result["seg"][:, 0] == 1], brightness[result["seg"][:, 0] == 0]
    assert inside.mean() > 1.5
    assert outside.mean() < -0.8
    assert not np.array_equal(result["seg"], batch()["seg"])


def test_what_comes_in_from_outside_is_each_channels_darkest_value() -> None:
    result = changed(spatial_probability=1.0, scale=(0.5, 0.5))
    np.testing.assert_allclose(result["data"][:, 0, 0, 0], -1.0, atol=1e-6)
    np.testing.assert_allclose(result["data"][:, 1, 0, 0], 1.0, atol=1e-6)
    assert result["seg"][:, 0, 0].max() == 0


def test_a_magnification_of_two_makes_areas_four_times_as_large() -> None:
    seg = np.zeros((8, 1, 40, 40), dtype=np.int16)
    seg[:, :, 15:25, 14:26] = 1
    moved = BatchSpatialTransform(probability=1.0, rotation_deg=0.0, scale=(2.0, 2.0), shift_fraction=0.0)(
        data=seg.astype(np.float32), seg=seg.copy()
    )
    assert moved["seg"].sum() == pytest.approx(4 * seg.sum(), rel=0.05)


def test_rotation_keeps_areas_on_images_that_are_not_square() -> None:
    seg = np.zeros((32, 1, 30, 60), dtype=np.int16)
    seg[:, :, 10:20, 25:35] = 1
    np.random.seed(0)  # noqa: NPY002 - what the transform draws from
    moved = BatchSpatialTransform(probability=1.0, rotation_deg=90.0, scale=(1.0, 1.0), shift_fraction=0.0)(
        data=seg.astype(np.float32), seg=seg.copy()
    )
    areas = moved["seg"].sum(axis=(1, 2, 3))
    assert np.all(np.abs(areas - 100) <= 12)


@pytest.mark.parametrize(
    "change",
    [
        {"contrast": (0.5, 0.6)},
        {"brightness": (1.5, 1.6)},
        {"gamma": (2.0, 2.1)},
        {"noise_variance": 0.5},
        {"noise_std": 0.5},
        {"brightness_shift": 0.5},
        {"contrast": (0.5, 0.6), "contrast_about": "foreground"},
        {"blur_sigma_px": (1, 2)},
    ],
)
def test_intensity_changes_leave_labels_and_change_images(change: dict[str, object]) -> None:
    original = batch()
    generator = np.random.default_rng(1)
    original["data"] += generator.normal(0, 0.1, original["data"].shape).astype(np.float32)
    before = original["data"].copy()
    result = Augmentation(section(intensity_probability=1.0, **change), mirror_axes=())(
        original, generator=generator, aspect=np.ones(64)
    )
    assert np.array_equal(result["seg"], batch()["seg"])
    assert result["data"].dtype == np.float32
    assert not np.allclose(result["data"], before)


def test_a_probability_of_a_third_leaves_two_thirds_untouched() -> None:
    original = batch(300)
    before = original["data"].copy()
    result = Augmentation(section(intensity_probability=1 / 3, brightness=(1.5, 1.6)), mirror_axes=())(
        original, generator=np.random.default_rng(2), aspect=np.ones(300)
    )
    untouched = (result["data"] == before).all(axis=(1, 2, 3)).mean()
    assert untouched == pytest.approx(2 / 3, abs=0.1)


@pytest.mark.usefixtures("of_ones_own")
def test_augmentations_of_ones_own_come_last_in_their_order_and_are_seeded() -> None:
    before = changed(mirror_axes=["columns"])
    result = changed(mirror_axes=["columns"], additional=["plusone", "twice"])
    added = result["data"] - 2.0 * (before["data"] + 1.0)
    assert added.std() < 1e-6
    assert 0.0 < added.mean() < 1.0
    assert result["data"].dtype == np.float32
    assert np.array_equal(result["seg"], before["seg"])
    again = changed(mirror_axes=["columns"], additional=["plusone", "twice"])
    assert np.array_equal(again["data"], result["data"])
    other = changed(mirror_axes=["columns"], additional=["twice", "plusone"])
    np.testing.assert_allclose(result["data"] - other["data"], 1.0, atol=1e-5)  # 2 (x + 1) instead of 2 x + 1


def test_noise_has_a_standard_deviation_of_up_to_the_one_asked_for() -> None:
    still = Batch(data=np.zeros((400, 1, 16, 16), dtype=np.float32), seg=np.zeros((400, 1, 16, 16), dtype=np.int16))
    result = Augmentation(section(intensity_probability=1.0, noise_std=0.4), mirror_axes=())(
        still, generator=np.random.default_rng(0), aspect=np.ones(400)
    )
    std = result["data"].std(axis=(1, 2, 3))
    assert std.mean() == pytest.approx(0.2, rel=0.1)
    assert std.max() == pytest.approx(0.4, rel=0.1)


def test_what_is_no_background_keeps_its_mean_when_contrast_turns_about_it() -> None:
    original = batch(50)
    original["data"][:, :, :4] += np.linspace(0.5, 1.5, 24, dtype=np.float32)
    foreground = original["data"] > original["data"].min(axis=(2, 3), keepdims=True)
    result = Augmentation(
        section(intensity_probability=1.0, contrast=(0.5, 0.9), contrast_about="foreground"), mirror_axes=()
    )({"data": original["data"].copy(), "seg": original["seg"]}, generator=np.random.default_rng(0), aspect=np.ones(50))
    for before, after, mask in zip(original["data"], result["data"], foreground, strict=True):
        for channel in range(2):
            inside = mask[channel]
            assert after[channel][inside].mean() == pytest.approx(before[channel][inside].mean(), abs=1e-5)
            assert after[channel][inside].std() < 0.999 * before[channel][inside].std()


def test_millimetres_are_turned_where_the_plan_says_so() -> None:
    seg = np.zeros((40, 1, 60, 60), dtype=np.int16)
    seg[:, :, 20:40, 26:34] = 1  # 40 x 8 mm on pixels of 2 x 1 mm
    spans = {}
    for unit in ("px", "mm"):
        turned = Augmentation(section(spatial_probability=1.0, rotation_deg=90.0, rotation_unit=unit), mirror_axes=())(
            {"data": seg.astype(np.float32), "seg": seg.copy()},
            generator=np.random.default_rng(0),
            aspect=np.full(40, 2.0),
        )
        spans[unit] = max(np.ptp(np.nonzero(labels[0].any(axis=0))[0]) + 1 for labels in turned["seg"])
    assert 18 < spans["px"] < 25
    assert 38 < spans["mm"] < 44


def test_with_a_generator_each_an_image_does_not_depend_on_the_others() -> None:
    everything = section(
        spatial_probability=0.8, rotation_deg=20.0, scale=(0.8, 1.25), intensity_probability=0.5, noise_std=0.3,
        contrast=(0.6, 1.5), contrast_about="foreground", brightness_shift=0.3, gamma=(0.7, 1.5), blur_sigma_px=(0.5, 1.0),
    )  # fmt: skip
    made = Augmentation(everything, mirror_axes=["rows", "columns"])
    original, generators = batch(12), [np.random.default_rng((7, number)) for number in range(12)]
    together = made(
        {"data": original["data"].copy(), "seg": original["seg"].copy()}, generator=generators, aspect=np.ones(12)
    )
    for number in (0, 5, 11):
        one = slice(number, number + 1)
        alone = made(
            {"data": original["data"][one].copy(), "seg": original["seg"][one].copy()},
            generator=[np.random.default_rng((7, number))],
            aspect=np.ones(1),
        )
        assert np.array_equal(alone["data"], together["data"][one])
        assert np.array_equal(alone["seg"], together["seg"][one])
    assert len(np.unique(together["data"], axis=0)) == 12
