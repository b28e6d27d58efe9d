"""Which random changes a plan asks for."""

from typing import Any

import pytest

from autoseg.planning.augmentation_section import AugmentationSection


def section(**changes: Any) -> AugmentationSection:
    values = {
        "spatial_probability": 0.0, "rotation_deg": 0.0, "scale": (1.0, 1.0), "shift_fraction": 0.0,
        "intensity_probability": 0.5, "contrast": (1.0, 1.0), "brightness": (1.0, 1.0), "gamma": (1.0, 1.0),
        "noise_variance": 0.0, "blur_sigma_px": (0.0, 0.0), **changes,
    }  # fmt: skip
    return AugmentationSection.model_validate(values)


def test_what_changes_nothing_is_not_applied() -> None:
    assert section().active == ()
    assert section(intensity_probability=0.0, gamma=(0.5, 2.0), noise_std=0.1).active == ()


def test_changes_are_applied_in_the_order_of_their_table() -> None:
    every = section(
        gamma=(0.7, 1.0),
        contrast=(1.0, 1.5),
        brightness_shift=0.1,
        brightness=(0.9, 1.1),
        blur_sigma_px=(0, 1),
        noise_std=0.2,
    )
    assert every.active == ("noise_std", "blur_sigma_px", "brightness", "brightness_shift", "contrast", "gamma")


@pytest.mark.parametrize("key", ["noise_std", "noise_variance"])
def test_noise_goes_under_either_name(key: str) -> None:
    assert section(**{key: 0.3}).active == (key,)
    assert section(**{key: 0.3}).noise == 0.3
