"""The paper's experiment as commands: `plan --recipe paper`, then `train --fold official`."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from oracles.commands import autoseg

TRAIN = ("train", "--fold", "official", "--epochs", "1", "--precision", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def workspace(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after both commands; between them the plan was edited to a smaller network and shorter epochs."""
    folder = tmp_path_factory.mktemp("workspace")
    autoseg("plan", str(cohort), "--recipe", "paper", "-w", str(folder))
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    plan["network"]["features"] = [4, 8]
    plan["training"]["steps_per_epoch"] = 2
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    autoseg(*TRAIN, "-w", str(folder))
    return folder


def model(workspace: Path) -> Path:
    return workspace / "models" / "unet" / "fold_official"


def members(cohort: Path, subset: str) -> set[str]:
    return {path.name for path in (cohort / subset).iterdir()}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_it_learns_from_the_training_set_and_watches_the_validation_set(workspace: Path, cohort: Path) -> None:
    provenance = json.loads((model(workspace) / "bundle.json").read_text(encoding="utf-8"))["provenance"]
    assert len(provenance["training_cases"]) == 4
    assert set(provenance["training_cases"]) == members(cohort, "Training_Set")
    assert len(provenance["validation_cases"]) == 2
    assert set(provenance["validation_cases"]) == members(cohort, "Validation_Set")
    (epoch,) = rows(model(workspace) / "history.csv")
    assert float(epoch["validation_loss"]) > 0


def test_it_predicts_and_scores_the_validation_set(workspace: Path, cohort: Path) -> None:
    held_out = members(cohort, "Validation_Set")
    validation = model(workspace) / "validation"
    assert {path.name for path in validation.glob("*.nii.gz")} == {f"{case}.nii.gz" for case in held_out}
    scores = rows(validation / "metrics.csv")
    assert {row["case"] for row in scores} == held_out
    assert {row["class"] for row in scores} == {"CSF", "GM", "WM"}


@pytest.mark.parametrize("missing", ["*/*_seg.nii.gz", ""], ids=["without labels", "without scans"])
def test_without_a_labelled_validation_set_it_refuses(cohort: Path, tmp_path: Path, missing: str) -> None:
    copy = tmp_path / "IBSR18"
    shutil.copytree(cohort, copy)
    if missing:
        for path in (copy / "Validation_Set").glob(missing):
            path.unlink()
    else:
        shutil.rmtree(copy / "Validation_Set")
    autoseg("plan", str(copy), "--recipe", "paper", "-w", str(tmp_path / "run"))
    assert "no labelled validation set" in autoseg(*TRAIN, "-w", str(tmp_path / "run"), expect=5).said
    assert not (tmp_path / "run" / "models").exists()
