"""The commands of the page on a few drawn slices, on the phantom with one slice in ten."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from oracles.commands import autoseg as command
from oracles.few_labels import with_few_labels

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "few-labels.md"


@pytest.fixture
def home(cohort: Path, tmp_path: Path) -> Path:
    """A folder with drawn scans, a new one, and what it is judged by."""
    drawn = with_few_labels(cohort, tmp_path / "drawn")
    for folder in ("new_scans", "references"):
        (tmp_path / folder).mkdir()
    shutil.copy(drawn / "Training_Set" / "IBSR_01" / "IBSR_01.nii.gz", tmp_path / "new_scans")
    shutil.copy(drawn / "Training_Set" / "IBSR_01" / "IBSR_01_seg.nii.gz", tmp_path / "references")
    return tmp_path


def shorten(path: Path) -> None:
    """Leave a few steps of a small network."""
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"] |= {"steps_per_epoch": 3, "epochs": 1, "minutes": None}
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")


@pytest.mark.slow
def test_the_commands_run_as_shown(home: Path) -> None:
    lines = re.findall(r"^autoseg (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    said = {}
    for line in lines:
        name, *arguments = shlex.split(line)
        said[name] = command(name, *arguments, cwd=home, environment={"OMP_NUM_THREADS": "1"})
        if name == "plan":
            (path,) = (home / "runs").glob("*/plan.json")
            shorten(path)
    assert list(said) == ["check", "plan", "train", "select", "predict", "evaluate"]
    assert "4 of 6 cases in part, in 12 of 96 slices" in " ".join(said["check"].told.split())
    assert "labelled in part" in " ".join(said["plan"].told.split())
    assert (home / "results" / "IBSR_01.nii.gz").exists()
    scores = json.loads((home / "results" / "evaluation" / "summary.json").read_text(encoding="utf-8"))
    assert [label["class"] for label in scores["classes"]] == ["CSF", "GM", "WM"]
    assert all(label["metrics"]["assd_mm"]["mean"] is None for label in scores["classes"])
