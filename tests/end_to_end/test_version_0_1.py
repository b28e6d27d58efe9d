"""What version 0.1 stored opens, predicts the same, and goes on as it was begun."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
from autoseg.planning.plan import read_plan
from autoseg.training.batches import TrainingBatch
from autoseg.training.history import read_history
from autoseg.training.learner import Learner, StepResult

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
EXPECTED: dict[str, Any] = json.loads((STORED / "expected.json").read_text())
ON_A_CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A copy of what was stored, with its data where the copy is."""
    root = tmp_path / "v0_1"
    shutil.copytree(STORED, root)
    dataset = root / "workspace" / "dataset.json"
    dataset.write_text(dataset.read_text().replace('"/data', f'"{root}/data'))
    return root


def test_the_plan_is_read_as_it_was_planned_or_edited() -> None:
    assert not read_plan(STORED / "workspace" / "plan.json").edited
    assert not read_plan(STORED / "plan_as_planned.json").edited
    assert read_plan(STORED / "plan_edited.json").edited


def test_the_selection_predicts_the_same(stored: Path, tmp_path: Path) -> None:
    done = autoseg.predict(stored / "data" / "Test_Set", tmp_path / "new", workspace=stored / "workspace", **ON_A_CPU)
    assert done.models == ("sepres/fold_0",)
    assert_same_label_map(tmp_path / "new", STORED / "results")


def test_everything_trained_predicts_the_same(stored: Path, tmp_path: Path) -> None:
    (stored / "workspace" / "selection.json").unlink()
    done = autoseg.predict(stored / "data" / "Test_Set", tmp_path / "new", workspace=stored / "workspace", **ON_A_CPU)
    assert len(done.models) == 3
    assert_same_label_map(tmp_path / "new", STORED / "results_unselected")


def test_the_exported_model_predicts_the_same(tmp_path: Path) -> None:
    autoseg.predict(STORED / "data" / "Test_Set", tmp_path / "new", model=STORED / "model.autoseg", **ON_A_CPU)
    assert_same_label_map(tmp_path / "new", STORED / "results")


def test_the_exported_model_is_described() -> None:
    assert autoseg.info(STORED / "model.autoseg").description.plan.inputs.name == "phantom"


def test_results_of_before_are_not_predicted_again(stored: Path) -> None:
    done = autoseg.predict(stored / "data" / "Test_Set", stored / "results", workspace=stored / "workspace", **ON_A_CPU)
    assert done.skipped == ("IBSR_05",)


def test_finished_models_are_neither_trained_nor_scored_again(stored: Path) -> None:
    folder = stored / "workspace" / "models" / "unet" / "fold_0"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    [model] = autoseg.train("unet", fold=0, workspace=stored / "workspace", seed=EXPECTED["seed"], **ON_A_CPU).models
    assert not model.trained_now
    assert model.summary is not None
    assert {path: path.read_bytes() for path in before} == before


def test_the_interrupted_run_goes_on_as_it_was_begun(stored: Path, steps: list[dict[str, Any]]) -> None:
    workspace = stored / "workspace"
    [model] = autoseg.train("unet", fold=1, workspace=workspace, seed=EXPECTED["seed"], **ON_A_CPU).models
    assert model.epochs == 8
    assert model.summary is not None
    for step, expected in zip(steps, EXPECTED["batches"], strict=False):
        assert step["sources"] == expected["sources"]
        assert step["labels"] == expected["labels"]
        assert step["corner"] == pytest.approx(expected["corner"], abs=1e-4)
        assert step["mean"] == pytest.approx(expected["mean"], abs=1e-4)
        assert step["std"] == pytest.approx(expected["std"], abs=1e-4)
        assert step["rate"] == pytest.approx(expected["rate"], rel=1e-9)
        assert step["loss"] == pytest.approx(expected["loss"], abs=1e-3)
    second = read_history(model.folder / "history.csv")[1]
    for name in ("training_loss", "validation_loss"):
        assert second[name] == pytest.approx(EXPECTED["next_epoch"][name], abs=1e-3)


def test_select_report_and_export_work_on_it(stored: Path, tmp_path: Path) -> None:
    workspace = stored / "workspace"
    before = json.loads((workspace / "selection.json").read_text())
    selected = autoseg.select(workspace)
    assert [model.architecture for model in selected.selection.models] == ["sepres"]
    assert selected.selection.score.dice.mean == pytest.approx(before["score"]["dice"]["mean"], abs=1e-6)
    assert autoseg.report(workspace, output=tmp_path / "report").page.exists()
    autoseg.export(tmp_path / "new.autoseg", workspace=workspace)
    autoseg.predict(STORED / "data" / "Test_Set", tmp_path / "new", model=tmp_path / "new.autoseg", **ON_A_CPU)
    assert_same_label_map(tmp_path / "new", STORED / "results")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What each optimiser step sees, from the first one on."""
    seen: list[dict[str, Any]] = []
    step = Learner.step

    def watched(self: Learner, batch: TrainingBatch, *, rate: float, number: int) -> StepResult:
        result = step(self, batch, rate=rate, number=number)
        images = batch.images.double()
        seen.append(
            {
                "sources": [list(source) for source in batch.sources],
                "mean": float(images.mean()),
                "std": float(images.std()),
                "corner": [float(value) for value in images[:, 0, 11, 9]],
                "labels": [int((batch.labels == index).sum()) for index in range(4)],
                "rate": rate,
                "loss": result.loss,
            }
        )
        return result

    monkeypatch.setattr(Learner, "step", watched)
    yield seen
    assert len(seen) >= len(EXPECTED["batches"])


def assert_same_label_map(found: Path, expected: Path) -> None:
    one, other = (sitk.ReadImage(str(folder / "IBSR_05.nii.gz")) for folder in (found, expected))
    assert one.GetOrigin() == other.GetOrigin()
    assert one.GetDirection() == other.GetDirection()
    assert one.GetSpacing() == other.GetSpacing()
    labels, before = sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other)
    undecided = np.unpackbits(np.load(expected / "undecided.npy"), count=before.size).astype(bool).reshape(before.shape)
    assert undecided.mean() < 0.01
    np.testing.assert_array_equal(labels[~undecided], before[~undecided])
