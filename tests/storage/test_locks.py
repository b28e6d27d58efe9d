"""One process at a time, whatever becomes of it."""

import errno
import fcntl
import json
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from oracles.heard import Heard
from oracles.processes import eventually, run_python

from autoseg.errors import SystemFailureError, WorkspaceError
from autoseg.storage import held, lease
from autoseg.storage.files import append_bytes, write_text
from autoseg.storage.lease import LIMIT_S, Lease, Sighting, seen
from autoseg.storage.locks import lock
from autoseg.storage.owner import Owner, batch_job, parse_owner, this_process, written


def test_a_lock_names_its_holder_and_ends_with_its_block(tmp_path: Path) -> None:
    place = tmp_path / "run" / ".lock"
    holder = (
        rf"in use by process {os.getpid()} on {socket.gethostname()} since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC, "
        r"last sign of life \d+ s ago\. Wait for it to end, or stop it\.$"
    )
    for _ in range(2):
        with lock(place), pytest.raises(WorkspaceError, match=holder) as caught, lock(place):
            pass
        assert caught.value.where == str(place.parent)
    assert list(place.parent.iterdir()) == []


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
        assert json.loads(place.read_text())["process"] == os.getpid()


def other(**changes: Any) -> Owner:
    """A process of another machine."""
    return replace(this_process(), host="node7", space="elsewhere", process=123, job="SLURM job 42", **changes)


def held_by(owner: Owner, place: Path, *, silent_s: float = 0) -> Path:
    """A lock as that process left it."""
    place.write_bytes(written(owner))
    told = place.stat().st_mtime - silent_s
    os.utime(place, (told, told))
    return place


def test_a_process_of_another_machine_is_named_with_its_job_and_last_sign_of_life(tmp_path: Path) -> None:
    place = held_by(other(), tmp_path / ".lock", silent_s=60)
    words = (
        r"in use by process 123 on node7 \(SLURM job 42\) since .* UTC, last sign of life 6\d s ago\. Wait for it to "
        r"end, or stop it\. If it was killed, the same command goes on in \d\d s\."
    )
    before = place.read_bytes()
    with pytest.raises(WorkspaceError, match=words), lock(place):
        pass
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_a_lock_without_a_sign_of_life_is_taken_over_and_named_stale(tmp_path: Path) -> None:
    place, events = held_by(other(), tmp_path / ".lock", silent_s=LIMIT_S + 1), Heard()
    with lock(place, events=events):
        owner = parse_owner(place.read_bytes())
        assert owner is not None
        assert owner.process == os.getpid()
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    (warning,) = events.warnings
    assert re.search(r"took over the stale lock of process 123 on node7 .*, last sign of life 2\.\d+ min ago$", warning)


def test_clocks_of_machines_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this machine's is fifty years slow
    with lock(held_by(other(), tmp_path / ".lock", silent_s=LIMIT_S + 1)):
        pass
    monkeypatch.setattr(time, "time", lambda: 1e10)
    with pytest.raises(WorkspaceError, match="last sign of life 0 s ago"), lock(held_by(other(), tmp_path / ".lock")):
        pass


@pytest.mark.parametrize("clock_s", [0.0, 1e10])
def test_whoever_only_looks_judges_by_the_file_systems_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock_s: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: clock_s)
    found = seen(held_by(other(), tmp_path / ".lock"))
    assert found is not None
    assert found.silent_s < LIMIT_S
    assert seen(held_by(other(), tmp_path / ".lock", silent_s=LIMIT_S + 1)) is None
    (tmp_path / ".lock").write_bytes(b"")  # one that is being written
    assert seen(tmp_path / ".lock") is not None
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_where_nothing_may_be_written_whoever_looks_judges_by_his_own_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "file_system_now_s", mock.Mock(side_effect=PermissionError))
    assert seen(held_by(other(), tmp_path / ".lock")) is not None
    assert seen(held_by(other(), tmp_path / ".lock", silent_s=LIMIT_S + 1)) is None
    monkeypatch.setattr(time, "time", lambda: 1e10)
    assert seen(held_by(other(), tmp_path / ".lock")) is None
    with lock(tmp_path / "own" / ".lock"):
        assert seen(tmp_path / "own" / ".lock") is not None  # known without a clock


def test_a_process_that_runs_here_keeps_its_lock_however_silent_it_is(tmp_path: Path) -> None:
    place = tmp_path / ".lock"
    with lock(place):
        os.utime(place, (0, 0))
        with pytest.raises(WorkspaceError, match="in use by process"), lock(place):
            pass


def test_a_job_that_is_begun_again_follows_its_earlier_self_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = held_by(other(cluster="c", restarts=0), tmp_path / ".lock")
    for name, value in (("SLURM_JOB_ID", "42"), ("SLURM_CLUSTER_NAME", "c"), ("SLURM_RESTART_COUNT", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(WorkspaceError, match="in use by"), lock(place):
        pass
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with lock(place):
        pass


def test_a_number_that_was_given_again_holds_nothing(tmp_path: Path) -> None:
    me = this_process()
    assert me.started is not None
    with lock(held_by(replace(me, started=me.started - 1), tmp_path / ".lock")):
        pass


def test_a_process_that_ended_and_was_not_asked_for_its_exit_code_holds_nothing(tmp_path: Path) -> None:
    child = run_python("import sys; from autoseg.storage.owner import *; sys.stdout.buffer.write(written(this_process()))")
    assert child.stdout is not None
    place = tmp_path / ".lock"
    place.write_text(child.stdout.read())
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with lock(place):
        pass
    child.communicate()


@pytest.mark.parametrize(
    "content", [b"", b"process 5 on node since 2020-01-01 00:00 UTC\n", b"[" * 5000, b'{"token": "../x"}']
)
def test_a_file_that_names_nobody_is_nobodys_after_a_while(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / ".lock"
    place.write_bytes(content)
    with pytest.raises(WorkspaceError, match="in use by another process"), lock(place):
        pass
    os.utime(place, (place.stat().st_mtime - 6,) * 2)
    with lock(place):
        pass
    assert list(tmp_path.iterdir()) == []


def test_of_many_that_take_over_at_once_one_does(tmp_path: Path) -> None:
    for number in range(20):
        place = tmp_path / str(number)
        place.mkdir()
        held_by(other(), place / ".lock", silent_s=LIMIT_S + 1)
        leases, start = [Lease(place / ".lock") for _ in range(8)], threading.Barrier(8)

        def take(lease: Lease, start: threading.Barrier = start) -> Sighting | None:
            start.wait()
            return lease.take()

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(take, leases))
        assert outcomes.count(None) == 1
        assert [lease.is_held() for lease in leases] == [outcome is None for outcome in outcomes]
        assert [path.name for path in place.iterdir()] == [".lock"]


def test_who_judged_a_lock_that_was_taken_over_since_does_not_take_it(tmp_path: Path) -> None:
    place = held_by(other(), tmp_path / ".lock", silent_s=LIMIT_S + 1)
    slow, fast = Lease(place), Lease(place)
    claim_after = slow._claim_after

    def late(found: Sighting, own: Path) -> tuple[Sighting, Path | None]:
        if not fast.is_held():
            assert fast.take() is None
        return claim_after(found, own)

    with mock.patch.object(slow, "_claim_after", late):
        assert slow.take() is not None
    assert fast.is_held()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_claim_whose_maker_ended_is_claimed_itself(tmp_path: Path) -> None:
    first, second = other(), other()
    place = held_by(first, tmp_path / ".lock", silent_s=LIMIT_S + 1)
    claim = held_by(second, tmp_path / f".lock-{first.token}")
    assert first.token != second.token
    with pytest.raises(WorkspaceError, match="last sign of life 0 s ago"), lock(place):
        pass
    os.utime(claim, (0, 0))
    with lock(place):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("run", ["run", "scans/../run", "../{name}/run"])
@pytest.mark.parametrize("relative", [False, True])
def test_a_holder_whose_lock_was_taken_over_writes_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: str, *, relative: bool
) -> None:
    (tmp_path / "scans").mkdir()
    monkeypatch.chdir(tmp_path)
    place = (Path() if relative else tmp_path) / run.format(name=tmp_path.name) / ".lock"
    with lock(place):
        write_text(place.parent / "deep" / "before", "text")
        held_by(other(), place)
        for write in (write_text, lambda path, text: append_bytes(path, text.encode())):
            with pytest.raises(WorkspaceError, match=r"lost while .* held by process 123 on node7 \(SLURM job 42\)"):
                write(place.parent / "after", "text")
            with pytest.raises(WorkspaceError, match="lost while"):
                write(tmp_path / "run" / "after", "text")
        write_text(tmp_path / "elsewhere", "text")
    assert place.exists()
    assert sorted(path.name for path in place.parent.iterdir()) == [".lock", "deep"]


def test_a_holder_whose_lock_was_removed_writes_nothing_more(tmp_path: Path) -> None:
    with lock(tmp_path / ".lock"):
        (tmp_path / ".lock").unlink()
        with pytest.raises(WorkspaceError, match="its file was removed"):
            write_text(tmp_path / "after", "text")


def test_a_lock_that_is_held_is_kept_fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "HEARTBEAT_S", 0.01)
    kept = held._Held()
    lease, gone = Lease(tmp_path / ".lock"), Lease(tmp_path / "gone")
    assert lease.take() is None
    os.utime(lease.path, (0, 0))
    kept.add(gone)
    kept.add(lease)
    eventually(lambda: lease.path.stat().st_mtime > 0, patience_s=60)
    kept.remove(gone)
    kept.remove(lease)
    eventually(lambda: kept._thread is None, patience_s=60)
    lease.release()


def test_the_thread_that_keeps_locks_fresh_takes_no_signals(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from autoseg.storage.locks import lock\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(3))\n"
        "with lock(Path(sys.argv[1])):\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert signal.SIGTERM in signal.sigpending()\n"
        "    os._exit(0)\n"
    )
    process = run_python(code, tmp_path / ".lock")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EOPNOTSUPP])
def test_file_systems_without_hard_links_have_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "link", refuse)
    test_a_killed_holder_leaves_no_lock(tmp_path)
    test_threads_of_one_process_exclude_each_other(tmp_path)
    test_of_many_that_take_over_at_once_one_does(tmp_path)


def test_locks_need_none_of_the_operating_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    with lock(tmp_path / ".lock"):
        write_text(tmp_path / "file", "text")


def test_a_lock_may_be_waited_for(tmp_path: Path) -> None:
    taken, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(tmp_path / ".lock"):
            taken.set()
            free.wait(60)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        taken.wait(60)
        with pytest.raises(WorkspaceError, match="in use by"), lock(tmp_path / ".lock", wait_s=0.2):
            pass
        free.set()
        with lock(tmp_path / ".lock", wait_s=60):
            pass
        holding.result()


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, ""),
        ({"SLURM_JOB_ID": "42"}, "SLURM job 42"),
        ({"SLURM_JOB_ID": "43", "SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "0"}, "SLURM job 40_0"),
        ({"PBS_JOBID": "7.server"}, "PBS job 7.server"),
        ({"LSB_JOBID": "5", "LSB_JOBINDEX": "2"}, "LSF job 5_2"),
        ({"JOB_ID": "9", "SGE_TASK_ID": "undefined"}, "SGE job 9_undefined"),
        ({"JOB_ID": "of something else"}, ""),
    ],
)
def test_jobs_are_named_as_their_batch_systems_do(variables: dict[str, str], name: str) -> None:
    assert batch_job(variables) == name


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
