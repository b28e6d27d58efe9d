"""What a plan consists of: its sections with their keys and limits. Field descriptions are the reference documentation.

A key that is added gets a neutral default: then plans without it are read, and their digests stay as they were. A key that
had no default must not be given one.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from autoseg import catalogue
from autoseg.data.dataset import LabelClass, check_classes, names_by_value
from autoseg.data.labels import LabelEncoding, encoding_of
from autoseg.images.label_values import LARGEST_LABEL
from autoseg.planning.section_types import Fraction, Positive, Section
from autoseg.planning.slices_section import SliceSelection

_FEWEST_LEVELS: Final = 2
_MOST_LEVELS: Final = 12
"""Of a network. Source: chosen; with so many, the sides of its slices are multiples of 2048 pixels."""

Gigabytes = Annotated[float, Field(gt=0, le=10_000)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000)]
Minutes = Annotated[float, Field(gt=0, le=1_000_000)]
FoldCount = Annotated[int, Field(ge=2, le=100_000)]
AskedPlanes = tuple[catalogue.Plane, ...] | Literal["auto", "all"]
Side = Annotated[int, Field(ge=1, le=65_536)]
PixelPair = tuple[Side, Side]


def _each_once(axes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(axes)) < len(axes):
        msg = f"each axis at most once, not {len(axes)} entries for {len(set(axes))}"
        raise ValueError(msg)
    return axes


MirrorAxis = Literal["rows", "columns"]
MirrorAxes = Annotated[tuple[MirrorAxis, ...], AfterValidator(_each_once)]


class Inputs(Section):
    """What, besides the data, the plan was made from: the same inputs and data give the same plan.

    A record for planning again: what is changed here changes no other value of the plan.
    """

    name: str = Field(min_length=1, description="name of the data set")
    recipe: catalogue.Recipe = Field(description="`auto`: what measured best; `paper`: the published method")
    plane: catalogue.Plane | Literal["auto"] = Field(description="the slice plane asked for, the first of several")
    planes: tuple[catalogue.Plane, ...] | Literal["all"] | None = Field(
        default=None, description="the slice planes asked for, where it was more than one; null: as `plane` says"
    )
    device: catalogue.DeviceKind = Field(description="kind of machine the plan is sized for")
    memory_gb: Gigabytes = Field(description="memory one training step may take, in GB")
    folds: FoldCount | None = Field(description="number of folds asked for; null: by rule")
    not_finite: catalogue.NotFinite = Field(default="refuse", description="what was to be done with NaN and infinite voxels")
    minutes: Minutes | None = Field(default=None, description="length of runs asked for; null: by rule")
    speed_kpx_s: Positive | None = Field(
        default=None,
        description="thousand pixels that a U-Net of 16 features learns from in a second, where `minutes` was asked for",
    )
    overrides: dict[str, Any] = Field(default={}, description="values asked for with `--set`, by their path")
    asked: tuple[Literal["device", "memory_gb"], ...] = Field(
        default=(), description="which of these were asked for; those that are not are as they were found"
    )

    @property
    def asked_planes(self) -> AskedPlanes:
        """The slice planes asked for; `auto`: by rule."""
        if self.planes is not None:
            return self.planes
        return "auto" if self.plane == "auto" else (self.plane,)


class DataSection(Section):
    """What the networks read and write."""

    channels: tuple[str, ...] = Field(min_length=1, description="what each input channel shows")
    classes: tuple[LabelClass, ...] = Field(min_length=2, description="classes by rising label value, background first")
    ignore: int | None = Field(
        default=None,
        ge=1,
        description="label value of voxels without a label, which count in no loss and no score; null: there are none",
    )

    @property
    def encoding(self) -> LabelEncoding:
        """How label values become targets, and probabilities labels."""
        return encoding_of(self.classes, ignore=self.ignore)

    @property
    def label_names(self) -> dict[int, str]:
        """Every value that label maps may hold, with what it is called."""
        return names_by_value(self.classes, ignore=self.ignore)

    @model_validator(mode="after")
    def _classes_differ(self) -> "DataSection":
        check_classes(self.classes, ignore=self.ignore)
        if max(self.label_names) > LARGEST_LABEL:
            msg = f"class values must not be above {LARGEST_LABEL}, the largest that label maps are stored with"
            raise ValueError(msg)
        return self


class NormalisationStep(Section):
    """How one channel's intensities are brought to a common scale."""

    method: catalogue.Normalisation = Field(
        description="`quantile_zscore`: eq. 1 of the paper per scan; `zscore`: mean and standard deviation of voxels > 0 "
        "per scan; `ct`: clip to and scale by the data set's own foreground; `none`: leave as it is"
    )
    lower: float | None = Field(default=None, description="`ct`: lower clipping bound, in the scan's units")
    upper: float | None = Field(default=None, description="`ct`: upper clipping bound, in the scan's units")
    mean: float | None = Field(default=None, description="`ct`: mean to subtract, in the scan's units")
    std: Positive | None = Field(default=None, description="`ct`: standard deviation to divide by")
    clip: Positive | None = Field(
        default=None, description="normalised values are clipped to [-clip, clip]; null: not clipped"
    )

    background: float | None = Field(
        default=None,
        description="normalised value of voxels that are 0 in the scan, and the least of all others; null: they are scaled "
        "like the others, to another value in each scan",
    )

    @model_validator(mode="after")
    def _ct_is_complete(self) -> "NormalisationStep":
        if self.method == "ct" and None in (self.lower, self.upper, self.mean, self.std):
            msg = "method `ct` needs lower, upper, mean and std"
            raise ValueError(msg)
        return self


class PreprocessingSection(Section):
    """From a scan to the slices a network sees. Changing anything here rebuilds the preprocessed arrays."""

    crop: catalogue.Crop = Field(description="`nonzero`: cut to the box around voxels other than 0; `none`: keep all")
    crop_margin_px: int = Field(ge=0, le=100_000, description="voxels kept around that box")
    not_finite: catalogue.NotFinite = Field(
        default="refuse",
        description="`refuse`: a scan with NaN or infinite voxels is an error; `zero`: such voxels are taken for 0",
    )
    normalisation: tuple[NormalisationStep, ...] = Field(min_length=1, description="one step per channel")


class View(Section):
    """One way to see the data: how scans are cut into slices, and how slices are shown to a network."""

    plane: catalogue.Plane | None = Field(description="plane of the slices; null for 2D images, which have none")
    spacing_mm: tuple[Positive, Positive] | None = Field(
        description="in-plane spacing (rows, columns) that slices are resampled to; null: each scan keeps its own"
    )
    adjacent_slices: int = Field(
        ge=0,
        le=5,
        description="slices on either side that are shown together with each slice, as further input channels (2.5D)",
    )
    patch_px: PixelPair = Field(description="rows and columns of the patches that networks learn from")
    mirror_axes: MirrorAxes = Field(description="in-plane axes flipped with probability 1/2 in training")
    tta_axes: MirrorAxes = Field(
        description="test-time augmentation: predictions are averaged over flips of these in-plane axes; empty: no flips"
    )
    batch_size: int = Field(ge=1, le=65_536, description="slices per optimiser step")


class NetworkSection(Section):
    """Size of the networks."""

    features: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        min_length=_FEWEST_LEVELS,
        description="channels at each level, from full resolution to the bottleneck; each level halves",
    )
    convolutions: int = Field(ge=1, le=4, description="convolutions (or separable blocks) per level")
    expansion: Positive = Field(
        le=64, description="hidden width of the inverse bottleneck, as a multiple of its input width"
    )
    skips: catalogue.Skip = Field(description="how the Sep-Res U-Net joins encoder and decoder")
    deep_supervision: bool = Field(
        description="whether coarser decoder levels are supervised too, each with half the weight of the one above"
    )
    shared_by_views: bool = Field(
        default=True, description="whether one network sees all views; otherwise each view has a network of its own"
    )
    stem: catalogue.Stem = Field(
        default="plain",
        description="how slices enter: `plain`: as they are; `space_to_depth`: every 2x2 pixels as one with four times the "
        "channels, and logits likewise back; this takes the place of the first level",
    )

    @model_validator(mode="after")
    def _levels_can_be_halved(self) -> "NetworkSection":
        if self.stem == "space_to_depth" and len(self.features) <= _FEWEST_LEVELS:
            msg = (
                f"the stem `space_to_depth` takes the place of the first level, so features needs at least "
                f"{_FEWEST_LEVELS + 1}; it has {len(self.features)}"
            )
            raise ValueError(msg)
        if len(self.features) > _MOST_LEVELS:
            msg = f"at most {_MOST_LEVELS} levels, because each halves the slices; features has {len(self.features)}"
            raise ValueError(msg)
        return self

    @property
    def divisor(self) -> int:
        """Slice sides must be multiples of this many pixels inside the network."""
        return 1 << (len(self.features) - 1)

    @property
    def inside(self) -> "NetworkSection":
        """The network behind its stem: the same, or what is left of it at half resolution."""
        if self.stem == "plain":
            return self
        return self.model_copy(update={"features": self.features[1:], "stem": "plain"})


class TrainingSection(Section):
    """How the networks learn."""

    slices: SliceSelection = Field(description="which slices are learnt from")
    seeding: Literal["batch", "image"] = Field(
        default="batch",
        description="what random changes depend on: `image`: the image's position in the epoch; `batch`: its batch, too",
    )
    foreground_patches: Fraction = Field(
        default=0.0,
        description="of slices larger than patches: fraction of the patches that are laid around a pixel of a class other "
        "than the background, of one class as often as of another",
    )
    steps_per_epoch: int = Field(ge=1, description="optimiser steps between two validations")
    loss: catalogue.Loss = Field(description="`cross_entropy` (weighted), `dice`, or their sum")
    class_weights: tuple[Positive, ...] = Field(
        description="weight of each class in the cross-entropy, background first; a voxel of several regions has that of "
        "the innermost"
    )
    optimiser: catalogue.Optimiser = Field(description="`adam`, `adamw` or `muon`")
    learning_rate: Positive = Field(description="initial (plateau) or maximum (cosine) learning rate")
    weight_decay: float = Field(ge=0, description="decoupled weight decay of `adamw` and `muon`")
    grad_clip_norm: Positive | None = Field(description="norm that gradients are clipped to; null: not clipped")
    schedule: catalogue.Schedule = Field(
        description="`cosine`: warm-up, then a cosine that ends with the run; `plateau`: a tenth after `lr_patience` epochs"
    )
    warmup_fraction: Fraction = Field(description="`cosine`: fraction of the run during which the learning rate rises")
    lr_patience: int | None = Field(
        ge=1, le=1_000_000, description="`plateau`: epochs without a lower validation loss before a lower learning rate"
    )
    early_stopping_patience: int | None = Field(
        ge=1, le=1_000_000, description="epochs without a lower validation loss before the end; null: never"
    )
    best_model: catalogue.BestModel = Field(description="which epoch's weights become the model")
    half_resolution_fraction: Fraction = Field(
        default=0.0, description="first fraction of a run in which slices are shown at half resolution; 0: never"
    )
    epochs: Epochs | None = Field(description="length of a run in epochs; null: by time")
    minutes: Minutes | None = Field(description="length of a run in minutes, where `epochs` is null")

    @property
    def follows_validation(self) -> bool:
        """Whether the scores of an epoch change what comes of the run."""
        return self.schedule == "plateau" or self.early_stopping_patience is not None or self.best_model != "last"

    @model_validator(mode="after")
    def _is_complete_and_ends(self) -> "TrainingSection":
        if (self.epochs is None) == (self.minutes is None):
            msg = "exactly one of `epochs` and `minutes` must be set"
            raise ValueError(msg)
        if self.schedule == "plateau" and self.lr_patience is None:
            msg = "the schedule `plateau` needs `lr_patience`"
            raise ValueError(msg)
        return self


class PredictionSection(Section):
    """How trained networks are applied."""

    batch_size: int = Field(ge=1, le=65_536, description="slices predicted at once")
    padding: Literal["replicated", "darkest"] = Field(
        default="replicated",
        description="how slices are extended at their ends to sizes that networks halve evenly: `darkest`: by the scan's "
        "darkest value, as patches are in training; `replicated`: by repeating the border",
    )
    prior_power: Fraction = Field(
        default=0.0,
        description="probabilities are divided by `training.class_weights` to this power, the odds of a region by its "
        "weight over that of what surrounds it; 0: left as networks give them",
    )
