"""Where patches are cut from slices larger than they are: where labels are, and some of them around a pixel of a class."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from autoseg.planning.plan import Plan
from autoseg.preprocessing.stored import SliceStack
from autoseg.training.augmentation.draws import numbers_of_images
from autoseg.training.slice_order import ShownSlices

_STREAM: Final = 2
"""Sets these random numbers apart from those of the changes of images."""

_PIXELS_KEPT: Final = 128
"""Pixels of each class, evenly spread over those of a slice, that patches are laid around.

Source: chosen: patches lie at random around a pixel, so that neighbours bring nothing new; half a kilobyte a class."""

_SLICES_KEPT: Final = 10_000
"""Slices whose pixels are remembered. Source: chosen: 25 MB where each shows five classes."""


class PatchPlaces:
    """For each image the box that its patch has to hold, or to lie within.

    Args:
        stacks: the training cases as one view shows them.
        patch_px: rows and columns of the patches of that view.
        plan: says which part of the patches is laid around a pixel of a class, `training.foreground_patches`.
        seed: of the run.
    """

    def __init__(self, stacks: Sequence[SliceStack], *, patch_px: tuple[int, int], plan: Plan, seed: int) -> None:
        self._stacks, self._seed = stacks, seed
        self._fraction = plan.training.foreground_patches
        self._classes = len(plan.data.classes)
        self._ignored = None if plan.data.ignore is None else plan.data.encoding.ignored
        self._sizes_px = np.array([stack.shape[1:] for stack in stacks], dtype=np.int64)  # (cases, 2)
        cut = bool((self._sizes_px > np.array(patch_px)).any())
        self._anywhere = not cut or (self._ignored is None and not self._fraction)
        self._labelled: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._pixels: dict[tuple[int, int], tuple[NDArray[np.int32], ...]] = {}

    def boxes(self, shown: ShownSlices, *, epoch: int) -> NDArray[np.int64] | None:
        """Along rows and along columns the first pixel of each box and the one after the last, (B, 2, 2), int64.

        Args:
            shown: the slices of a batch, through this view.
            epoch: number of the epoch.

        Returns:
            None where every place is as good as another.
        """
        if self._anywhere:
            return None
        boxes = np.stack([self._labelled_part(case, index) for case, index in shown.chosen.tolist()])
        if self._fraction:
            numbers = numbers_of_images(seed=self._seed, epoch=epoch, positions=shown.positions, count=3, stream=_STREAM)
            for place in np.flatnonzero(numbers[:, 0] < self._fraction):
                case, index = shown.chosen[place].tolist()
                if pixels := self._pixels_of(case, index):
                    pixel = _drawn(_drawn(pixels, numbers[place, 1]), numbers[place, 2])
                    row, column = divmod(int(pixel), int(self._sizes_px[case, 1]))
                    boxes[place] = [[row, row + 1], [column, column + 1]]
        return boxes

    def _labelled_part(self, case: int, index: int) -> NDArray[np.int64]:
        """The box of a slice's labelled pixels; read once."""
        if self._ignored is None:
            return np.stack([np.zeros(2, dtype=np.int64), self._sizes_px[case]], axis=1)
        if (case, index) not in self._labelled:
            self._labelled[case, index] = labelled_box(self._stacks[case].label[index], ignored=self._ignored)
        return self._labelled[case, index]

    def _pixels_of(self, case: int, index: int) -> tuple[NDArray[np.int32], ...]:
        """Pixels of each class that a slice shows, without the background; read again only after many others."""
        if (case, index) not in self._pixels:
            if len(self._pixels) == _SLICES_KEPT:
                self._pixels.clear()
            self._pixels[case, index] = pixels_by_class(self._stacks[case].label[index], classes=self._classes)
        return self._pixels[case, index]


def _drawn(choices: Sequence[Any] | NDArray[np.int32], number: float) -> Any:
    """One of several, by a uniform number in [0, 1)."""
    return choices[int(number * len(choices))]


def pixels_by_class(label: NDArray[np.integer[Any]], *, classes: int) -> tuple[NDArray[np.int32], ...]:
    """Some pixels of each class that a slice shows, evenly spread over all of its pixels; not of the background.

    Args:
        label: class indices, (H, W); those from `classes` on are pixels without a label.
        classes: how many there are, with the background.

    Returns:
        for each class that is there the numbers of at most 128 pixels, counted row by row, (n,), int32.
    """
    places = np.flatnonzero((label > 0) & (label < classes)).astype(np.int32)
    found = label.ravel()[places]
    return tuple(_spread(places[found == index]) for index in np.unique(found))


def _spread(places: NDArray[np.int32]) -> NDArray[np.int32]:
    """At most so many of them as are kept, evenly spaced."""
    kept = min(len(places), _PIXELS_KEPT)
    return places[np.arange(kept) * len(places) // kept]


def labelled_box(label: NDArray[np.integer[Any]], *, ignored: int) -> NDArray[np.int64]:
    """The smallest box around the labelled pixels of a slice; all of it where there are none.

    Args:
        label: class indices, (H, W).
        ignored: target of a pixel without a label.

    Returns:
        along rows and along columns the first pixel and the one after the last, (2, 2), int64.
    """
    inside = label != ignored
    return np.array([_extent(inside.any(axis=1)), _extent(inside.any(axis=0))], dtype=np.int64)


def _extent(occupied: NDArray[np.bool_]) -> tuple[int, int]:
    places = np.flatnonzero(occupied)
    return (int(places[0]), int(places[-1]) + 1) if places.size else (0, len(occupied))
