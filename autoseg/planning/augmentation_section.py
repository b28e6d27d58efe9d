"""The keys of a plan for random changes of the training slices."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from autoseg import catalogue
from autoseg.planning.section_types import Fraction, Range, Section

CHANGES_OF_INTENSITY: Final[Mapping[str, Any]] = {
    "noise_std": 0.0,
    "noise_variance": 0.0,
    "blur_sigma_px": (0.0, 0.0),
    "brightness": (1.0, 1.0),
    "brightness_shift": 0.0,
    "contrast": (1.0, 1.0),
    "gamma": (1.0, 1.0),
}
"""The keys of changes of intensities, each with the value that changes nothing, in the order in which these are applied."""


class AugmentationSection(Section):
    """Random changes of the training slices. Each is drawn per slice; a probability of 0 switches it off."""

    spatial_probability: Fraction = Field(description="fraction of slices that are rotated, scaled and shifted")
    rotation_deg: float = Field(ge=0, le=180, description="largest rotation in either direction, in degrees")
    rotation_unit: Literal["px", "mm"] = Field(
        default="px",
        description="what is turned: `mm`: anatomy; `px`: rows and columns, which shears it where pixels are not square",
    )
    scale: Range = Field(description="smallest and largest magnification")
    shift_fraction: Fraction = Field(description="largest displacement as a fraction of the patch")
    intensity_probability: Fraction = Field(description="probability of each of the following, per slice")
    contrast: Range = Field(description="smallest and largest factor on the distance from the mean")
    contrast_about: Literal["slice", "foreground"] = Field(
        default="slice",
        description="which mean: of the whole `slice`, or of its `foreground`, the voxels above the slice's darkest value",
    )
    brightness: Range = Field(description="smallest and largest factor on the intensity, which is mostly centred on 0")
    brightness_shift: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="standard deviation of a normal distribution, of which a number is added, in normalised units",
    )
    gamma: Range = Field(description="smallest and largest exponent")
    noise_variance: float = Field(
        ge=0,
        le=100,
        description="as `noise_std`, under the name that 0.1 mistook for it; only one of the two is not 0",
    )
    noise_std: float = Field(
        default=0.0, ge=0, le=100, description="largest standard deviation of added Gaussian noise, in normalised units"
    )
    blur_sigma_px: tuple[Annotated[float, Field(ge=0, le=100)], Annotated[float, Field(ge=0, le=100)]] = Field(
        description="smallest and largest sigma of a Gaussian blur; (0, 0): none"
    )
    additional: tuple[catalogue.Augmentation, ...] = Field(
        default=(), description="augmentations of one's own, applied in this order after all of these"
    )

    @property
    def noise(self) -> float:
        """Largest standard deviation of the noise, under whichever name a plan has it."""
        return self.noise_std or self.noise_variance

    @property
    def active(self) -> tuple[str, ...]:
        """The keys of `CHANGES_OF_INTENSITY` that change something, in the order in which they are applied."""
        if not self.intensity_probability:
            return ()
        return tuple(key for key, neutral in CHANGES_OF_INTENSITY.items() if getattr(self, key) != neutral)

    @model_validator(mode="after")
    def _ranges_rise(self) -> "AugmentationSection":
        for name in ("scale", "contrast", "brightness", "gamma", "blur_sigma_px"):
            smallest, largest = getattr(self, name)
            if smallest > largest:
                msg = f"{name} needs the smallest value first, not {smallest:g} before {largest:g}"
                raise ValueError(msg)
        if self.noise_variance and self.noise_std:
            msg = "noise_variance and noise_std limit the same noise: set one of them to 0"
            raise ValueError(msg)
        return self
