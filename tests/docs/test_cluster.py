"""The commands of docs/how-to/cluster.md on Dask and on `--executor slurm` run as shown."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from oracles.slurm import slurm_cluster

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"


def blocks(title: str, language: str) -> list[str]:
    """What a section of the page shows in a language."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def home(cohort: Path, tmp_path: Path) -> Path:
    """A working folder with the data set that the page names."""
    shutil.copytree(cohort, tmp_path / "IBSR18")
    return tmp_path


@contextmanager
def shell(script: str, home: Path, variables: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """A shell that does what is shown; all that it has started ends with the block."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        ["bash", "-euc", script], cwd=home, env={**os.environ, **(variables or {}), "PATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # all of them have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_dask(home: Path) -> None:
    started, commands = blocks("Dask", "sh")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    until_it_answers = f"until echo 2>/dev/null >/dev/tcp/127.0.0.1/{port}; do sleep 0.2; done\n"
    scheduler, worker = started.replace("8786", port).replace("dask scheduler", "dask scheduler --no-dashboard").splitlines()
    shown = f"{scheduler}\n{until_it_answers}{worker}\n{commands.replace('8786', port)}\n"
    script = f"exec 3>&1 >said.txt 2>&1\n{shown}echo done >&3\n"
    with shell(script, home) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n", (home / "said.txt").read_text()
    assert len(list((home / "results").glob("*.nii.gz"))) == 1
    assert (home / "runs" / "IBSR18" / "selection.json").exists()


def test_slurm(home: Path) -> None:
    (settings,), (command,) = (
        blocks("SLURM through `--executor slurm`", "toml"),
        blocks("SLURM through `--executor slurm`", "sh"),
    )
    (home / "slurm.toml").write_text(settings.replace("4G", "500M") + f'interface = "lo"\nlogs = "{home}/logs"\n')
    plan = "autoseg plan IBSR18/ --folds 2 --workspace runs/IBSR18\n"
    with slurm_cluster() as slurm, shell(plan + command, home, slurm.environment) as process:
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
    assert {path.parent.name for path in (home / "runs" / "IBSR18" / "models" / "unet").glob("*/bundle.json")} == {
        "fold_0",
        "fold_1",
    }
    assert any("on " in log.read_text() for log in (home / "logs").glob("*.txt"))
