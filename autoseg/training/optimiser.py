"""The optimiser of a run, and the learning rate that changes with every step."""

from typing import Any

import torch
from torch import nn

from autoseg import catalogue
from autoseg.planning.sections import TrainingSection


def build_optimiser(network: nn.Module, section: TrainingSection, *, device: torch.device) -> torch.optim.Optimizer:
    """Make the optimiser that a plan names.

    On a GPU it changes all weights in one operation, and holds the learning rate on the device, so that a recorded step
    reads whatever was written there since.
    """
    options: dict[str, Any] = {"lr": section.learning_rate}
    if catalogue.OPTIMISERS[section.optimiser].decays:
        options["weight_decay"] = section.weight_decay
    if device.type == "cuda":
        options |= {"lr": torch.tensor(section.learning_rate, device=device), "fused": True, "capturable": True}
    optimiser: torch.optim.Optimizer = catalogue.OPTIMISERS.build(section.optimiser, params=network.parameters(), **options)
    return optimiser


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Choose the learning rate of the next step, without waiting for the device."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
