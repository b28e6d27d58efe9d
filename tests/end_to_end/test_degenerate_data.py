"""Data that lack something: what happens is defined, said, and the same from plan to evaluation."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.commands import autoseg

from autoseg.images.image import read_image, read_labels, write_channels, write_labels

CSF = 1
Volume = NDArray[np.float32]
Labels = NDArray[np.uint16]


def change_labels(data: Path, change: Callable[[str, Labels], Labels]) -> None:
    for path in sorted(data.rglob("*_seg.nii.gz")):
        labels = read_labels(path)
        write_labels(path, change(path.parent.name, labels.array), labels.geometry)


def change_images(data: Path, change: Callable[[Volume], Volume]) -> None:
    for path in sorted(data.rglob("*.nii.gz")):
        if not path.name.endswith("_seg.nii.gz"):
            scan = read_image([path], channels=1)
            write_channels(path, change(scan.array.copy()), scan.geometry)


@pytest.fixture
def home(cohort: Path, tmp_path: Path) -> Path:
    shutil.copytree(cohort, tmp_path / "data")
    return tmp_path


def story(home: Path) -> str:
    """Plan, train, predict a scan, select; gives everything that was said."""
    commands = (
        ("plan", "data", "-w", "run", "--folds", "2", "--jobs", "1"),
        ("train", "-w", "run", "--epochs", "2", "--precision", "float32"),
        ("predict", "data/Test_Set", "out", "-w", "run", "--uncertainty"),
        ("select", "-w", "run", "--jobs", "1"),
    )
    return "".join(autoseg(*command, cwd=home).said for command in commands)


def scores(home: Path) -> list[dict[str, str]]:
    path = home / "run" / "models" / "unet" / "fold_0" / "validation" / "metrics.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def held_out(home: Path) -> list[str]:
    cases: list[str] = json.loads((home / "run" / "splits.json").read_text(encoding="utf-8"))["folds"][0]["validation"]
    return cases


def test_a_declared_class_that_never_occurs_is_never_predicted_and_has_no_score(home: Path) -> None:
    change_labels(home / "data", lambda _, labels: np.where(labels == CSF, 0, labels))
    assert "no scan shows label 1 (CSF)" in story(home)
    plan = json.loads((home / "run" / "plan.json").read_text(encoding="utf-8"))
    assert [label["name"] for label in plan["data"]["classes"]] == ["background", "CSF", "GM", "WM"]
    assert all(math.isfinite(weight) and weight > 0 for weight in plan["training"]["class_weights"])
    of_csf = [row for row in scores(home) if row["class"] == "CSF"]
    assert len(of_csf) == len(held_out(home))
    for row in of_csf:  # nothing to find: undefined where nothing was found, 0 where something was
        assert row["dice"] in {"", "nan"} or float(row["dice"]) == 0


def test_a_fold_without_a_class_trains_all_the_same(home: Path) -> None:
    autoseg("plan", "data", "-w", "run", "--folds", "2", "--jobs", "1", cwd=home)
    (first, *_) = held_out(home)
    shutil.rmtree(home / "run")
    change_labels(home / "data", lambda case, labels: labels if case == first else np.where(labels == CSF, 0, labels))
    said = story(home)
    folds = json.loads((home / "run" / "splits.json").read_text(encoding="utf-8"))["folds"]
    (lacking,) = (number for number, fold in enumerate(folds) if first not in fold["training"])
    assert f"fold {lacking}: no training case has label 1" in said


def test_constant_and_empty_slices_are_ordinary_slices(home: Path) -> None:
    def blank(volume: Volume) -> Volume:
        volume[:, :8] = 0
        volume[:, -3:] = volume.max()
        return volume

    change_images(home / "data", blank)
    change_labels(home / "data", lambda _, labels: np.concatenate([np.zeros_like(labels[:8]), labels[8:]]))
    story(home)
    for row in scores(home):
        assert 0 <= float(row["dice"]) <= 1


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_scans_of_a_single_slice_are_planned_learnt_and_predicted(home: Path) -> None:
    for path in sorted((home / "data").rglob("*.nii.gz")):
        scan = read_image([path], channels=1)
        middle = scan.array[:, scan.geometry.shape[0] // 2][:, np.newaxis]
        geometry = scan.geometry.__class__(shape=(1, *scan.geometry.shape[1:]), spacing_mm=scan.geometry.spacing_mm)
        write_channels(path, middle, geometry)
    story(home)
    (prediction,) = (home / "out").glob("*.nii.gz")
    assert read_labels(prediction).array.shape[0] == 1
