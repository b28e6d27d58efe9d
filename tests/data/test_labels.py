"""From label values to targets, and from probabilities to label values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.data.dataset import LabelClass
from autoseg.data.labels import LabelEncoding, as_written, encoding_of, mask_of

GAPS = LabelEncoding((0, 2, 700))


def test_it_has_the_values_of_the_classes() -> None:
    classes = [LabelClass(value=0, name="background"), LabelClass(value=7, name="disc")]
    assert encoding_of(classes) == LabelEncoding((0, 7))
    assert GAPS.channels == 3


def test_targets_are_places_among_the_classes() -> None:
    targets = GAPS.targets(np.array([[0, 700], [2, 2]], dtype=np.uint16))
    assert targets.tolist() == [[0, 2], [1, 1]]
    assert targets.dtype == np.uint8


@pytest.mark.parametrize(("classes", "kind"), [(256, np.uint8), (257, np.uint16)])
def test_targets_take_two_bytes_where_one_is_too_small(classes: int, kind: type) -> None:
    labels = np.arange(classes, dtype=np.uint16)
    targets = LabelEncoding(tuple(range(classes))).targets(labels)
    assert targets.dtype == kind
    np.testing.assert_array_equal(targets, labels)


def test_the_most_probable_class_wins_and_the_first_of_equals() -> None:
    probabilities = np.array([[0.5, 0.4, 0.2], [0.3, 0.4, 0.2], [0.2, 0.2, 0.6]], dtype=np.float32)
    labels = GAPS.labels(probabilities)
    assert labels.tolist() == [0, 0, 700]
    assert labels.dtype == np.uint16
    assert [mask.tolist() for mask in GAPS.masks(probabilities)] == [
        [True, True, False], [False, False, False], [False, False, True],
    ]  # fmt: skip


def test_where_nothing_is_predicted_there_is_background() -> None:
    assert GAPS.background == 0
    assert GAPS.nothing == (1.0, 0.0, 0.0)
    assert GAPS.labels(np.array(GAPS.nothing, dtype=np.float32)[:, np.newaxis]).tolist() == [0]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_targets_that_are_predicted_with_certainty_give_the_labels_back(indices: list[int]) -> None:
    labels = np.array(GAPS.values, dtype=np.uint16)[indices]
    certain = np.eye(3, dtype=np.float32)[GAPS.targets(labels)].T
    np.testing.assert_array_equal(GAPS.labels(certain), labels)


NESTED = encoding_of(
    [
        LabelClass(value=0, name="background"),
        LabelClass(value=1, name="core", values=(1, 3, 5), order=1),
        LabelClass(value=2, name="whole", values=(1, 2, 3, 5), order=0),
        LabelClass(value=3, name="enhancing", values=(3,), order=2),
    ],
    ignore=9,
)


def test_of_regions_a_target_is_the_innermost() -> None:
    labels = np.array([0, 1, 2, 3, 5, 9], dtype=np.uint16)
    assert NESTED.targets(labels).tolist() == [0, 1, 2, 3, 1, NESTED.ignored]
    assert (NESTED.channels, NESTED.logits, NESTED.ignored) == (4, 3, 4)


def test_each_region_has_one_around_it_or_the_background() -> None:
    assert NESTED.around == (2, 0, 1)  # core, whole, enhancing
    assert GAPS.around == ()


def test_a_target_lies_in_every_region_around_it_and_an_ignored_one_in_none() -> None:
    assert NESTED.members.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]]
    assert GAPS.members.astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_regions_are_written_in_their_order_where_they_are_more_probable_than_not() -> None:
    #                        nothing, whole, core alone, core in whole, all, a half
    probabilities = np.array(
        [
            [1.0, 0.3, 0.4, 0.1, 0.1, 0.5],
            [0, 0.2, 0.6, 0.7, 0.6, 0.5],
            [0, 0.7, 0.1, 0.9, 0.9, 0.2],
            [0, 0, 0, 0.5, 0.51, 0],
        ],
        dtype=np.float32,
    )
    assert NESTED.labels(probabilities).tolist() == [0, 2, 1, 1, 3, 0]
    background, core, whole, enhancing = (mask.astype(int).tolist() for mask in NESTED.masks(probabilities))
    assert background == [1, 0, 0, 0, 0, 1]
    assert core == [0, 0, 1, 1, 1, 0]
    assert whole == [0, 1, 1, 1, 1, 0]
    assert enhancing == [0, 0, 0, 0, 1, 0]
    assert NESTED.labels(np.array(NESTED.nothing, dtype=np.float32)[:, np.newaxis]).tolist() == [0]


@pytest.mark.parametrize(("classes", "kind"), [(255, np.uint8), (256, np.uint16)])
def test_a_voxel_without_a_label_counts_for_the_size_of_targets(classes: int, kind: type) -> None:
    encoding = LabelEncoding(tuple(range(classes)), ignore=60000)
    targets = encoding.targets(np.array([0, classes - 1, 60000], dtype=np.uint16))
    assert targets.tolist() == [0, classes - 1, encoding.ignored]
    assert targets.dtype == kind


def test_a_region_is_wherever_one_of_its_values_stands() -> None:
    labels = np.array([[0, 1, 2], [3, 5, 9]], dtype=np.uint16)
    core = LabelClass(value=1, name="core", values=(1, 3, 5), order=1)
    assert mask_of(core, labels).tolist() == [[False, True, False], [True, True, False]]
    assert mask_of(LabelClass(value=2, name="other"), labels).tolist() == [[False, False, True], [False, False, False]]


def test_a_reference_as_it_would_be_written() -> None:
    labels = np.array([0, 1, 2, 3, 5, 9], dtype=np.uint16)
    assert as_written(labels, NESTED).tolist() == [0, 1, 2, 3, 1, 9]
    assert as_written(labels, NESTED).dtype == np.uint16
    assert as_written(labels, GAPS) is labels
