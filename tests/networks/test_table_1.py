"""Table 1 of the paper: which network has what. "Skip connections" are residual ones inside the blocks.

Every row is read off the built modules, at each place where a network could have the feature: it must be at all of them,
or at none. What the recipe `paper` fixes about a network is taken from there.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from autoseg import catalogue
from autoseg.networks import build_network
from autoseg.networks.attention import AttentionGate
from autoseg.planning.recipes import CONSTANTS
from autoseg.planning.sections import NetworkSection

PAPER = {path.removeprefix("network."): choice.value for path, choice in CONSTANTS["paper"].items()}
SIZE = NetworkSection.model_validate(
    {"features": (4, 8, 16)} | {key: PAPER[key] for key in ("convolutions", "expansion", "skips", "deep_supervision")}
)

TABLE_1 = {
    "batch normalisation": {"unet", "sepres", "attention"},
    "residual connections": {"sepres", "attention"},
    "separable convolutions": {"sepres", "attention"},
    "inverse bottleneck": {"sepres", "attention"},
    "attention gates": {"attention"},
}


def is_convolution(layer: nn.Module, *, side: int) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.kernel_size == (side, side)


def spatial_convolutions(network: nn.Module) -> Iterator[tuple[nn.Conv2d, list[nn.Module]]]:
    """Every 3x3 convolution, with the layers of its block in their order."""
    for block in network.modules():
        for layer in block.children():
            if is_convolution(layer, side=3):
                assert isinstance(block, nn.Sequential)
                yield layer, list(block)


def after_the_stem(network: nn.Module) -> list[tuple[nn.Conv2d, list[nn.Module]]]:
    """The first convolution sees a single channel, which leaves nothing to separate."""
    (stem, _), *others = spatial_convolutions(network)
    assert stem.in_channels == 1
    return others


def batch_normalisation(network: nn.Module) -> list[bool]:
    """Right behind every convolution of every block."""
    return [
        isinstance(behind, nn.BatchNorm2d)
        for _, block in spatial_convolutions(network)
        for layer, behind in zip(block, [*block[1:], None], strict=True)
        if isinstance(layer, nn.Conv2d)
    ]


def residual_connections(network: nn.Module) -> list[bool]:
    """The last block of every level passes its input on, even where its own layers all give 0."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for stage in [*network.encoder.stages, *network.decoder]:
        block = stage[-1].eval()
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d | nn.BatchNorm2d):
                nn.init.zeros_(layer.weight)
        width = next(layer for layer in block.modules() if isinstance(layer, nn.Conv2d)).in_channels
        features = torch.rand(1, width, 6, 6, generator=generator)
        found.append(torch.equal(block(features), features))
    return found


def separable_convolutions(network: nn.Module) -> list[bool]:
    """Channel by channel over space, then 1x1 over the channels."""
    return [
        layer.groups == layer.in_channels == layer.out_channels
        and any(is_convolution(later, side=1) and later.groups == 1 for later in block[block.index(layer) :])
        for layer, block in after_the_stem(network)
    ]


def inverse_bottleneck(network: nn.Module) -> list[bool]:
    """The space between is wider than the end it comes from, and wider than both where they are alike."""
    found = []
    for layer, block in after_the_stem(network):
        convolutions = [one for one in block if isinstance(one, nn.Conv2d)]
        start, end = convolutions[0].in_channels, convolutions[-1].out_channels
        inside = layer is not convolutions[0] and layer is not convolutions[-1]
        found.append(inside and layer.in_channels > start and (layer.out_channels > end or start < end))
    return found


def attention_gates(network: nn.Module) -> list[bool]:
    """One at every skip, as wide as the skip."""
    gated = [module.weigh_skip.in_channels for module in network.modules() if isinstance(module, AttentionGate)]
    assert len(gated) == len(set(gated))
    return [width in gated for width in SIZE.features[:-1]]


ROWS: dict[str, Callable[[nn.Module], list[bool]]] = {
    "batch normalisation": batch_normalisation,
    "residual connections": residual_connections,
    "separable convolutions": separable_convolutions,
    "inverse bottleneck": inverse_bottleneck,
    "attention gates": attention_gates,
}


@pytest.mark.parametrize("row", TABLE_1)
@pytest.mark.parametrize("architecture", ["unet", "sepres", "attention"])
def test_a_network_has_what_the_table_says_and_nothing_else(row: str, architecture: catalogue.Architecture) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, in_channels=1, classes=4, size=SIZE)
    places = ROWS[row](network)
    assert places
    assert places == [architecture in TABLE_1[row]] * len(places)
