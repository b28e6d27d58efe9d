"""How large a network is on the disk, before it is trained."""

import torch

from autoseg.catalogue import Architecture
from autoseg.networks import build_network
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
    with torch.random.fork_rng(devices=()):  # weights are drawn, and nobody else shall notice
        network = build_network(
            architecture, in_channels=plan.input_channels, classes=plan.data.encoding.logits, size=plan.network
        )
    return _BYTES * _COPIES * sum(parameter.numel() for parameter in network.parameters())
