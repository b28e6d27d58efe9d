"""What the attention gates of a network let through on one slice."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autoseg.model.compute import Compute, evaluating
from autoseg.model.padding import Padding
from autoseg.model.slices import with_adjacent_slices
from autoseg.networks.blocks import ShowsAttention, crop_levels
from autoseg.planning.sections import View


def attention_maps(
    network: nn.Module, image: NDArray[np.float32], index: int, *, view: View, padding: Padding, compute: Compute
) -> list[NDArray[np.float32]]:
    """Attention coefficients of one slice.

    Args:
        network: already on the device.
        image: preprocessed scan, (C, S, H, W), float32.
        index: which slice.
        view: how slices are shown.
        padding: what the scan's slices are extended with.
        compute: device and number format.

    Returns:
        one map per gate, from full resolution downwards, (ceil(H / 2^l), ceil(W / 2^l)), float32, in [0, 1]; none for a
        network without gates (see `ShowsAttention`).
    """
    if not isinstance(network, ShowsAttention):
        return []
    shown = with_adjacent_slices(image, [index], adjacent_slices=view.adjacent_slices)  # (1, C, H, W)
    chosen = compute.tensor(torch.from_numpy(shown))
    with evaluating(network), compute.autocast():
        _, maps = network.forward_with_attention(padding.extend(chosen))
    return [level[0, 0].float().cpu().numpy() for level in crop_levels(maps, chosen)]
