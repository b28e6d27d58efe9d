"""What was done in a workspace is read from what lies there."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.events import Silent
from autoseg.model.description import Hardware
from autoseg.reporting.data import ReportData, gather
from autoseg.reporting.methods import methods_paragraph
from autoseg.reporting.study import study_of, training_of
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ReportData:
    """Three networks of version 0.1, finished on fold 0 of two; a selection."""
    folder = tmp_path_factory.mktemp("v0_1") / "workspace"
    shutil.copytree(STORED / "workspace", folder)
    return gather(Workspace(folder), Silent())


def test_finished_runs_and_no_others(data: ReportData) -> None:
    found = study_of(data)
    assert sorted((run.architecture, run.fold, run.epochs) for run in found.trainings) == [
        (name, "0", 8) for name in ("attention", "sepres", "unet")
    ]
    assert all(set(run.training).isdisjoint(run.held_out) for run in found.trainings)
    assert found.cases == len(data.fingerprint.cases) == 4
    assert found.folds == len(data.splits.folds) == 2
    assert found.scored == len(found.trainings[0].held_out)
    assert list(found.metrics) == ["dice", "hausdorff_mm", "hausdorff95_mm", "assd_mm"]
    assert {run.hardware for run in found.trainings} == {None}
    assert {run.versions["autoseg"] for run in found.trainings} != {found.versions["autoseg"]}


def test_the_selection_with_what_it_was_compared_to(data: ReportData) -> None:
    assert data.selection is not None
    choice = study_of(data).choice
    assert choice is not None
    assert set(choice.networks) == {model.architecture for model in data.selection.models}
    assert (choice.candidates, choice.cases) == (len(data.selection.candidates), len(data.selection.compared_cases))
    assert choice.tested
    assert len(choice.steps) == len(data.selection.postprocessing)
    assert study_of(replace(data, selection=None)).choice is None


def test_what_a_run_recorded_is_taken_over(data: ReportData) -> None:
    run = data.runs[0]
    assert run.state is not None
    hardware = Hardware(processor="EPYC", gpu="H100")
    made = run.provenance.model_copy(update={"hardware": hardware, "precision": "bfloat16"})
    state = run.state.model_copy(update={"halvings": 1, "batches": "device", "elapsed_s": 90.0})
    found = training_of(replace(run, provenance=made, state=state))
    assert (found.hardware, found.precision, found.minutes) == (hardware, "bfloat16", 1.5)
    assert found.batches_halved
    assert not found.augmented_on_host
    without = training_of(replace(run, state=None))
    assert (without.epochs, without.minutes) == (run.provenance.epochs, run.provenance.minutes)


def test_the_paragraph_of_a_workspace_names_its_runs(data: ReportData) -> None:
    text, _ = methods_paragraph(data.plan, study_of(data))
    assert "The networks were trained on one of two folds (fold 0: " in text
    assert "Each training took 8 epochs (" in text
    assert "autoseg 0.1" in text
    assert "(s)" not in text
