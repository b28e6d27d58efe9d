"""`autoseg status`: one workspace with every run, several with a line each, and nothing heavy loaded for that."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from oracles.commands import autoseg as command
from oracles.version_0_1 import copy_of_0_1

import autoseg
from autoseg.exporting.archive import write_archive
from autoseg.exporting.found import find_exports
from autoseg.postprocessing.selection import SelectedModel, read_selection, write_selection

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copied(here: Path, name: str) -> Path:
    return Path(shutil.copytree(STORED, here / "runs" / name))


def test_one_workspace_is_told_with_its_runs_and_the_next_command(here: Path) -> None:
    copied(here, "one")
    told = command("status").told
    assert "preprocessed  4 of 4 labelled scans" in told
    assert "unet       scored  interrupted, epoch" in told.replace("network  ", "network")
    assert told.rstrip().splitlines()[-1].startswith("autoseg train --arch unet --fold 1")
    assert "--workspace" not in told
    document = command("status", "--json").document
    (workspace,) = document["workspaces"]
    assert [run["stage"] for run in workspace["runs"]].count("scored") == 3
    assert workspace["next"]["command"].startswith("autoseg train")


def test_several_workspaces_have_a_line_each(here: Path) -> None:
    copied(here, "one")
    (copied(here, "two") / "plan.json").write_text("[]")
    lines = command("status").told.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["runs/one", "runs/two"]
    assert "correct the named file" in lines[3]
    named = command("status", "-w", "runs/one").told
    assert named.rstrip().endswith("--workspace runs/one")


def test_folds_are_those_that_are_stored(here: Path) -> None:
    path = copied(here, "one") / "splits.json"
    assert ", 2 folds, " in command("status").told
    splits = json.loads(path.read_text())
    path.write_text(json.dumps({**splits, "folds": [*splits["folds"], splits["folds"][0]]}))
    assert ", 3 folds, " in command("status").told


def test_it_is_a_function_too(here: Path) -> None:
    (standing,) = autoseg.status(copied(here, "one")).workspaces
    assert standing.status.preprocessed == 4
    assert standing.next.command


def test_exported_models_are_known_by_their_weights(here: Path) -> None:
    write_archive(here / "mine.autoseg", {"a.safetensors": b"a", "b.safetensors": b"b", "c.txt": b"c"})
    write_archive(here / "other.autoseg", {"c.safetensors": b"c"})
    (here / "broken.autoseg").write_bytes(b"PK")
    a, b = (hashlib.sha256(content).hexdigest() for content in (b"a", b"b"))
    found = find_exports((here, here), trained={a, b}, in_use={a, b}, selection=here / "selection.json")
    assert [(export.path.name, export.current) for export in found] == [("mine.autoseg", True)]
    for in_use in ({a, "0" * 64}, {a, b, "0" * 64}, {a}, set[str]()):
        (export,) = find_exports((here,), trained={a}, in_use=in_use, selection=here / "selection.json")
        assert not export.current
    assert find_exports((here,), trained={"0" * 64}, in_use=set(), selection=here / "selection.json") == ()


def exported(workspace: Path) -> list[tuple[str, bool]]:
    """The exported models that `status` finds, and whether they count as current."""
    (standing,) = autoseg.status(workspace).workspaces
    return [(export.path.name, export.current) for export in standing.exports]


def test_exported_models_are_current_only_with_what_is_decided_now(here: Path) -> None:
    workspace = copy_of_0_1(here / "v0_1") / "workspace"
    file = workspace / "selection.json"
    autoseg.export(here / "chosen.autoseg", workspace=workspace, events=autoseg.silent)
    chosen = file.read_bytes()
    file.unlink()
    autoseg.export(here / "all.autoseg", workspace=workspace, events=autoseg.silent)
    assert exported(workspace) == [("all.autoseg", True), ("chosen.autoseg", False)]
    assert "chosen.autoseg (other networks or postprocessing than predict now)" in command("status", "-w", workspace).told
    file.write_bytes(chosen)
    assert exported(workspace) == [("all.autoseg", False), ("chosen.autoseg", True)]
    edited = json.loads(chosen)
    edited["postprocessing"] = [{"kind": "fill_holes", "label": None}]
    file.write_text(json.dumps(edited))
    assert exported(workspace) == [("all.autoseg", False), ("chosen.autoseg", False)]


def test_an_export_of_before_the_selection_of_the_same_networks_is_not_current(here: Path) -> None:
    workspace = copy_of_0_1(here / "v0_1") / "workspace"
    selection = read_selection(workspace / "selection.json")
    (workspace / "selection.json").unlink()
    autoseg.export(here / "before.autoseg", workspace=workspace, events=autoseg.silent)
    (standing,) = autoseg.status(workspace).workspaces
    finished = [run for run in standing.status.runs if run.finished]
    models = [{**run.model.__dict__, "weights_sha256": run.weights_sha256} for run in finished]
    same = selection.model_copy(update={"models": tuple(SelectedModel.model_validate(model) for model in models)})
    write_selection(same, workspace / "selection.json")
    assert exported(workspace) == [("before.autoseg", False)]
    autoseg.export(here / "before.autoseg", workspace=workspace, force=True, events=autoseg.silent)
    assert exported(workspace) == [("before.autoseg", True)]


def test_no_network_is_loaded_for_it(here: Path) -> None:
    copied(here, "one")
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom autoseg.cli.app import app\n"
        "result = CliRunner().invoke(app, ['status'])\nassert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'matplotlib'} & set(sys.modules)\nsys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
