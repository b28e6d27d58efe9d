"""Commands whose work is done by the workers of a Dask scheduler: the same results, and nothing left, however they end."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracles.commands import autoseg
from oracles.dask_cluster import PATIENCE_S, Cluster, dask_cluster
from oracles.processes import eventually, finish, start, wait_until
from oracles.tiny_cases import write_tiny_cases

from autoseg.storage.files import sha256_file

pytestmark = pytest.mark.gate

POISON = """
import os, signal, sys

def hook(event, arguments):
    if event == "open" and "poison" in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)

arguments = " ".join(sys.orig_argv)
if "--multiprocessing-fork" in arguments or "autoseg.jobs.cluster.hosted" in arguments:
    sys.addaudithook(hook)
"""
"""Has processes that work for a command die over files of this name, as they would of a scan too large for the memory."""


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which files called poison are deadly."""
    folder = tmp_path_factory.mktemp("poison")
    (folder / "sitecustomize.py").write_text(POISON)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, poison: dict[str, str]) -> Iterator[Cluster]:
    with dask_cluster(tmp_path_factory.mktemp("cluster"), environment=poison) as found:
        yield found


def digests(folder: Path, *patterns: str) -> dict[str, str]:
    """Digests of the files of a folder whose names fit one of some patterns."""
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for pattern in patterns
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


def test_dask_writes_what_local_writes(
    cluster: Cluster, cohort: Path, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = shutil.copytree(workspace, tmp_path / "elsewhere")
    places = ((workspace, ("--jobs", "1")), (elsewhere, cluster.options))
    made = []
    for folder, where in places:
        shutil.rmtree(folder / "preprocessed")
        name = folder.name
        autoseg("check", str(cohort), *where)
        autoseg("plan", str(cohort), "-w", name, "--folds", "2", *where)
        autoseg("preprocess", "-w", name, *where)
        autoseg("select", "-w", name, *where)
        autoseg("predict", str(cohort / "Validation_Set"), f"{name}/out", "-w", name, "--precision", "float32", *where)
        pairs = f"{name}/selection", str(cohort / "Training_Set")
        autoseg("evaluate", *pairs, "-o", f"{name}/scores", "-w", name, *where, expect=7)  # two have no partner
        planned = {file: (folder / file).read_bytes() for file in ("plan.json", "fingerprint.json", "splits.json")}
        made.append(
            (
                planned,
                digests(folder / "preprocessed", "*.npy", "*.json"),
                digests(folder / "selection", "*"),
                digests(folder / "out", "*.nii.gz", "*.csv"),
                digests(folder / "scores", "*.csv", "*.json"),
            )
        )
    here, there = made
    assert here == there
    assert all(map(len, here))
    assert not cluster.hosted


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_runs_on_workers_are_trained_as_here_and_go_on(cluster: Cluster, workspace: Path, tmp_path: Path) -> None:
    for folder in ("fold_0", "fold_1"):
        shutil.rmtree(workspace / "models" / "unet" / folder)
    train = ("train", "--fold", "all", "-w", str(workspace), "--precision", "float32", "--epochs", "3", "--json")
    before = autoseg(*train, *cluster.options)
    assert [model["trained_now"] for model in before.document["models"]] == [True, True]
    assert "unet, fold 0: training on cpu in float32 on " in before.said
    again = autoseg(*train, *cluster.options)
    assert [model["trained_now"] for model in again.document["models"]] == [False, False]
    here = autoseg(*train, "--jobs", "1")
    assert here.document["models"] == again.document["models"]


@pytest.mark.parametrize("where", ["local", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_case_that_kills_every_process_is_named_and_the_others_are_done(
    cluster: Cluster, poison: dict[str, str], where: str, tmp_path: Path
) -> None:
    options = cluster.options if where == "dask" else ("--jobs", "2")
    data, run = tmp_path / "data", tmp_path / "run"
    write_tiny_cases(data, 12)
    autoseg("plan", str(data), "-w", str(run), "--jobs", "1")
    for folder, ending in (("imagesTr", "_0000.nii"), ("labelsTr", ".nii")):
        (data / folder / f"case_00003{ending}").rename(data / folder / f"poison{ending}")
    said = finish(start("check", str(data), *options, environment=poison), expect=3).said
    assert "1 problem in 1 case" in said
    assert "poison: 2 processes died that worked on it, the last one so: killed, SIGKILL" in said
    autoseg("plan", str(data), "-w", str(run), "--force", "--jobs", "1")
    failed = finish(start("preprocess", "-w", str(run), *options, environment=poison), expect=7).said
    assert "1 case failed, 11 succeeded and are written" in failed
    assert "poison: 2 processes died that worked on it" in failed
    assert len(list((run / "preprocessed").iterdir())) >= 11


@pytest.mark.slow  # the gate has twenty minutes for everything
@pytest.mark.parametrize("where", ["local", pytest.param("dask", marks=pytest.mark.slow)])
def test_a_scan_that_kills_every_process_is_named_and_the_others_are_segmented(
    cluster: Cluster, poison: dict[str, str], trained: Path, cohort: Path, where: str, tmp_path: Path
) -> None:
    options = cluster.options if where == "dask" else ("--jobs", "2")
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    source = next(path for path in (cohort / "Test_Set").rglob("*.nii.gz"))
    for name in ("a", "poison", "c"):
        shutil.copy(source, scans / f"{name}.nii.gz")
    predict = ("predict", str(scans), str(out), "-w", str(trained), "--precision", "float32", "--no-mirror", *options)
    said = finish(start(*predict, environment=poison), expect=7).said
    assert "1 case failed, 2 succeeded and are written" in said
    assert "poison: the process that segments it dies" in said
    assert {path.name for path in out.glob("*.nii.gz")} == {"a.nii.gz", "c.nii.gz"}
    assert [line.split(",")[0] for line in (out / "predictions.csv").read_text().splitlines()] == ["case", "a", "c"]


@pytest.mark.slow  # the gate has three minutes for clusters
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_no_process_is_left_on_workers_however_a_command_ends(
    cluster: Cluster, workspace: Path, stop: signal.Signals
) -> None:
    command = ("train", "--fold", "all", "-w", str(workspace), "--precision", "float32", "--epochs", "100000", "--restart")
    process = start(*command, *cluster.options)
    checkpoint = workspace / "models" / "unet" / "fold_0" / "checkpoint.json"
    before = checkpoint.stat().st_mtime_ns
    wait_until(lambda: checkpoint.exists() and checkpoint.stat().st_mtime_ns != before, process, patience_s=PATIENCE_S)
    assert len(cluster.hosted) == 2
    process.send_signal(stop)
    if stop == signal.SIGKILL:
        process.communicate(timeout=PATIENCE_S)
        eventually(lambda: not cluster.hosted, patience_s=PATIENCE_S)
    else:
        finish(process, expect=130)
        assert not cluster.hosted


@pytest.mark.slow  # the gate has three minutes for clusters
def test_a_worker_of_another_version_is_refused_by_name(cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\nv = m.version\nm.version = lambda name: '0.0.1' if name == 'autoseg' else v(name)\n"
    )
    with dask_cluster(tmp_path, workers=1, environment={"PYTHONPATH": str(tmp_path)}) as old:
        said = autoseg("check", str(cohort), *old.options, expect=9).said
    assert "a worker has another version of autoseg than this command" in said
    assert "found 0.0.1" in said
