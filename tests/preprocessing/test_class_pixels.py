"""Pixels of each class in each slice: counted when a case is stored, and read back for whichever axis is asked for."""

import base64
import zlib

import numpy as np
import pytest

from autoseg.preprocessing.class_pixels import ClassPixels

LABEL = np.array([[[0, 0, 2], [0, 1, 2]], [[0, 0, 0], [0, 0, 0]]], dtype=np.uint8)
"""Two slices of 2 x 3 pixels."""

ACROSS = [[3, 1, 2], [6, 0, 0]]
ALONG_ROWS = [[5, 0, 1], [4, 1, 1]]
ALONG_COLUMNS = [[4, 0, 0], [3, 1, 0], [2, 0, 2]]


def test_every_axis_is_counted() -> None:
    counted = ClassPixels.of(LABEL, axes=(0, 1, 2))
    for axis, expected in enumerate((ACROSS, ALONG_ROWS, ALONG_COLUMNS)):
        assert counted.along(axis, classes=3).tolist() == expected


def test_classes_that_do_not_occur_have_no_pixels() -> None:
    assert ClassPixels.of(LABEL, axes=(0,)).along(0, classes=5)[:, 3:].tolist() == [[0, 0], [0, 0]]
    assert ClassPixels.of(np.zeros((1, 2, 2), np.uint16), axes=(0,)).along(0, classes=2).tolist() == [[4, 0]]


def test_what_was_not_counted_is_not_made_up() -> None:
    with pytest.raises(ValueError, match="across axis 1 were not counted"):
        ClassPixels.of(LABEL, axes=(0,)).along(1, classes=3)


@pytest.mark.parametrize("axes", [(0,), (0, 1, 2)])
def test_text_is_read_back(axes: tuple[int, ...]) -> None:
    read = ClassPixels.parse(ClassPixels.of(LABEL, axes=axes).text(), (2, 2, 3))
    assert [axis for axis, counts in enumerate(read.axes) if counts is not None] == list(axes)
    for axis in axes:
        expected = (ACROSS, ALONG_ROWS, ALONG_COLUMNS)[axis]
        assert read.along(axis, classes=3).tolist() == expected


def test_they_turn_with_the_volume() -> None:
    order = (2, 0, 1)
    turned = ClassPixels.of(LABEL, axes=(0, 1, 2)).turned(order)
    counted_there = ClassPixels.of(LABEL.transpose(order), axes=(0, 1, 2))
    for axis in range(3):
        assert turned.along(axis, classes=3).tolist() == counted_there.along(axis, classes=3).tolist()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("?", id="not base64"),
        pytest.param("aGVsbG8=", id="not compressed"),
        pytest.param(ClassPixels.of(LABEL, axes=(0,)).text()[:-8], id="cut off"),
        pytest.param(ClassPixels.of(LABEL[:1], axes=(0, 1, 2)).text(), id="of another volume"),
        pytest.param(base64.b64encode(zlib.compress(b"\1\0\0")).decode(), id="no whole numbers"),
        pytest.param(base64.b64encode(zlib.compress(b"")).decode(), id="no numbers"),
        pytest.param(base64.b64encode(zlib.compress(np.full(2, 5, "<u4").tobytes())).decode(), id="too few voxels"),
    ],
)
def test_what_is_damaged_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|not those of this volume"):
        ClassPixels.parse(text, (2, 2, 3))
