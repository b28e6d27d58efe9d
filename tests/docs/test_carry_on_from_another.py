"""The commands of the page on carrying models on that start from another model."""

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

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "carry-on.md"


def write_decathlon(folder: Path) -> None:
    """Scans of another cohort with a class more, as the Medical Decathlon arranges them."""
    write_cohort(folder, PhantomSettings(training=3, test=0, shape=(40, 24, 40), rare_class=True, seed=5))
    for name, ending in (("imagesTr", ""), ("labelsTr", "_seg")):
        (folder / name).mkdir()
        for scan in (folder / "Training_Set").iterdir():
            (scan / f"{scan.name}{ending}.nii.gz").rename(folder / name / f"{scan.name}.nii.gz")
    shutil.rmtree(folder / "Training_Set")
    labels = dict(enumerate(("background", "CSF", "GM", "WM", "lesion")))
    (folder / "dataset.json").write_text(json.dumps({"modality": {"0": "T1"}, "labels": labels}), encoding="utf-8")


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    """A folder with a trained workspace, its models in a file, and a plan for scans that show another class."""
    shutil.copytree(trained, tmp_path / "runs" / "IBSR18")
    autoseg.export(tmp_path / "brain.autoseg", workspace=trained)
    write_decathlon(tmp_path / "NEW")
    autoseg.plan(tmp_path / "NEW", workspace=tmp_path / "runs" / "NEW", folds=2)
    path = tmp_path / "runs" / "NEW" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["training"] |= {"steps_per_epoch": 3, "epochs": 1, "minutes": None}
    path.write_text(json.dumps(plan), encoding="utf-8")
    return tmp_path


@pytest.mark.gate  # trains on two folds, on a busy machine for more than five seconds
def test_the_commands_run_as_shown(home: Path) -> None:
    lines = re.findall(r"^autoseg (.*--init .*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in lines:
        command(*shlex.split(line), cwd=home, environment={"OMP_NUM_THREADS": "1"})
    assert len(lines) == 2
    before = read_document(home / "runs/IBSR18/models/unet/fold_0")
    for fold in (0, 1):
        made = read_document(home / f"runs/NEW/models/unet/fold_{fold}").provenance.origin
        assert made is not None
        assert (made.weights_sha256, made.epochs) == (before.weights_sha256, before.provenance.epochs)
        assert (made.classes_kept, made.channels_kept) == (False, True)
        assert made.learnt_from == before.provenance.scans
