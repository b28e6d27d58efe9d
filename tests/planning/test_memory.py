"""Memory by a plan's numbers, held against the networks themselves."""

import pytest
import torch
from oracles.tensor_memory import PeakOfTensors

from autoseg.catalogue import NETWORKS
from autoseg.networks import build_network
from autoseg.planning.memory import bytes_of_weights, bytes_per_pixel, predicted_slice_bytes, step_bytes
from autoseg.planning.sections import NetworkSection


def test_memory_per_pixel_by_hand():
    # 4 bytes x 2 paths x 1 block x 3 forms x (2 x 2 + 1) widths x (16 + 32 / 4) features
    assert bytes_per_pixel((16, 32), convolutions=1, expansion=2.0) == 4 * 2 * 3 * 5 * 24


def test_memory_of_a_step_by_hand():
    size = {"convolutions": 1, "expansion": 2.0}
    pixel = bytes_per_pixel((16, 32), **size) + 4 * 3 + 16 * 2  # three channels; for two classes four numbers each
    step, weights = step_bytes((16, 32), channels=3, classes=2, **size), bytes_of_weights((16, 32), channels=3, **size)
    assert step.of(1000) == pixel * 1000 + weights
    assert [step.pixels_within((pixel * pixels + weights) / 1e9) for pixels in (0, 999.5, 1000.5)] == [0, 999, 1000]
    assert step.pixels_within(weights / 2e9) == 0


def test_memory_of_a_step_on_rearranged_pixels_by_hand():
    size = {"convolutions": 1, "expansion": 2.0}
    pixel = (
        bytes_per_pixel((16, 32), **size) / 4 + 4 * 2 * 3 + 4 * 2 * (4 + 2)
    )  # images twice, logits and gradients once more
    step = step_bytes((8, 16, 32), channels=3, classes=2, stem="space_to_depth", **size)
    assert step.of(800) == pixel * 800 + bytes_of_weights((16, 32), channels=12, **size)


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize("features", [(8, 16), (16, 32, 64, 128, 256), (64, 4, 64), (4, 4, 4, 128), (128, 8, 8)])
@pytest.mark.parametrize("convolutions", [1, 3])
@pytest.mark.parametrize("expansion", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("channels", [1, 60])
def test_weights_take_what_was_expected_at_most(architecture, features, convolutions, expansion, channels):
    size = NetworkSection(
        features=features,
        convolutions=convolutions,
        expansion=expansion,
        skips="concatenate",
        deep_supervision=True,
    )
    network = build_network(architecture, in_channels=channels, classes=2, size=size)
    needed = 16 * sum(parameter.numel() for parameter in network.parameters())
    expected = bytes_of_weights(features, channels=channels, convolutions=convolutions, expansion=expansion)
    assert needed < expected


def test_weights_are_not_expected_to_take_twice_as_much():
    features, channels = (16, 32, 64, 128, 256), 1
    size = NetworkSection(features=features, convolutions=2, expansion=2.0, skips="add", deep_supervision=False)
    network = build_network("unet", in_channels=channels, classes=2, size=size)
    needed = 16 * sum(parameter.numel() for parameter in network.parameters())
    assert bytes_of_weights(features, channels=channels, convolutions=2, expansion=2.0) < 2 * needed


@pytest.mark.parametrize("architecture", NETWORKS)
@pytest.mark.parametrize(
    ("features", "classes", "shape"),
    [
        ((16, 32, 64, 128), 4, (64, 48)),
        ((16, 32, 64, 128), 4, (61, 35)),
        ((4, 8), 3000, (20, 20)),  # classes
        ((1,) * 9, 2, (5, 7)),  # levels: padded to 512 pixels
        ((4, 4, 4, 512), 2, (64, 64)),  # a wide bottleneck
    ],
)
@pytest.mark.parametrize("supervised", [False, True])
@pytest.mark.parametrize("stem", ["plain", "space_to_depth"])
def test_predicting_a_slice_takes_what_was_expected_at_most(architecture, features, classes, shape, supervised, stem):
    features = features if stem == "plain" else (1, *features)
    size = NetworkSection(
        features=features, convolutions=2, expansion=2.0, skips="concatenate", deep_supervision=supervised, stem=stem
    )
    network = build_network(architecture, in_channels=1, classes=classes, size=size).eval()
    with torch.inference_mode(), PeakOfTensors() as tensors:
        torch.softmax(network(torch.zeros((1, 1, *shape))), dim=1)
    expected = predicted_slice_bytes(size, channels=1, classes=classes, seen_px=shape, networks=[NETWORKS[architecture]])
    assert tensors.peak < expected < 8 * tensors.peak


def test_predicting_a_slice_by_hand():
    size = NetworkSection(features=(16, 32), convolutions=1, expansion=2.0, skips="add", deep_supervision=False)
    # at full resolution two joined, 32; twice that and twice 64 inside; twice 16 at the end; 64 in and out once more
    pixel = 4 * (2 * 16 + 2 * 32 * 0.25 + 2 * 32 + 2 * 64 + 2 * 16 + 2 * 64)
    expected = predicted_slice_bytes(size, channels=1, classes=5, seen_px=(9, 10), networks=[NETWORKS["sepres"]])
    assert expected == 10 * 10 * (pixel + 4 * (2 + 2 * 5)) + 9 * 10 * 4 * 3 * 5
