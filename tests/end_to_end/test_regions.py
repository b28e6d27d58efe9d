"""Regions through the commands, on a phantom whose tumour has a core with an enhancing part."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg as command
from oracles.phantom_tumour import REGIONS, TumourSettings, write_tumours

import autoseg
from autoseg.errors import PlanError
from autoseg.images.image import read_image, read_labels
from autoseg.inference.steps import apply_steps
from autoseg.postprocessing.selection import read_selection
from autoseg.runs.workspace import Workspace

SMALL = (40, 24, 40)


@pytest.fixture(scope="module")
def tumours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tumours") / "Dataset001_Tumour"
    write_tumours(root, TumourSettings(training=4, test=1, shape=SMALL))
    return root


@pytest.fixture(scope="module")
def finished(tumours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after some epochs of a small network on both folds, and its selection."""
    folder = tmp_path_factory.mktemp("regions") / "run"
    autoseg.plan(tumours, workspace=folder, folds=2, overrides=["network.features=[16,32]", "training.steps_per_epoch=20"])
    autoseg.train("unet", fold="all", workspace=folder, epochs=8, precision="float32")
    autoseg.select(workspace=folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def dice(prediction: Any, reference: Any, values: list[int]) -> float:
    found, wanted = np.isin(prediction, values), np.isin(reference, values)
    return float(2 * (found & wanted).sum() / (found.sum() + wanted.sum()))


@pytest.mark.gate  # trains two networks and selects: 15 s, and every later test needs them
def test_networks_learn_regions_and_are_scored_by_them(finished: Path, tumours: Path) -> None:
    plan = Workspace(finished).plan()
    assert [(label.name, label.values, label.order) for label in plan.data.classes[1:]] == [
        (name, tuple(values), order) for order, (name, values) in enumerate(REGIONS.items())
    ]
    fewer, more = plan.training.class_weights[1], plan.training.class_weights[3]
    assert 1 < fewer < more
    assert not plan.edited
    found = rows(finished / "selection" / "metrics.csv")
    assert {row["class"] for row in found} == set(REGIONS)
    for row in found:
        prediction = read_labels(finished / "selection" / f"{row['case']}.nii.gz").array
        reference = read_labels(tumours / "labelsTr" / f"{row['case']}.nii.gz").array
        assert set(np.unique(prediction)) <= {0, 1, 2, 3}
        assert float(row["dice"]) == pytest.approx(dice(prediction, reference, REGIONS[row["class"]]), abs=1e-6)
    whole = [float(row["dice"]) for row in found if row["class"] == "whole tumour"]
    assert np.mean(whole) > 0.2, "a few epochs find the whole tumour, on one processor better than on another"


@pytest.mark.gate
def test_predictions_say_what_regions_hold(finished: Path, tumours: Path, tmp_path: Path) -> None:
    autoseg.predict(tumours / "imagesTs", tmp_path, workspace=finished, probabilities=True, uncertainty=True)
    (row,) = rows(tmp_path / "predictions.csv")
    labels = read_labels(tmp_path / "tumour_05.nii.gz")
    for name, values in REGIONS.items():
        volume_ml = np.isin(labels.array, values).sum() * labels.geometry.voxel_volume_ml
        assert float(row[f"{name}_ml"]) == pytest.approx(volume_ml, abs=1e-3)
    probabilities = read_image([tmp_path / "probabilities" / "tumour_05.nii.gz"], channels=4).array
    np.testing.assert_allclose(probabilities[0], 1 - probabilities[1:].max(axis=0), atol=0.02)
    written = np.zeros_like(labels.array)
    for value in (1, 2, 3):
        written[probabilities[value] > 0.5] = value
    selection, classes = read_selection(finished / "selection.json"), Workspace(finished).plan().data.classes
    spacing_mm = labels.geometry.spacing_mm
    written = apply_steps(written, selection.postprocessing, spacing_mm=spacing_mm, classes=classes)
    np.testing.assert_array_equal(written, labels.array)
    (doubt,) = read_image([tmp_path / "uncertainty" / "tumour_05.nii.gz"], channels=1).array
    assert 0 <= doubt.min() <= doubt.max() <= 1
    nearest = np.abs(probabilities[1:] - 0.5).min(axis=0)
    assert doubt[nearest < 0.05].min(initial=1) > 0.97
    assert doubt[nearest > 0.49].max(initial=0) < 0.1


@pytest.mark.gate
def test_an_exported_model_and_its_report_know_regions(finished: Path, tumours: Path, tmp_path: Path) -> None:
    reported = autoseg.report(workspace=finished)
    assert reported is not None
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "These are regions" in page
    assert "a sigmoid for each region" in page
    autoseg.export(tmp_path / "tumour.autoseg", workspace=finished)
    said = command("info", "tumour.autoseg", cwd=tmp_path).told
    assert "regions that nest" in said
    autoseg.predict(tumours / "imagesTs", tmp_path / "by_file", model=tmp_path / "tumour.autoseg")
    autoseg.predict(tumours / "imagesTs", tmp_path / "here", workspace=finished)
    one, other = (read_labels(tmp_path / folder / "tumour_05.nii.gz").array for folder in ("by_file", "here"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"order": 1}, {"order": 0}], "whole tumour, which contains tumour core, must be written before it"),
        ([{"values": [1, 2]}, {"values": [2, 3]}], "regions must nest: whole tumour and tumour core share the values"),
        ([{"value": 1}, {"values": None}], "either all classes except background are regions"),
    ],
)
def test_a_plan_whose_regions_do_not_nest_is_refused(
    tumours: Path, tmp_path: Path, changes: list[dict[str, Any]], said: str
) -> None:
    autoseg.plan(tumours, workspace=tmp_path, folds=2)
    path = tmp_path / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    for label, change in zip(plan["data"]["classes"][1:], changes, strict=False):
        label.update(change)
    path.write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(PlanError, match=said):
        autoseg.train("unet", fold=0, workspace=tmp_path, epochs=1)


@pytest.mark.gate
def test_evaluation_takes_regions_from_a_workspace_alone(finished: Path, tumours: Path, tmp_path: Path) -> None:
    known = autoseg.evaluate(tumours / "labelsTr", tumours / "labelsTr", workspace=finished, output=tmp_path / "known")
    assert [label.name for label in known.summary.classes] == list(REGIONS)
    assert all(float(row["dice"]) == 1 for row in rows(tmp_path / "known" / "metrics.csv"))
    (whole, *_) = rows(tmp_path / "known" / "metrics.csv")
    labels = read_labels(tumours / "labelsTr" / "tumour_01.nii.gz")
    assert float(whole["volume_ml"]) == pytest.approx((labels.array > 0).sum() * labels.geometry.voxel_volume_ml, abs=1e-3)
