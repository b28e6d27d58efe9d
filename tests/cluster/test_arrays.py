"""Job arrays of SLURM as docs/how-to/cluster.md shows them: on a new workspace, on failing nodes, preempted, out of time."""

import json
import re
import shutil
from pathlib import Path

import pytest
from oracles.slurm import Slurm

import autoseg
from autoseg.training.run_state import read_state

pytestmark = pytest.mark.gate

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "cluster.md"
PATIENCE_S = 240
ENDLESS = 100_000
"""Epochs of runs that no test waits for."""


@pytest.fixture(scope="module")
def planned(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set and a workspace where only a plan is."""
    home = tmp_path_factory.mktemp("planned")
    shutil.copytree(cohort, home / "IBSR18")
    autoseg.plan(home / "IBSR18", workspace=home / "runs" / "IBSR18", folds=2)
    set_training(home, steps_per_epoch=2, epochs=2, minutes=None)
    return home


@pytest.fixture
def home(planned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(planned, tmp_path / "home"))


def set_training(home: Path, **values: int | None) -> None:
    path = home / "runs" / "IBSR18" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"].update(values)
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")


def script(home: Path, *, srun: bool = False, **directives: str) -> str:
    """The page's script, with other values of some directives; gives its name."""
    (shown,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for name, value in directives.items():
        shown, found = re.subn(rf"(#SBATCH --{name})=.*", rf"\1={value}", shown)
        assert found == 1
    if srun:
        shown = shown.replace("exec autoseg", "exec srun autoseg")
    (home / "train.sh").write_text(shown, encoding="utf-8")
    return "train.sh"


def said(home: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in sorted(home.glob("train-*.txt")))


def epochs(home: Path, fold: int) -> int:
    """Epochs stored so far."""
    state = read_state(home / "runs" / "IBSR18" / "models" / "unet" / f"fold_{fold}")
    return 0 if state is None else len(state.epochs)


def is_finished(home: Path, fold: int) -> bool:
    state = read_state(home / "runs" / "IBSR18" / "models" / "unet" / f"fold_{fold}")
    return state is not None and state.finished


def goes_on(home: Path, job: str, slurm: Slurm, *, fold: int, after: int) -> None:
    """Wait until a run that was begun again has gone on after an epoch."""
    slurm.until(lambda: epochs(home, fold) > after, job, patience_s=PATIENCE_S)
    assert f"unet, fold {fold}: continuing after epoch {after}" in said(home)


def test_an_array_on_a_workspace_without_arrays(slurm: Slurm, home: Path) -> None:
    job = slurm.submit("--array=0-1", script(home), cwd=home)
    slurm.wait(job, "COMPLETED", patience_s=PATIENCE_S)
    assert [is_finished(home, fold) for fold in (0, 1)] == [True, True], said(home)


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_a_run_goes_on_elsewhere_when_its_node_dies(slurm: Slurm, home: Path) -> None:
    set_training(home, epochs=ENDLESS)
    job = slurm.submit("--array=0", script(home), cwd=home)
    slurm.until(lambda: epochs(home, 0) > 0, job, patience_s=PATIENCE_S)
    node = slurm.field(f"{job}_0", "NodeList")
    slurm.kill_node(node)
    stored = epochs(home, 0)
    try:
        goes_on(home, job, slurm, fold=0, after=stored)
        assert slurm.field(f"{job}_0", "Restarts") == "1"
        assert slurm.field(f"{job}_0", "NodeList") != node
    finally:
        slurm.revive_node(node)
        slurm.cancel(job)


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.parametrize("srun", [False, True])
def test_a_run_that_is_preempted_is_requeued_and_goes_on(slurm: Slurm, home: Path, srun: bool) -> None:
    set_training(home, epochs=ENDLESS)
    job = slurm.submit("--array=0-1", "--cpus-per-task=2", script(home, srun=srun), cwd=home)
    slurm.until(lambda: min(epochs(home, fold) for fold in (0, 1)) > 0, job, patience_s=PATIENCE_S)
    other = slurm.submit("--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap", "true", cwd=home)
    slurm.until(lambda: slurm.jobs(other)[other] == "COMPLETED", job, patience_s=PATIENCE_S)
    stored = [epochs(home, fold) for fold in (0, 1)]
    for fold in (0, 1):  # nothing but the epoch under way was lost
        goes_on(home, job, slurm, fold=fold, after=stored[fold])
        assert slurm.field(f"{job}_{fold}", "Restarts") == "1"
    slurm.cancel(job)


@pytest.mark.slow  # the gate has three minutes for clusters
def test_a_run_longer_than_its_time_limit_is_requeued_in_time(slurm: Slurm, home: Path) -> None:
    set_training(home, epochs=ENDLESS)
    job = slurm.submit("--array=0", script(home, time="60", signal="B:USR1@290"), cwd=home)
    slurm.until(lambda: epochs(home, 0) > 0, job, patience_s=PATIENCE_S)
    slurm.ask("scontrol", "update", f"JobId={job}_0", "TimeLimit=5")
    slurm.until(lambda: "is requeued" in said(home), job, patience_s=PATIENCE_S)
    slurm.ask("scontrol", "update", f"JobId={job}_0", "TimeLimit=60")
    goes_on(home, job, slurm, fold=0, after=epochs(home, 0))
    slurm.cancel(job)


@pytest.mark.slow  # the gate has three minutes for clusters
def test_a_job_that_is_cancelled_does_not_come_back(slurm: Slurm, home: Path) -> None:
    set_training(home, epochs=ENDLESS)
    job = slurm.submit("--array=0", script(home, srun=True), cwd=home)
    slurm.until(lambda: epochs(home, 0) > 0, job, patience_s=PATIENCE_S)
    slurm.cancel(job)
    assert slurm.jobs(job) == {f"{job}_0": "CANCELLED"}
    assert not (home / "runs" / "IBSR18" / "models" / "unet" / "fold_0" / ".lock").exists()
