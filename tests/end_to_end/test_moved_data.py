"""Data sets and workspaces that were moved: through the command line, on a workspace of version 0.1 and on one of today."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from oracles.commands import autoseg
from oracles.version_0_1 import STORED, copy_of_0_1

import autoseg as functions
from autoseg.data import places
from autoseg.images.image import read_labels, write_labels
from autoseg.runs.workspace import Workspace

SEED = str(json.loads((STORED / "expected.json").read_text())["seed"])
TRAIN = ("train", "--arch", "unet", "--fold", "0", "--seed", SEED, "--precision", "float32")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """What version 0.1 stored: a workspace `workspace` whose document holds absolute paths, into `data`."""
    return copy_of_0_1(tmp_path / "v0_1")


@pytest.fixture
def home(trained: Path, cohort: Path, tmp_path: Path) -> Path:
    """A folder with the data set `IBSR18` and its workspace `runs/IBSR18`."""
    shutil.copytree(cohort, tmp_path / "IBSR18")
    shutil.copytree(trained, tmp_path / "runs" / "IBSR18")
    autoseg("preprocess", "--data", "IBSR18", cwd=tmp_path)
    return tmp_path


def test_what_0_1_stored_goes_on_with_moved_data(old: Path) -> None:
    (old / "data").rename(old / "elsewhere")
    before = {path: path.read_bytes() for path in (old / "workspace").glob("*.json") if path.name != "dataset.json"}
    answer = autoseg(*TRAIN, "-w", "workspace", "--data", "elsewhere", "--json", cwd=old)
    assert not answer.document["models"][0]["trained_now"]
    assert {path: path.read_bytes() for path in before} == before
    autoseg("report", "-w", "workspace", "-o", "report", cwd=old)  # the folder is remembered
    autoseg("select", "-w", "workspace", cwd=old)
    predicted = autoseg("predict", "elsewhere/Test_Set", "results", "-w", "workspace", "--json", cwd=old)
    assert predicted.document["models"] == ["sepres/fold_0"]
    paths = [path for case in Workspace(old / "workspace").stored_dataset().cases for path in case.images]
    assert not any(path.is_absolute() for path in paths)


def test_what_needs_no_scans_asks_for_none(home: Path) -> None:
    (home / "IBSR18").rename(home / "moved")
    finished = autoseg("train", "--fold", "0", "--epochs", "3", "--precision", "float32", "--json", cwd=home)
    assert not finished.document["models"][0]["trained_now"]
    answer = autoseg("preprocess", cwd=home)
    assert "are not there any more: arrays that were made from them before are used" in answer.said
    autoseg("train", "--fold", "full", "--epochs", "1", "--precision", "float32", cwd=home)
    autoseg("predict", "moved/Test_Set", "results", cwd=home)
    autoseg("export", "model.autoseg", cwd=home)


@pytest.mark.parametrize("command", [("train", "--arch", "sepres", "--fold", "1"), ("select",), ("report",)])
def test_what_needs_the_scans_says_before_its_work_how_to_name_their_folder(home: Path, command: tuple[str, ...]) -> None:
    (home / "IBSR18").rename(home / "moved")
    answer = autoseg(*command, cwd=home, expect=3)
    assert f"{home}/IBSR18: the data set is not there any more" in answer.said
    assert "--data DIR" in answer.said
    assert not (home / "runs" / "IBSR18" / "models" / "sepres" / "fold_1" / "checkpoint.json").exists()


def test_a_single_scan_that_is_gone_is_named(home: Path) -> None:
    [gone] = json.loads((home / "runs/IBSR18/splits.json").read_text())["folds"][1]["validation"][:1]
    shutil.rmtree(home / "IBSR18" / "Training_Set" / gone)
    answer = autoseg("train", "--arch", "sepres", "--fold", "1", cwd=home, expect=3)
    assert f"files of {gone} are not there any more" in answer.said
    assert "Put them back. Or plan again without them: `autoseg plan " in answer.said
    assert "--data" not in answer.said


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_what_is_moved_together_needs_nothing(home: Path, tmp_path: Path) -> None:
    after = tmp_path / "after"
    after.mkdir()
    for name in ("IBSR18", "runs"):
        (home / name).rename(after / name)
    autoseg("select", cwd=after)
    autoseg("report", cwd=after)


def test_edits_survive_a_move(home: Path) -> None:
    path = home / "runs" / "IBSR18" / "plan.json"
    document = json.loads(path.read_text())
    document["prediction"]["batch_size"] = 3
    path.write_text(json.dumps(document))
    (home / "IBSR18").rename(home / "moved")
    answer = autoseg("plan", "moved", "-w", "runs/IBSR18", cwd=home, expect=5)
    assert "--data DIR where the data set was moved" in answer.said
    autoseg("train", "--arch", "sepres", "--fold", "1", "--epochs", "1", "--data", "moved", cwd=home)
    assert json.loads(path.read_text()) == document


def test_planning_again_at_the_new_place_leaves_models_in_use(home: Path) -> None:
    (home / "IBSR18").rename(home / "moved")
    before = Workspace(home / "runs" / "IBSR18").plan()
    autoseg("plan", "moved", "-w", "runs/IBSR18", "--folds", "2", cwd=home)
    after = Workspace(home / "runs" / "IBSR18").plan()
    assert after.digest == before.digest
    assert after.digest_in_0_1 == before.digest_in_0_1  # the data set keeps its name
    finished = autoseg("train", "--fold", "0", "--epochs", "3", "--precision", "float32", "--json", cwd=home)
    assert not finished.document["models"][0]["trained_now"]


def test_a_new_workspace_for_moved_data_names_the_one_left_behind(home: Path) -> None:
    (home / "IBSR18").rename(home / "moved")
    answer = autoseg("plan", "moved", cwd=home)
    said = " ".join(answer.said.split())
    assert f"runs/IBSR18 was planned from cases of the same names in {home}/IBSR18, which is gone" in said
    assert f"autoseg train --workspace runs/IBSR18 --data {home}/moved" in said


def test_other_data_are_not_taken(home: Path) -> None:
    labels = sorted((home / "IBSR18" / "Training_Set").glob("*/*_seg.nii.gz"))
    before = (home / "runs" / "IBSR18" / "dataset.json").read_bytes()
    shutil.copytree(home / "IBSR18", home / "other")
    shutil.copy(labels[1], home / "other" / labels[0].relative_to(home / "IBSR18"))
    answer = autoseg("select", "--data", "other", cwd=home, expect=3)
    assert "not the data that the plan was made from" in answer.said
    assert f"other files for {labels[0].parent.name}" in answer.said
    shutil.rmtree(home / "other" / "Training_Set" / labels[0].parent.name)
    answer = autoseg("select", "--data", "other", cwd=home, expect=3)
    assert f"found all but {labels[0].parent.name}" in answer.said
    answer = autoseg("select", "--data", "runs", cwd=home, expect=3)
    assert "not the data set that was planned" in answer.said
    assert "none of them" in answer.said
    answer = autoseg("select", "--data", "nowhere", cwd=home, expect=3)
    assert "no such folder" in answer.said
    assert (home / "runs" / "IBSR18" / "dataset.json").read_bytes() == before


def test_data_that_were_arranged_anew_are_found_by_their_ids(home: Path) -> None:
    (home / "flat").mkdir()
    for path in (home / "IBSR18").glob("*/*/*.nii.gz"):
        path.rename(home / "flat" / path.name)
    shutil.rmtree(home / "IBSR18")
    for path in (home / "flat").iterdir():  # in this layout, scans without labels are test scans by their folder alone
        if not path.name.endswith("_seg.nii.gz") and not path.with_name(path.name.replace(".nii", "_seg.nii")).exists():
            path.unlink()
    functions.select(home / "runs" / "IBSR18", data=home / "flat")


@pytest.mark.parametrize("told", ["table", "scans"])
def test_scans_that_a_table_names_elsewhere_are_found(home: Path, told: str) -> None:
    """By the table, corrected, or by the folder that holds them now."""
    (home / "table").mkdir()
    table = home / "table" / "cases.csv"
    labels = sorted((home / "IBSR18" / "Training_Set").glob("*/*_seg.nii.gz"))
    rows = [f"{path.parent.name},{str(path).replace('_seg', '')},{path}" for path in labels]
    table.write_text("\n".join(["id,image,label", *rows]))
    autoseg("plan", "table", "-w", "run", cwd=home)
    autoseg("preprocess", "-w", "run", cwd=home)
    (home / "IBSR18").rename(home / "scans")
    table.write_text(table.read_text().replace(f"{home}/IBSR18", f"{home}/scans"))
    autoseg("preprocess", "-w", "run", "--data", told, cwd=home)
    assert not places.absent(Workspace(home / "run").dataset().cases)


def test_data_that_were_corrected_before_they_were_moved_are_taken(home: Path) -> None:
    """Arrays that were made from them are there, so that runs may have learnt from them."""
    path = min((home / "IBSR18" / "Training_Set").glob("*/*_seg.nii.gz"))
    labels = read_labels(path)
    write_labels(path, np.where(labels.array == 1, 2, labels.array), labels.geometry)
    autoseg("preprocess", cwd=home)
    (home / "IBSR18").rename(home / "moved")
    autoseg("preprocess", "--data", "moved", cwd=home)


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_a_workspace_that_may_not_be_written_uses_the_folder_without_remembering(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "IBSR18").rename(home / "moved")

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("autoseg.storage.lease.Lease.take", refuse)
    answer = autoseg("report", "--data", "moved", "-o", "report", cwd=home)
    assert "is used now, but not remembered" in answer.said
    assert (home / "report" / "report.html").exists()


@pytest.mark.gate
def test_commands_write_nothing_among_the_data(home: Path) -> None:
    def everything() -> set[tuple[Path, int]]:
        return {(path, path.stat().st_mtime_ns) for path in (home / "IBSR18").rglob("*")}

    before = everything()
    autoseg("plan", "IBSR18", "-w", "again", "--folds", "2", cwd=home)
    for command in (("train", "--fold", "1", "--epochs", "1"), ("select",), ("report",), ("export", "model.autoseg")):
        autoseg(*command, "-w", "again", cwd=home)
    assert everything() == before
