"""Where a model keeps what it predicted of its held-out cases, and when that is whole."""

from pathlib import Path

import pytest

from autoseg.errors import WorkspaceError
from autoseg.postprocessing.held_out import Record, folder_of, is_scored, read_record, read_scores
from autoseg.postprocessing.held_out.files import (
    found_probabilities_files,
    is_done,
    label_map_file,
    picture_file,
    probabilities_files,
    write_record,
)

RECORD = Record(model_digest="0" * 64, probabilities_sha256={"a": "1" * 64})


def test_everything_lies_in_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    assert folder_of(tmp_path) == folder
    assert label_map_file(tmp_path, "a") == folder / "a.nii.gz"
    assert probabilities_files(tmp_path, "a", planes=[None]) == (folder / "a.npz",)
    assert picture_file(tmp_path, "a") == folder / "pictures" / "a.png"


def test_plain_files_of_before_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    (folder / "a.b.axial.npy").touch()
    (folder / "a.b.coronal.npy").touch()
    (folder / "a.b.coronal.npz").touch()
    found = found_probabilities_files(tmp_path, "a.b", planes=["axial", "coronal", "sagittal"])
    assert [path.name for path in found] == ["a.b.axial.npy", "a.b.coronal.npz", "a.b.sagittal.npz"]


def test_a_record_without_probabilities_says_that_none_were_kept(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert is_done(tmp_path, keep=True)
    write_record(tmp_path, Record(model_digest="0" * 64, probabilities_sha256={}))
    assert is_done(tmp_path, keep=False)
    assert not is_done(tmp_path, keep=True)


def test_the_record_says_that_the_rest_is_whole(tmp_path: Path) -> None:
    assert not is_scored(tmp_path)
    write_record(tmp_path, RECORD)
    assert is_scored(tmp_path)
    assert read_record(tmp_path) == RECORD


@pytest.mark.parametrize("content", ["", "[]", '{"model_digest": "0"}'])
def test_a_record_that_says_something_else_is_refused_with_a_remedy(tmp_path: Path, content: str) -> None:
    write_record(tmp_path, RECORD)
    (folder_of(tmp_path) / "record.json").write_text(content)
    with pytest.raises(WorkspaceError) as raised:
        read_record(tmp_path)
    assert str(folder_of(tmp_path)) in raised.value.remedy


def test_scores_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError) as raised:
        read_scores(tmp_path)
    assert raised.value.where == str(folder_of(tmp_path) / "metrics.csv")
