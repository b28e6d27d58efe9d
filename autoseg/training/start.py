"""What a run starts from where it does not start from nothing: weights of another model, which fit its own network."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from autoseg.model.description import Origin


@dataclass(frozen=True)
class Start:
    """Weights that a run begins with.

    Attributes:
        state: everything that the run's network holds, by name, already of its shapes.
        origin: the model they come from.
        rate_factor: what the plan's learning rate is multiplied by.
    """

    state: Mapping[str, torch.Tensor]
    origin: Origin
    rate_factor: float = 1.0
