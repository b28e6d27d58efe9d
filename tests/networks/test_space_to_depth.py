"""Networks between a stem and a head that rearrange pixels: what goes in and out, and that nothing is lost on the way."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from autoseg import catalogue
from autoseg.catalogue import NETWORKS
from autoseg.networks import build_network
from autoseg.networks.blocks import SegmentationNetwork, ShowsAttention
from autoseg.networks.space_to_depth import SpaceToDepth
from autoseg.planning.sections import NetworkSection

SIZE = NetworkSection(
    features=(16, 32, 64, 128), convolutions=2, expansion=2, skips="add", deep_supervision=True, stem="space_to_depth"
)


class _Same(SegmentationNetwork):
    """Gives what it gets, and every second pixel of it."""

    def forward_levels(self, slices: Tensor) -> list[Tensor]:
        return [slices, slices[..., ::2, ::2]]


@pytest.mark.parametrize("side", [(8, 8), (7, 10), (1, 3)])
def test_pixels_come_back_to_their_places(side: tuple[int, int]) -> None:
    slices = torch.randn(2, 3, *side)
    finest, coarser = SpaceToDepth(_Same(), divisor=4).forward_levels(slices)
    assert torch.equal(finest, slices)
    assert coarser.shape[-2:] == tuple(-(-length // 2) for length in side)


def test_the_network_inside_sees_neighbouring_pixels_as_channels() -> None:
    seen: list[Tensor] = []

    class Seen(_Same):
        def forward_levels(self, slices: Tensor) -> list[Tensor]:
            seen.append(slices)
            return super().forward_levels(slices)

    SpaceToDepth(Seen(), divisor=2)(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert seen[0][0, :, 0, 0].tolist() == [0.0, 1.0, 4.0, 5.0]
    assert seen[0][0, :, 1, 1].tolist() == [10.0, 11.0, 14.0, 15.0]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_it_has_about_as_many_weights_as_the_plain_form(architecture: catalogue.Architecture) -> None:
    plain = SIZE.model_copy(update={"stem": "plain"})
    weights = [
        sum(parameter.numel() for parameter in build_network(architecture, in_channels=1, classes=4, size=size).parameters())
        for size in (plain, SIZE)
    ]
    assert weights[1] == pytest.approx(weights[0], rel=0.05)


def test_attention_is_shown_at_full_resolution_where_there_are_gates() -> None:
    assert not isinstance(build_network("unet", in_channels=1, classes=2, size=SIZE), ShowsAttention)
    network = build_network("attention", in_channels=1, classes=2, size=SIZE)
    assert isinstance(network, ShowsAttention)
    slices = torch.randn(1, 1, 21, 30)
    logits, maps = network.eval().forward_with_attention(slices)
    assert torch.equal(logits[0], network(slices))
    assert [tuple(level.shape) for level in maps] == [(1, 1, 21, 30), (1, 1, 11, 15)]
    assert torch.equal(maps[0][..., 0, ::2], maps[0][..., 1, ::2])


def test_too_few_levels_are_refused() -> None:
    with pytest.raises(ValidationError, match="features needs at least 3; it has 2"):
        NetworkSection.model_validate({**SIZE.model_dump(), "features": [4, 8]})
