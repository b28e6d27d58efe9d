"""Segmentations of 3D Slicer through the commands: cropped, in layers, with label values that differ from file to file."""

import csv
from pathlib import Path

import numpy as np
import pytest
from oracles.commands import autoseg
from oracles.slicer_files import write_scan, write_segmentation

from autoseg.images.image import read_labels

SHAPE = (24, 24, 6)  # X, Y, Z


def write_data(root: Path, *, overlap: bool = False) -> Path:
    """Scans beside their segmentations: a bright and a dark box, whose label values and layers change with the case."""
    root.mkdir()
    for index in range(4):
        generator = np.random.default_rng(index)
        start = np.array([3 + index, 4, 1])
        bright, dark = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
        bright[start[0] : start[0] + 6, 5:11, 2:5] = True
        dark[start[0] + 8 : start[0] + 14, 8:15, 2:5] = True
        voxels = np.where(bright, 90, np.where(dark, 10, 50)) + generator.integers(0, 9, SHAPE)
        write_scan(root / f"c{index}.nrrd", voxels.astype(np.int16))
        crop = tuple(slice(begin, begin + length) for begin, length in zip(start, (16, 14, 5), strict=True))
        path = root / f"c{index}.seg.nrrd"
        offset = (int(start[0]), int(start[1]), int(start[2]))
        if index == 3:
            layers = np.stack([bright[crop], dark[crop]]).astype(np.uint8)
            layers[1, 0, 1, 1] |= overlap  # where the bright box is, too
            write_segmentation(path, layers, [("bright", 0, 1), ("dark", 1, 1)], offset=offset)
        else:
            values = {"bright": 1, "dark": 2} if index else {"dark": 1, "bright": 2}
            labels = (bright * values["bright"] + dark * values["dark"])[crop].astype(np.uint8)
            write_segmentation(path, labels, [(name, 0, value) for name, value in values.items()], offset=offset)
    return root


def test_segmentations_are_planned_learnt_and_evaluated_by_their_names(tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    document = autoseg("check", "data", "--json", cwd=tmp_path).document
    assert document["classes"] == {"0": "background", "1": "bright", "2": "dark"}
    autoseg("plan", "data", "-w", "run", "--folds", "2", "--jobs", "1", "--plane", "axial", cwd=tmp_path)
    autoseg("train", "-w", "run", "--fold", "0", "--epochs", "4", "--precision", "float32", cwd=tmp_path)
    autoseg("predict", "data", "out", "-w", "run", cwd=tmp_path)
    assert read_labels(tmp_path / "out" / "c0.nii.gz").array.shape == SHAPE[::-1]
    autoseg("evaluate", "out", "data", "-w", "run", "-o", "scores", "--jobs", "1", cwd=tmp_path)
    with (tmp_path / "scores" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["class"] for row in rows} == {"bright", "dark"}
    voxel_ml = 0.8 * 0.9 * 2.0 / 1000
    assert {round(float(row["reference_volume_ml"]) / voxel_ml) for row in rows if row["class"] == "bright"} == {6 * 6 * 3}
    answer = autoseg("evaluate", "out", "data", "-o", "unknown", "--jobs", "1", cwd=tmp_path, expect=2)
    assert "segments of one name have different label values" in answer.said
    assert "--workspace" in answer.said


def test_segments_that_overlap_are_named(tmp_path: Path) -> None:
    write_data(tmp_path / "data", overlap=True)
    answer = autoseg("check", "data", cwd=tmp_path, expect=3)
    assert "c3.seg.nrrd: segments that overlap" in answer.said
    assert "bright and dark" in answer.said


def test_a_label_map_without_names_among_segments_of_other_values_is_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    (data / "c3.seg.nrrd").unlink()
    write_scan(data / "c3-label.nrrd", np.ones(SHAPE, dtype=np.uint8))
    said = autoseg("check", "data", cwd=tmp_path, expect=3).said
    assert "c3-label.nrrd: segments are told by their names, and this label map has none" in said


@pytest.mark.parametrize("offset", [(20, 4, 1)])
def test_a_segmentation_of_another_scan_is_refused(tmp_path: Path, offset: tuple[int, int, int]) -> None:
    data = write_data(tmp_path / "data")
    labels = np.ones((8, 8, 3), dtype=np.uint8)
    write_segmentation(data / "c1.seg.nrrd", labels, [("bright", 0, 1)], offset=offset)
    assert "c1.seg.nrrd: labels outside" in autoseg("check", "data", cwd=tmp_path, expect=3).said
