"""The commands of the page on GPUs, with the processor in the place of each GPU."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from oracles.commands import autoseg as command

import autoseg

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-a-gpu.md"
PROCESSOR = {"cuda:0,1": "cpu,cpu", "cuda:1": "cpu"}


@pytest.fixture
def home(cohort: Path, tmp_path: Path) -> Path:
    """A folder with a workspace, whose runs have an epoch of a few steps, and two new scans."""
    autoseg.plan(cohort, workspace=tmp_path / "runs" / "IBSR18", folds=2)
    path = tmp_path / "runs" / "IBSR18" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"] |= {"steps_per_epoch": 3, "epochs": 1, "minutes": None}
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")
    (scan,) = (cohort / "Test_Set").glob("*/*.nii.gz")
    (tmp_path / "new_scans").mkdir()
    for name in ("one", "two"):
        shutil.copy(scan, tmp_path / "new_scans" / f"{name}.nii.gz")
    return tmp_path


@pytest.mark.slow
def test_the_commands_run_as_shown(home: Path) -> None:
    lines = re.findall(r"^autoseg (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    said = []
    for line in lines:
        arguments = [PROCESSOR.get(word, word) for word in shlex.split(line)]
        assert arguments != shlex.split(line), "a command of this page names GPUs"
        said.append(command(*arguments, cwd=home, environment={"OMP_NUM_THREADS": "1"}))
    assert [line.split()[0] for line in lines] == ["train", "train", "predict"]
    models = sorted(path.parent.name for path in (home / "runs" / "IBSR18" / "models").glob("*/fold_*"))
    assert models == ["sepres", "unet", "unet"]
    assert "training on cpu" in said[1].said
    results = {path.name for path in (home / "results").iterdir()}
    assert results >= {"one.nii.gz", "predictions.csv", "two.nii.gz"}
