"""How large a network is on the disk, before it is trained."""

import torch

from autoseg.catalogue import Architecture
from autoseg.networks import network_of
from autoseg.planning.plan import Plan

_BYTES: int = 4
"""Of a stored weight, float32."""

_COPIES: int = 4
"""Stored for each weight: in the model, in the checkpoint, and there with the two moments of Adam."""


def stored_bytes(plan: Plan, architecture: Architecture) -> int:
    """What model and checkpoint of one network take on the disk.

    Args:
        plan: how networks are built, and what they see: that of one view where each has a network of its own.
        architecture: the network.
    """
    with torch.device("meta"):  # neither memory is taken nor weights are drawn
        network = network_of(plan, architecture)
    return _BYTES * _COPIES * sum(parameter.numel() for parameter in network.parameters())
