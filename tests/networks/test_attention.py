import itertools

import pytest
import torch
from torch import Tensor, nn

from autoseg.networks.attention import AttentionGate, AttentionUNet, _doubled
from autoseg.networks.blocks import InverseBottleneck
from autoseg.planning.sections import NetworkSection


def attention_unet() -> AttentionUNet:
    torch.manual_seed(0)
    size = NetworkSection(features=(4, 8, 16), convolutions=2, expansion=2, skips="concatenate", deep_supervision=False)
    return AttentionUNet(in_channels=1, classes=3, size=size)


def gate() -> AttentionGate:
    torch.manual_seed(0)
    return AttentionGate(skip_channels=4, gating_channels=6).eval()


def random_maps(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_gate_gives_one_coefficient_per_pixel() -> None:
    coefficients = gate()(100 * random_maps(2, 4, 10, 6), 100 * random_maps(2, 6, 5, 3))
    assert coefficients.shape == (2, 1, 10, 6)
    assert coefficients.min() >= 0
    assert coefficients.max() <= 1
    assert coefficients.max() - coefficients.min() > 0.1


def test_gate_listens_to_both_its_inputs() -> None:
    opener, skip, gating = gate(), random_maps(1, 4, 8, 8), random_maps(1, 6, 4, 4)
    usual = opener(skip, gating)
    assert not torch.allclose(opener(skip, random_maps(1, 6, 4, 4, seed=2)), usual)
    assert not torch.allclose(opener(random_maps(1, 4, 8, 8, seed=2), gating), usual)


def test_coefficient_by_hand() -> None:
    """skip 1 in a 2x2 block, gating 3; all weights 1: ReLU(4 + 3) = 7, psi 7 - 7 = 0, sigmoid 1/2."""
    opener = AttentionGate(skip_channels=1, gating_channels=1).eval()
    for weights in (opener.weigh_skip.weight, opener.weigh_gating.weight, opener.psi.weight):
        nn.init.ones_(weights)
    nn.init.constant_(opener.psi.bias, -7)
    coefficients = opener(torch.ones(1, 1, 2, 2), torch.full((1, 1, 1, 1), 3.0))
    assert coefficients.flatten().tolist() == pytest.approx([0.5] * 4, abs=1e-4)


def test_attention_maps_of_every_skip_without_padding() -> None:
    network = attention_unet().eval()
    slices = random_maps(2, 1, 21, 30)
    (logits,), attention = network.forward_with_attention(slices)
    assert torch.equal(logits, network(slices))
    assert [tuple(maps.shape) for maps in attention] == [(2, 1, 21, 30), (2, 1, 11, 15)]
    assert all(maps.min() >= 0 and maps.max() <= 1 for maps in attention)


@pytest.mark.parametrize("level", [0, 1])
def test_a_closed_gate_shuts_its_skip_out(level: int) -> None:
    """With the upsampled path of a level shut too, nothing of the slice is left in the logits."""
    network = attention_unet().eval()
    gate, upsample = network.gates[1 - level], network.upsamplers[1 - level]
    nn.init.zeros_(upsample.weight)
    if level == 1:
        nn.init.constant_(network.gates[1].psi.bias, -200)  # full resolution would carry the slice past level 1
    one, other = random_maps(1, 1, 16, 16), random_maps(1, 1, 16, 16, seed=2)
    nn.init.constant_(gate.psi.bias, 0)
    assert not torch.allclose(network(one), network(other))
    nn.init.constant_(gate.psi.bias, -200)
    assert torch.allclose(network(one), network(other))


def test_gated_skips_are_added_so_the_decoder_stays_narrow() -> None:
    assert [stage[0].branch[0].in_channels for stage in attention_unet().decoder] == [8, 4]


def test_gating_signal_is_the_coarser_decoder_level() -> None:
    widths = [(gate.weigh_skip.in_channels, gate.weigh_gating.in_channels) for gate in attention_unet().gates]
    assert widths == [(8, 16), (4, 8)]


def test_blocks_are_separable_and_residual() -> None:
    network = attention_unet()
    assert sum(isinstance(module, InverseBottleneck) for module in network.modules()) == 2 * 5 - 1
    spatial = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert [convolution.groups == convolution.in_channels for convolution in spatial[1:]] == [True] * 9


def test_forward_stores_nothing_on_the_network() -> None:
    network = attention_unet().eval()
    before = {name: set(vars(module)) for name, module in network.named_modules()}
    network(random_maps(1, 1, 16, 16))
    assert {name: set(vars(module)) for name, module in network.named_modules()} == before
    stored = itertools.chain.from_iterable(vars(module).values() for module in network.modules())
    assert not any(isinstance(value, Tensor) for value in stored)


@pytest.mark.parametrize("sides", [(2, 3), (1, 4), (5, 1)])
def test_coefficients_are_enlarged_on_a_gpu_as_on_a_cpu(sides: tuple[int, int]) -> None:
    maps = torch.rand((2, 1, *sides), generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(maps, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(_doubled(_doubled(maps, axis=2), axis=3), expected)
