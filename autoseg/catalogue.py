"""The names a plan may contain. Kept apart from what they stand for, so that planning never loads torch.

Each name is a key of one literal table further down the house; a test holds both against each other.
"""

from typing import Literal

Architecture = Literal["unet", "sepres", "attention"]
Plane = Literal["axial", "coronal", "sagittal"]
Recipe = Literal["auto", "paper"]
Normalisation = Literal["quantile_zscore", "zscore", "ct", "none"]
Crop = Literal["nonzero", "none"]
SliceRule = Literal["all", "with_class", "foreground_share"]
Skip = Literal["concatenate", "add"]
Loss = Literal["cross_entropy", "dice", "cross_entropy_dice"]
Optimiser = Literal["adam", "adamw"]
Schedule = Literal["cosine", "plateau"]
BestModel = Literal["validation_loss", "validation_dice", "last"]
DeviceKind = Literal["cpu", "gpu"]
Tracker = Literal["tensorboard", "wandb"]
