"""Temporary files go with the block, and those of killed processes with the next one that writes there."""

import errno
import fcntl
import sys
from pathlib import Path

import pytest
from oracles.processes import Process, run_python

from autoseg.storage import temporary
from autoseg.storage.files import write_text
from autoseg.storage.temporary import remove_abandoned, temporary_beside

WRITER = """
import sys, time
from pathlib import Path
from autoseg.storage.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b'half')
    print(temporary, flush=True)
    time.sleep(60)
"""


def start_writing(path: Path) -> tuple[Process, Path]:
    writer = run_python(WRITER, path)
    assert writer.stdout is not None
    return writer, Path(writer.stdout.readline().strip())


def kill(writer: Process) -> None:
    writer.kill()
    writer.communicate()


def test_a_file_is_empty_at_first_and_goes_with_the_block(tmp_path: Path) -> None:
    with temporary_beside(tmp_path / "scan.nii.gz") as place:
        assert place.name.endswith(".scan.nii.gz")
        assert place.read_bytes() == b""
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_file_of_any_name(tmp_path: Path) -> None:
    writer, left = start_writing(tmp_path / "weights.safetensors")
    kill(writer)
    assert left.read_bytes() == b"half"
    write_text(tmp_path / "other", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_what_somebody_writes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("the user's")
    others = [".autoseg-demo", ".autoseg-12345678", ".1a2b3c4d.scan.nii", ".autoseg-1a2b3c4d.link", "autoseg-1a2b3c4d.txt"]
    for name in others[:3] + others[4:]:
        (tmp_path / name).write_text("the user's")
    (tmp_path / others[3]).symlink_to(target)
    writer, busy = start_writing(tmp_path / "scan.nii")
    try:
        remove_abandoned(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "elsewhere", busy.name])
    finally:
        kill(writer)
    assert target.read_text() == "the user's"


def test_a_folder_is_looked_through_once(tmp_path: Path) -> None:
    write_text(tmp_path / "one", "text")
    left = tmp_path / ".autoseg-1a2b3c4d.scan.nii"
    left.touch()
    write_text(tmp_path / "two", "text")
    assert left.exists()


def test_a_file_that_was_taken_for_abandoned_before_it_was_claimed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, removed = fcntl.flock, list[Path]()

    def claim_late(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].unlink()
        claim(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", claim_late)
    with temporary_beside(tmp_path / "file") as place:
        assert place.exists()
        assert place not in removed


def test_a_file_system_without_locks_keeps_what_was_left_and_takes_new_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = tmp_path / ".autoseg-1a2b3c4d.scan.nii"
    left.touch()
    write_text(tmp_path / "file", "text")
    assert left.exists()
    assert (tmp_path / "file").read_text() == "text"


@pytest.mark.skipif(sys.platform == "win32", reason="there, this is how it is")
def test_a_system_without_locks_writes_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "_HAS_LOCKS", False)
    left = tmp_path / ".autoseg-1a2b3c4d.scan.nii"
    left.touch()
    write_text(tmp_path / "file", "text")
    assert left.exists()
    assert (tmp_path / "file").read_text() == "text"
