"""Other paths for files whose own are no text."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoseg.errors import SystemFailureError
from autoseg.storage import utf8
from autoseg.storage.utf8 import is_utf8, utf8_path

ODD = "o\udcf6"
"""How Python reads the bytes 6f f6, a name in an older encoding."""


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of that name."""
    try:
        (tmp_path / ODD).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    return tmp_path / ODD


@pytest.fixture
def _no_links_yet() -> Iterator[None]:
    for made in (utf8._link, utf8._temporary):
        made.cache_clear()
    yield
    for made in (utf8._link, utf8._temporary):
        made.cache_clear()


@pytest.mark.parametrize("name", ["a.nii", "\u60a3 1.nii", "\U0001f9e0.nii"])
def test_text_stays_as_it_is(tmp_path: Path, name: str) -> None:
    assert utf8_path(tmp_path / name) == tmp_path / name
    assert utf8_path(Path(name)) == Path(name)


def test_files_of_a_folder_that_is_no_text_are_read_and_written_beside_each_other(odd: Path) -> None:
    one, other = utf8_path(odd / "a.nii.gz"), utf8_path(odd / "b.raw")
    assert one.parent == other.parent
    assert (is_utf8(one), one.name) == (True, "a.nii.gz")
    one.write_bytes(b"content")
    assert (odd / "a.nii.gz").read_bytes() == b"content"


def test_relative_paths_are_those_of_the_present_folder(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for parent in (odd.parent, odd.parent / "other"):
        (parent / ODD).mkdir(exist_ok=True, parents=True)
        monkeypatch.chdir(parent)
        utf8_path(Path(ODD) / "a.txt").write_text(parent.name)
        assert (parent / ODD / "a.txt").read_text() == parent.name


def test_a_file_that_is_no_text_itself_keeps_its_suffixes(odd: Path) -> None:
    (odd / f"{ODD}.nii.gz").write_bytes(b"content")
    path = utf8_path(odd / f"{ODD}.nii.gz")
    assert path.name.endswith(".nii.gz")
    assert is_utf8(path)
    assert path.read_bytes() == b"content"


def test_links_go_with_the_process(odd: Path) -> None:
    code = f"""
from pathlib import Path
from autoseg.storage.utf8 import utf8_path
print(utf8_path(Path({os.fspath(odd)!r}) / "a"))
"""
    link = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert not Path(link).parents[1].exists()


@pytest.mark.usefixtures("_no_links_yet")
def test_where_no_link_can_be_made_the_remedy_is_said(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(odd))
    with pytest.raises(SystemFailureError, match="set TMPDIR to another folder"):
        utf8_path(odd / "a.nii")

    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(tempfile, "tempdir", os.fspath(odd.parent))
    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(SystemFailureError, match=r"no link to it can be made \(Operation not permitted\)"):
        utf8_path(odd / "b" / "a.nii")
