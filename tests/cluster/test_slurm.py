"""The SLURM that tests use does what a SLURM does, and leaves nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from oracles.processes import eventually, is_alive
from oracles.slurm import Slurm

pytestmark = pytest.mark.gate


def test_a_job_runs_and_ends(slurm: Slurm, tmp_path: Path) -> None:
    job = slurm.submit("--output=said.txt", "--wrap", "echo $SLURM_JOB_ID", cwd=tmp_path)
    slurm.wait(job, "COMPLETED", patience_s=60)
    assert (tmp_path / "said.txt").read_text().strip() == job


@pytest.mark.slow  # the gate has three minutes for clusters
def test_a_job_on_a_killed_node_dies_and_the_node_comes_back(slurm: Slurm, tmp_path: Path) -> None:
    command = "echo $$ >> pid.txt; exec sleep 600"
    job = slurm.submit("--nodelist=n2", "--output=said.txt", "--wrap", command, cwd=tmp_path)
    slurm.until((tmp_path / "pid.txt").exists, job, patience_s=60)
    slurm.until((tmp_path / "pid.txt").read_text, job, patience_s=10)
    process = int((tmp_path / "pid.txt").read_text())
    slurm.kill_node("n2")
    eventually(lambda: not is_alive(process), patience_s=30)
    slurm.revive_node("n2")
    slurm.cancel(job)


@pytest.mark.slow  # the gate has three minutes for clusters
def test_a_cluster_goes_with_a_process_that_is_killed(slurm: Slurm, tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from oracles.slurm import slurm_cluster\n"
        "with slurm_cluster() as cluster:\n"
        "    job = cluster.submit('--output=/dev/null', '--wrap', 'sleep 600', cwd=cluster.folder)\n"
        "    cluster.wait(job, 'RUNNING', patience_s=60)\n"
        "    print(cluster.folder, flush=True)\n"
        "    time.sleep(600)\n"
    )
    tests = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", code, tests], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        daemons = [int(path.read_text()) for path in (Path(folder) / "pid").glob("*.pid")]
        assert len(daemons) == 4
        os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, [*daemons, *users_of(folder)])), patience_s=60)


def users_of(folder: str) -> list[int]:
    """Processes that have the settings of a cluster in their environment."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdecimal() and f"SLURM_CONF={folder}/".encode() in (place / "environ").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found
