import numpy as np
import torch

from autoseg.model.attention_maps import attention_maps
from autoseg.model.compute import Compute
from autoseg.model.padding import Padding
from autoseg.model.slices import with_adjacent_slices
from autoseg.networks.attention import AttentionUNet
from autoseg.planning.sections import NetworkSection, View

CPU = Compute(torch.device("cpu"), bfloat16=False)


def test_maps_are_those_of_the_slice_asked_for_with_the_adjacent_ones() -> None:
    torch.manual_seed(0)
    size = NetworkSection(features=(4, 8, 16), convolutions=1, expansion=2, skips="add", deep_supervision=False)
    network = AttentionUNet(in_channels=3, classes=2, size=size)
    scan = np.random.default_rng(0).normal(size=(1, 5, 21, 30)).astype(np.float32)
    view = View(plane=None, spacing_mm=None, adjacent_slices=1, patch_px=(8, 8), mirror_axes=(), tta_axes=(), batch_size=1)
    maps = attention_maps(network, scan, 3, view=view, padding=Padding(4), compute=CPU)
    assert [level.shape for level in maps] == [(21, 30), (11, 15)]
    images = torch.from_numpy(with_adjacent_slices(scan, [3], adjacent_slices=1))
    _, expected = network.eval().forward_with_attention(images)
    np.testing.assert_allclose(maps[0], expected[0][0, 0].detach(), atol=1e-6)
    assert not np.allclose(maps[0], attention_maps(network, scan, 2, view=view, padding=Padding(4), compute=CPU)[0])
    extended = attention_maps(network, scan, 3, view=view, padding=Padding(4, (-9.0,)), compute=CPU)
    assert [level.shape for level in extended] == [(21, 30), (11, 15)]
    assert not np.allclose(maps[0], extended[0])
