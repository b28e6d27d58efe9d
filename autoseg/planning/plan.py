"""The plan: every decision that the data dictates, as a document a person may read and edit.

Its sections hold the values; `decisions` says for each value which rule chose it and from what evidence. Field
descriptions are the reference documentation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from autoseg import catalogue
from autoseg.data.dataset import LabelClass, check_classes
from autoseg.data.label_values import LARGEST_LABEL
from autoseg.errors import PlanError
from autoseg.planning.memory import training_step_bytes
from autoseg.storage import files
from autoseg.storage.documents import DocumentType

_MOST_LEVELS: Final = 12
"""Of a network. Source: chosen; with so many, the sides of its slices are multiples of 2048 pixels."""

_MOST_STEP_GB: Final = 10_000
"""Memory of a training step. Source: chosen; a hundred times that of a large GPU, so that only a mistake exceeds it."""

_MOST_SLICES_PER_EPOCH: Final = 10_000_000
"""Source: chosen; a hundred times the slices of a thousand scans. The order of an epoch's slices is made beforehand."""

# Upper limits of single values are chosen: beyond what anybody uses, and low enough that nothing made of them fills a
# memory or exceeds what a float can hold. What values amount to together is limited by the plan as a whole.
Positive = Annotated[float, Field(gt=0)]
Gigabytes = Annotated[float, Field(gt=0, le=10_000)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000)]
Minutes = Annotated[float, Field(gt=0, le=1_000_000)]
FoldCount = Annotated[int, Field(ge=2, le=100_000)]
Share = Annotated[float, Field(ge=0, le=1)]
Range = tuple[Positive, Positive]
Side = Annotated[int, Field(ge=1, le=65_536)]
PixelPair = tuple[Side, Side]


def _each_once(axes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(axes)) < len(axes):
        msg = f"each axis at most once, not {len(axes)} entries for {len(set(axes))}"
        raise ValueError(msg)
    return axes


MirrorAxes = Annotated[tuple[Literal["rows", "columns"], ...], AfterValidator(_each_once)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Inputs(_Section):
    """What, besides the data, the plan was made from: the same inputs and data give the same plan."""

    name: str = Field(min_length=1, description="name of the data set")
    recipe: catalogue.Recipe = Field(description="`auto`: what measured best; `paper`: the published method")
    plane: catalogue.Plane | Literal["auto"] = Field(description="the slice plane asked for")
    device: catalogue.DeviceKind = Field(description="kind of machine the plan is sized for")
    memory_gb: Gigabytes = Field(description="memory one training step may take, in GB")
    folds: FoldCount | None = Field(description="number of folds asked for; null: by rule")
    not_finite: catalogue.NotFinite = Field(default="refuse", description="what was to be done with NaN and infinite voxels")


class DataSection(_Section):
    """What the networks read and write."""

    channels: tuple[str, ...] = Field(min_length=1, description="what each input channel shows")
    classes: tuple[LabelClass, ...] = Field(min_length=2, description="classes by rising label value, background first")

    @model_validator(mode="after")
    def _classes_differ(self) -> "DataSection":
        check_classes(self.classes)
        if self.classes[-1].value > LARGEST_LABEL:
            msg = f"class values must not be above {LARGEST_LABEL}, the largest that label maps are stored with"
            raise ValueError(msg)
        return self


class NormalisationStep(_Section):
    """How one channel's intensities are brought to a common scale."""

    method: catalogue.Normalisation = Field(
        description="`quantile_zscore`: eq. 1 of the paper per scan; `zscore`: mean and deviation of voxels > 0 per "
        "scan; `ct`: clip to and scale by the data set's own foreground; `none`: leave as it is"
    )
    lower: float | None = Field(default=None, description="`ct`: lower clipping bound, in the scan's units")
    upper: float | None = Field(default=None, description="`ct`: upper clipping bound, in the scan's units")
    mean: float | None = Field(default=None, description="`ct`: mean to subtract, in the scan's units")
    deviation: Positive | None = Field(default=None, description="`ct`: standard deviation to divide by")
    limit: Positive | None = Field(
        default=None, description="normalised values are clipped to [-limit, limit]; null: not clipped"
    )

    @model_validator(mode="after")
    def _ct_is_complete(self) -> "NormalisationStep":
        if self.method == "ct" and None in (self.lower, self.upper, self.mean, self.deviation):
            msg = "method `ct` needs lower, upper, mean and deviation"
            raise ValueError(msg)
        return self


class PreprocessingSection(_Section):
    """From a scan to the slices a network sees. Changing anything here rebuilds the preprocessed arrays."""

    plane: catalogue.Plane | None = Field(description="plane of the slices; null for 2D images, which have none")
    spacing_mm: tuple[Positive, Positive] | None = Field(
        description="in-plane spacing (rows, columns) that slices are resampled to; null: each scan keeps its own"
    )
    crop: catalogue.Crop = Field(description="`nonzero`: cut to the box around voxels other than 0; `none`: keep all")
    crop_margin_px: int = Field(ge=0, le=100_000, description="voxels kept around that box")
    not_finite: catalogue.NotFinite = Field(
        default="refuse",
        description="`refuse`: a scan with NaN or infinite voxels is an error; `zero`: such voxels are taken for 0",
    )
    normalisation: tuple[NormalisationStep, ...] = Field(min_length=1, description="one step per channel")


class NetworkSection(_Section):
    """Size of the networks."""

    features: tuple[Annotated[int, Field(ge=1, le=8192)], ...] = Field(
        min_length=2, description="channels at each level, from full resolution to the bottleneck; each level halves"
    )
    convolutions: int = Field(ge=1, le=4, description="convolutions (or separable blocks) per level")
    expansion: Positive = Field(
        le=64, description="hidden width of the inverse bottleneck, as a multiple of its input width"
    )
    skips: catalogue.Skip = Field(description="how the Sep-Res U-Net joins encoder and decoder")
    neighbours: int = Field(
        ge=0, le=5, description="slices on either side that are shown together with each slice, as further input channels"
    )
    deep_supervision: bool = Field(
        description="whether coarser decoder levels answer too in training, each with half the weight of the one above"
    )

    @model_validator(mode="after")
    def _levels_can_be_halved(self) -> "NetworkSection":
        if len(self.features) > _MOST_LEVELS:
            msg = f"at most {_MOST_LEVELS} levels, because each halves the slices; features has {len(self.features)}"
            raise ValueError(msg)
        return self

    @property
    def divisor(self) -> int:
        """Slice sides must be multiples of this many pixels inside the network."""
        return 1 << (len(self.features) - 1)


class SliceSelection(_Section):
    """Which slices of the training scans a network learns from; validation and prediction always take all."""

    rule: catalogue.SliceRule = Field(
        description="`all`: every slice once per pass; `with_class`: only slices that show `label`; `foreground_share`: "
        "that `share` of an epoch comes from slices with any foreground, the rest from all"
    )
    label: int | None = Field(default=None, description="`with_class`: label value that a slice must show")
    share: Share | None = Field(
        default=None, description="`foreground_share`: share of slices drawn from those with foreground"
    )

    @model_validator(mode="after")
    def _rule_is_complete(self) -> "SliceSelection":
        needed = {"all": None, "with_class": "label", "foreground_share": "share"}[self.rule]
        given = {name for name in ("label", "share") if getattr(self, name) is not None}
        if given != ({needed} if needed else set()):
            msg = f"the rule `{self.rule}` needs " + (
                f"`{needed}` and nothing else" if needed else "neither label nor share"
            )
            raise ValueError(msg)
        return self


class TrainingSection(_Section):
    """How the networks learn."""

    slices: SliceSelection = Field(description="which slices are learnt from")
    patch_px: PixelPair = Field(description="rows and columns of the pictures in a batch")
    batch_size: int = Field(ge=1, le=65_536, description="slices per optimiser step")
    steps_per_epoch: int = Field(ge=1, description="optimiser steps between two validations")
    loss: catalogue.Loss = Field(description="`cross_entropy` (weighted), `dice`, or their sum")
    class_weights: tuple[Positive, ...] = Field(description="weight of each class in the cross-entropy, background first")
    optimiser: catalogue.Optimiser = Field(description="`adam` or `adamw`")
    learning_rate: Positive = Field(description="initial (plateau) or highest (cosine) learning rate")
    weight_decay: float = Field(ge=0, description="decoupled weight decay of `adamw`")
    gradient_limit: Positive | None = Field(description="largest norm of a gradient; null: unlimited")
    schedule: catalogue.Schedule = Field(
        description="`cosine`: warm-up, then a cosine that ends with the run; `plateau`: a tenth after `patience` epochs"
    )
    warmup: Share = Field(description="`cosine`: share of the run during which the learning rate rises")
    patience: int | None = Field(
        ge=1, le=1_000_000, description="`plateau`: epochs without a lower validation loss before a lower learning rate"
    )
    stop_after: int | None = Field(
        ge=1, le=1_000_000, description="epochs without a lower validation loss before the end; null: never"
    )
    best_model: catalogue.BestModel = Field(description="which epoch's weights become the model")
    epochs: Epochs | None = Field(description="length of a run in epochs; null: by time")
    minutes: Minutes | None = Field(description="length of a run in minutes, where `epochs` is null")

    @model_validator(mode="after")
    def _is_complete_and_ends(self) -> "TrainingSection":
        if (self.epochs is None) == (self.minutes is None):
            msg = "exactly one of `epochs` and `minutes` must be set"
            raise ValueError(msg)
        if self.steps_per_epoch * self.batch_size > _MOST_SLICES_PER_EPOCH:
            msg = f"steps_per_epoch times batch_size must not be above {_MOST_SLICES_PER_EPOCH} slices"
            raise ValueError(msg)
        if self.schedule == "plateau" and self.patience is None:
            msg = "the schedule `plateau` needs a `patience`"
            raise ValueError(msg)
        return self


class AugmentationSection(_Section):
    """Random changes of the training slices. Each is drawn per slice; a probability of 0 switches it off."""

    mirror_axes: MirrorAxes = Field(description="in-plane axes flipped with probability 1/2")
    spatial_probability: Share = Field(description="share of slices that are rotated, scaled and shifted")
    rotation_deg: float = Field(ge=0, le=180, description="largest rotation in either direction, in degrees")
    scale: Range = Field(description="smallest and largest magnification")
    shift: Share = Field(description="largest displacement as a share of the patch")
    intensity_probability: Share = Field(description="probability of each of the following, per slice")
    contrast: Range = Field(description="smallest and largest factor on the distance from the mean")
    brightness: Range = Field(description="smallest and largest factor on the intensity")
    gamma: Range = Field(description="smallest and largest exponent")
    noise: float = Field(ge=0, le=100, description="largest variance of added Gaussian noise, in normalised units")
    blur_px: tuple[Annotated[float, Field(ge=0, le=100)], Annotated[float, Field(ge=0, le=100)]] = Field(
        description="smallest and largest sigma of a Gaussian blur; (0, 0): none"
    )

    @model_validator(mode="after")
    def _ranges_rise(self) -> "AugmentationSection":
        for name in ("scale", "contrast", "brightness", "gamma", "blur_px"):
            smallest, largest = getattr(self, name)
            if smallest > largest:
                msg = f"{name} needs the smallest value first, not {smallest:g} before {largest:g}"
                raise ValueError(msg)
        return self


class PredictionSection(_Section):
    """How trained networks are applied."""

    mirror_axes: MirrorAxes = Field(
        description="predictions are averaged over flips of these in-plane axes; empty: no flips"
    )
    batch_size: int = Field(ge=1, le=65_536, description="slices predicted at once")


class Decision(_Section):
    """Why one value is what it is."""

    rule: str = Field(description="name of the rule that chose the value")
    value: Any = Field(description="the value as chosen, for comparison with an edited one")
    reason: str = Field(description="the evidence, in words")


class Plan(_Section):
    """Everything the data dictates; what the user chooses for one run is not part of it."""

    version: Literal[1] = Field(default=1, description="version of this document's format")
    planned_digest: str = Field(description="digest of the values as planned; differs from the plan's own after an edit")
    inputs: Inputs
    data: DataSection
    folds: int = Field(
        ge=1, le=100_000, description="folds of the cross-validation; 1: too few cases, only `full` can be trained"
    )
    preprocessing: PreprocessingSection
    network: NetworkSection
    training: TrainingSection
    augmentation: AugmentationSection
    prediction: PredictionSection
    decisions: dict[str, Decision] = Field(description="for each value, by its path: rule, value as planned, evidence")

    @model_validator(mode="after")
    def _sections_agree(self) -> "Plan":
        foreground = [label.value for label in self.data.classes[1:]]
        if len(self.training.class_weights) != len(self.data.classes):
            msg = f"training.class_weights needs {len(self.data.classes)} entries, one per class"
            raise ValueError(msg)
        if self.training.slices.rule == "with_class" and self.training.slices.label not in foreground:
            msg = f"training.slices.label must be one of {foreground}, the values of data.classes without the background"
            raise ValueError(msg)
        if len(self.preprocessing.normalisation) != len(self.data.channels):
            msg = f"preprocessing.normalisation needs {len(self.data.channels)} entries, one per channel"
            raise ValueError(msg)
        if any(side % self.network.divisor for side in self.training.patch_px):
            msg = (
                f"training.patch_px must be multiples of {self.network.divisor}, "
                f"because network.features has {len(self.network.features)} levels"
            )
            raise ValueError(msg)
        if self._step_gb > _MOST_STEP_GB:
            msg = (
                f"a training step would take about {self._step_gb:.0e} GB, at most {_MOST_STEP_GB}: lower "
                "network.features, network.expansion, training.patch_px, or batch_size of training and prediction"
            )
            raise ValueError(msg)
        return self

    @property
    def _step_gb(self) -> float:
        """Memory of a training step; a prediction keeps less for each slice, so its batch counts as one of training."""
        size, training = self.network, self.training
        step_bytes = training_step_bytes(
            size.features,
            channels=self.input_channels,
            classes=len(self.data.classes),
            convolutions=size.convolutions,
            expansion=size.expansion,
            patch_px=training.patch_px,
            batch_size=max(training.batch_size, self.prediction.batch_size),
        )
        return step_bytes / 1e9

    @property
    def input_channels(self) -> int:
        """Channels of a network's input: those of the data, once for a slice and once for each of its neighbours."""
        return len(self.data.channels) * (2 * self.network.neighbours + 1)

    @property
    def values(self) -> dict[str, Any]:
        """The plan without its reasons, as plain JSON data."""
        return self.model_dump(mode="json", exclude={"decisions", "planned_digest"})

    @property
    def digest(self) -> str:
        """SHA-256 of the values: marks everything made from this plan."""
        return files.sha256_json(self.values)

    @property
    def edited(self) -> bool:
        """Whether somebody changed a value after planning."""
        return self.digest != self.planned_digest


def assemble(sections: Mapping[str, Any], decisions: Mapping[str, Decision]) -> Plan:
    """Make a plan from its values and reasons, and seal it with its digest."""
    draft = Plan.model_validate({"planned_digest": "", **sections, "decisions": decisions})
    return draft.model_copy(update={"planned_digest": draft.digest})


PLAN: Final = DocumentType(
    name="plan",
    model=Plan,
    error=PlanError,
    missing="Run `autoseg plan DATASET` to make a plan.",
    unusable="Correct the named keys, or run `autoseg plan DATASET --force` to start from a fresh plan.",
)


def write_plan(plan: Plan, path: Path) -> None:
    """Store a plan as JSON."""
    PLAN.write(path, plan)


def read_plan(path: Path) -> Plan:
    """Read a plan that may have been edited by hand.

    Raises:
        PlanError: missing, not JSON, made by a newer autoseg, or a key is unknown, missing or has a value that is not
            allowed; names all such keys.
    """
    return PLAN.read(path)
