"""What a plan may name, and everything known about it: torch-free tables, whose entries say where the implementation is.

A network, a loss, a normalisation and an optimiser has one entry in its table: planning, training, the methods paragraph and
the report ask the entry. Implementations are loaded when they are built, so that planning never loads torch. What has no
properties of its own, such as a plane, is a name alone.
"""

from typing import Annotated, Literal

from autoseg.catalogue.losses import LOSSES, LossEntry
from autoseg.catalogue.networks import NETWORKS, NetworkEntry
from autoseg.catalogue.normalisations import NORMALISATIONS, NormalisationEntry
from autoseg.catalogue.optimisers import OPTIMISERS, OptimiserEntry
from autoseg.catalogue.table import Entry, NameIn, Package, Table, UnknownNameError, suggestion

__all__ = [
    "LOSSES",
    "NETWORKS",
    "NORMALISATIONS",
    "OPTIMISERS",
    "Architecture",
    "BestModel",
    "Crop",
    "DeviceKind",
    "Entry",
    "Loss",
    "LossEntry",
    "NameIn",
    "NetworkEntry",
    "Normalisation",
    "NormalisationEntry",
    "Optimiser",
    "OptimiserEntry",
    "Package",
    "Plane",
    "Recipe",
    "Schedule",
    "Skip",
    "SliceRule",
    "Table",
    "Tracker",
    "UnknownNameError",
    "suggestion",
]

Architecture = Annotated[str, NameIn(NETWORKS)]
Loss = Annotated[str, NameIn(LOSSES)]
Normalisation = Annotated[str, NameIn(NORMALISATIONS)]
Optimiser = Annotated[str, NameIn(OPTIMISERS)]

Plane = Literal["axial", "coronal", "sagittal"]
Recipe = Literal["auto", "paper"]
Crop = Literal["nonzero", "none"]
SliceRule = Literal["all", "with_class", "foreground_share"]
Skip = Literal["concatenate", "add"]
Schedule = Literal["cosine", "plateau"]
BestModel = Literal["validation_loss", "validation_dice", "last"]
DeviceKind = Literal["cpu", "gpu"]
Tracker = Literal["tensorboard", "wandb"]
