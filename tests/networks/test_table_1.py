"""Table 1 of the paper: which network has what. "Skip connections" are residual ones inside the blocks."""

import pytest
import torch
from torch import nn

from autoseg import catalogue
from autoseg.networks import build_network
from autoseg.networks.attention import AttentionGate
from autoseg.networks.blocks import InverseBottleneck
from autoseg.planning.plan import NetworkSection

SIZE = NetworkSection(
    features=(4, 8, 16), convolutions=2, expansion=2, skips="concatenate", neighbours=0, deep_supervision=False
)

TABLE_1 = {
    "batch normalisation": {"unet", "sepres", "attention"},
    "residual connections": {"sepres", "attention"},
    "separable convolutions": {"sepres", "attention"},
    "inverse bottleneck": {"sepres", "attention"},
    "attention gates": {"attention"},
}


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def depthwise(network: nn.Module) -> list[nn.Conv2d]:
    return [one for one in convolutions(network) if one.groups == one.in_channels == one.out_channels > 1]


def batch_normalisation(network: nn.Module) -> bool:
    """Every spatial convolution is followed by one."""
    spatial = [one for one in convolutions(network) if one.kernel_size == (3, 3)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return len(norms) >= len(spatial) > 0


def residual_connections(network: nn.Module) -> bool:
    """A stage whose convolutions all give 0 still passes its input on."""
    stage = network.decoder[-1][-1]
    for module in stage.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
    channels = SIZE.features[0]
    features = torch.rand(1, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    return bool(torch.equal(stage.eval()(features), features))


def separable_convolutions(network: nn.Module) -> bool:
    """Depthwise ones, each followed by a 1x1 convolution that mixes the channels."""
    mixing = [one for one in convolutions(network) if one.kernel_size == (1, 1) and one.groups == 1]
    return bool(depthwise(network)) and len(mixing) >= len(depthwise(network))


def inverse_bottleneck(network: nn.Module) -> bool:
    """The depthwise convolution is wider than the block's two ends."""
    blocks = [module for module in network.modules() if isinstance(module, InverseBottleneck)]
    first_block = [one for block in blocks for one in depthwise(block)]
    ends = [(block.branch[0].in_channels, block.branch[-2].out_channels) for block in blocks]
    return bool(blocks) and all(one.in_channels > ends_of[0] for one, ends_of in zip(first_block, ends, strict=True))


def attention_gates(network: nn.Module) -> bool:
    """One for every skip."""
    gates = [module for module in network.modules() if isinstance(module, AttentionGate)]
    return len(gates) == len(SIZE.features) - 1


ROWS = {
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
    assert ROWS[row](network) == (architecture in TABLE_1[row])
