"""What a plan may name, and everything known about it: torch-free tables, whose entries say where the implementation is.

A network, a loss, an augmentation, a normalisation and an optimiser has one entry in its table: planning, training, the
methods paragraph and the report ask the entry. Implementations are loaded when they are built, so that planning never loads
torch. What has no properties of its own, such as a plane, is a name alone.
"""

from typing import Annotated, Final, Literal

from autoseg.catalogue.augmentations import AUGMENTATIONS, AugmentationEntry
from autoseg.catalogue.devices import DeviceChoice
from autoseg.catalogue.losses import LOSSES, LossEntry
from autoseg.catalogue.networks import NETWORKS, NetworkEntry
from autoseg.catalogue.normalisations import NORMALISATIONS, NormalisationEntry
from autoseg.catalogue.optimisers import OPTIMISERS, OptimiserEntry
from autoseg.catalogue.table import Entry, NameIn, Package, Table, UnknownNameError, suggestion

__all__ = [
    "AUGMENTATIONS",
    "LOSSES",
    "NETWORKS",
    "NORMALISATIONS",
    "OPTIMISERS",
    "TABLES",
    "Architecture",
    "Augmentation",
    "AugmentationEntry",
    "BestModel",
    "Crop",
    "DeviceChoice",
    "DeviceKind",
    "Entry",
    "Loss",
    "LossEntry",
    "MemoryFormat",
    "MemoryFormatChoice",
    "NameIn",
    "NetworkEntry",
    "Normalisation",
    "NormalisationEntry",
    "NotFinite",
    "Optimiser",
    "OptimiserEntry",
    "Package",
    "Plane",
    "PrecisionChoice",
    "Recipe",
    "Schedule",
    "Skip",
    "SliceRule",
    "Stem",
    "Table",
    "Tracker",
    "UnknownNameError",
    "suggestion",
]

TABLES: Final = (NETWORKS, LOSSES, AUGMENTATIONS, NORMALISATIONS, OPTIMISERS)
"""All tables, for whoever looks something up by its kind."""

Architecture = Annotated[str, NameIn(NETWORKS)]
Loss = Annotated[str, NameIn(LOSSES)]
Augmentation = Annotated[str, NameIn(AUGMENTATIONS)]
Normalisation = Annotated[str, NameIn(NORMALISATIONS)]
Optimiser = Annotated[str, NameIn(OPTIMISERS)]

Plane = Literal["axial", "coronal", "sagittal"]
Recipe = Literal["auto", "paper"]
Crop = Literal["nonzero", "none"]
SliceRule = Literal["all", "with_class", "foreground_fraction", "foreground_weighted"]
Skip = Literal["concatenate", "add"]
Stem = Literal["plain", "space_to_depth"]
Schedule = Literal["cosine", "plateau"]
BestModel = Literal["validation_loss", "validation_dice", "last"]
DeviceKind = Literal["cpu", "gpu"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
MemoryFormat = Literal["contiguous", "channels_last"]
MemoryFormatChoice = Literal["auto", "contiguous", "channels_last"]
Tracker = Literal["tensorboard", "wandb"]
NotFinite = Literal["refuse", "zero"]
"""What to do with a scan some of whose voxels are NaN or infinite: refuse it, or take them for 0 and say so."""
