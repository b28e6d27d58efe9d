"""The order in which scans need a person, and what is said of each."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg as command
from oracles.predicted_folder import write_results, write_scans
from oracles.tiny_cases import tiny_scans, write_nifti, write_tiny_cases

import autoseg
from autoseg.errors import ImageError, UsageError, WorkspaceError
from autoseg.inference.failures import FAILURES_FILE, note_failures, read_failures
from autoseg.inference.part import Part

NAMES = ("a", "b", "c")
SCANS = dict(zip(NAMES, tiny_scans(3), strict=True))
ESTIMATES = {"a": 0.9, "b": 0.3, "c": 0.7}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Results of three scans, with an estimate each."""
    write_scans(tmp_path / "scans", {name: scan for name, (scan, _) in SCANS.items()})
    labels = {name: label for name, (_, label) in SCANS.items()}
    write_results(tmp_path / "results", tmp_path / "scans", labels, estimates=ESTIMATES)
    return tmp_path


def queue(home: Path, **options: Any) -> list[tuple[str, str]]:
    """Ids and states, in order."""
    result = autoseg.queue(home / "results", events=autoseg.silent, **options)
    return [(queued.scan.case, queued.state) for queued in result.scans]


def change_table(home: Path, **columns: dict[str, str]) -> None:
    """Set cells of the table, by column and case; a column without cells goes."""
    path = home / "results" / "predictions.csv"
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for column, cells in columns.items():
        for row in rows:
            if cells:
                row[column] = cells.get(row["case"], row.get(column, ""))
            else:
                row.pop(column)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_the_lowest_estimate_comes_first(home: Path) -> None:
    assert queue(home) == [("b", "open"), ("c", "open"), ("a", "open")]
    assert queue(home, top=1) == [("b", "open")]


def test_warnings_come_before_numbers_and_failures_before_warnings(home: Path) -> None:
    change_table(home, warnings={"a": "spacing 9 mm"})
    note_failures(home / "results", Part(1, 1), tried=["d"], failures=[("d", ImageError("damaged", remedy="Replace it."))])
    (home / "results" / "c.nii.gz").unlink()
    assert queue(home) == [("d", "open"), ("c", "open"), ("a", "open"), ("b", "open")]
    answer = json.loads(command("queue", "results", "--json", cwd=home).told)
    assert answer["waiting"] == 4
    first, second, third, last = answer["scans"]
    assert (first["label_map"], first["reasons"]) == (None, ["failed: damaged"])
    assert second["reasons"][0] == "its label map is gone"
    assert third["reasons"] == ["spacing 9 mm", "the networks expect a Dice of 0.90"]
    assert last["label_map"] == "results/b.nii.gz"
    assert last["scan"] == [str(home / "scans" / "b.nii")]


def test_a_calibrated_estimate_is_said_to_be_one(home: Path) -> None:
    change_table(home, calibration_sha256=dict.fromkeys(NAMES, "of a selection"))
    assert "Dice is probably 0.30" in command("queue", "results", cwd=home).told


def test_corrected_scans_come_last(home: Path) -> None:
    write_nifti(home / "results" / "b.nii", np.roll(SCANS["b"][1], 1))
    assert queue(home) == [("c", "open"), ("a", "open"), ("b", "corrected")]
    answer = command("queue", "results", cwd=home)
    assert "2 of 3 scans left for a person" in answer.told
    assert "autoseg adopt results" in answer.told


def test_adopted_scans_come_after_those(home: Path) -> None:
    write_tiny_cases(home / "data", 4, seed=5)
    autoseg.plan(home / "data", workspace=home / "runs" / "w", folds=2, events=autoseg.silent)
    autoseg.adopt(home / "results", workspace=home / "runs" / "w", cases=["b"], events=autoseg.silent)
    shutil.copy(home / "results" / "a.nii.gz", home / "results" / "c.nii.gz")
    states = [("a", "open"), ("c", "corrected"), ("b", "adopted")]
    assert queue(home, workspace=home / "runs" / "w") == states
    write_nifti(home / "results" / "b_seg.nii", np.roll(SCANS["b"][1], 1))
    assert queue(home, workspace=home / "runs" / "w")[1:] == [("b", "corrected"), ("c", "corrected")]


def test_a_table_of_before_is_ordered_by_what_it_has(home: Path) -> None:
    change_table(home, estimated_dice={}, scan={}, ball_predicted_dice={"a": "0.2", "b": "0.8", "c": "0.5"})
    assert [case for case, _ in queue(home)] == ["a", "c", "b"]
    change_table(home, ball_predicted_dice={})
    answer = command("queue", "results", cwd=home)
    assert "of an older version, does not say how good label maps are" in answer.said
    assert "not recorded" in answer.told


def test_results_of_two_models_are_no_order(home: Path) -> None:
    change_table(home, model_digest={"a": "another"})
    assert "several models" in command("queue", "results", cwd=home).said


def test_what_parts_have_made_so_far_is_there(home: Path) -> None:
    table = home / "results" / "predictions.csv"
    header, *lines = table.read_text().splitlines(keepends=True)
    (home / "results" / ".parts").mkdir()
    table.write_text(header + lines[0])
    (home / "results" / ".parts" / "2-of-2.csv").write_text(header + "".join(lines[1:]))
    assert [case for case, _ in queue(home)] == ["b", "c", "a"]


def test_a_folder_without_results_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="holds no results"):
        autoseg.queue(home / "scans", events=autoseg.silent)
    with pytest.raises(UsageError, match="holds no results"):
        autoseg.queue(home / "nowhere", events=autoseg.silent)
    (home / "results" / "predictions.csv").write_text("something,else\n")
    with pytest.raises(WorkspaceError, match="not a table of predictions"):
        queue(home)


def test_failures_are_struck_out_once_they_succeed(tmp_path: Path) -> None:
    error = ImageError("damaged\nin places", remedy="Replace it.")
    note_failures(tmp_path, Part(1, 1), tried=["a", "b"], failures=[("a", error), ("b", error)])
    assert read_failures(tmp_path) == {"a": "damaged in places", "b": "damaged in places"}
    note_failures(tmp_path, Part(1, 2), tried=["a"], failures=[])
    assert read_failures(tmp_path) == {"b": "damaged in places"}
    note_failures(tmp_path, Part(1, 1), tried=["b"], failures=[])
    assert not (tmp_path / FAILURES_FILE).exists()
