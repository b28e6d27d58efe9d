"""A workspace that is not there is told before anything heavy is loaded, by every command that takes one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoseg.commands import COMMANDS, module_of, predict
from autoseg.errors import UsageError, WorkspaceError
from autoseg.events import Silent
from autoseg.options.declaration import options_of
from autoseg.runs.found import refuse_results_in, refuse_scans_in
from autoseg.runs.workspace import find_workspace

ARGUMENTS = {
    "predict": ("in", "out"),
    "queue": ("in",),
    "adopt": ("in",),
    "evaluate": ("in", "out"),
    "export": ("x.autoseg",),
}
MADE_BY_IT = {"plan", "doctor"}
"""Commands whose workspace need not be there."""


def taking_workspaces() -> list[str]:
    names = [name for name in COMMANDS if "workspace" in {each.name for each in options_of(module_of(name).COMMAND.options)}]
    return [name for name in names if name not in MADE_BY_IT]


@pytest.mark.parametrize("name", ["preprocess", "select", "train"])
def test_choices_that_contradict_one_another_are_refused_before_scans_are_compared(tmp_path: Path, name: str) -> None:
    (tmp_path / "plan.json").touch()
    command = module_of(name)
    choices = {"workspace": tmp_path, "data": tmp_path, "scheduler": "tcp://host:8786"}
    with pytest.raises(UsageError, match="a scheduler is named, and the executor is not dask"):
        command.run(command.COMMAND.options(**choices), Silent())


def test_every_command_says_so_without_loading_torch(tmp_path: Path) -> None:
    lines = [[name, *ARGUMENTS.get(name, ()), "-w", "runs/IBSR1"] for name in taking_workspaces()]
    assert len(lines) >= 9
    (tmp_path / "runs" / "IBSR18").mkdir(parents=True)
    (tmp_path / "runs" / "IBSR18" / "plan.json").touch()
    code = f"""
import sys
from click.testing import CliRunner
from autoseg.cli.app import app
for line in {lines}:
    told = CliRunner().invoke(app, line)
    assert told.exit_code == 5, (line, told.output)
    assert "runs/IBSR1: no such workspace" in told.stderr, (line, told.output)
    assert "Did you mean runs/IBSR18?" in told.stderr, (line, told.output)
    heavy = {{"torch", "matplotlib", "jinja2", "numpy", "pydantic", "SimpleITK"}} & set(sys.modules)
    assert not heavy, (line, heavy)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


def test_the_workspaces_that_there_are_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError) as none:
        find_workspace(Path("nope"))
    assert (none.value.found, none.value.remedy) == (None, "Run `autoseg plan DATASET` first.")
    for name in ("heads", "livers"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "plan.json").touch()
    with pytest.raises(WorkspaceError) as unlike:
        find_workspace(Path("nope"))
    assert unlike.value.found == "runs/heads, runs/livers"
    assert unlike.value.remedy.startswith("Choose one of these")
    with pytest.raises(WorkspaceError, match=r"Did you mean runs/livers\?"):
        find_workspace(Path("runs/liver"))
    with pytest.raises(WorkspaceError, match="there is no plan"):
        find_workspace(Path("runs"))


def test_results_do_not_go_among_the_files_of_a_workspace(tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    workspace.mkdir()
    (workspace / "plan.json").write_text("{}")
    refuse_results_in(workspace)  # a plan alone may lie beside results
    (workspace / "dataset.json").write_text("{}")
    with pytest.raises(UsageError, match="a workspace, not a folder for results"):
        predict.run(predict.PredictOptions(source=tmp_path, target=workspace), Silent())
    refuse_results_in(workspace / "results")
    assert sorted(path.name for path in workspace.iterdir()) == ["dataset.json", "plan.json"]


def test_files_of_a_workspace_are_no_scans(tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    validation = workspace / "models" / "unet" / "fold_0" / "validation"
    validation.mkdir(parents=True)
    (validation / "a.nii.gz").touch()
    (workspace / "plan.json").write_text("{}")
    refuse_scans_in(validation)  # of a plan alone nobody knows
    (workspace / "dataset.json").write_text("{}")
    for place in (workspace, workspace / "models", validation, validation / "a.nii.gz"):
        with pytest.raises(UsageError, match=r"workspace.*, not scans"):
            predict.run(predict.PredictOptions(source=place, target=tmp_path / "out"), Silent())
    refuse_scans_in(workspace / "scans" / "models")
    refuse_scans_in(tmp_path)
