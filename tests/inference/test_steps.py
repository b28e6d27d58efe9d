import tracemalloc
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy import ndimage

from autoseg.data.dataset import LabelClass
from autoseg.inference.steps import Step, StepType, apply_steps, describe

Volume = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]
Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
CUBE = (1.0, 1.0, 1.0)
shapes = st.sampled_from([(3, 4, 5), (1, 5, 6), (6, 1, 5)])
mixtures = st.sampled_from([[0, 0, 3, 70], [0, 3, 3, 3, 70]])  # with many islands, and with many holes
small_volumes = st.tuples(shapes, mixtures).flatmap(
    lambda chosen: arrays(np.uint16, chosen[0], elements=st.sampled_from(chosen[1]), fill=st.nothing())
)
labels_or_all = st.sampled_from([None, 3, 70])


def flat(*rows: str) -> Volume:
    """A single slice, drawn with one digit per voxel; `.` is background."""
    return np.array([[[0 if sign == "." else int(sign) for sign in row] for row in rows]], dtype=np.uint16)


def clean(labels: Volume, *steps: Step, spacing_mm: tuple[float, float, float] = CUBE) -> Volume:
    return apply_steps(labels, steps, spacing_mm=spacing_mm, classes=())


def largest(label: int | None) -> Step:
    return Step(type="largest_component", label=label)


def drop(label: int | None, min_volume_ml: float) -> Step:
    return Step(type="drop_small", label=label, min_volume_ml=min_volume_ml)


def fill(label: int | None) -> Step:
    return Step(type="fill_holes", label=label)


def test_an_island_in_the_background_becomes_background() -> None:
    found = clean(flat("11..1", "11...", "2...."), largest(1))
    assert found.tolist() == flat("11...", "11...", "2....").tolist()


def test_an_island_in_another_class_becomes_that_class() -> None:
    found = clean(flat("22222", "21222", "22222", "11111", "11111"), largest(1))
    assert found.tolist() == flat("22222", "22222", "22222", "11111", "11111").tolist()


def test_an_island_between_two_classes_becomes_what_most_of_its_faces_show() -> None:
    # The island in the middle has two faces to 2, one to 3 and one to background.
    found = clean(flat("..2..", ".312.", ".....", "11111"), largest(1))
    assert found[0, 1, 2] == 2


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        ((".3.", "213", ".2.", "...", "111"), 2),  # two faces each to 2 and 3
        ((".3.", ".13", "...", "...", "111"), 0),  # to background and 3
        ((".3.", "213", ".3.", "...", "111"), 3),  # three to 3, one to 2
    ],
)
def test_of_equally_frequent_neighbours_the_lower_value_is_taken(rows: tuple[str, ...], value: int) -> None:
    assert clean(flat(*rows), largest(1))[0, 1, 1] == value


def test_the_edge_of_the_volume_counts_as_nothing() -> None:
    # Four of the six faces of the island in the corner lead out of the volume, one to 3 and one to 5.
    assert clean(flat("15..", "3.11"), largest(1)).tolist() == flat("35..", "3.11").tolist()


def test_what_fills_the_whole_volume_becomes_background() -> None:
    assert not clean(np.full((2, 3, 4), 5, np.uint16), drop(5, 0.025)).any()  # 24 voxels, no neighbour


def test_neighbours_across_slices_count() -> None:
    labels = np.full((3, 3, 7), 70, np.uint16)
    labels[1] = 7
    labels[:, :, 5] = 3
    expected = labels.copy()
    labels[1, 0, :2] = 3  # an island with four faces to the 70 above and below, and three to the 7 beside it
    expected[1, 0, :2] = 70
    np.testing.assert_array_equal(clean(labels, largest(3)), expected)


def test_of_equally_large_parts_the_first_stays() -> None:
    labels = flat("..1..", "1.1..", "1....")
    expected = flat("..1..", "..1..", ".....")
    assert clean(labels, largest(1)).tolist() == expected.tolist()
    assert clean(np.asfortranarray(labels), largest(1)).tolist() == expected.tolist()


def test_voxels_that_touch_at_a_corner_belong_together() -> None:
    labels = np.zeros((2, 2, 2), np.uint16)
    labels[0, 0, 0] = labels[1, 1, 1] = 1
    np.testing.assert_array_equal(clean(labels, largest(1)), labels)


def test_of_all_foreground_the_rest_becomes_background() -> None:
    found = clean(flat("12..1", "12..2", "....."), largest(None))
    assert found.tolist() == flat("12...", "12...", ".....").tolist()


def test_a_size_is_a_volume() -> None:
    labels = flat("1.11.111")
    # Voxels of 2 x 0.5 x 1 mm3 = 0.001 ml.
    spacing_mm = (2.0, 0.5, 1.0)
    assert clean(labels, drop(1, 0.0015), spacing_mm=spacing_mm).ravel().tolist() == [0, 0, 1, 1, 0, 1, 1, 1]
    assert clean(labels, drop(1, 0.002), spacing_mm=spacing_mm).ravel().tolist() == [0, 0, 1, 1, 0, 1, 1, 1]
    assert clean(labels, drop(1, 0.002001), spacing_mm=spacing_mm).ravel().tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert not clean(labels, drop(None, 1.0), spacing_mm=spacing_mm).any()


def test_a_hole_inside_one_class_is_filled_with_it() -> None:
    found = clean(flat("11111", "1.122", "11122", "222.2", "22222"), fill(1))
    assert found.tolist() == flat("11111", "11122", "11122", "222.2", "22222").tolist()


def test_a_hole_between_classes_is_filled_for_all_foreground_only() -> None:
    labels = flat("111", "1.2", "111")
    assert clean(labels, fill(1)).tolist() == labels.tolist()
    assert clean(labels, fill(None))[0, 1, 1] == 1


def test_a_hole_around_an_island_is_enclosed_by_both() -> None:
    labels = flat("33333", "3...3", "3.7.3", "3...3", "33333")
    assert clean(labels, fill(3)).tolist() == labels.tolist()
    expected = flat("33333", "33333", "33733", "33333", "33333")  # twelve faces to 3, four to 7
    assert clean(labels, fill(None)).tolist() == expected.tolist()


def test_a_hole_between_two_classes_in_balance_takes_the_lower_value() -> None:
    assert clean(flat("37.", "3.7", "33."), fill(None))[0, 1, 1] == 3


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_has_holes_whichever_way_it_lies(axis: int) -> None:
    labels = np.moveaxis(flat("3333", "3..3", "3333"), 0, axis)
    np.testing.assert_array_equal(clean(labels, fill(3)), np.full_like(labels, 3))
    twice = np.concatenate([labels, labels], axis=axis)  # two slices: now the hole is open on both sides
    np.testing.assert_array_equal(clean(twice, fill(3)), twice)


def test_what_reaches_the_border_is_no_hole() -> None:
    labels = flat("1.1", "1.1", "111")
    assert clean(labels, fill(1)).tolist() == labels.tolist()


def test_background_that_touches_at_a_corner_is_apart() -> None:
    labels = flat(".111", "1.11", "1111", "1111")
    assert clean(labels, fill(1)).tolist() == flat(".111", "1111", "1111", "1111").tolist()


def test_a_hole_in_a_volume_is_closed_on_all_sides() -> None:
    labels = np.ones((3, 3, 3), np.uint16)
    labels[1, 1, 1] = 0
    assert clean(labels, fill(1)).all()
    labels[1, 1, 1] = labels[0, 1, 1] = 0  # open above
    assert not clean(labels, fill(1))[1, 1, 1]


@pytest.mark.parametrize("step", [largest(9), drop(9, 1.0), fill(9), largest(None), fill(None)])
def test_nothing_to_do_is_done(step: Step) -> None:
    empty = np.zeros((2, 3, 4), np.uint16)
    assert not clean(empty, step).any()
    full = np.full((2, 3, 4), 5, np.uint16)
    np.testing.assert_array_equal(clean(full, step), full)


def test_no_steps_give_an_equal_copy() -> None:
    labels = flat("1.2")
    found = clean(labels)
    np.testing.assert_array_equal(found, labels)
    assert not np.shares_memory(found, labels)


def test_steps_follow_one_another() -> None:
    labels = flat("111.1", "1.1..", "111..")
    assert clean(labels, largest(1), fill(1)).tolist() == flat("111..", "111..", "111..").tolist()


def test_a_picture_without_three_axes_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"axes.*\(3, 4\)"):
        apply_steps(np.zeros((3, 4), np.uint16), [], spacing_mm=CUBE, classes=())


@given(small_volumes, labels_or_all, st.sampled_from(["largest_component", "drop_small", "fill_holes"]))
def test_every_step_settles_at_once_and_leaves_its_input_alone(labels: Volume, label: int | None, kind: str) -> None:
    step = Step(type=kind, label=label, min_volume_ml=0.0025 if kind == "drop_small" else None)  # type: ignore[arg-type]
    before = labels.copy()
    once = clean(labels, step)
    np.testing.assert_array_equal(labels, before)
    assert once.dtype == np.uint16
    np.testing.assert_array_equal(clean(once, step), once)
    changed = once != labels
    allowed = labels == 0 if kind == "fill_holes" else (labels > 0 if label is None else labels == label)
    assert not (changed & ~allowed).any()
    assert set(np.unique(once)) <= set(np.unique(labels)) | {0}


def value_around(labels: Volume, part: Mask) -> tuple[int, set[int]]:
    """The value behind most faces of a part, the lowest of equals, and all that occur: voxel by voxel."""
    faces: Counter[int] = Counter()
    for place in np.argwhere(part):
        for axis, step in product(range(3), (-1, 1)):
            other = place.copy()
            other[axis] += step
            if 0 <= other[axis] < labels.shape[axis] and not part[tuple(other)]:
                faces[int(labels[tuple(other)])] += 1
    most = max(faces.values(), default=0)
    return min((value for value, count in faces.items() if count == most), default=0), set(faces)


def drop_by_hand(labels: Volume, label: int | None, *, smallest_voxels: int | None) -> Volume:
    """Parts of fewer voxels are gone; None: all but the largest, the first of several."""
    found = labels.copy()
    numbers, count = ndimage.label(labels > 0 if label is None else labels == label, structure=np.ones((3, 3, 3)))
    parts = [numbers == number for number in range(1, count + 1)]
    parts.sort(key=lambda part: np.flatnonzero(part)[0])
    sizes = [int(part.sum()) for part in parts]
    for index, part in enumerate(parts):
        stays = index == sizes.index(max(sizes)) if smallest_voxels is None else sizes[index] >= smallest_voxels
        if not stays:
            found[part] = 0 if label is None else value_around(labels, part)[0]
    return found


def fill_by_hand(labels: Volume, label: int | None) -> Volume:
    """Background that no path of faces joins to the outside is filled."""
    found = labels.copy()
    numbers, count = ndimage.label(labels == 0)
    for number in range(1, count + 1):
        hole = numbers == number
        places = np.argwhere(hole)
        inside = [
            length == 1 or (places[:, axis].min() > 0 and places[:, axis].max() < length - 1)
            for axis, length in enumerate(labels.shape)
        ]
        most, walls = value_around(labels, hole)
        if all(inside) and (label is None or walls == {label}):
            found[hole] = most
    return found


@given(small_volumes, labels_or_all, st.integers(1, 6))
def test_parts_that_go_are_those_of_an_independent_search(labels: Volume, label: int | None, smallest: int) -> None:
    found = clean(labels, drop(label, smallest * 0.001 - 1e-6))
    np.testing.assert_array_equal(found, drop_by_hand(labels, label, smallest_voxels=smallest))


@given(small_volumes, labels_or_all)
def test_the_part_that_stays_is_that_of_an_independent_search(labels: Volume, label: int | None) -> None:
    np.testing.assert_array_equal(clean(labels, largest(label)), drop_by_hand(labels, label, smallest_voxels=None))


@given(small_volumes, labels_or_all)
def test_holes_that_are_filled_are_those_of_an_independent_search(labels: Volume, label: int | None) -> None:
    np.testing.assert_array_equal(clean(labels, fill(label)), fill_by_hand(labels, label))


@pytest.mark.parametrize(
    "document",
    [
        {"type": "drop_small", "label": 1},
        {"type": "largest_component", "label": 1, "min_volume_ml": 0.5},
        {"type": "drop_small", "label": 1, "min_volume_ml": 0},
        {"type": "drop_small", "label": 1, "min_volume_ml": float("inf")},
        {"type": "drop_small", "label": 1, "min_volume_ml": -0.5},
        {"type": "fill_holes"},
        {"type": "fill_holes", "label": 0},
        {"type": "fill_holes", "label": -1},
        {"type": "fill_holes", "label": 65_536},
        {"kind": "polish", "label": 1},
        {"type": "fill_holes", "label": 1, "colour": "red"},
    ],
)
def test_a_step_that_means_nothing_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Step.model_validate(document)


def test_a_step_in_words() -> None:
    classes = (LabelClass(value=0, name="background"), LabelClass(value=70, name="GM"))
    assert describe(largest(70), classes) == "GM: only the largest connected component kept"
    assert describe(drop(None, 0.5), classes) == "all foreground: components under 0.5 ml removed"
    assert describe(fill(3), classes) == "label 3: holes filled"


@pytest.mark.parametrize("step_type", ["largest_component", "fill_holes"])
@pytest.mark.parametrize("label", [None, 1])
def test_a_step_takes_no_more_memory_than_its_components(step_type: StepType, label: int | None) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (128, 128, 128)).astype(np.uint16)
    labels[:, :120] = 1
    step = Step(type=step_type, label=label)
    tracemalloc.start()
    try:
        apply_steps(labels, [step], spacing_mm=(1.0, 1.0, 1.0), classes=(), in_place=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * labels.size  # four for their numbers, the rest for masks; much more where all faces are kept at once
