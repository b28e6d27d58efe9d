"""Whether a worker sees what the command sees, and is of its version."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.jobs.cluster import session
from autoseg.jobs.cluster.session import Session, seen


def test_a_folder_is_recognised_by_a_file_that_is_there_for_the_while(tmp_path: Path) -> None:
    with seen(tmp_path, write=True) as marked:
        assert marked.is_seen()
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_another_folder_of_the_same_path_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(session, "_POLL_S", 0.05)
    folder = tmp_path / "folder"
    folder.mkdir()
    with seen(folder, write=True) as marked:
        folder.rename(tmp_path / "away")
        assert not marked.is_seen()  # no such folder
        folder.mkdir()
        assert not marked.is_seen()  # one without the file
        folder.rmdir()
        (tmp_path / "away").rename(folder)
        assert marked.is_seen()


def test_where_nothing_may_be_written_names_tell(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with seen(tmp_path / "a", write=False) as marked:
        assert marked.is_seen()
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        (tmp_path / "b").touch()
        assert not marked.is_seen()


def test_a_worker_that_cannot_work_says_why(tmp_path: Path) -> None:
    with seen(tmp_path, write=True) as marked:
        told = Session("id", "1.2", tmp_path, marked)
        assert told.problem(version="1.2", host="node7") is None
        other = told.problem(version="1.1", host="node7")
        elsewhere = replace(told, folder=tmp_path / "missing").problem(version="1.2", host="node7")
    assert "node7: a worker has another version of autoseg than this command; expected 1.2; found 1.1" in str(other)
    assert "a worker does not see" in str(elsewhere)
    assert "a file system that all machines share" in str(elsewhere)
