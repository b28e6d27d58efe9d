from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from autoseg.data.dataset import LabelClass
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image as Scan
from autoseg.reporting import case_image
from autoseg.reporting.case_image import draw_case, draw_planes

SHAPE = (10, 20, 40)
SPACING_MM = (3.0, 2.0, 1.0)
"""Together 30 mm inferior-superior, 40 mm posterior-anterior, 40 mm left-right."""

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)
"""Colours of the first and the second class: drawn over black at 35 %, and as they are in outlines."""


def labels_with(*values: int, box: tuple[slice, slice, slice]) -> NDArray[np.uint8]:
    """A label map that holds the values, alternating from left to right, in a box, and background elsewhere."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[box] = np.resize(np.array(values, np.uint8), labels[box].shape)
    return labels


def draw(tmp_path: Path, overlays: dict[str, NDArray[np.uint8]], shape: tuple[int, int, int] = SHAPE) -> Path:
    path = tmp_path / "planes.png"
    draw_planes(np.zeros(shape, np.float32), overlays, SPACING_MM, path, class_names={0: "none", 1: "CSF", 3: "WM"})
    return path


def pixels_of(path: Path) -> NDArray[np.int64]:
    """Colours (rows, columns, 3), 0 to 255."""
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int64)


def panels_of(pixels: NDArray[np.int64]) -> list[tuple[slice, slice]]:
    """Rows and columns of the first row's images, which are black, on a white page, from left to right."""
    dark = pixels.max(axis=-1) < 10
    boxes = []
    for begin, end in _runs(dark[:300].sum(axis=0) > 100):
        ((top, bottom), *_) = _runs(dark[:, begin:end].mean(axis=1) > 0.5)
        boxes.append((slice(top, bottom), slice(begin, end)))
    return boxes


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(int), 1)))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def filled(pixels: NDArray[np.int64], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Where a class's fill lies over black."""
    return np.abs(pixels - 0.35 * np.array(colour)).max(axis=-1) <= 3


CLASSES = [LabelClass(value=0, name="none"), LabelClass(value=1, name="CSF")]
EMPTY = np.zeros(SHAPE, np.uint8)


def test_proportions_are_true_and_alike_in_all_planes(tmp_path: Path) -> None:
    axial, coronal, sagittal = panels_of(pixels_of(draw(tmp_path, {"prediction": EMPTY})))
    px_per_mm = (axial[1].stop - axial[1].start) / 40
    for (rows, columns), height_mm in zip((axial, coronal, sagittal), (40, 30, 30), strict=True):
        assert rows.stop - rows.start == pytest.approx(height_mm * px_per_mm, abs=3)
        assert columns.stop - columns.start == pytest.approx(40 * px_per_mm, abs=3)


def test_the_fullest_slice_is_shown_the_right_way_round(tmp_path: Path) -> None:
    # Superior (low Z), anterior (low Y) and on the patient's right (low X).
    labels = labels_with(1, box=np.s_[1:3, 2:6, 4:12])
    labels[8, 10, 30] = 3  # off the fullest slices, so nowhere to be seen
    pixels = pixels_of(draw(tmp_path, {"prediction": labels}))
    assert not filled(pixels[:400], ORANGE).any()
    # Millimetres of the box as (top, bottom), (left, right) in each plane.
    expected = {0: ((4, 12), (4, 12)), 1: ((3, 9), (4, 12)), 2: ((3, 9), (4, 12))}
    for index, (rows, columns) in enumerate(_panels_of_empty(tmp_path)):
        px_per_mm = (columns.stop - columns.start) / 40
        inside = np.argwhere(filled(pixels[rows, columns], BLUE)) / px_per_mm
        (top, bottom), (left, right) = expected[index]
        assert inside.min(axis=0) == pytest.approx((top, left), abs=0.7)
        assert inside.max(axis=0) == pytest.approx((bottom, right), abs=0.7)


def _panels_of_empty(tmp_path: Path) -> list[tuple[slice, slice]]:
    return panels_of(pixels_of(draw(tmp_path, {"prediction": EMPTY})))


def test_all_rows_show_the_same_slices(tmp_path: Path) -> None:
    # The prediction alone would be cut elsewhere; the larger reference decides for both.
    prediction = labels_with(3, box=np.s_[6:7, 12:14, 20:22])
    reference = labels_with(1, box=np.s_[1:3, 2:6, 4:12])
    pixels = pixels_of(draw(tmp_path, {"prediction": prediction, "reference": reference}))
    half = len(pixels) // 2
    assert not filled(pixels[:half], ORANGE).any()
    assert filled(pixels[half:], BLUE).any()


def test_classes_are_named_and_unknown_values_too(tmp_path: Path) -> None:
    labels = labels_with(1, 3, 7, box=np.s_[2:6, 2:9, 3:33])
    path = tmp_path / "planes.svg"
    draw_planes(EMPTY, {"my prediction": labels}, SPACING_MM, path, class_names={0: "none", 1: "CSF", 3: "WM"})
    text = path.read_text(encoding="utf-8")
    for shown in ("CSF", "WM", "label 7", "my prediction", "axial", "coronal", "sagittal"):
        assert f"<!-- {shown} -->" in text
    assert "<!-- none -->" not in text


def test_two_rows_make_a_higher_picture_of_the_same_width(tmp_path: Path) -> None:
    with Image.open(draw(tmp_path, {"a": EMPTY})) as one:
        low = one.size
    with Image.open(draw(tmp_path, {"a": EMPTY, "b": EMPTY})) as two:
        high = two.size
    assert low[0] == high[0] == 1080
    assert high[1] > 1.5 * low[1]


def test_a_single_slice_is_one_picture(tmp_path: Path) -> None:
    path = draw(tmp_path, {"prediction": np.zeros((1, 20, 40), np.uint8)}, shape=(1, 20, 40))
    assert len(panels_of(pixels_of(path))) == 1


@pytest.mark.parametrize(("dimensions", "sides"), [(2, ""), (3, "RL")])
def test_of_a_2d_image_nobody_knows_plane_and_sides(
    tmp_path: Path, dimensions: int, sides: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters: list[str] = []
    monkeypatch.setattr(case_image, "outlined_text", lambda _panel, _place, letter, **_how: letters.append(letter))
    path, shape = tmp_path / "case.svg", (1, 20, 40)
    scan = Scan(np.ones((1, *shape), np.float32), Geometry(shape, (1.0, 1.0, 1.0), dimensions=dimensions))
    draw_case(path, scan, {"prediction": np.ones(shape, np.uint8)}, classes=CLASSES)
    assert "".join(letters) == sides
    text = path.read_text(encoding="utf-8")
    assert ("<!-- axial -->" in text) is bool(sides)
    assert "<!-- CSF -->" in text


def test_an_image_without_finite_values_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "planes.png"
    draw_planes(np.full(SHAPE, np.nan), {"a": np.ones(SHAPE, int)}, SPACING_MM, path, class_names={1: "CSF"})
    assert path.stat().st_size > 0


@pytest.mark.parametrize("overlays", [{}, {"a": np.zeros((9, 20, 40), np.uint8)}])
def test_label_maps_must_fit_the_image(tmp_path: Path, overlays: dict[str, NDArray[np.uint8]]) -> None:
    with pytest.raises(ValueError, match=r"shape \(10, 20, 40\)"):
        draw(tmp_path, overlays)


def test_equal_data_give_equal_bytes_and_others_do_not(tmp_path: Path) -> None:
    labels = labels_with(1, box=np.s_[2:6, 2:9, 3:33])
    first = draw(tmp_path, {"a": labels}).read_bytes()
    assert draw(tmp_path, {"a": labels}).read_bytes() == first
    assert draw(tmp_path, {"a": labels.clip(0, 0)}).read_bytes() != first
