"""Applying networks to the slices of a preprocessed scan.

Slices go through whole wherever that is affordable; only images far larger than the training patches are covered with
overlapping tiles.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autoseg.model.compute import Compute, evaluating
from autoseg.model.encoding import TensorEncoding
from autoseg.model.padding import Padding
from autoseg.planning.sections import MirrorAxis, View
from autoseg.planning.slicing import seen_at_once

_AXIS_NUMBER: Final[dict[MirrorAxis, int]] = {"rows": -2, "columns": -1}


def with_adjacent_slices(image: NDArray[np.float32], slices: Sequence[int], *, adjacent_slices: int) -> NDArray[np.float32]:
    """Slices as a network sees them: each together with the adjacent ones on either side (2.5D).

    Args:
        image: preprocessed scan, (C, S, H, W), float32.
        slices: numbers of B slices.
        adjacent_slices: how many on either side, N; beyond the first and last slice these are repeated.

    Returns:
        a copy, (B, C * (2 N + 1), H, W), float32; channel by channel, its slices from the first to the last.
    """
    chosen = adjacent_numbers(np.asarray(slices), adjacent_slices=adjacent_slices, slices=image.shape[1])  # (B, 2 N + 1)
    stacked = np.moveaxis(image[:, chosen], 1, 0)  # (B, C, 2 N + 1, H, W)
    images: NDArray[np.float32] = stacked.reshape(len(slices), -1, *image.shape[2:])  # (B, C * (2 N + 1), H, W)
    return np.ascontiguousarray(images)


def adjacent_numbers(
    numbers: NDArray[np.integer[Any]], *, adjacent_slices: int, slices: NDArray[np.integer[Any]] | int
) -> NDArray[np.int64]:
    """Numbers of slices and of those on either side; beyond the first and last slice these are repeated.

    Args:
        numbers: of B slices, (B,).
        adjacent_slices: how many on either side, N.
        slices: of the scan that each lies in, (B,), or of all.

    Returns:
        (B, 2 N + 1), int64.
    """
    offsets = np.arange(-adjacent_slices, adjacent_slices + 1)
    last = np.expand_dims(np.asarray(slices) - 1, -1)
    beside: NDArray[np.int64] = np.clip(numbers[:, np.newaxis] + offsets, 0, last).astype(np.int64)
    return beside


def slice_batches(
    image: NDArray[np.float32], *, view: View, batch_size: int, compute: Compute, wanted: slice | None = None
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Walk through a scan's slices in batches.

    Args:
        image: preprocessed scan, (C, S, H, W), float32.
        view: how slices are shown.
        batch_size: slices per batch, >= 1.
        compute: where the batches go.
        wanted: numbers of the slices to walk through; None: all.

    Yields:
        the range of slices, and their images (B, C, H, W) on the device.
    """
    first, last = (0, image.shape[1]) if wanted is None else (wanted.start, wanted.stop)
    for start in range(first, last, batch_size):
        window = slice(start, min(start + batch_size, last))
        images = with_adjacent_slices(image, range(window.start, window.stop), adjacent_slices=view.adjacent_slices)
        yield window, compute.tensor(torch.from_numpy(images))


def predict_slices(
    networks: Sequence[nn.Module],
    image: NDArray[np.float32],
    *,
    view: View,
    batch_size: int,
    mirror: bool,
    encoding: TensorEncoding,
    padding: Padding,
    compute: Compute,
    wanted: slice | None = None,
    weights: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """Class probabilities of slices, averaged over networks and mirror images.

    Args:
        networks: one or more networks with equal classes, already on the device.
        image: preprocessed scan, (C, S, H, W), float32.
        view: how slices are shown; names the in-plane axes of test-time augmentation.
        batch_size: slices predicted at once.
        mirror: test-time augmentation: whether to average over flips of these axes.
        encoding: what the networks' logits mean.
        padding: what the scan's slices are extended with.
        compute: device and number format.
        wanted: numbers of the slices to predict; others may only lie beside them. None: all.
        weights: how much each network counts, > 0; None: all alike.

    Returns:
        probabilities, (K, S, H, W), float32, in [0, 1], summing to 1 over K.
    """
    volume: NDArray[np.float32] | None = None
    flips = _flips(view.tta_axes if mirror else ())
    weights = [1.0] * len(networks) if weights is None else weights
    slices = range(image.shape[1]) if wanted is None else range(wanted.start, wanted.stop)
    for window, images in slice_batches(image, view=view, batch_size=batch_size, compute=compute, wanted=wanted):
        total: torch.Tensor | None = None
        extended = padding.extend(images)  # (B, C, H', W')
        for network, weight in zip(networks, weights, strict=True):
            with evaluating(network):
                for axes in flips:
                    flipped = torch.flip(extended, axes) if axes else extended  # (B, C, H', W')
                    found = _probabilities(network, flipped, patch_px=view.patch_px, encoding=encoding, compute=compute)
                    found = torch.flip(found, axes) if axes else found  # (B, K, H', W')
                    # In place: with many classes this fills a memory.
                    total = found.mul_(weight) if total is None else total.add_(found, alpha=weight)
                    del found
        if total is None:
            msg = "predicting needs networks"
            raise ValueError(msg)
        with torch.inference_mode():
            mean = total.div_(sum(weights) * len(flips))[..., : images.shape[-2], : images.shape[-1]].cpu().numpy()
        if volume is None:
            volume = np.empty((mean.shape[1], len(slices), *image.shape[2:]), dtype=np.float32)
        volume[:, window.start - slices.start : window.stop - slices.start] = np.moveaxis(mean, 0, 1)  # (K, B, H, W)
    if volume is None:
        msg = "a scan without slices cannot be predicted"
        raise ValueError(msg)
    return volume


def tile_starts(length: int, tile: int) -> list[int]:
    """Where tiles of size `tile` start so that they cover `length` pixels, overlapping by at least half a tile."""
    if length <= tile:
        return [0]
    steps = int(np.ceil((length - tile) / (tile / 2)))
    return [round(step * (length - tile) / steps) for step in range(steps + 1)]


def _flips(axes: Sequence[MirrorAxis]) -> list[list[int]]:
    """Every combination of the axes, the empty one first, as tensor axes to flip."""
    numbers = [_AXIS_NUMBER[axis] for axis in axes]
    return [list(chosen) for count in range(len(numbers) + 1) for chosen in combinations(numbers, count)]


def _probabilities(
    network: nn.Module, images: torch.Tensor, *, patch_px: tuple[int, int], encoding: TensorEncoding, compute: Compute
) -> torch.Tensor:
    def predict(part: torch.Tensor) -> torch.Tensor:
        with compute.autocast():
            logits = network(part)
        return encoding.probabilities(logits.float())  # (B, K, h, w)

    return in_tiles(predict, images, patch_px=patch_px)


def in_tiles(
    predict: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor, *, patch_px: tuple[int, int]
) -> torch.Tensor:
    """What is predicted of images: at once, or tile by tile where they are far larger than the training patches.

    Args:
        predict: makes maps (B, K, h, w), float32, of images (B, C, h, w).
        images: (B, C, H, W).
        patch_px: rows and columns of training patches, and of tiles.

    Returns:
        (B, K, H, W), float32; where tiles overlap, their mean, weighted by how near each one's centre is.
    """
    height, width = images.shape[-2:]
    if seen_at_once((height, width), patch_px) == (height, width):
        return predict(images)
    weight = _tile_weight(patch_px, images.device)  # (h, w)
    total, coverage = torch.zeros(()), torch.zeros((height, width), device=images.device)
    for top in tile_starts(height, patch_px[0]):
        for left in tile_starts(width, patch_px[1]):
            rows, columns = slice(top, top + patch_px[0]), slice(left, left + patch_px[1])
            found = predict(images[..., rows, columns])  # (B, K, h, w)
            if total.ndim == 0:
                total = found.new_zeros((*found.shape[:2], height, width))
            part = weight[: found.shape[-2], : found.shape[-1]]
            total[..., rows, columns] += found * part
            coverage[rows, columns] += part
    return total.div_(coverage)  # (B, K, H, W)


def _tile_weight(patch_px: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Weight that falls from a tile's centre to its border, where a network sees least context.

    Source: a Gaussian with a standard deviation of an eighth of the tile, as nnU-Net uses; kept above 1 % so that no
    pixel is left without weight.
    """
    profiles = [_gaussian(side, std_px=max(side / 8, 1.0)) for side in patch_px]
    weight = np.maximum(np.outer(profiles[0], profiles[1]), 1e-2)
    return torch.from_numpy(weight.astype(np.float32)).to(device)


def _gaussian(size_px: int, *, std_px: float) -> NDArray[np.float64]:
    """A Gaussian about the middle of so many pixels, 1 at its peak; scipy.signal's takes a second to load."""
    distances_px = np.arange(size_px) - (size_px - 1) / 2
    weights: NDArray[np.float64] = np.exp(-(distances_px**2) / (2 * std_px**2))
    return weights
