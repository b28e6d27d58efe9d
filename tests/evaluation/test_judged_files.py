"""Scores are taken for those of the label maps that are there only where these are the ones that were judged."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oracles.watched_runs import Recorder

from autoseg.errors import WorkspaceError
from autoseg.evaluation.folders import evaluate_folders
from autoseg.evaluation.judged_files import verify_judged, write_judged
from autoseg.evaluation.tables import write_scores
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.storage import files

CASES = ("a", "b")


def draw(path: Path, *, rows: int) -> None:
    labels = np.zeros((1, 6, 6), np.uint8)
    labels[0, :rows] = 1
    write_labels(path, labels, Geometry(labels.shape, (1.0, 1.0, 1.0)))


def judge(results: Path, references: Path, output: Path | None = None) -> Path:
    """The table that `evaluate` writes, with all that it writes beside it but plots."""
    found = evaluate_folders(results, references, classes=None, ignore=None, events=Silent())
    folder = output or results / "evaluation"
    write_scores(folder, found.cases)
    write_judged(folder, found.judged)
    return folder / "metrics.csv"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Label maps of two cases, beside their references."""
    for case in CASES:
        draw(tmp_path / "results" / f"{case}.nii.gz", rows=3)
        draw(tmp_path / "references" / f"{case}_seg.nii.gz", rows=4)
    return tmp_path / "results"


@pytest.fixture
def references(results: Path) -> Path:
    return results.parent / "references"


def test_label_maps_as_they_were_give_the_checksums_of_their_references(results: Path, references: Path) -> None:
    heard = Recorder()
    known = verify_judged(judge(results, references), heard)
    assert known == {case: files.sha256_file(references / f"{case}_seg.nii.gz") for case in CASES}
    assert heard.notes == []


@pytest.mark.parametrize("output", [None, "scores"], ids=["beside them", "elsewhere"])
@pytest.mark.parametrize(
    ("changed", "what"), [("results/b.nii.gz", "label maps"), ("references/b_seg.nii.gz", "references")]
)
def test_files_that_were_changed_since_are_refused_until_they_are_judged_again(
    results: Path, references: Path, changed: str, what: str, output: str | None
) -> None:
    place = None if output is None else results.parent / output
    table = judge(results, references, place)
    draw(results.parent / changed, rows=5)
    with pytest.raises(WorkspaceError, match=rf"metrics\.csv: the {what} were changed .* for b\. .*autoseg evaluate"):
        verify_judged(table, Silent())
    assert verify_judged(judge(results, references, place), Silent()).keys() == set(CASES)


def test_what_moves_together_stays_together(results: Path, references: Path, tmp_path: Path) -> None:
    table = judge(results, references)
    moved = tmp_path / "elsewhere" / "moved"
    moved.mkdir(parents=True)
    shutil.move(results, moved)
    shutil.move(references, moved)
    heard = Recorder()
    table = moved / "results" / "evaluation" / "metrics.csv"
    assert verify_judged(table, heard).keys() == set(CASES)
    assert heard.notes == []
    draw(moved / "results" / "a.nii.gz", rows=5)
    with pytest.raises(WorkspaceError, match="label maps were changed"):
        verify_judged(table, heard)


def test_through_a_link_the_same_files_are_meant(results: Path, references: Path, tmp_path: Path) -> None:
    table = judge(results, references)
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "link").symlink_to(table.parent, target_is_directory=True)
    draw(results / "a.nii.gz", rows=5)
    with pytest.raises(WorkspaceError, match="label maps were changed"):
        verify_judged(tmp_path / "deep" / "down" / "link" / "metrics.csv", Silent())


def test_a_message_names_cases_whose_files_are_gone(results: Path, references: Path) -> None:
    table = judge(results, references)
    (results / "b.nii.gz").unlink()
    heard = Recorder()
    assert verify_judged(table, heard).keys() == set(CASES)
    [note] = heard.notes
    assert note.endswith("nothing tells whether they are the same: b")


@pytest.mark.skipif(os.name != "posix", reason="names of files are text elsewhere")
def test_a_file_whose_name_no_document_holds_counts_as_gone(results: Path, references: Path, tmp_path: Path) -> None:
    named = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        references.rename(named)
    except OSError:
        pytest.skip("the file system takes no such name")
    heard = Recorder()
    assert verify_judged(judge(results, named), heard).keys() == set(CASES)
    [note] = heard.notes
    assert note.endswith("nothing tells whether they are the same: a, b")


def test_the_file_with_the_voxels_of_a_header_counts(tmp_path: Path) -> None:
    for rows, folder in ((3, "results"), (4, "references")):
        (tmp_path / folder).mkdir()
        labels = np.zeros((2, 6, 6), np.uint8)
        labels[:, :rows] = 1
        sitk.WriteImage(sitk.GetImageFromArray(labels), tmp_path / folder / "a.mhd")
    table = judge(tmp_path / "results", tmp_path / "references")
    shutil.copy(tmp_path / "references" / "a.raw", tmp_path / "results" / "a.raw")
    with pytest.raises(WorkspaceError, match="label maps were changed"):
        verify_judged(table, Silent())


def test_cases_that_could_not_be_scored_are_no_part_of_it(results: Path, references: Path) -> None:
    (results / "b.nii.gz").write_bytes(b"not an image")
    table = judge(results, references)
    draw(results / "b.nii.gz", rows=3)
    assert list(verify_judged(table, Silent())) == ["a"]


def test_a_file_that_is_replaced_while_it_is_read_is_another_one(
    results: Path, references: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autoseg.evaluation import folders

    read = folders.read_labels

    def read_and_replace(path: Path, **choices: object) -> object:
        found = read(path, **choices)
        draw(path, rows=5)
        return found

    monkeypatch.setattr(folders, "read_labels", read_and_replace)
    table = judge(results, references)
    with pytest.raises(WorkspaceError, match="label maps were changed"):
        verify_judged(table, Silent())


def test_a_table_that_was_written_over_is_refused_and_taken_as_it_is_without_the_list(
    results: Path, references: Path
) -> None:
    table = judge(results, references)
    draw(results / "a.nii.gz", rows=4)
    found = evaluate_folders(results, references, classes=None, ignore=None, events=Silent())
    write_scores(table.parent, found.cases)  # by a command that was killed before it wrote the list, or by version 0.1
    with pytest.raises(WorkspaceError, match=r"is not the table .*delete .*judged\.json"):
        verify_judged(table, Silent())
    (table.parent / "judged.json").unlink()
    assert verify_judged(table, Silent()) == {}


def test_a_copy_of_another_name_says_nothing(results: Path, references: Path) -> None:
    table = judge(results, references)
    shutil.copy(table, table.with_name("before.csv"))
    draw(results / "a.nii.gz", rows=5)
    assert verify_judged(table.with_name("before.csv"), Silent()) == {}


def test_a_damaged_list_is_refused_with_a_cure(results: Path, references: Path) -> None:
    table = judge(results, references)
    path = table.parent / "judged.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cases": 1}), encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"not a usable list of judged label maps: cases.*Delete it"):
        verify_judged(table, Silent())
