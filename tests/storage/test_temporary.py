"""Temporary files go with the block, and those of killed processes with the next one that writes there."""

import os
from pathlib import Path

import pytest
from oracles.processes import Process, run_python

from autoseg.storage import owner, temporary
from autoseg.storage.files import write_text
from autoseg.storage.temporary import abandoned_below, remove_abandoned, temporary_beside, temporary_folder_beside

WRITER = """
import sys, time
from pathlib import Path
from autoseg.storage.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b'half')
    print(temporary, flush=True)
    time.sleep(60)
"""


FOLDER = """
import sys, time
from pathlib import Path
from autoseg.storage.files import temporary_folder
with temporary_folder(Path(sys.argv[1])) as folder:
    (folder / 'half.npz').write_bytes(b'half')
    print(folder, flush=True)
    time.sleep(60)
"""


def start_writing(path: Path, program: str = WRITER) -> tuple[Process, Path]:
    writer = run_python(program, path)
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


def test_a_folder_is_empty_at_first_and_goes_with_the_block_and_all_that_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_folder_beside(tmp_path / "maps") as place:  # noqa: PT012
        assert place.name.endswith(".maps")
        assert list(place.iterdir()) == []
        (place / "inner").mkdir()
        write_text(place / "inner" / "file", "text")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    writer, left = start_writing(tmp_path / "maps", FOLDER)
    remove_abandoned(tmp_path)
    assert list(abandoned_below(tmp_path)) == []
    kill(writer)
    (left / ".autoseg-1a2b3c4d.half.npz").touch()
    os.utime(left / ".autoseg-1a2b3c4d.half.npz", (0, 0))
    assert list(abandoned_below(tmp_path)) == [left]
    remove_abandoned.cache_clear()
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


def test_a_number_that_was_given_to_another_process_keeps_nothing(tmp_path: Path) -> None:
    with temporary_beside(tmp_path / "file") as mine:
        space, process, began, _ = mine.name.removeprefix(".autoseg-").split("-", 3)
    left = tmp_path / f".autoseg-{space}-{process}-{int(began, 16) ^ 1:x}-1a2b.file"
    left.touch()
    remove_abandoned.cache_clear()
    remove_abandoned(tmp_path)
    assert not left.exists()


def test_what_a_process_of_another_machine_writes_is_given_a_day(tmp_path: Path) -> None:
    names = [".autoseg-0-1-1-1a2b.scan.nii", ".autoseg-1a2b3c4d.scan.nii"]  # the second as version 0.1 named them
    for name in names:
        (tmp_path / name).touch()
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    for name in names:
        times = (tmp_path / name).stat().st_mtime - 90_000
        os.utime(tmp_path / name, (times, times))
    remove_abandoned.cache_clear()
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_tells_nothing_of_processes_keeps_files_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "_PROC", tmp_path / "none")
    with temporary_beside(tmp_path / "file") as mine:
        remove_abandoned.cache_clear()
        remove_abandoned(tmp_path)
        assert mine.exists()


def test_threads_of_one_process_have_files_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["1a2b", "1a2b", "3c4d"])
    monkeypatch.setattr(temporary.secrets, "token_hex", lambda _: next(drawn))
    with temporary_beside(tmp_path / "file") as one, temporary_beside(tmp_path / "file") as other:
        assert one != other
