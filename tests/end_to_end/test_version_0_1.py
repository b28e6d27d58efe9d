"""What version 0.1 stored opens, predicts the same, and goes on as it was begun."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from oracles.heard import Heard
from oracles.version_0_1 import STORED, copy_of_0_1

import autoseg
from autoseg.model.description import read_document
from autoseg.planning.overrides import parse_overrides
from autoseg.planning.plan import read_plan, write_plan
from autoseg.planning.planner import make_plan
from autoseg.planning.sections import Inputs
from autoseg.runs.workspace import Workspace
from autoseg.training.batches import TrainingBatch
from autoseg.training.history import read_history
from autoseg.training.learner import Learner, StepResult

EXPECTED: dict[str, Any] = json.loads((STORED / "expected.json").read_text())
NEUTRAL = (
    "prediction.padding=replicated", "prediction.prior_power=0",
    "augmentation.rotation_unit=px", "augmentation.noise_variance=0.1", "augmentation.noise_std=0",
    "augmentation.contrast_about=slice", "augmentation.brightness=[0.75,1.25]", "augmentation.brightness_shift=0",
    "training.optimiser=adamw", "training.seeding=batch",
    'preprocessing.normalisation=[{"method": "quantile_zscore", "clip": 10}]',
)  # fmt: skip
"""What version 0.1 took, or had no choice about: new plans take other values where they measured better."""

TINY = (
    *NEUTRAL,
    "network.features=[4, 8]", "network.convolutions=1", "views.batch_size=4", "training.steps_per_epoch=24",
    "training.class_weights=[1.0, 2.0, 1.5, 1.5]", "training.learning_rate=0.02", "training.epochs=8",
    "training.minutes=null", 'views.mirror_axes=["columns"]', 'views.tta_axes=["columns"]', "prediction.batch_size=8",
)  # fmt: skip
"""What the plan of the workspace has of its own."""

ON_A_CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A copy of what was stored, with its data where the copy is."""
    return copy_of_0_1(tmp_path / "v0_1")


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


def test_another_seed_takes_nobodys_place(stored: Path) -> None:
    fold = stored / "workspace" / "models" / "unet" / "fold_0"
    before = {path: path.read_bytes() for path in fold.rglob("*") if path.is_file() and path.name != ".lock"}
    choices: dict[str, Any] = {"workspace": stored / "workspace", "epochs": None, **ON_A_CPU}
    first, other = autoseg.train("unet", fold=0, seed=[EXPECTED["seed"], 0], **choices).models
    assert (first.trained_now, first.folder) == (False, fold)
    assert (other.trained_now, other.folder) == (True, fold / "seed_0")
    assert {path: path.read_bytes() for path in before} == before


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


def test_export_says_that_a_label_map_changed_since(stored: Path, tmp_path: Path) -> None:
    events = Heard()
    autoseg.export(tmp_path / "a.autoseg", workspace=stored / "workspace", events=events)
    assert not events.warnings
    [path, *_] = sorted((stored / "data" / "Training_Set").rglob("*_seg.nii.gz"))
    path.write_bytes(path.read_bytes() + b"\n")
    autoseg.export(tmp_path / "b.autoseg", workspace=stored / "workspace", events=events)
    assert events.warnings == ["changed since the models were trained: some cases. The scores in the file are of before"]


def test_planning_again_decides_the_same(stored: Path) -> None:
    before = read_plan(STORED / "plan_as_planned.json")
    shutil.copy(STORED / "plan_as_planned.json", stored / "workspace" / "plan.json")
    plan = autoseg.plan(
        stored / "data",
        workspace=stored / "workspace",
        name="phantom",
        folds=2,
        memory_gb=1.0,
        device="cpu",
        overrides=[*NEUTRAL, "training.learning_rate=0.002"],
    ).plan
    assert plan.digest == before.digest
    assert plan.is_identified_by(json.loads((STORED / "plan_as_planned.json").read_text())["planned_digest"])
    assert json.loads((stored / "workspace" / "plan.json").read_text())["version"] == 2


def test_planned_again_nothing_is_orphaned(stored: Path) -> None:
    workspace = Workspace(stored / "workspace")
    inputs = Inputs(
        name="phantom", recipe="auto", plane="auto", device="cpu", memory_gb=1.0, folds=2, overrides=parse_overrides(TINY)
    )
    before = workspace.plan()
    write_plan(make_plan(workspace.dataset(), workspace.fingerprint(), inputs), workspace.plan_file)
    assert workspace.plan().digest == before.digest
    assert not workspace.plan().edited
    done = autoseg.predict(stored / "data" / "Test_Set", stored / "results", workspace=workspace.root, **ON_A_CPU)
    assert (done.models, done.skipped) == (("sepres/fold_0",), ("IBSR_05",))
    [model] = autoseg.train("unet", fold=0, workspace=workspace.root, seed=EXPECTED["seed"], **ON_A_CPU).models
    assert not model.trained_now
    [resumed] = autoseg.train("unet", fold=1, workspace=workspace.root, seed=EXPECTED["seed"], **ON_A_CPU).models
    assert resumed.epochs == 8
    assert read_document(resumed.folder).plan_digest == before.digest
    assert [model.architecture for model in autoseg.select(workspace.root).selection.models]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What each optimiser step sees, from the first one on."""
    seen: list[dict[str, Any]] = []
    step = Learner.step

    def watched(self: Learner, batch: TrainingBatch, *, rate: float, **choices: Any) -> StepResult:
        result = step(self, batch, rate=rate, **choices)
        images = batch.images.double()
        seen.append(
            {
                "sources": [list(source) for source in batch.sources],
                "mean": float(images.mean()),
                "std": float(images.std()),
                "corner": [float(value) for value in images[:, 0, 11, 9]],
                "labels": [int((batch.labels == index).sum()) for index in range(4)],
                "rate": rate,
                "loss": float(result.loss),
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
