"""`autoseg check`: everything that is wrong with a data set, in one go."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from oracles.commands import autoseg
from oracles.processes import Answer

from autoseg.images.geometry import Geometry
from autoseg.images.image import read_labels, write_labels


def check(dataset: Path, *, expect: int = 3) -> Answer:
    return autoseg("check", str(dataset), "--json", expect=expect)


@pytest.fixture
def data(cohort: Path, tmp_path: Path) -> Path:
    shutil.copytree(cohort, tmp_path / "IBSR18")
    return tmp_path / "IBSR18"


def test_a_sound_data_set_can_be_trained(cohort: Path) -> None:
    document = check(cohort, expect=0).document
    assert document["problems"] == []
    assert len(document["labelled"]) == 6
    assert document["unlabelled"] == 1
    assert document["classes"] == {"0": "background", "1": "CSF", "2": "GM", "3": "WM"}


def test_every_problem_of_every_file_is_named_at_once(data: Path) -> None:
    first, second, third, fourth = sorted(path.name for path in (data / "Training_Set").iterdir())
    (test_scan,) = (data / "Test_Set").rglob("*.nii.gz")

    def scan(name: str, ending: str = "") -> Path:
        return data / "Training_Set" / name / f"{name}{ending}.nii.gz"

    scan(first).write_bytes(b"")  # both files of one case
    scan(first, "_seg").write_text("<html>")
    content = scan(second).read_bytes()
    scan(second).write_bytes(content[: len(content) // 2])
    labels = read_labels(scan(third, "_seg"))
    write_labels(scan(third, "_seg"), labels.array[:-1], Geometry(labels.array[:-1].shape, labels.geometry.spacing_mm))  # type: ignore[arg-type]
    odd = read_labels(scan(fourth, "_seg"))
    odd.array[0, 0, 0] = np.uint16(9)
    write_labels(scan(fourth, "_seg"), odd.array, odd.geometry)
    test_scan.write_bytes(b"not a scan")
    answer = check(data)
    problems = answer.document["problems"]
    assert [problem["case"] for problem in problems] == sorted([first, first, second, third, fourth, test_scan.name[:-7]])
    assert all(problem["remedy"] and problem["where"] for problem in problems)
    for path in (scan(first), scan(first, "_seg"), scan(second), scan(third, "_seg"), scan(fourth, "_seg"), test_scan):
        assert str(path) in answer.said


def test_a_folder_without_labels_is_named(data: Path) -> None:
    for path in data.rglob("*_seg.nii.gz"):
        path.unlink()
    assert "label" in check(data).told
