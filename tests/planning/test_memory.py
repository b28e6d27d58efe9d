"""Memory by a plan's numbers, held against the networks themselves."""

import pytest

from autoseg.catalogue import NETWORKS
from autoseg.networks import build_network
from autoseg.planning.memory import bytes_of_weights, bytes_per_pixel, training_step_bytes
from autoseg.planning.sections import NetworkSection


def test_memory_per_pixel_by_hand():
    # 4 bytes x 2 paths x 1 block x 3 forms x (2 x 2 + 1) widths x (16 + 32 / 4) features
    assert bytes_per_pixel((16, 32), convolutions=1, expansion=2.0) == 4 * 2 * 3 * 5 * 24


def test_memory_of_a_step_by_hand():
    size = {"convolutions": 1, "expansion": 2.0}
    pixel = bytes_per_pixel((16, 32), **size) + 4 * 3 + 16 * 2  # three channels; for two classes four numbers each
    step = training_step_bytes((16, 32), channels=3, classes=2, patch_px=(10, 20), batch_size=5, **size)
    assert step == pixel * 10 * 20 * 5 + bytes_of_weights((16, 32), channels=3, **size)


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


def test_weights_are_not_expected_to_take_a_hundred_times_as_much():
    features, channels = (16, 32, 64, 128, 256), 1
    size = NetworkSection(features=features, convolutions=2, expansion=2.0, skips="add", deep_supervision=False)
    network = build_network("unet", in_channels=channels, classes=2, size=size)
    needed = 16 * sum(parameter.numel() for parameter in network.parameters())
    assert bytes_of_weights(features, channels=channels, convolutions=2, expansion=2.0) < 100 * needed
