"""The page on correcting runs as shown: the person is played by the reference label maps."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from oracles.commands import autoseg as command

import autoseg
from autoseg.data.phantom import PhantomSettings, write_cohort
from autoseg.model.description import read_document

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "correct-and-learn.md"
SMALL = (40, 24, 40)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace whose runs have an epoch of a few steps, new scans, and what is right for these."""
    write_cohort(tmp_path / "IBSR18", PhantomSettings(training=5, validation=0, test=0, shape=SMALL))
    for name in ("new_scans", "right"):
        (tmp_path / name).mkdir()
    for number, name in ((4, "anna"), (5, "ben")):
        folder = tmp_path / "IBSR18" / "Training_Set" / f"IBSR_{number:02d}"
        shutil.move(folder / f"{folder.name}.nii.gz", tmp_path / "new_scans" / f"{name}.nii.gz")
        shutil.move(folder / f"{folder.name}_seg.nii.gz", tmp_path / "right" / f"{name}.nii.gz")
        folder.rmdir()
    autoseg.plan(tmp_path / "IBSR18", workspace=tmp_path / "runs" / "IBSR18", folds=2, events=autoseg.silent)
    path = tmp_path / "runs" / "IBSR18" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"] |= {"steps_per_epoch": 3, "epochs": 1, "minutes": None}
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan), encoding="utf-8")
    return tmp_path


@pytest.mark.gate  # five commands on three scans take six seconds
def test_the_commands_run_as_shown(home: Path) -> None:
    lines = [
        shlex.split(line) for line in re.findall(r"^autoseg (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert [line[0] for line in lines] == ["predict", "queue", "adopt", "train", "predict"]
    command("train", "--fold", "0", "--quiet", cwd=home)
    predict, queue, adopt, train, again = lines
    command(*predict, cwd=home)
    first = json.loads(command(*queue, "--json", cwd=home).told)["scans"][0]
    shutil.copy(home / "right" / f"{first['case']}.nii.gz", home / first["label_map"])
    answer = json.loads(command(*adopt, "--by", "Person", "--json", cwd=home).told)
    assert (answer["revision"], [case["case"] for case in answer["cases"]]) == (1, [first["case"]])
    assert answer["behind"] == ["unet/fold_0"]
    assert json.loads(command(*queue, "--json", cwd=home).told)["scans"][1]["state"] == "adopted"
    assert "models are behind the data" in command("select", cwd=home, expect=6).said
    command("predict", "new_scans", "meanwhile", cwd=home)
    command("report", "--quiet", cwd=home)
    command(*train, cwd=home)
    command(*again, cwd=home)
    made = read_document(home / "runs" / "IBSR18" / "models" / "unet" / "fold_0").provenance
    assert made.revision == 1
    learnt = first["case"] in made.training_cases
    assert len(made.adopted_sha256) == learnt
    assert made.corrected_sha256 == ()
    command("export", "model.autoseg", cwd=home)
    assert ("1 label map predicted by a model" in command("info", "model.autoseg", cwd=home).told) == learnt
    assert b"Person" not in (home / "model.autoseg").read_bytes()
