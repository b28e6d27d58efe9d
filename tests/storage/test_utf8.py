"""Other paths for files whose own are no text."""

import os
import tempfile
from pathlib import Path

import pytest

from autoseg.errors import SystemFailureError
from autoseg.storage.utf8 import is_utf8, utf8_path

ODD = "o\udcf6"
"""How Python reads the bytes 6f f6, a name in an older encoding."""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of that name; temporary files go to a folder beside it."""
    try:
        (tmp_path / ODD).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path / "temporary"))
    return tmp_path / ODD


@pytest.mark.parametrize("name", ["a.nii", "\u60a3 1.nii", "\U0001f9e0.nii"])
def test_text_stays_as_it_is(tmp_path: Path, name: str) -> None:
    for path in (tmp_path / name, Path(name)):
        with utf8_path(path) as same:
            assert same == path


def test_files_of_a_folder_that_is_no_text_are_read_and_written_beside_each_other(odd: Path) -> None:
    with utf8_path(odd / "a.nii.gz") as path:
        assert (is_utf8(path), path.name) == (True, "a.nii.gz")
        path.write_bytes(b"content")
        path.with_name("b.raw").write_bytes(b"more")
    assert (odd / "a.nii.gz").read_bytes() == b"content"
    assert (odd / "b.raw").read_bytes() == b"more"


def test_relative_paths_are_those_of_the_present_folder(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(odd.parent)
    with utf8_path(Path(ODD) / "a.txt") as path:
        path.write_text("content")
    assert (odd / "a.txt").read_text() == "content"


def test_a_file_that_is_no_text_itself_keeps_its_suffixes(odd: Path) -> None:
    (odd / f"{ODD}.nii.gz").write_bytes(b"content")
    with utf8_path(odd / f"{ODD}.nii.gz") as path:
        assert path.name.endswith(".nii.gz")
        assert is_utf8(path)
        assert path.read_bytes() == b"content"


def test_nothing_stays_among_temporary_files_and_nothing_of_the_folder_goes(odd: Path) -> None:
    (odd / "a.nii").touch()
    with utf8_path(odd / "a.nii"):
        assert list((odd.parent / "temporary").iterdir())
    assert not list((odd.parent / "temporary").iterdir())
    with pytest.raises(RuntimeError), utf8_path(odd / "a.nii"):
        raise RuntimeError
    assert not list((odd.parent / "temporary").iterdir())
    assert (odd / "a.nii").exists()


def test_where_no_link_can_be_made_the_remedy_is_said(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", refuse)
        with pytest.raises(SystemFailureError, match=r"no link .* \(Operation not permitted\)"), utf8_path(odd / "a.nii"):
            pass
    for place, why in ((odd, "is not UTF-8 either"), (odd.parent / "nowhere", "No such file or directory")):
        monkeypatch.setattr(tempfile, "tempdir", os.fspath(place))
        with pytest.raises(SystemFailureError, match=f"{why}.*set TMPDIR"), utf8_path(odd / "a.nii"):
            pass
