"""The README's commands, run as a user runs them, on a phantom in a folder called IBSR18."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oracles import processes
from oracles.commands import autoseg
from oracles.dicom_files import write_series

from autoseg.images.image import read_labels, write_labels

README = Path(__file__).parents[2] / "README.md"


def readme_lines() -> list[list[str]]:
    """The README's `autoseg` lines, without comments, as argument lists; `demo` has tests of its own."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line[1:] for line in lines if line[:1] == ["autoseg"]]


@pytest.fixture(scope="module")
def home(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which the README's lines have been run up to the exported model, training cut to one epoch.

    Those that carry models on are run by the last tests here and by those of their pages (tests/docs).
    """
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(cohort, folder / "IBSR18")
    (folder / "references").mkdir()
    lines = readme_lines()
    names = [line[0] for line in lines]
    story = ["plan", "train", "predict", "select", "evaluate", "report", "export", "predict"]
    assert names == [*story, "train", "queue", "adopt", "train"]
    shutil.copytree(folder / "IBSR18" / "Test_Set", folder / "new_scans")
    for line in lines[: len(story)]:
        if line[0] == "evaluate":  # the README's user has references of the same scans
            for path in (folder / "results").glob("*.nii.gz"):
                shutil.copy(path, folder / "references")
        short = ["--epochs", "1", "--precision", "float32"] if line[0] == "train" else []
        autoseg(*line, *short, cwd=folder)
    return folder


def test_the_workspace_holds_what_the_documentation_says(home: Path) -> None:
    workspace = home / "runs" / "IBSR18"
    model = workspace / "models" / "sepres" / "fold_0"
    for name in ("dataset.json", "fingerprint.json", "plan.json", "splits.json"):
        assert json.loads((workspace / name).read_text(encoding="utf-8"))
    for name in ("bundle.json", "checkpoint.json", "history.csv", "steps.csv", "curves.png", "validation/metrics.csv"):
        assert (model / name).stat().st_size > 0


def test_predictions_have_the_scans_geometry_and_the_data_sets_values(home: Path) -> None:
    (scan,) = (home / "IBSR18" / "Test_Set").glob("*/*.nii.gz")
    prediction = read_labels(home / "results" / scan.name)
    image = read_labels(scan)  # the phantom's intensities are whole numbers, so this reads them as they are
    assert prediction.geometry == image.geometry
    assert set(np.unique(prediction.array)) <= {0, 1, 2, 3}
    with (home / "results" / "predictions.csv").open(encoding="utf-8") as stream:
        (row,) = csv.DictReader(stream)
    voxels = int((prediction.array == 3).sum())
    assert float(row["WM_ml"]) == pytest.approx(voxels * image.geometry.voxel_volume_ml, abs=1e-3)


def test_evaluation_of_equal_label_maps_is_perfect(home: Path) -> None:
    with (home / "results" / "evaluation" / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == ["CSF", "GM", "WM"]
    assert all(row["dice"] in {"", "nan"} or float(row["dice"]) == 1.0 for row in rows)
    assert any(row["dice"] for row in rows)


def test_a_second_prediction_repeats_nothing(home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "results").glob("*.nii.gz")}
    result = autoseg("predict", "IBSR18/Test_Set/", "results/", "--json", cwd=home).document
    assert len(result["skipped"]) == len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_resumed_prediction_decodes_no_finished_scan(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    execute = sitk.ImageFileReader.Execute
    monkeypatch.setattr(
        sitk.ImageFileReader, "Execute", lambda reader: decoded.append(reader.GetFileName()) or execute(reader)
    )
    (scan,) = (home / "IBSR18" / "Test_Set").glob("*/*.nii.gz")
    shutil.copytree(scan.parent, home / "growing")
    autoseg("predict", "growing", "grown", cwd=home)
    shutil.copy(scan, home / "growing" / "later.nii.gz")
    decoded.clear()
    said = autoseg("predict", "growing", "grown", cwd=home).told
    assert [Path(name).name for name in decoded] == ["later.nii.gz"]
    assert "1 scan had been segmented before and stayed unchanged" in said


def test_results_of_other_models_in_the_same_table_are_told_of(home: Path, tmp_path: Path) -> None:
    (scan,) = (home / "IBSR18" / "Test_Set").glob("*/*.nii.gz")
    for name in ("one", "two"):
        shutil.copy(scan, tmp_path / f"{name}.nii.gz")
    autoseg("predict", str(tmp_path / "one.nii.gz"), "mixed_models", cwd=home)
    answer = autoseg("predict", str(tmp_path / "two.nii.gz"), "mixed_models", "--no-mirror", "--json", cwd=home)
    assert "holds 1 other scan segmented with other models or settings (column model): one." in answer.said
    assert answer.document["other_models"].keys() == {"one"}
    assert answer.document["other_models"]["one"].startswith("IBSR18: sepres fold_0 (")
    told = autoseg("predict", str(tmp_path / "two.nii.gz"), "mixed_models", "--no-mirror", cwd=home).told
    assert "which also holds 1 scan of other models or settings" in told
    said = autoseg("evaluate", "mixed_models", "mixed_models", "--output", "of_two", cwd=home).said
    assert "stem from 2 different models or settings" in said


def test_label_maps_that_are_not_its_own_are_replaced_only_when_asked(home: Path, tmp_path: Path) -> None:
    (path,) = (home / "results").glob("*.nii.gz")
    corrected, foreign = tmp_path / "corrected", tmp_path / "foreign"
    shutil.copytree(home / "results", corrected)
    labels = read_labels(path)
    write_labels(corrected / path.name, np.roll(labels.array, 1, axis=0), labels.geometry)
    foreign.mkdir()
    shutil.copy(path, foreign)
    for folder in (corrected, foreign):
        before = (folder / path.name).read_bytes()
        refused = autoseg("predict", "IBSR18/Test_Set", str(folder), cwd=home, expect=2)
        assert f"{folder}: holds label maps that were changed since, or that autoseg did not write" in refused.said
        assert f"found {path.name}" in refused.said
        assert "--force" in refused.said
        assert (folder / path.name).read_bytes() == before
        autoseg("predict", "IBSR18/Test_Set", str(folder), "--force", cwd=home)
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_a_data_set_is_never_made_a_workspace(home: Path, tmp_path: Path) -> None:
    cohort, decathlon = tmp_path / "IBSR18", tmp_path / "decathlon"
    shutil.copytree(home / "IBSR18", cohort)
    decathlon.mkdir()
    (decathlon / "dataset.json").write_text('{"name": "hearts", "training": []}', encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for workspace in (cohort, decathlon):
        for force in ([], ["--force"]):
            refused = autoseg("plan", str(cohort), "-w", str(workspace), *force, cwd=tmp_path, expect=5)
            assert f"{workspace}: a data set, not a workspace" in refused.said
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_evaluation_says_whose_classes_it_takes(home: Path) -> None:
    said = autoseg("evaluate", "references", "references", "--output", "own", cwd=home).said
    assert "classes and tolerances are those of runs/IBSR18; choose another with --workspace" in said
    said = autoseg("evaluate", "references", "references", "--output", "own", "-w", "runs/IBSR18", cwd=home).said
    assert "are those of" not in said


def test_a_finished_run_says_so_and_a_different_one_is_refused(home: Path) -> None:
    train = ["train", "--arch", "sepres", "--fold", "0", "--precision", "float32"]
    again = autoseg(*train, "--epochs", "1", cwd=home)
    assert "finished earlier" in again.said
    refused = autoseg(*train, "--epochs", "2", cwd=home, expect=5)
    assert "epochs" in refused.said
    assert "--restart" in refused.said


def test_the_same_data_give_the_same_plan_byte_for_byte(home: Path) -> None:
    first = (home / "runs" / "IBSR18" / "plan.json").read_bytes()
    autoseg("plan", "IBSR18/", "-w", "elsewhere", "--jobs", "2", cwd=home)
    assert (home / "elsewhere" / "plan.json").read_bytes() == first


def test_an_edited_plan_is_kept_unless_forced(home: Path) -> None:
    autoseg("plan", "IBSR18/", "-w", "edited", cwd=home)
    path = home / "edited" / "plan.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["training"]["learning_rate"] = 1e-4
    path.write_text(json.dumps(document), encoding="utf-8")
    edited = path.read_bytes()
    autoseg("plan", "IBSR18/", "-w", "edited", cwd=home, expect=5)
    assert path.read_bytes() == edited
    autoseg("plan", "IBSR18/", "-w", "edited", "--force", cwd=home)
    assert json.loads(path.read_text(encoding="utf-8"))["training"]["learning_rate"] != 1e-4


def test_a_workspace_is_not_taken_over_by_another_folder_of_the_same_name(home: Path) -> None:
    shutil.copytree(home / "IBSR18", home / "other" / "IBSR18")
    autoseg("plan", "IBSR18/", "-w", "taken", cwd=home)
    refused = autoseg("plan", "other/IBSR18/", "-w", "taken", cwd=home, expect=5)
    assert "belongs to another data set" in refused.said
    autoseg("plan", "other/IBSR18/", "-w", "taken", "--force", cwd=home)


def test_an_unknown_key_in_the_plan_is_named(home: Path) -> None:
    autoseg("plan", "IBSR18/", "-w", "broken", cwd=home)
    path = home / "broken" / "plan.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["training"]["learning_speed"] = 1
    path.write_text(json.dumps(document), encoding="utf-8")
    failure = autoseg("train", "-w", "broken", cwd=home, expect=4)
    assert "training.learning_speed" in failure.said


def test_a_bad_scan_is_reported_and_the_others_are_predicted(home: Path, tmp_path: Path) -> None:
    (scan,) = (home / "IBSR18" / "Test_Set").glob("*/*.nii.gz")
    shutil.copy(scan, tmp_path / "good.nii.gz")
    (tmp_path / "bad.nii.gz").write_bytes(scan.read_bytes()[:5000])
    failure = autoseg("predict", str(tmp_path), "mixed", "--json", cwd=home, expect=7)
    assert "bad.nii.gz" in failure.said
    assert set(failure.document["failures"]) == {"bad"}
    assert (home / "mixed" / "good.nii.gz").exists()
    assert not (home / "mixed" / "bad.nii.gz").exists()


def test_no_data_set_no_model_and_no_workspace_have_their_own_exit_codes(home: Path, tmp_path: Path) -> None:
    autoseg("plan", str(tmp_path), cwd=tmp_path, expect=3)
    autoseg("train", cwd=tmp_path, expect=5)
    autoseg("plan", "IBSR18/", "-w", "untrained", cwd=home)
    autoseg("predict", "IBSR18/Test_Set/", "nothing", "-w", "untrained", cwd=home, expect=6)
    autoseg("train", "--fold", "9", "-w", "untrained", cwd=home, expect=2)
    autoseg("train", "--arch", "resnet", cwd=home, expect=2)


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_minutes_end_a_training_and_leave_a_model(home: Path) -> None:
    """That time is kept to the second is tested in tests/training with a clock that no other program slows down."""
    autoseg("plan", "IBSR18/", "-w", "timed", cwd=home)
    path = home / "timed" / "plan.json"
    plan = json.loads(path.read_text(encoding="utf-8"))
    plan["network"]["features"] = [4, 8]
    path.write_text(json.dumps(plan), encoding="utf-8")
    autoseg("preprocess", "-w", "timed", cwd=home)
    result = processes.autoseg("train", "--minutes", "0.1", "-w", "timed", "--json", cwd=home).document
    assert result["models"][0]["minutes"] < 3  # the plan says 30
    assert (home / "timed" / "models" / "unet" / "fold_0" / "bundle.json").exists()


def test_probabilities_sum_to_one(home: Path) -> None:
    autoseg("predict", "IBSR18/Test_Set/", "soft", "--probabilities", cwd=home)
    (path,) = (home / "soft" / "probabilities").glob("*.nii.gz")
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))  # (K, Z, Y, X)
    assert array.shape[0] == 4
    np.testing.assert_allclose(array.sum(axis=0), 1.0, atol=1e-4)


def test_planning_does_not_load_torch(home: Path) -> None:
    code = "import sys, autoseg; autoseg.plan('IBSR18', workspace='light'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=home).returncode == 0


def test_probabilities_and_pictures_of_another_model_do_not_stay_beside_its_label_maps(home: Path) -> None:
    predict = ["predict", "IBSR18/Test_Set/", "changing"]
    autoseg(*predict, "--probabilities", "--pictures", cwd=home)
    autoseg(*predict, "--no-mirror", cwd=home)
    assert not list((home / "changing").glob("*/*.*"))
    result = autoseg(*predict, "--no-mirror", "--probabilities", "--json", cwd=home).document
    assert result["skipped"] == []
    assert len(list((home / "changing" / "probabilities").iterdir())) == 1


def test_predictions_with_pictures_can_be_evaluated(home: Path) -> None:
    autoseg("predict", "IBSR18/Test_Set/", "drawn", "--pictures", cwd=home)
    autoseg("evaluate", "drawn", "references", cwd=home)
    held_out = home / "runs" / "IBSR18" / "models" / "sepres" / "fold_0" / "validation"
    autoseg("evaluate", str(held_out), str(held_out), "--output", "held_out_scores", cwd=home)


def test_a_dicom_series_is_segmented_like_the_same_scan_as_a_file(home: Path) -> None:
    (scan,) = (home / "IBSR18" / "Test_Set").glob("*/*.nii.gz")
    image = read_labels(scan)  # the phantom's intensities are whole numbers
    assert image.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)
    straight = image.array[:, ::-1, ::-1].astype(np.int16)  # the same patient along DICOM's own axes
    write_series(home / "export" / "ada", straight, spacing_mm=image.geometry.spacing_mm)
    result = autoseg("predict", "export", "from_dicom", "--json", cwd=home).document
    assert [case["case"] for case in result["cases"]] == ["ada"]
    found = read_labels(home / "from_dicom" / "ada.nii.gz")
    np.testing.assert_array_equal(found.array[:, ::-1, ::-1], read_labels(home / "results" / scan.name).array)
    assert found.geometry.origin_mm == pytest.approx((-10.0, 20.0, 30.0))


def test_the_lines_that_carry_a_model_on_do_so(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    shutil.copytree(home, folder)
    further, _, _, started = readme_lines()[-4:]
    minutes = further.index("--minutes")
    autoseg(*further[:minutes], "--epochs", "1", *further[minutes + 2 :], cwd=folder)
    document = json.loads((folder / "runs" / "IBSR18" / "models" / "sepres" / "fold_0" / "bundle.json").read_bytes())
    assert [stretch["epochs"] for stretch in document["provenance"]["stretches"]] == [1, 1]
    autoseg("plan", "IBSR18", "-w", started[started.index("-w") + 1], cwd=folder)
    said = autoseg(*started, "--epochs", "1", "--precision", "float32", cwd=folder).said
    assert "starts from" in said
