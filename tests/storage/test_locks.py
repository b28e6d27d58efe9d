"""One process at a time, whatever becomes of it."""

import errno
import fcntl
import os
import socket
import threading
from pathlib import Path

import pytest
from oracles.processes import run_python

from autoseg.errors import SystemFailureError, WorkspaceError
from autoseg.storage.locks import lock


def test_a_lock_names_its_holder_and_ends_with_its_block(tmp_path: Path) -> None:
    place = tmp_path / "run" / ".lock"
    holder = rf"in use by process {os.getpid()} on {socket.gethostname()} since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC\. Wait"
    for _ in range(2):
        with lock(place), pytest.raises(WorkspaceError, match=holder) as caught, lock(place):
            pass
        assert caught.value.where == str(place.parent)
    assert place.read_text() == ""


def test_a_lock_ends_when_its_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(tmp_path / ".lock"):
        _ = 1 // 0
    with lock(tmp_path / ".lock"):
        pass


def test_errors_inside_a_lock_are_not_the_locks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), lock(tmp_path / ".lock"):
        (tmp_path / "missing").read_text()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    place = tmp_path / ".lock"
    holder = run_python(
        "import sys, time; from pathlib import Path; from autoseg.storage.locks import lock\n"
        "with lock(Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n",
        place,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match=f"in use by process {holder.pid} on "), lock(place):
            pass
        holder.kill()
        holder.wait()
    with lock(place):
        assert place.read_text().startswith(f"process {os.getpid()} on {socket.gethostname()} since ")


def test_a_file_system_without_locks_is_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(stream: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SystemFailureError, match="No locks available"), lock(tmp_path / ".lock"):
        pass


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    refused: list[WorkspaceError] = []

    def attempt() -> None:
        try:
            with lock(tmp_path / ".lock"):
                pass
        except WorkspaceError as error:
            refused.append(error)

    with lock(tmp_path / ".lock"):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_a_holder_that_is_not_known_is_another_process(tmp_path: Path) -> None:
    with lock(tmp_path / ".lock"):
        os.truncate(tmp_path / ".lock", 0)
        with pytest.raises(WorkspaceError, match="in use by another process"), lock(tmp_path / ".lock"):
            pass


def test_a_lock_in_a_place_that_is_no_folder_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with (
        pytest.raises(SystemFailureError, match=r"cannot be written.*permissions"),
        lock(tmp_path / "file" / ".lock"),
    ):
        pass


def test_a_lock_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from autoseg import errors\n"
        "from autoseg.storage.locks import lock\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try:\n"
        "    lock(Path(sys.argv[1])).__enter__()\n"
        "except errors.SystemFailureError as error:\n"
        "    print(error.what)\n"
    )
    output, complaints = run_python(code, tmp_path / ".lock").communicate(timeout=300)
    assert (output, complaints) == ("the disk is full\n", "")
