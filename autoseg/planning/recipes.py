"""What the two recipes fix beforehand: choices that experience made and no single data set decides.

`paper` is the published method; what its text leaves open is marked "ours". `auto` starts from it and departs where
real data showed a gain (docs/explanation/decisions.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from autoseg.catalogue import OPTIMISERS, Recipe
from autoseg.planning.slices_section import SliceSelection

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Choice(Generic[T_co]):
    """A value and the evidence for it, in one or two plain sentences."""

    value: T_co
    reason: str


_UNUSED: Final = "Switched off: the paper augments by flips and rotations only."

_SHARED: Final[Mapping[str, Choice[Any]]] = {
    "network.convolutions": Choice(2, "Two per level, as in the U-Net of Ronneberger et al."),
    "network.expansion": Choice(2.0, "Chosen: twice the width inside a block costs little, because it is separable."),
    "network.skips": Choice("add", "Chosen: Sep-Res steps are 1.6 times as fast as with concatenated skips."),
    "network.deep_supervision": Choice(
        value=False,
        reason="Chosen: what it brought on two data sets lies within the noise, and it costs 3 to 6 % of a step.",
    ),
    "network.shared_by_views": Choice(
        value=True,
        reason="Measured: one network of three views scored .889 on the hippocampus, three in as much time .874.",
    ),
    "augmentation.additional": Choice((), "None: the paper augments by flips and rotations only."),
    "training.slices": Choice(
        SliceSelection(rule="all"), "All slices: the paper tried to choose among them and did not keep it."
    ),
}

_AUTO: Final[Mapping[str, Choice[Any]]] = {
    "network.stem": Choice(
        "plain",
        "Chosen: with rearranged pixels steps are 1.6 times as fast, but small structures were lost where it was tried.",
    ),
    "training.half_resolution_fraction": Choice(0.0, "None: chosen, as every step then sees what prediction sees."),
    "training.seeding": Choice("image", "An image is changed in the same way, however many share the work."),
    "training.loss": Choice(
        "cross_entropy_dice", "The Dice term is what is evaluated; the weighted cross-entropy keeps gradients smooth."
    ),
    "training.optimiser": Choice("muon", "Measured: in as many minutes it scored more than AdamW on two data sets."),
    "training.learning_rate": Choice(
        OPTIMISERS["muon"].learning_rate, "Chosen: with Muon .001 to .008 scored within .002 of one another."
    ),
    "training.weight_decay": Choice(0.05, "Chosen: small data sets are learned by heart otherwise."),
    "training.grad_clip_norm": Choice(12.0, "Chosen: guards against a single bad batch."),
    "training.schedule": Choice("cosine", "It ends when the run ends, so that any budget is used to its last minute."),
    "training.warmup_fraction": Choice(0.05, "An optimiser's estimates need some steps before the full rate is safe."),
    "training.lr_patience": Choice(None, "Only the schedule `plateau` needs it."),
    "training.early_stopping_patience": Choice(
        None, "The cosine has to reach its end: stopping early would skip the annealing."
    ),
    "training.best_model": Choice("last", "After annealing the last weights are the settled ones, and need no selection."),
    "augmentation.spatial_probability": Choice(
        1.0, "Chosen: on small data sets every unchanged slice is soon learned by heart."
    ),
    "augmentation.rotation_deg": Choice(20.0, "Chosen: somewhat more than patients turn their heads."),
    "augmentation.rotation_unit": Choice("mm", "Pixels that are not square would shear what is turned."),
    "augmentation.scale": Choice((0.8, 1.25), "Covers the usual differences in size and in-plane spacing."),
    "augmentation.shift_fraction": Choice(0.1, "Chosen: a tenth of the patch leaves structures inside it."),
    "augmentation.intensity_probability": Choice(0.5, "Chosen: per change, so most slices get two of them."),
    "augmentation.contrast": Choice((0.65, 1.5), "Chosen: as much as between scanners and field strengths."),
    "augmentation.contrast_about": Choice(
        "foreground", "Chosen: about a mean that includes air, contrast would shift all tissue at once."
    ),
    "augmentation.brightness": Choice((1.0, 1.0), "None: a factor on what is centred on 0 is another contrast."),
    "augmentation.brightness_shift": Choice(0.2, "Chosen: normalisation leaves little of it between scans."),
    "augmentation.gamma": Choice((0.7, 1.5), "Chosen: bends the intensity scale as other sequences would."),
    "augmentation.noise_variance": Choice(0.0, "None: `noise_std` says it as it is."),
    "augmentation.noise_std": Choice(0.2, "Chosen: a fifth of the spread of the middle half of a scan's intensities."),
    "augmentation.blur_sigma_px": Choice((0.0, 0.0), "None: chosen, to keep thin structures visible."),
    "prediction.padding": Choice(
        "darkest", "As training extends small slices: networks see nothing that they did not learn."
    ),
}

_PAPER: Final[Mapping[str, Choice[Any]]] = {
    "network.stem": Choice("plain", "The paper's networks see slices as they are."),
    "training.half_resolution_fraction": Choice(0.0, "The paper mentions none."),
    "training.seeding": Choice("batch", "Whichever: it only decides which random numbers are drawn."),
    "training.loss": Choice("cross_entropy", "The paper's weighted categorical cross-entropy (eq. 2)."),
    "training.optimiser": Choice("adam", "The usual optimiser of its time."),
    "training.learning_rate": Choice(5e-4, "The paper's initial learning rate."),
    "training.weight_decay": Choice(0.0, "The paper mentions none."),
    "training.grad_clip_norm": Choice(None, "The paper mentions none."),
    "training.schedule": Choice("plateau", "The paper divides the learning rate by ten when the loss stays."),
    "training.warmup_fraction": Choice(0.0, "The paper mentions none."),
    "training.lr_patience": Choice(10, "The paper's ten epochs; that they watch the validation loss is ours."),
    "training.early_stopping_patience": Choice(20, "The paper's twenty epochs."),
    "training.best_model": Choice("validation_loss", "The paper takes the epoch with the lowest validation loss."),
    "augmentation.spatial_probability": Choice(0.5, "Random rotations are the paper's; how many slices turn is ours."),
    "augmentation.rotation_deg": Choice(20.0, "Random rotations are the paper's; the largest angle is ours."),
    "augmentation.rotation_unit": Choice("px", "The slices are turned as they are stored."),
    "augmentation.scale": Choice((1.0, 1.0), _UNUSED),
    "augmentation.shift_fraction": Choice(0.0, _UNUSED),
    "augmentation.intensity_probability": Choice(0.0, _UNUSED),
    "augmentation.contrast": Choice((1.0, 1.0), _UNUSED),
    "augmentation.contrast_about": Choice("slice", _UNUSED),
    "augmentation.brightness": Choice((1.0, 1.0), _UNUSED),
    "augmentation.brightness_shift": Choice(0.0, _UNUSED),
    "augmentation.gamma": Choice((1.0, 1.0), _UNUSED),
    "augmentation.noise_variance": Choice(0.0, _UNUSED),
    "augmentation.noise_std": Choice(0.0, _UNUSED),
    "augmentation.blur_sigma_px": Choice((0.0, 0.0), _UNUSED),
    "prediction.padding": Choice("replicated", "Border pixels are repeated until every level halves evenly."),
}

CONSTANTS: Final[Mapping[Recipe, Mapping[str, Choice[Any]]]] = {
    "auto": {**_SHARED, **_AUTO},
    "paper": {**_SHARED, **_PAPER},
}
"""For each recipe, the values it fixes, by their path in the plan."""

PAPER_LEAVES_OPEN: Final = frozenset(
    {
        "preprocessing.crop",
        "preprocessing.crop_margin_px",
        "views.spacing_mm",
        "network.features",
        "network.convolutions",
        "network.expansion",
        "network.skips",
        "network.deep_supervision",
        "views.patch_px",
        "views.batch_size",
        "training.steps_per_epoch",
        "training.optimiser",
        "training.epochs",
        "augmentation.rotation_unit",
        "training.seeding",
        "views.tta_axes",
        "prediction.padding",
        "evaluation.tolerances_mm",
        "folds",
    }
)
"""Paths that the paper's text does not settle, without numbers of views: their reasons are marked "Ours" under `paper`."""
