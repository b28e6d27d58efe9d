"""Slices painted for the page: proportions, colours, and where they are."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from autoseg.data.dataset import LabelClass
from autoseg.reporting.pictures import map_picture, paint, picture, planes_pictures

CLASSES = [LabelClass(value=value, name=name) for value, name in ((0, "background"), (2, "CSF"), (7, "WM"))]
BLUE, VERMILION = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def painted(pixels: NDArray[Any], **how: Any) -> NDArray[np.uint8]:
    defaults: dict[str, Any] = {"spacing_mm": (1.0, 1.0), "window": (0.0, 1.0), "side_px": 40, "values": [2, 7]}
    return paint(pixels, **(defaults | how))


def test_proportions_are_true() -> None:
    assert painted(np.zeros((20, 20)), spacing_mm=(2.0, 1.0)).shape == (40, 20, 3)
    assert painted(np.zeros((1, 3000))).shape == (1, 40, 3)  # never less than a pixel


def test_the_window_is_black_and_white() -> None:
    grey = painted(np.array([[-5.0, 0.5], [1.0, 9.0]]), side_px=2)
    assert grey[..., 0].tolist() == [[0, 128], [255, 255]]
    assert (grey == grey[..., :1]).all()


def test_classes_are_filled_so_that_the_scan_is_seen_through() -> None:
    labels = np.zeros((4, 4), np.uint8)
    labels[:, :2], labels[0, 2] = 2, 9  # 9 is no class
    colours = painted(np.ones((4, 4)), fill=labels)
    expected = np.rint(0.6 * 255 + 0.4 * np.array(BLUE))
    assert (colours[:, :20] == expected).all()
    assert (colours[:, 20:] == 255).all()


def test_outlines_run_along_the_edge_and_leave_the_inside_free() -> None:
    labels = np.zeros((4, 4), np.uint8)
    labels[1:3, 1:3] = 7
    colours = painted(np.zeros((4, 4)), outline=labels)
    edge = (colours == VERMILION).all(axis=-1)
    assert edge[10, 10:30].all()
    assert edge[10:30, 29].all()
    assert edge.sum() == 4 * 20 - 4
    assert (colours[~edge] == 0).all()


def test_a_picture_is_a_jpeg_of_the_size_it_names() -> None:
    made = picture(np.eye(8), alt="a slice", side_px=32, spacing_mm=(1.0, 1.0), values=[])
    with Image.open(io.BytesIO(made.image)) as opened:
        assert (opened.format, opened.size) == ("JPEG", made.size_px)
    assert made.size_px == (32, 32)


def test_three_planes_have_one_scale_and_name_the_patients_sides() -> None:
    scan, labels = np.ones((20, 40, 30)), np.zeros((20, 40, 30), np.uint8)
    labels[5:15, 10:30, 8:20] = 2
    axial, coronal, sagittal = planes_pictures(
        scan, {"prediction": labels, "reference": labels}, spacing_mm=(2.0, 1.0, 1.0), classes=CLASSES, name="case"
    )
    assert [each.caption for each in (axial, coronal, sagittal)] == ["axial", "coronal", "sagittal"]
    assert [each.sides for each in (axial, sagittal)] == [("R", "L"), ("A", "P")]
    assert axial.alt == "case, axial slice with prediction and reference"
    boxes = [each.size_px for each in (axial, coronal, sagittal)]
    # Cropped to 4 voxels around the labels, as far as there are any: 18 x 28 x 20 voxels, 36 x 28 x 20 mm.
    px_per_mm = 420 / 36
    for (width, height), (columns_mm, rows_mm) in zip(boxes, ((20, 28), (20, 36), (28, 36)), strict=True):
        assert (width, height) == pytest.approx((columns_mm * px_per_mm, rows_mm * px_per_mm), abs=1)
    assert axial.width == pytest.approx(20 / 36, abs=0.01)


def test_a_single_slice_is_one_picture_without_sides() -> None:
    (only,) = planes_pictures(
        np.eye(9)[np.newaxis], {"prediction": np.eye(9, dtype=np.uint8)[np.newaxis]},
        spacing_mm=(1.0, 1.0, 1.0), classes=CLASSES, name="case",
    )  # fmt: skip
    assert (only.caption, only.sides) == ("", ("", ""))
    assert only.alt == "case, the slice with prediction"


def test_a_map_is_stretched_over_its_slice() -> None:
    made = map_picture(
        np.zeros((20, 20)), np.array([[0.0, 1.0]]), spacing_mm=(2.0, 1.0), side_px=64, alt="a gate", caption="coarse"
    )
    with Image.open(io.BytesIO(made.image)) as opened:
        colours = np.asarray(opened.convert("RGB")).astype(int)
    assert made.size_px == (32, 64)
    low, high = (0.65 * np.array(rgb) for rgb in ((0, 34, 78), (254, 232, 56)))  # the ends of cividis, over black
    assert np.abs(colours[:, :14] - low).max() < 12
    assert np.abs(colours[:, 18:] - high).max() < 12
