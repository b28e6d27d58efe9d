from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from autoseg.data.labels import LabelEncoding
from autoseg.model.compute import Compute
from autoseg.model.encoding import TensorEncoding
from autoseg.model.padding import Padding
from autoseg.model.slices import predict_slices, tile_starts, with_adjacent_slices
from autoseg.planning.sections import MirrorAxis, View

TWO = TensorEncoding(LabelEncoding((0, 1)))
CPU = Compute(torch.device("cpu"), bfloat16=False)


class Pointwise(nn.Module):
    """Logits that depend on nothing but the pixel itself: tiles, batches and flips must not change them."""

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(images[:, :1]), self.slope * images[:, :1]], dim=1)


class LeftHalf(nn.Module):
    """Sees class 1 in the left half, whatever the image."""

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.zeros((len(images), 2, *images.shape[2:]))
        logits[:, 1, :, : images.shape[3] // 2] = 40.0
        logits[:, 0, :, images.shape[3] // 2 :] = 40.0
        return logits


def image(*, slices: int = 5, height: int = 9, width: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(1, slices, height, width)).astype(np.float32)


def predict(
    networks: Sequence[nn.Module],
    scan: np.ndarray,
    *,
    patch: tuple[int, int] = (16, 16),
    batch: int = 2,
    axes: tuple[MirrorAxis, ...] = (),
    mirror: bool = True,
    padding: Padding | None = None,
) -> np.ndarray:
    view = View(plane=None, spacing_mm=None, adjacent_slices=0, patch_px=patch, mirror_axes=(), tta_axes=axes, batch_size=1)
    return predict_slices(
        networks, scan, view=view, batch_size=batch, mirror=mirror, encoding=TWO, padding=padding or Padding(2), compute=CPU
    )


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-values))


def test_probabilities_are_softmax_in_the_order_of_slices() -> None:
    scan = image()
    probabilities = predict([Pointwise()], scan)
    assert probabilities.shape == (2, 5, 9, 12)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities[1], sigmoid(scan[0]), rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1.0, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_batch_size_changes_nothing(batch: int) -> None:
    np.testing.assert_array_equal(predict([Pointwise()], image(), batch=batch), predict([Pointwise()], image()))


def test_adjacent_slices_lie_beside_their_slice_and_are_repeated_at_the_ends() -> None:
    scan = np.arange(2 * 4, dtype=np.float32).reshape(2, 4, 1, 1)  # channel 0: slices 0 1 2 3; channel 1: 4 5 6 7
    images = with_adjacent_slices(scan, [0, 2, 3], adjacent_slices=1)
    assert images[..., 0, 0].tolist() == [[0, 0, 1, 4, 4, 5], [1, 2, 3, 5, 6, 7], [2, 3, 3, 6, 7, 7]]
    assert not np.shares_memory(images, scan)


def test_several_networks_are_averaged() -> None:
    scan = image()
    mean = (sigmoid(scan[0]) + sigmoid(3 * scan[0])) / 2
    np.testing.assert_allclose(predict([Pointwise(1.0), Pointwise(3.0)], scan)[1], mean, rtol=1e-5)


def test_mirroring_averages_predictions_put_back_in_place() -> None:
    probabilities = predict([LeftHalf()], image(width=12), axes=("columns",))
    np.testing.assert_allclose(probabilities[1], 0.5, atol=1e-6)
    unchanged = predict([LeftHalf()], image(width=12), axes=("rows",))
    np.testing.assert_allclose(unchanged[1, :, :, :6], 1.0, atol=1e-6)
    np.testing.assert_allclose(predict([LeftHalf()], image(width=12), axes=("columns",), mirror=False), unchanged, atol=1e-6)


@pytest.mark.parametrize("axes", [("rows",), ("columns",), ("rows", "columns")])
def test_mirroring_does_not_move_anything(axes: tuple[MirrorAxis, ...]) -> None:
    scan = image()
    np.testing.assert_allclose(predict([Pointwise()], scan, axes=axes)[1], sigmoid(scan[0]), rtol=1e-5)


def test_large_slices_are_tiled_without_seams() -> None:
    scan = image(height=50, width=37)
    np.testing.assert_allclose(predict([Pointwise()], scan, patch=(16, 16))[1], sigmoid(scan[0]), rtol=1e-4)


def test_a_network_is_left_in_the_mode_it_was_in() -> None:
    network = Pointwise()
    network.train()
    predict([network], image())
    assert network.training


@given(length=st.integers(1, 300), tile=st.integers(2, 64))
def test_tiles_cover_every_pixel_and_overlap_by_half(length: int, tile: int) -> None:
    starts = tile_starts(length, tile)
    covered = {pixel for start in starts for pixel in range(start, start + tile)}
    assert set(range(length)) <= covered
    assert starts == sorted(set(starts))
    if length > tile:
        assert starts[0] == 0
        assert starts[-1] == length - tile
        assert max(np.diff(starts)) <= max(1, tile / 2 + 1)


class Mean(nn.Module):
    """Logits that follow from the mean of all it is shown, and the sizes of that."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: set[tuple[int, ...]] = set()

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.add(tuple(images.shape[2:]))
        means = images.mean(dim=(2, 3), keepdim=True).expand(-1, -1, *images.shape[2:])
        return torch.cat([torch.zeros_like(means), means], dim=1)


@pytest.mark.parametrize("patch", [(16, 16), (4, 4)])  # whole, and in tiles
def test_a_network_sees_slices_extended_and_gives_probabilities_of_their_own_pixels(patch: tuple[int, int]) -> None:
    network, scan = Mean(), np.zeros((1, 2, 9, 11), np.float32)
    found = predict([network], scan, patch=patch, axes=("columns",), padding=Padding(4, (-3.0,)))
    assert found.shape == (2, 2, 9, 11)
    if patch == (16, 16):
        assert network.sizes == {(12, 12)}
        np.testing.assert_allclose(found[1], sigmoid(np.array(-3.0 * (1 - 99 / 144))), rtol=1e-5)
    else:
        assert network.sizes == {(4, 4)}
        np.testing.assert_allclose(found[1, :, :6, 4:6], 0.5)  # tiles inside the slice see nothing of it
        assert found[1, :, 8].max() < 0.5
