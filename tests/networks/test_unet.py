import pytest
import torch
from torch import nn

from autoseg.networks.attention import AttentionGate
from autoseg.networks.blocks import InverseBottleneck
from autoseg.networks.unet import UNet
from autoseg.planning.sections import NetworkSection


def unet(*features: int, convolutions: int = 2) -> UNet:
    size = NetworkSection(features=features, convolutions=convolutions, expansion=2, skips="add", deep_supervision=False)
    return UNet(in_channels=1, classes=3, size=size)


def convolutions_of(network: nn.Module) -> list[nn.Conv2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def test_parameters_by_hand() -> None:
    """Two levels, 2 and 3 channels, one convolution each, 3 classes.

    Encoder 1*2*9 + 4 and 2*3*9 + 6, up 3*2*4, decoder 4*2*9 + 4, head 2*3 + 3: 22 + 60 + 24 + 76 + 9.
    """
    assert sum(parameter.numel() for parameter in unet(2, 3, convolutions=1).parameters()) == 191


def test_size_class_of_nnunet() -> None:
    """nnU-Net's 2D network of the same widths has 1.93 million parameters."""
    assert sum(parameter.numel() for parameter in unet(32, 64, 128, 256).parameters()) == pytest.approx(1.93e6, rel=0.02)


def test_nothing_but_plain_convolutions() -> None:
    network = unet(4, 8, 16)
    assert not any(isinstance(module, InverseBottleneck | AttentionGate) for module in network.modules())
    assert {convolution.groups for convolution in convolutions_of(network)} == {1}


def test_one_normalisation_per_convolution_except_the_head() -> None:
    network = unet(4, 8, 16, convolutions=3)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == len(convolutions_of(network)) - 1 == 3 * 5


def test_decoder_takes_skip_and_upsampled_together() -> None:
    assert [stage[0][0].in_channels for stage in unet(4, 8, 16).decoder] == [16, 8]


@pytest.mark.parametrize("level", [0, 1])
def test_every_skip_matters(level: int) -> None:
    torch.manual_seed(0)
    network = unet(4, 8, 16).eval()
    slices = torch.randn(1, 1, 16, 16)
    with_skip = network(slices)
    stage = network.decoder[1 - level]
    with torch.no_grad():
        stage[0][0].weight[:, : (4, 8)[level]] = 0  # the skip comes first in the concatenation
    assert not torch.allclose(network(slices), with_skip)
