"""`train --fold official`: learn from `Training_Set`, watch `Validation_Set`, as the paper did."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from oracles.commands import autoseg

TRAIN = ("train", "--fold", "official", "--epochs", "2", "--precision", "float32")


@pytest.fixture(scope="module")
def home(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which the paper's recipe was planned and trained for two epochs."""
    folder = tmp_path_factory.mktemp("home")
    for arguments in (("plan", str(cohort), "--recipe", "paper"), TRAIN):
        autoseg(*arguments, cwd=folder)
    return folder


def model(home: Path) -> Path:
    return home / "runs" / "IBSR18" / "models" / "unet" / "fold_official"


def members(cohort: Path, subset: str) -> list[str]:
    return sorted(path.name for path in (cohort / subset).iterdir())


def test_it_learns_from_the_training_set_and_watches_the_validation_set(home: Path, cohort: Path) -> None:
    provenance = json.loads((model(home) / "bundle.json").read_text(encoding="utf-8"))["provenance"]
    assert sorted(provenance["training_cases"]) == members(cohort, "Training_Set")
    assert sorted(provenance["validation_cases"]) == members(cohort, "Validation_Set")


def test_it_scores_the_validation_set(home: Path, cohort: Path) -> None:
    with (model(home) / "validation" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted({row["case"] for row in rows}) == members(cohort, "Validation_Set")
    with (model(home) / "history.csv").open(encoding="utf-8") as stream:
        assert all(float(row["validation_loss"]) > 0 for row in csv.DictReader(stream))


def test_a_data_set_without_a_labelled_validation_set_has_none(cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "IBSR18"
    shutil.copytree(cohort, copy)
    for path in (copy / "Validation_Set").glob("*/*_seg.nii.gz"):
        path.unlink()
    autoseg("plan", "IBSR18", cwd=tmp_path)
    assert "no labelled validation set" in autoseg(*TRAIN, cwd=tmp_path, expect=5).said
    assert not (tmp_path / "runs" / "IBSR18" / "models" / "unet" / "fold_official" / "bundle.json").exists()
