import pytest
import torch
from torch import nn

from autoseg import catalogue
from autoseg.networks.attention import AttentionGate
from autoseg.networks.blocks import InverseBottleneck
from autoseg.networks.sepres import SepResUNet
from autoseg.planning.sections import NetworkSection


def sepres(*, skips: catalogue.Skip, expansion: float = 2, convolutions: int = 2) -> SepResUNet:
    torch.manual_seed(0)
    size = NetworkSection(
        features=(4, 8, 16),
        convolutions=convolutions,
        expansion=expansion,
        skips=skips,
        deep_supervision=False,
    )
    return SepResUNet(in_channels=1, classes=3, size=size)


@pytest.mark.parametrize(("skips", "widths"), [("concatenate", [16, 8]), ("add", [8, 4])])
def test_skips_decide_the_width_of_the_decoder(skips: catalogue.Skip, widths: list[int]) -> None:
    assert [stage[0].branch[0].in_channels for stage in sepres(skips=skips).decoder] == widths


def test_every_3x3_convolution_but_the_stem_is_depthwise() -> None:
    network = sepres(skips="add")
    spatial = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    stem, *others = spatial
    assert stem.groups == 1
    assert all(convolution.groups == convolution.in_channels == convolution.out_channels for convolution in others)
    assert len(others) == 2 * 5 - 1


@pytest.mark.parametrize("expansion", [1, 3])
def test_expansion_reaches_every_block(expansion: int) -> None:
    blocks = [m for m in sepres(skips="concatenate", expansion=expansion).modules() if isinstance(m, InverseBottleneck)]
    assert all(block.branch[0].out_channels == expansion * block.branch[0].in_channels for block in blocks)


def test_no_gates() -> None:
    assert not any(isinstance(module, AttentionGate) for module in sepres(skips="add").modules())


def test_one_normalisation_per_convolution_except_the_head() -> None:
    network = sepres(skips="concatenate")
    counts = [sum(isinstance(m, kind) for m in network.modules()) for kind in (nn.BatchNorm2d, nn.Conv2d)]
    assert counts[0] == counts[1] - 1


@pytest.mark.parametrize("skips", ["concatenate", "add"])
def test_every_skip_matters(skips: catalogue.Skip) -> None:
    """With the path through the bottleneck shut, only skips carry the slice to the logits."""
    network = sepres(skips=skips).eval()
    one, other = torch.randn(1, 1, 16, 16), torch.randn(1, 1, 16, 16)
    for level, upsample in enumerate(network.upsamplers):
        with torch.no_grad():
            upsample.weight.zero_()
        assert not torch.allclose(network(one), network(other)), level


@pytest.mark.parametrize("skips", ["concatenate", "add"])
def test_odd_sizes_with_either_skip(skips: catalogue.Skip) -> None:
    assert sepres(skips=skips)(torch.zeros(1, 1, 37, 5)).shape == (1, 3, 37, 5)


def test_one_block_per_level() -> None:
    network = sepres(skips="add", convolutions=1)
    assert sum(isinstance(module, InverseBottleneck) for module in network.modules()) == 4
    assert network(torch.zeros(2, 1, 9, 9)).shape == (2, 3, 9, 9)
