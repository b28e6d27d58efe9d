"""Batch normalisation over several ranks, against torch's over all of their images; real ranks: see `test_several_ranks`."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from autoseg.errors import ExtensionError
from autoseg.training.global_norm import GlobalBatchNorm, use_ranks, with_global_statistics
from autoseg.training.ranks import ALONE, Imagined


def shared(norm: nn.Module, ranks: Any) -> GlobalBatchNorm:
    """A copy of the norm, which uses the statistics of these ranks."""
    network = nn.Sequential(copy.deepcopy(norm))
    with_global_statistics(network, ranks)
    replaced = network[0]
    assert isinstance(replaced, GlobalBatchNorm)
    return replaced


def passed(norm: nn.Module, features: torch.Tensor, gradient: torch.Tensor) -> list[torch.Tensor]:
    """Result, gradients and buffers of a pass in both directions."""
    features = features.clone().requires_grad_()
    result = norm(features)
    result.backward(gradient)
    assert result.dtype == features.dtype
    assert features.grad is not None
    return [result.detach(), features.grad, *(each.grad for each in norm.parameters() if each.grad is not None)]


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False, "eps": 0.1}])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.BatchNorm2d, (3, 5, 6, 7)),
        (nn.SyncBatchNorm, (3, 5, 6, 7)),
        (nn.BatchNorm1d, (6, 5)),
        (nn.BatchNorm1d, (6, 5, 4)),
        (nn.BatchNorm3d, (2, 5, 3, 4, 6)),
    ],
)
def test_it_is_the_batch_normalisation_of_the_images_of_all_ranks(
    kind: type[nn.BatchNorm2d], shape: tuple[int, ...], options: dict[str, Any], size: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    features = 3 + 2 * torch.randn(shape, generator=generator)
    gradient = torch.randn(shape, generator=generator)
    norm = kind(5, **options)
    for weights in norm.parameters():
        nn.init.normal_(weights, mean=1.0, generator=generator)
    reference = {nn.SyncBatchNorm: nn.BatchNorm2d}.get(kind, kind)(5, **options)  # torch's own has no CPU
    reference.load_state_dict(norm.state_dict())
    mine = shared(norm, Imagined(size) if size > 1 else ALONE)
    for _ in range(2):
        found = passed(mine, features, gradient)
        whole = passed(reference, torch.cat([features] * size), torch.cat([gradient] * size))
        result, of_features, *of_weights = whole
        # Gradients are those of the sum over ranks, but each has its own part of those of weights.
        expected = [result[: len(features)], of_features[: len(features)], *(each / size for each in of_weights)]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert list(mine.state_dict()) == list(reference.state_dict())
    for one, other in zip(mine.buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(mine.eval()(features), reference.eval()(features))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_in_bfloat16_statistics_and_weights_stay_float32(memory_format: torch.memory_format) -> None:
    generator = torch.Generator().manual_seed(0)
    features = (20 + torch.randn((4, 6, 16, 12), generator=generator)).bfloat16().contiguous(memory_format=memory_format)
    gradient = torch.randn((4, 6, 16, 12), generator=generator).bfloat16().contiguous(memory_format=memory_format)
    norm = nn.BatchNorm2d(6)
    mine = shared(norm, ALONE)
    found, expected = passed(mine, features, gradient), passed(norm, features, gradient)
    assert found[0].is_contiguous(memory_format=memory_format)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02)
    exact = features.double()
    assert mine.running_mean is not None
    assert mine.running_var is not None
    torch.testing.assert_close(mine.running_mean.double(), 0.1 * exact.mean(dim=(0, 2, 3)), rtol=1e-5, atol=0)
    torch.testing.assert_close(mine.running_var.double(), 0.9 + 0.1 * exact.var(dim=(0, 2, 3)), rtol=1e-5, atol=0)


def test_weights_stay_where_they_are_and_what_is_in_evaluation_stays_so() -> None:
    norm = nn.BatchNorm2d(3).eval()
    network = nn.Sequential(nn.Conv2d(1, 3, 1), norm, nn.ReLU(), norm)
    names = list(network.state_dict())
    with_global_statistics(network, Imagined(2))
    assert list(network.state_dict()) == names
    assert network[1] is network[3]
    assert network[1].weight is norm.weight
    assert network[1].running_var is norm.running_var
    assert not network[1].training
    use_ranks(network, ALONE)
    assert network[1].ranks is ALONE


def test_normalisations_of_single_images_stay_and_what_is_derived_is_refused() -> None:
    class Other(nn.BatchNorm2d):
        """May compute anything."""

    kept = nn.Sequential(nn.GroupNorm(1, 4), nn.InstanceNorm2d(4), nn.LayerNorm(4))
    modules = list(kept)
    with_global_statistics(kept, Imagined(2))
    assert list(kept) == modules
    for refused in (Other(4), nn.InstanceNorm2d(4, track_running_stats=True), nn.LazyBatchNorm2d()):
        with pytest.raises(ExtensionError, match=r"inner\.0: .*found .*" + type(refused).__name__):
            with_global_statistics(nn.ModuleDict({"inner": nn.Sequential(refused)}), Imagined(2))
