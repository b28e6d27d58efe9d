"""What reaches the disk is whole, whatever happens meanwhile."""

import errno
import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from oracles.processes import run_python

from autoseg.errors import PlanError, SystemFailureError, WorkspaceError
from autoseg.storage import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Whole or not at all.


def test_a_file_appears_with_its_folders_and_all_suffixes(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "scan.nii.gz"
    with files.atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".scan.nii.gz")
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["scan.nii.gz"]


def test_the_old_content_stays_when_the_block_fails(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.write_text(target, "old")
    with pytest.raises(ZeroDivisionError), files.atomic_path(target) as temporary:  # noqa: PT012
        temporary.write_text("new")
        _ = 1 // 0
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_the_old_content_stays_when_the_process_is_killed(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.write_text(target, "old")
    writer = run_python(
        "import sys, time; from pathlib import Path; from autoseg.storage import files\n"
        "with files.atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n",
        target,
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        writer.kill()
        assert writer.wait() == -signal.SIGKILL
    assert target.read_text() == "old"


def test_a_block_that_wrote_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemFailureError, match="cannot be written"), files.atomic_path(tmp_path / "file"):
        pass
    assert names(tmp_path) == []


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    synced: list[tuple[bool, bool]] = []

    def watch(descriptor: int) -> None:
        synced.append((os.path.isdir(f"/proc/self/fd/{descriptor}"), target.exists()))  # noqa: PTH112

    monkeypatch.setattr(os, "fsync", watch)
    files.write_bytes(target, b"x")
    assert [named for _, named in synced] == [False, True]


# What the surroundings may refuse.


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_said_in_words(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    target = tmp_path / "file"
    files.write_text(target, "old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(SystemFailureError, match="the disk is full") as caught:
        files.write_text(target, "new")
    assert caught.value.where == str(target)
    assert "Free some space" in caught.value.remedy
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


LIMITED = (
    "import resource, sys; from pathlib import Path; from autoseg import errors; from autoseg.storage import files\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    "try:\n"
    "    {attempt}\n"
    "except errors.SystemFailureError as error:\n"
    "    print(error.what)\n"
)


def test_a_write_that_breaks_off_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.write_text(target, "old")
    writer = run_python(LIMITED.format(limit=10, attempt="files.write_bytes(Path(sys.argv[1]), b'x' * 11)"), target)
    output, complaints = writer.communicate(timeout=300)
    assert (output, complaints) == ("the disk is full\n", "")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_place_that_is_no_folder_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(SystemFailureError, match="cannot be written") as caught:
        files.write_text(tmp_path / "file" / "below", "x")
    assert "permissions" in caught.value.remedy


def test_errors_inside_a_temporary_folder_are_passed_on_and_its_own_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.temporary_folder(tmp_path / "deep" / "maps") as folder:
        (folder / "none").read_bytes()
    assert names(tmp_path / "deep") == []
    (tmp_path / "file").write_text("a file")
    with pytest.raises(SystemFailureError, match="cannot be written"), files.temporary_folder(tmp_path / "file" / "maps"):
        pass


def test_whether_a_folder_takes_files_is_found_out_without_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path, tmp_path / "new" / "below", Path("new"), Path()):
        files.require_writable(place)
    for place in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "link" / "below", Path("file/below")):
        with pytest.raises(SystemFailureError, match="cannot be written"):
            files.require_writable(place)
    assert names(tmp_path) == ["file", "link"]


# JSON.


def test_json_is_readable_and_comes_back(tmp_path: Path) -> None:
    document = {"b": [1, 2.5, None, True], "a": "Größe"}
    files.write_json(tmp_path / "x.json", document)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "b": [')
    assert text.endswith('"a": "Größe"\n}\n')
    assert files.read_json(tmp_path / "x.json", remedy="") == document


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_has_not_are_a_mistake(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "x.json", {"loss": value})
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[1,]", b'{"a": NaN}', b"[-Infinity]", b"[1e999]", b"\xff\xfe", b"{} {}"])
def test_what_is_not_json_names_file_and_cure(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(PlanError, match=r"x\.json: not a JSON document.*Plan again") as caught:
        files.read_json(tmp_path / "x.json", error=PlanError, remedy="Plan again.")
    assert caught.value.where == str(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b'{"a": 1, "a": 1}', b'[{"b": {"a": 1, "c": 2, "a": 3}}]', b'{"a": 1, "\\u0061": 2}'])
def test_a_key_that_comes_twice_is_refused(content: bytes) -> None:
    """Other readers take the first; this one would have taken the last, and nobody would know."""
    with pytest.raises(PlanError, match=r"plan\.json: not a JSON document \(the key 'a' comes twice\)"):
        files.parse_json(content, error=PlanError, where="plan.json", remedy="Plan again.")


def test_documents_are_read_as_deep_as_they_can_be_written(tmp_path: Path) -> None:
    for levels in (1, 100):
        document = json.loads(b"[" * levels + b"]" * levels)
        files.write_json(tmp_path / "x.json", document)
        assert files.read_json(tmp_path / "x.json", remedy="") == document
    for levels in (101, 900, 100_000):
        for text in (b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels):
            with pytest.raises(PlanError, match="not a JSON document"):
                files.parse_json(text, error=PlanError, where="x.json", remedy="Plan again.")


def test_a_missing_document_names_file_and_cure(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"x\.json: the file does not exist\. Plan first"):
        files.read_json(tmp_path / "x.json", remedy="Plan first.")


def test_a_document_that_cannot_be_opened_names_file_and_cure(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(WorkspaceError, match=r"x\.json: cannot be read .*\. Plan first"):
        files.read_json(tmp_path / "x.json", remedy="Plan first.")


def test_a_document_that_may_not_be_read_is_not_to_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(WorkspaceError, match=r"cannot be read \(Permission denied\)\. Check the file, its permissions"):
        files.read_json(tmp_path / "x.json", remedy="Plan again with --force.")


# Checksums.


def test_checksums_of_known_content(tmp_path: Path) -> None:
    # Test vector of FIPS 180-2.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256_bytes(b"abc") == files.sha256_file(tmp_path / "abc") == expected


def test_large_files_are_read_to_their_end(tmp_path: Path) -> None:
    content = bytes(range(256)) * (3 << 12) + b"tail"
    (tmp_path / "large").write_bytes(content)
    assert files.sha256_file(tmp_path / "large") == hashlib.sha256(content).hexdigest()


def test_the_checksum_of_a_document_does_not_depend_on_the_order_of_its_keys() -> None:
    first: Any = {"a": 1, "b": {"c": [1, 2], "d": None}}
    second: Any = json.loads('{"b": {"d": null, "c": [1, 2]}, "a": 1}')
    assert files.sha256_json(first) == files.sha256_json(second)
    assert files.sha256_json(first) != files.sha256_json({**first, "a": 2})


def test_names_that_are_not_utf8_are_written_in_escapes(tmp_path: Path) -> None:
    path, name = tmp_path / "a.json", "o\udcf6"  # how the bytes 6f f6 in a file's name read
    files.write_json(path, {"folder": name, "case": "\u60a3"})
    assert json.loads(path.read_bytes()) == {"folder": name, "case": "\u60a3"}
    assert "\u60a3" in path.read_text(encoding="utf-8")
    files.write_text(path, f"wrote {name}")
    assert path.read_bytes() == rb"wrote o\udcf6"
