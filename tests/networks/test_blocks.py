import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autoseg.networks.blocks import (
    Encoder,
    InverseBottleneck,
    conv_bn_relu,
    crop_levels,
    pad_to_multiple,
    plain_stage,
    separable_stage,
    separable_stem,
    upsampler,
)

sides = st.integers(min_value=1, max_value=70)


def test_padding_repeats_the_last_row_and_column() -> None:
    slices = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    assert pad_to_multiple(slices, 2)[0, 0].tolist() == [[1, 2, 3, 3], [4, 5, 6, 6], [7, 8, 9, 9], [7, 8, 9, 9]]


def test_one_pixel_fills_two_bottleneck_pixels_per_side() -> None:
    padded = pad_to_multiple(torch.full((1, 1, 1, 1), 7.0), 4)
    assert padded.shape == (1, 1, 8, 8)
    assert (padded == 7).all()


def test_slices_that_fit_are_not_copied() -> None:
    slices = torch.zeros(1, 1, 32, 48)
    assert pad_to_multiple(slices, 16) is slices


@given(rows=sides, columns=sides, divisor=st.sampled_from([2, 4, 8, 16]))
def test_padding_is_least_and_undone_by_cropping(rows: int, columns: int, divisor: int) -> None:
    slices = torch.arange(2.0 * rows * columns).reshape(1, 2, rows, columns)
    padded = pad_to_multiple(slices, divisor)
    for side, padded_side in zip((rows, columns), padded.shape[-2:], strict=True):
        assert padded_side % divisor == 0
        assert padded_side >= 2 * divisor
        assert padded_side - side < divisor or padded_side == 2 * divisor
    (cropped,) = crop_levels([padded], slices)
    assert torch.equal(cropped, slices)


def test_convolution_block_order_and_missing_bias() -> None:
    convolution, norm, activation = conv_bn_relu(3, 5)
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is None
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(activation, nn.ReLU)


def test_plain_stage_widens_once() -> None:
    stage = plain_stage(3, 8, convolutions=3)
    widths = [(m.in_channels, m.out_channels) for m in stage.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [(3, 8), (8, 8), (8, 8)]


def test_convolutions_of_an_inverse_bottleneck() -> None:
    block = InverseBottleneck(6, 10, expansion=3)
    expand, depthwise, project = (m for m in block.branch if isinstance(m, nn.Conv2d))
    assert (expand.kernel_size, expand.in_channels, expand.out_channels, expand.groups) == ((1, 1), 6, 18, 1)
    assert (depthwise.kernel_size, depthwise.in_channels, depthwise.groups) == ((3, 3), 18, 18)
    assert (project.kernel_size, project.in_channels, project.out_channels, project.groups) == ((1, 1), 18, 10, 1)


@pytest.mark.parametrize(("in_channels", "expansion", "hidden"), [(8, 1.0, 8), (8, 1.5, 12), (8, 4.0, 32), (1, 0.25, 1)])
def test_hidden_width(in_channels: int, expansion: float, hidden: int) -> None:
    assert InverseBottleneck(in_channels, 4, expansion=expansion).branch[0].out_channels == hidden


def test_every_convolution_of_a_block_is_normalised() -> None:
    layers = [type(layer) for layer in InverseBottleneck(4, 6, expansion=2).branch]
    conv, norm, relu = nn.Conv2d, nn.BatchNorm2d, nn.ReLU
    assert layers == [conv, norm, relu, conv, norm, relu, conv, norm]


def test_without_its_branch_a_block_is_its_shortcut() -> None:
    features = torch.randn(2, 5, 9, 7, generator=torch.Generator().manual_seed(0))
    block = InverseBottleneck(5, 5, expansion=2).eval()
    with_branch = block(features)
    nn.init.zeros_(block.branch[-1].weight)  # the branch's last normalisation: scale 0, offset 0
    assert torch.equal(block(features), features)
    assert not torch.allclose(with_branch, features)


def test_shortcut_projects_where_widths_differ() -> None:
    features = torch.randn(2, 5, 9, 7, generator=torch.Generator().manual_seed(0))
    block = InverseBottleneck(5, 8, expansion=2).eval()
    nn.init.zeros_(block.branch[-1].weight)
    projection, _ = block.shortcut
    # Fresh running statistics (mean 0, variance 1) make the normalisation a division by sqrt(1 + 1e-5).
    assert torch.allclose(block(features), projection(features), atol=1e-4)
    assert block(features).abs().max() > 0


def test_block_leaves_its_input_alone() -> None:
    features = torch.randn(2, 5, 9, 7, generator=torch.Generator().manual_seed(0))
    copy = features.clone()
    InverseBottleneck(5, 5, expansion=2)(features)
    assert torch.equal(features, copy)


def test_separable_stage_widens_once() -> None:
    stage = separable_stage(4, 6, blocks=2, expansion=2)
    assert [block.branch[0].in_channels for block in stage] == [4, 6]
    assert stage(torch.zeros(2, 4, 8, 8)).shape == (2, 6, 8, 8)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_stem_takes_the_place_of_the_first_block(blocks: int) -> None:
    stem = separable_stem(1, 6, blocks=blocks, expansion=2)
    assert len(stem) == blocks
    assert (stem[0][0].kernel_size, stem[0][0].groups) == ((3, 3), 1)
    assert all(isinstance(block, InverseBottleneck) for block in stem[1:])


def test_upsampler_doubles_sides() -> None:
    assert upsampler(6, 3)(torch.zeros(2, 6, 5, 7)).shape == (2, 3, 10, 14)


def test_encoder_keeps_the_largest_of_four_pixels() -> None:
    full, half, quarter = Encoder([nn.Identity(), nn.Identity(), nn.Identity()])(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert full.shape == (1, 1, 4, 4)
    assert half[0, 0].tolist() == [[5, 7], [13, 15]]
    assert quarter[0, 0].tolist() == [[15]]
