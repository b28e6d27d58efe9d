"""`autoseg status`: one workspace with every run, several with a line each, and nothing heavy loaded for that."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from oracles.commands import autoseg as command

import autoseg
from autoseg.exporting.archive import write_archive
from autoseg.exporting.found import find_exports

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


def test_it_is_a_function_too(here: Path) -> None:
    (standing,) = autoseg.status(copied(here, "one")).workspaces
    assert standing.status.preprocessed == 4
    assert standing.next.command


def test_exported_models_are_known_by_their_weights(here: Path) -> None:
    write_archive(here / "mine.autoseg", {"a.txt": b"a", "b.txt": b"b"})
    write_archive(here / "other.autoseg", {"c.txt": b"c"})
    (here / "broken.autoseg").write_bytes(b"PK")
    a, b = (hashlib.sha256(content).hexdigest() for content in (b"a", b"b"))
    found = find_exports((here, here), trained={a, b}, in_use={a, b})
    assert [(export.path.name, export.current) for export in found] == [("mine.autoseg", True)]
    (export,) = find_exports((here,), trained={a}, in_use={a, "0" * 64})
    assert not export.current
    assert find_exports((here,), trained={"0" * 64}, in_use=set()) == ()


def test_no_network_is_loaded_for_it(here: Path) -> None:
    copied(here, "one")
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom autoseg.cli.app import app\n"
        "result = CliRunner().invoke(app, ['status'])\nassert result.exit_code == 0, result.output\n"
        "heavy = {'torch', 'matplotlib'} & set(sys.modules)\nsys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
