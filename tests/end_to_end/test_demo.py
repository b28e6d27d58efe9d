"""`autoseg demo`: the README's first command, with seconds of training instead of minutes."""

import json
import re
from pathlib import Path

import pytest
from oracles.commands import autoseg
from oracles.processes import Answer

pytestmark = pytest.mark.gate


def demo(cwd: Path, *arguments: str, expect: int = 0, data: bool = True) -> Answer:
    form = ("--json",) if data else ()
    return autoseg("demo", "--jobs", "1", *form, "--minutes", "0.05", *arguments, cwd=cwd, expect=expect)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def test_it_tells_the_whole_story_in_a_folder_of_its_own(home: Path) -> None:
    answer = demo(home)
    assert "unet, fold 0 is probably far from converged: " in answer.said
    assert "its time was up after" in answer.said
    assert "of 264 steps" in answer.said
    steps = re.findall(r"^(\d)/8 (\w+): \S.*$", answer.said, flags=re.MULTILINE)
    names = ("cohort", "plan", "train", "select", "predict", "evaluate", "report", "export")
    assert steps == [(str(number), name) for number, name in enumerate(names, start=1)]
    planned = answer.said.partition("2/8 plan")[2].partition("3/8 train")[0]
    assert 8 <= len([line for line in planned.splitlines() if line.startswith("    ")]) <= 12
    result = answer.document
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


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_the_whole_story_may_be_told_in_several_planes(home: Path) -> None:
    result = demo(home, "--planes", "coronal,axial").document
    assert [view["plane"] for view in result["plan"]["plan"]["views"]] == ["coronal", "axial"]
    assert list((home / "autoseg-demo" / "predictions").glob("*.nii.gz"))
    assert (home / "autoseg-demo" / "phantom.autoseg").exists()
    page = (home / "autoseg-demo" / "run" / "report.html").read_text(encoding="utf-8")
    assert "--planes coronal,axial" in page


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_as_long_as_it_takes_it_finds_every_class(home: Path) -> None:
    answer = demo(home, "--minutes", "100", data=False)
    run = home / "autoseg-demo" / "run"
    scores = json.loads((run / "models" / "unet" / "fold_0" / "validation" / "summary.json").read_text())
    assert scores["mean"]["dice"] > 0.85
    assert "far from converged" not in answer.said
    verdict, dice, link, place, following = answer.told.splitlines()
    assert verdict.endswith(".")
    of = r"the selection \(U-Net, fold 0, [^)]*postprocessed\)"
    assert re.fullmatch(rf"Dice over 2 held-out cases of {of}: CSF 0\.\d{{3}}, GM 0\.\d{{3}}, WM 0\.\d{{3}}", dice)
    assert link == f"Report: {(run / 'report.html').as_uri()}"
    assert "autoseg-demo/" in place
    assert "autoseg plan DATASET" in following


def test_it_replaces_an_earlier_demonstration_and_nothing_else(home: Path) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "thesis.txt").write_text("years of work")
    assert "not an earlier demonstration" in demo(home, "--folder", "mine", expect=5).said
    assert (home / "mine" / "thesis.txt").exists()
