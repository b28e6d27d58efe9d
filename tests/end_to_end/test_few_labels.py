"""A data set of which a person has labelled one in ten slices, from planning to the report and the exported model."""

import csv
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from oracles.few_labels import IGNORE, keep_every, with_few_labels, without_labels
from oracles.heard import Heard

import autoseg
from autoseg.errors import UsageError
from autoseg.evaluation.tables import read_cases
from autoseg.images.image import read_labels
from autoseg.runs.workspace import find_workspace

pytestmark = pytest.mark.gate  # half a minute of training, selecting and drawing


@pytest.fixture(scope="module")
def few(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cohort with a tenth of the labels, and one training scan without any."""
    folder = with_few_labels(cohort, tmp_path_factory.mktemp("few") / "IBSR18")
    without_labels(folder / "Training_Set" / "IBSR_04" / "IBSR_04_seg.nii.gz")
    return folder


@pytest.fixture(scope="module")
def learnt(few: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Its workspace, trained and selected; and what planning said."""
    folder, listener = tmp_path_factory.mktemp("learnt") / "run", Heard()
    values = ("network.features=[4,8,8]", "training.steps_per_epoch=10")
    autoseg.plan(few, workspace=folder, ignore=IGNORE, folds=2, planes="coronal", overrides=values, events=listener)
    autoseg.train("unet", fold="all", workspace=folder, epochs=2, precision="float32")
    autoseg.select(folder)
    return folder, listener.said


def dice_by_hand(prediction: NDArray[np.uint16], reference: NDArray[np.uint16], value: int) -> float:
    labelled = reference != IGNORE
    ours, theirs = prediction[labelled] == value, reference[labelled] == value
    total = np.count_nonzero(ours) + np.count_nonzero(theirs)
    return 2 * np.count_nonzero(ours & theirs) / total if total else math.nan


def reference_of(few: Path, case: str) -> Path:
    return few / "Training_Set" / case / f"{case}_seg.nii.gz"


def test_a_scan_without_labels_takes_no_part_and_the_amount_is_told(few: Path, learnt: tuple[Path, list[str]]) -> None:
    workspace, remarks = learnt
    assert "IBSR_04: no voxel has a label, so these scans take no part in training" in remarks
    splits = (workspace / "splits.json").read_text(encoding="utf-8")
    assert "IBSR_01" in splits
    assert "IBSR_04" not in splits
    checked = autoseg.check(few, ignore=IGNORE)
    assert len(checked.fingerprint.cases) == 5
    assert [label.value for label in checked.classes] == [0, 1, 2, 3]


@pytest.mark.parametrize("folder", ["models/unet/fold_0/validation", "models/unet/fold_1/validation", "selection"])
def test_stored_scores_are_those_of_the_labelled_voxels(few: Path, learnt: tuple[Path, list[str]], folder: str) -> None:
    place = learnt[0] / folder
    cases = read_cases(place / "metrics.csv")
    assert cases
    for case in cases:
        prediction = read_labels(place / f"{case.id}.nii.gz").array
        reference = read_labels(reference_of(few, case.id)).array
        assert IGNORE not in prediction
        for label in case.classes:
            assert label.dice == pytest.approx(dice_by_hand(prediction, reference, label.value), nan_ok=True)
            assert math.isnan(label.hausdorff_mm)


def test_results_are_judged_by_labelled_voxels_or_by_whole_references(
    few: Path, cohort: Path, learnt: tuple[Path, list[str]], tmp_path: Path
) -> None:
    workspace, _ = learnt
    scan = few / "Training_Set" / "IBSR_04" / "IBSR_04.nii.gz"
    autoseg.predict(scan, tmp_path / "out", workspace=workspace, uncertainty=True)
    labels = tmp_path / "out" / "IBSR_04.nii.gz"
    whole = autoseg.evaluate(labels, reference_of(cohort, "IBSR_04"), workspace=workspace, output=tmp_path / "whole")
    in_part = autoseg.evaluate(labels, reference_of(few, "IBSR_01"), workspace=workspace, output=tmp_path / "part")
    assert any(not math.isnan(label.number("assd_mm")) for label in whole.evaluation.cases[0].classes)
    assert all(math.isnan(label.number("assd_mm")) for label in in_part.evaluation.cases[0].classes)
    assert in_part.evaluation.partial == (in_part.evaluation.cases[0].id,)
    for label in in_part.evaluation.cases[0].classes:
        expected = dice_by_hand(read_labels(labels).array, read_labels(reference_of(few, "IBSR_01")).array, label.value)
        assert label.dice == pytest.approx(expected, nan_ok=True)
    with pytest.raises(UsageError, match="is the value of a class, GM"):
        autoseg.evaluate(labels, reference_of(few, "IBSR_01"), workspace=workspace, ignore=2)


def test_the_report_says_why_there_are_no_distances(learnt: tuple[Path, list[str]]) -> None:
    autoseg.report(learnt[0])
    page = (learnt[0] / "report.html").read_text(encoding="utf-8")
    assert "not labelled throughout" in page
    assert "voxels without a label counted in neither the loss nor the scores" in page
    assert f"label {IGNORE}" not in page
    with next((learnt[0] / "report" / "tables").glob("*dice*.csv")).open(encoding="utf-8") as table:
        assert len(list(csv.reader(table))) > 1


def test_a_scan_without_labels_is_learnt_from_once_some_are_drawn(
    few: Path, cohort: Path, learnt: tuple[Path, list[str]], tmp_path: Path
) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(learnt[0], workspace)
    autoseg.predict(few / "Training_Set" / "IBSR_04" / "IBSR_04.nii.gz", tmp_path / "out", workspace=workspace)
    drawn = tmp_path / "out" / "IBSR_04.nii.gz"
    shutil.copy(reference_of(cohort, "IBSR_04"), drawn)
    keep_every(drawn, every=10)
    autoseg.adopt(tmp_path / "out", workspace=workspace)
    assert "IBSR_04" in (workspace / "splits.json").read_text(encoding="utf-8")
    (case,) = [each for each in find_workspace(workspace).fingerprint().cases if each.id == "IBSR_04"]
    assert case.unlabelled is not None
    assert case.unlabelled.labelled_slices[1] == 3
    assert max(case.class_voxels) == 3


def test_what_is_passed_on_predicts_the_same(learnt: tuple[Path, list[str]], few: Path, tmp_path: Path) -> None:
    workspace, _ = learnt
    exported = autoseg.export(tmp_path / "brain.autoseg", workspace=workspace, onnx=tmp_path / "onnx")
    assert all(model.largest_difference < 1e-5 for model in exported.onnx)
    scan = few / "Training_Set" / "IBSR_04" / "IBSR_04.nii.gz"
    autoseg.predict(scan, tmp_path / "here", workspace=workspace)
    autoseg.predict(scan, tmp_path / "there", model=tmp_path / "brain.autoseg")
    here, there = (read_labels(tmp_path / name / "IBSR_04.nii.gz").array for name in ("here", "there"))
    assert np.array_equal(here, there)
