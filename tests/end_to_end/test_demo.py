"""`autoseg demo`: the README's first command, with seconds of training instead of minutes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def demo(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoseg", "demo", "--minutes", "0.05", "--jobs", "1", "--json", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_it_tells_the_whole_story_in_a_folder_of_its_own(home: Path) -> None:
    process = demo(home)
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert list(result) == ["plan", "train", "select", "predict", "evaluate", "report", "export"]
    folder = home / "autoseg-demo"
    assert [path.name for path in home.iterdir()] == ["autoseg-demo"]
    assert list((folder / "predictions").glob("*.nii.gz"))
    assert list((folder / "predictions" / "pictures").glob("*.png"))
    assert (folder / "evaluation" / "metrics.csv").exists()
    assert (folder / "run" / "report.html").exists()
    assert (folder / "phantom.autoseg").exists()
    assert (folder / "run" / "report" / "tables" / "table_3_dice.csv").exists()
    scores = result["train"]["models"][0]["scores"]
    assert result["evaluate"]["summary"]["mean"]["dice"] == pytest.approx(scores["mean"]["dice"])


def test_it_replaces_an_earlier_demonstration_and_nothing_else(home: Path) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "thesis.txt").write_text("years of work")
    refused = demo(home, "--folder", "mine")
    assert refused.returncode == 5
    assert "not an earlier demonstration" in refused.stderr
    assert (home / "mine" / "thesis.txt").exists()
