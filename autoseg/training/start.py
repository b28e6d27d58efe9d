"""What a run starts from where it does not start from nothing: weights of another model, which fit its own network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

from autoseg.catalogue import Architecture
from autoseg.model.description import Origin
from autoseg.networks import network_of
from autoseg.planning.plan import Plan

RATE_FACTOR: Final = 0.3
"""What the learning rate is multiplied by where a run knows all of its channels and classes from the model it starts from.

Source: measured on hippocampus MRI (docs/explanation/decisions.md): a higher rate is worse in short runs, a lower one in
longer ones.
"""


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


def drawn_weights(architecture: Architecture, plan: Plan, *, seed: int) -> Mapping[str, torch.Tensor]:
    """Everything that a network holds that starts from nothing, by name; torch's own generator stays where it is.

    Args:
        architecture: key of `autoseg.catalogue.NETWORKS`.
        plan: what the network sees of its plan.
        seed: of the run.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network_of(plan, architecture).state_dict()
