from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from autoseg.data.dataset import LabelClass
from autoseg.reporting.cohort import CohortSlice, draw_cohort

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=3, name="WM"))


def black_slice(
    shape: tuple[int, int], spacing_mm: tuple[float, float], labels: NDArray[np.uint8] | None = None
) -> CohortSlice:
    return CohortSlice(title="case", pixels=np.zeros(shape, np.float32), labels=labels, spacing_mm=spacing_mm)


def dark_boxes(path: Path) -> list[tuple[int, int]]:
    """Height and width of the black images on the first line, from left to right."""
    dark = np.asarray(Image.open(path).convert("RGB")).max(axis=-1) < 10
    columns = np.flatnonzero(np.diff(np.pad((dark.sum(axis=0) > 40).astype(int), 1)))
    boxes = []
    for left, right in zip(columns[::2], columns[1::2], strict=True):
        rows = np.flatnonzero(dark[:, left:right].mean(axis=1) > 0.9)
        boxes.append((int(rows[-1] - rows[0] + 1), int(right - left)))
    return boxes


def test_a_millimetre_has_the_same_length_in_every_slice(tmp_path: Path) -> None:
    path = tmp_path / "cohort.png"
    draw_cohort([black_slice((40, 40), (1.0, 1.0)), black_slice((20, 40), (4.0, 1.0))], path, classes=CLASSES)
    (height, width), (taller, same) = dark_boxes(path)
    assert height == pytest.approx(width, abs=2)
    assert taller == pytest.approx(2 * height, abs=3)
    assert same == pytest.approx(width, abs=2)


def test_only_slices_with_a_reference_show_a_contour(tmp_path: Path) -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 3
    coloured = []
    for number, shown in enumerate([labels, None]):
        path = tmp_path / f"{number}.png"
        draw_cohort([black_slice((40, 40), (1.0, 1.0), shown)], path, classes=CLASSES)
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)[:-60]  # without the legend
        coloured.append(int((np.ptp(pixels, axis=-1) > 30).sum()))
    assert coloured[0] > 1000
    assert coloured[1] == 0


@pytest.mark.parametrize("count", [1, 5, 13])
def test_every_slice_is_there(tmp_path: Path, count: int) -> None:
    path = tmp_path / "cohort.svg"
    slices = [CohortSlice(f"case {number}", np.eye(8), None, (1.0, 1.0)) for number in range(count)]
    draw_cohort(slices, path, classes=CLASSES)
    text = path.read_text(encoding="utf-8")
    assert text.count("<image") == count


def test_no_slices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_cohort([], tmp_path / "cohort.png", classes=CLASSES)
