from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from autoseg.inference.components import background_components, foreground_components, neighbours_of

Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
shapes = st.sampled_from([(3, 4, 5), (1, 5, 6), (5, 1, 6), (4, 5, 1), (1, 1, 7)])
masks = shapes.flatmap(lambda shape: arrays(np.bool_, shape, elements=st.booleans(), fill=st.nothing()))


def same_parts(first: np.ndarray, second: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether two labellings are equal but for the numbers."""
    pairs = set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


@given(masks)
def test_parts_are_those_of_an_independent_labelling(mask: Mask) -> None:
    by_scipy, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    found = foreground_components(mask)
    assert len(found.voxels) == count
    assert same_parts(found.labels, by_scipy)
    by_scipy, count = ndimage.label(mask)
    found = background_components(mask)
    assert len(found.voxels) == count
    assert same_parts(found.labels, by_scipy)


@given(masks)
def test_sizes_belong_to_their_parts(mask: Mask) -> None:
    found = foreground_components(mask)
    assert found.voxels.tolist() == [(found.labels == number).sum() for number in range(1, len(found.voxels) + 1)]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_parts_are_numbered_by_their_first_voxels(share: float, order: Literal["C", "F"]) -> None:
    mask = np.random.default_rng(5).random((21, 22, 23)) < share
    for find, structure in ((foreground_components, np.ones((3, 3, 3))), (background_components, None)):
        by_scipy, _ = ndimage.label(mask, structure=structure)  # numbers in the order of rows, whatever the memory
        np.testing.assert_array_equal(find(np.asarray(mask, order=order)).labels, by_scipy)


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 3, 4)])
def test_nothing_has_no_parts(shape: tuple[int, int, int]) -> None:
    for find in (foreground_components, background_components):
        found = find(np.zeros(shape, bool))
        assert found.labels.shape == shape
        assert not found.labels.any()
        assert (found.voxels.tolist(), found.largest) == ([], None)


def test_the_largest_part() -> None:
    mask = np.zeros((1, 1, 7), bool)
    assert foreground_components(mask).largest is None
    mask[0, 0, [0, 2, 3, 5, 6]] = True
    found = foreground_components(mask)
    assert found.largest == found.labels[0, 0, 2]  # the first of two equals


def test_faces_are_counted_once_for_each_pair_of_voxels() -> None:
    labels = np.array([[[0, 2, 2], [1, 1, 3], [0, 3, 3]]], np.uint16)  # around the ones: twice 0, once 2, twice 3
    around = neighbours_of(foreground_components(labels == 1), labels)
    assert (around.most[1], around.only[1]) == (0, False)
    labels[0, 0, 0] = 3
    assert neighbours_of(foreground_components(labels == 1), labels).most[1] == 3


def test_what_fills_the_volume_has_nothing_around_it() -> None:
    labels = np.ones((1, 2, 3), np.uint16)
    around = neighbours_of(foreground_components(labels == 1), labels)
    assert (around.most[1], around.only[1]) == (0, False)


@given(shapes.flatmap(lambda shape: arrays(np.uint16, shape, elements=st.integers(0, 3), fill=st.nothing())))
def test_neighbours_are_those_of_looking_at_every_voxel(labels: np.ndarray) -> None:  # type: ignore[type-arg]
    for parts in (background_components(labels == 0), foreground_components(labels == 2)):
        around = neighbours_of(parts, labels)
        for number in range(1, len(parts.voxels) + 1):
            seen = [
                int(labels[tuple(neighbour)])
                for place in np.argwhere(parts.labels == number)
                for neighbour in (place + step * sign for step in np.eye(3, dtype=int) for sign in (-1, 1))
                if (neighbour >= 0).all() and (neighbour < labels.shape).all() and parts.labels[tuple(neighbour)] != number
            ]
            assert around.most[number] == min(set(seen), key=lambda value: (-seen.count(value), value), default=0)
            assert around.only[number] == (len(set(seen)) == 1)
