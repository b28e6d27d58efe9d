"""`autoseg select`, and what `predict` makes of it, on networks trained for a moment."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.commands import autoseg as command
from oracles.heard import Heard

import autoseg
from autoseg.errors import AutosegError, WorkspaceError
from autoseg.evaluation.tables import read_cases
from autoseg.images.image import read_image, read_labels
from autoseg.inference.steps import Step
from autoseg.postprocessing.held_out import verify_shown
from autoseg.postprocessing.selection import Selection, read_selection, write_selection
from autoseg.storage.documents import DocumentType


def train(workspace: Path, architecture: str, fold: str, *, epochs: int = 3) -> None:
    autoseg.train(architecture, fold=fold, workspace=workspace, epochs=epochs, precision="float32", restart=True)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def selected(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Selection]:
    workspace = tmp_path_factory.mktemp("selected") / "run"
    shutil.copytree(trained, workspace)
    return workspace, autoseg.select(workspace).selection


def test_every_network_and_combination_is_scored_on_the_cases_they_share(selected: tuple[Path, Selection]) -> None:
    workspace, selection = selected
    splits = json.loads((workspace / "splits.json").read_text(encoding="utf-8"))
    assert list(selection.compared_cases) == sorted(splits["folds"][0]["validation"])
    assert {candidate.networks for candidate in selection.candidates} == {("unet",), ("sepres",), ("unet", "sepres")}
    assert any("sepres: fold 1" in line for line in selection.missing)
    assert any("attention" in line for line in selection.missing)
    assert any("cannot tell a difference" in reason for reason in selection.reasons)
    assert read_selection(workspace / "selection.json") == selection


def test_a_single_networks_scores_are_those_of_its_training(selected: tuple[Path, Selection]) -> None:
    workspace, selection = selected
    for candidate in selection.candidates:
        if len(candidate.networks) == 1:
            cases = read_cases(workspace / "models" / candidate.networks[0] / "fold_0" / "validation" / "metrics.csv")
            dice = [
                np.mean([scores.dice for scores in case.classes]) for case in cases if case.id in selection.compared_cases
            ]
            assert candidate.score.dice.mean == pytest.approx(np.mean(dice), abs=2e-3)  # 8-bit probabilities


def test_the_label_maps_of_the_selection_are_those_it_scored(selected: tuple[Path, Selection], cohort: Path) -> None:
    workspace, selection = selected
    cases = read_cases(workspace / "selection" / "metrics.csv")
    assert not list((workspace / "selection").glob(".*"))
    assert np.mean([scores.dice for case in cases for scores in case.classes]) == pytest.approx(selection.score.dice.mean)
    for case in cases:
        reference = read_labels(cohort / "Training_Set" / case.id / f"{case.id}_seg.nii.gz")
        labels = read_labels(workspace / "selection" / f"{case.id}.nii.gz")
        for scores in case.classes:
            masks = labels.array == scores.value, reference.array == scores.value
            assert 2 * np.count_nonzero(masks[0] & masks[1]) / sum(mask.sum() for mask in masks) == pytest.approx(
                scores.dice
            )


def test_predict_uses_an_edited_selection_and_its_clean_up(
    selected: tuple[Path, Selection], cohort: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(selected[0], workspace)
    model = selected[1].models[0]
    nothing_left = Step(type="drop_small", label=None, min_volume_ml=1e6)
    edited = selected[1].model_copy(update={"models": (model,), "postprocessing": (nothing_left,)})
    assert edited.edited
    write_selection(edited, workspace / "selection.json")
    listener = Heard()
    result = autoseg.predict(cohort / "Test_Set", tmp_path / "out", workspace=workspace, uncertainty=True, events=listener)
    assert result.models == (f"{model.architecture}/fold_{model.fold}",)
    (row,) = result.rows
    assert sum(row.volumes_ml.values()) == 0
    assert "nothing was found" in row.warnings
    assert row.predicted_dice == {}  # what was calibrated is not what predicts now
    assert "edited by hand" in "\n".join(listener.said)


def test_predict_says_how_good_its_results_probably_are(
    selected: tuple[Path, Selection], cohort: Path, tmp_path: Path
) -> None:
    result = autoseg.predict(cohort / "Test_Set", tmp_path, workspace=selected[0], uncertainty=True)
    (row,) = result.rows
    assert set(row.predicted_dice) == {"CSF", "GM", "WM"}
    assert all(0 <= dice <= 1 for dice in row.predicted_dice.values())
    assert (tmp_path / "uncertainty" / f"{row.case}.nii.gz").exists()


def test_networks_that_failed_on_held_out_cases_mark_what_they_find(
    selected: tuple[Path, Selection], cohort: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(selected[0], workspace)
    failed = [model.model_copy(update={"intercept": -1.0, "lowest": 0.0}) for model in selected[1].quality.classes]
    quality = selected[1].quality.model_copy(update={"classes": tuple(failed)})
    write_selection(selected[1].model_copy(update={"quality": quality}), workspace / "selection.json")
    command("export", "failed.autoseg", "-w", str(workspace), cwd=tmp_path)
    for number, source in enumerate([["-w", str(workspace)], ["--model", "failed.autoseg"]]):
        answer = command("predict", str(cohort / "Test_Set"), f"out{number}", *source, cwd=tmp_path)
        for name in ("CSF", "GM", "WM"):
            assert f"Dice of {name} is probably 0.00 (under 0.5; held-out cases: at least 0.00)" in answer.told
        assert "under 0.5" in (tmp_path / f"out{number}" / "predictions.csv").read_text()


def test_that_nothing_tells_how_good_results_are_is_said(workspace: Path, cohort: Path, tmp_path: Path) -> None:
    listener = Heard()
    autoseg.predict(cohort / "Test_Set", tmp_path / "out", workspace=workspace, uncertainty=True, events=listener)
    assert "nothing was selected: no Dice is predicted" in "\n".join(listener.said)


def test_an_array_is_segmented_like_its_file(selected: tuple[Path, Selection], cohort: Path, tmp_path: Path) -> None:
    scan = next((cohort / "Test_Set").rglob("*.nii.gz"))
    autoseg.predict(scan, tmp_path, workspace=selected[0])
    image = read_image([scan], channels=1)
    found = autoseg.load_model(selected[0]).predict(
        image.array[0], spacing_mm=image.geometry.spacing_mm, direction=image.geometry.direction
    )
    assert np.array_equal(found.labels.array, read_labels(tmp_path / scan.name).array)


def test_a_selection_of_another_plan_is_refused(selected: tuple[Path, Selection], cohort: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(selected[0], workspace)
    other = selected[1].model_copy(update={"plan_digest": "0" * 64})
    write_selection(other, workspace / "selection.json")
    with pytest.raises(AutosegError, match="another plan") as refused:
        autoseg.predict(cohort / "Test_Set", tmp_path / "out", workspace=workspace)
    assert refused.value.exit_code == 5
    assert not (tmp_path / "out").exists()


def test_a_clean_up_of_an_unknown_class_is_refused(selected: tuple[Path, Selection], cohort: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(selected[0], workspace)
    typo = selected[1].model_copy(update={"postprocessing": (Step(type="fill_holes", label=33),)})
    write_selection(typo, workspace / "selection.json")
    with pytest.raises(AutosegError, match=r"does not know.*\[1, 2, 3\].*\[33\]") as refused:
        autoseg.predict(cohort / "Test_Set", tmp_path / "out", workspace=workspace)
    assert refused.value.exit_code == 5


def test_a_model_trained_again_is_not_taken_for_the_one_that_was_judged(
    selected: tuple[Path, Selection], cohort: Path, tmp_path: Path
) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(selected[0], workspace)
    model = selected[1].models[0]
    train(workspace, model.architecture, model.fold, epochs=1)
    with pytest.raises(AutosegError, match=r"trained again.*autoseg select") as refused:
        autoseg.predict(cohort / "Test_Set", tmp_path / "out", workspace=workspace)
    assert refused.value.exit_code == 6


def test_that_the_best_of_several_is_optimistic_is_said_and_measured_where_folds_allow(
    workspace: Path, selected: tuple[Path, Selection], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert selected[1].optimistic
    assert any("best of 3 combinations" in reason and "--nested" in reason for reason in selected[1].reasons)
    with pytest.raises(AutosegError, match="at least 3 folds") as refused:
        autoseg.select(workspace, nested=True)
    assert refused.value.exit_code == 2
    shutil.rmtree(workspace / "models" / "sepres")
    monkeypatch.setattr("autoseg.postprocessing.nested._FEWEST_FOLDS", 2)
    selection = autoseg.select(workspace, nested=True).selection
    assert selection.nested is not None
    assert [fold.fold for fold in selection.nested.folds] == ["0", "1"]
    assert selection.nested.score.dice.cases == len(selection.compared_cases)
    assert selection.optimistic == any("its score is optimistic, by" in reason for reason in selection.reasons)
    assert read_selection(workspace / "selection.json") == selection


def test_one_network_on_one_fold_is_enough(workspace: Path) -> None:
    shutil.rmtree(workspace / "models" / "sepres")
    shutil.rmtree(workspace / "models" / "unet" / "fold_1")
    selection = autoseg.select(workspace).selection
    assert [candidate.networks for candidate in selection.candidates] == [("unet",)]
    assert len(selection.models) == 1


def test_a_selection_that_was_killed_shows_no_scores_beside_an_earlier_decision(
    selected: tuple[Path, Selection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "run"
    shutil.copytree(selected[0], workspace)
    shutil.rmtree(workspace / "models" / "sepres")
    shutil.rmtree(workspace / "models" / "unet" / "fold_1")
    own = workspace / "selection" / "mine.nii.gz"
    own.write_bytes(b"nobody else's")
    before, write = (workspace / "selection.json").read_bytes(), DocumentType.write

    def killed(kind: DocumentType[Any], path: Path, model: Any) -> None:
        if path.name == "selection.json":
            raise KeyboardInterrupt
        write(kind, path, model)

    with monkeypatch.context() as patch:
        patch.setattr(DocumentType, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            autoseg.select(workspace)
    assert (workspace / "selection.json").read_bytes() == before
    with pytest.raises(WorkspaceError, match="was changed since the held-out cases were scored"):
        verify_shown(workspace / "selection", remedy="Run `autoseg select` again.")
    selection = autoseg.select(workspace).selection
    verify_shown(workspace / "selection", remedy="Run `autoseg select` again.")
    assert read_selection(workspace / "selection.json") == selection
    shown = {path.name for path in (workspace / "selection").glob("*.nii.gz")} - {own.name}
    assert shown == {f"{case.id}.nii.gz" for case in read_cases(workspace / "selection" / "metrics.csv")}
    assert own.read_bytes() == b"nobody else's"


def test_networks_without_a_common_case_are_not_compared(workspace: Path) -> None:
    shutil.rmtree(workspace / "models" / "unet" / "fold_0")
    listener = Heard()
    assert len(autoseg.select(workspace, events=listener).selection.candidates) == 1
    assert "not compared" in "\n".join(listener.said)


def test_nothing_to_select_from_is_an_error(workspace: Path) -> None:
    shutil.rmtree(workspace / "models")
    with pytest.raises(AutosegError, match="autoseg train") as refused:
        autoseg.select(workspace)
    assert refused.value.exit_code == 6


def one_bit(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize(
    "corrupt", [lambda _: b"", lambda _: b"not an array", None, one_bit], ids=["empty", "text", "missing", "one bit"]
)
def test_damaged_probabilities_are_named_with_the_way_to_get_them_again(
    workspace: Path, corrupt: Callable[[bytes], bytes] | None
) -> None:
    path = min((workspace / "models" / "unet" / "fold_0" / "validation").glob("*.npz"))
    path.unlink() if corrupt is None else path.write_bytes(corrupt(path.read_bytes()))
    with pytest.raises(AutosegError, match=path.name) as refused:
        autoseg.select(workspace)
    assert refused.value.exit_code == 5
    assert not (workspace / "selection.json").exists()
    shutil.rmtree(path.parent)
    autoseg.train("unet", fold=0, workspace=workspace, epochs=3, precision="float32")
    autoseg.select(workspace)


def test_models_whose_probabilities_were_not_kept_are_named_and_predicted_again_by_train(workspace: Path) -> None:
    folder = workspace / "models" / "unet" / "fold_0"
    weights = (folder / "bundle.json").read_bytes()
    scores = (folder / "validation" / "metrics.csv").read_bytes()
    once_more = {"fold": 0, "workspace": workspace, "epochs": 3, "precision": "float32"}
    shutil.rmtree(folder / "validation")
    autoseg.train("unet", **once_more, keep_probabilities=False)  # type: ignore[arg-type]
    assert not list((folder / "validation").glob("*.np?"))
    assert (folder / "validation" / "metrics.csv").read_bytes() == scores
    selection = autoseg.select(workspace).selection
    assert "unet/fold_0" not in {model.id.folder for model in selection.models}
    (line,) = (line for line in selection.missing if "unet/fold_0" in line)
    assert "--keep-probabilities" in line
    for name in ("sepres", "unet/fold_1"):
        shutil.rmtree(workspace / "models" / name)
    with pytest.raises(AutosegError, match="were not kept") as refused:
        autoseg.select(workspace)
    assert refused.value.exit_code == 6
    (model,) = autoseg.train("unet", **once_more).models  # type: ignore[arg-type]
    assert not model.trained_now
    assert list((folder / "validation").glob("*.npz"))
    assert (folder / "bundle.json").read_bytes() == weights
    assert [model.id.folder for model in autoseg.select(workspace).selection.models] == ["unet/fold_0"]


@pytest.mark.gate
def test_more_processes_give_the_same_selection(workspace: Path, selected: tuple[Path, Selection]) -> None:
    assert autoseg.select(workspace, jobs=2).selection == selected[1]
