"""One corrected, added or removed case concerns that case alone, and scans that are unchanged are not read again."""

import json
import os
import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from oracles.commands import autoseg
from oracles.tiny_cases import tiny_scans, write_nifti, write_tiny_cases

from autoseg.events import Silent
from autoseg.postprocessing import selecting
from autoseg.postprocessing.sides import Judging, find_sides
from autoseg.runs import run as runs
from autoseg.runs import source_checksums

COUNT = 6


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a data set that is an hour old, planned and preprocessed in `w`."""
    write_tiny_cases(tmp_path / "data", COUNT)
    an_hour_ago = time.time() - 3600
    for path in (tmp_path / "data").rglob("*.nii"):
        os.utime(path, (an_hour_ago, an_hour_ago))
    run(tmp_path, "plan", "data", "--folds", "2")
    run(tmp_path, "preprocess")
    return tmp_path


def run(home: Path, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(autoseg(*options, "--workspace", "w", "--json", cwd=home).told)
    return document


def arrays(home: Path) -> dict[Path, int]:
    """Every stored array, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in (home / "w" / "preprocessed").rglob("*.npy")}


def made_since(before: dict[Path, int], home: Path) -> set[str]:
    """Cases of which an array was written since; whatever was there is as it was."""
    now = arrays(home)
    assert all(now[path] == at for path, at in before.items())
    return {path.parent.name for path in now.keys() - before.keys()}


def correct(home: Path, case: str) -> None:
    """Give a case another label map."""
    for _, label in tiny_scans(1, seed=99):
        write_nifti(home / "data" / "labelsTr" / f"{case}.nii", label)


def test_a_corrected_case_is_preprocessed_again_and_no_other(home: Path) -> None:
    before = arrays(home)
    assert len(before) == 2 * COUNT
    correct(home, "case_00003")
    answer = autoseg("preprocess", "--workspace", "w", cwd=home)
    assert "changed since the plan was made: case_00003." in answer.said
    assert made_since(before, home) == {"case_00003"}
    before = arrays(home)
    run(home, "preprocess")
    assert made_since(before, home) == set()


def test_an_added_case_is_preprocessed_and_no_other(home: Path) -> None:
    before = arrays(home)
    for scan, label in tiny_scans(1, seed=98):
        write_nifti(home / "data" / "imagesTr" / "new_0000.nii", scan)
        write_nifti(home / "data" / "labelsTr" / "new.nii", label)
    for command in (("preprocess",), ("train", "--epochs", "1", "--dry-run")):
        said = autoseg(*command, "--workspace", "w", cwd=home).said
        assert f"{home}/data holds 1 labelled case that the plan does not know: new." in said
    assert "that the plan does not know: new." in autoseg("status", "--workspace", "w", cwd=home).told
    assert data_in_status(home)["added"] == ["new"]
    run(home, "plan", "data", "--folds", "2")
    assert data_in_status(home)["added"] == []
    assert "new" in run(home, "preprocess")["cases"]
    assert made_since(before, home) == {"new"}


def data_in_status(home: Path) -> dict[str, Any]:
    (workspace,) = run(home, "status")["workspaces"]
    found: dict[str, Any] = workspace["data"]
    return found


def test_a_removed_case_leaves_the_others_as_they_are(home: Path) -> None:
    before = arrays(home)
    (home / "data" / "imagesTr" / "case_00001_0000.nii").unlink()
    (home / "data" / "labelsTr" / "case_00001.nii").unlink()
    said = autoseg("preprocess", "--workspace", "w", cwd=home).said
    assert "case_00001 are not there any more: arrays that were made from them before are used. To leave these" in said
    assert data_in_status(home)["gone"] == ["case_00001"]
    run(home, "plan", "data", "--folds", "2")
    assert data_in_status(home)["gone"] == []
    assert len(run(home, "preprocess")["cases"]) == COUNT - 1
    assert made_since(before, home) == set()


def held_out(home: Path) -> dict[str, int]:
    """The fold that holds out each case."""
    folds = json.loads((home / "w" / "splits.json").read_text())["folds"]
    return {case: number for number, fold in enumerate(folds) for case in fold["validation"]}


def test_planning_again_moves_no_case_to_another_fold_unless_forced(tmp_path: Path) -> None:
    write_tiny_cases(tmp_path / "data", 18)
    run(tmp_path, "plan", "data")
    before = held_out(tmp_path)
    assert sorted(set(before.values())) == list(range(5))
    (tmp_path / "data" / "imagesTr" / "case_00001_0000.nii").unlink()
    (tmp_path / "data" / "labelsTr" / "case_00001.nii").unlink()
    for scan, label in tiny_scans(1, seed=98):
        write_nifti(tmp_path / "data" / "imagesTr" / "added_0000.nii", scan)
        write_nifti(tmp_path / "data" / "labelsTr" / "added.nii", label)
    run(tmp_path, "plan", "data")
    after = held_out(tmp_path)
    assert after.keys() == before.keys() - {"case_00001"} | {"added"}
    assert all(after[case] == fold for case, fold in before.items() if case in after)
    autoseg("plan", "data", "--workspace", "fresh", cwd=tmp_path)
    fresh = (tmp_path / "fresh" / "splits.json").read_bytes()
    assert (tmp_path / "w" / "splits.json").read_bytes() != fresh
    run(tmp_path, "plan", "data", "--forget")
    assert (tmp_path / "w" / "splits.json").read_bytes() == fresh


def test_plan_and_folds_that_were_replaced_are_put_back(workspace: Path, cohort: Path) -> None:
    before = {name: (workspace / f"{name}.json").read_bytes() for name in ("plan", "splits")}
    said = " ".join(autoseg("plan", str(cohort), "--folds", "3", "--workspace", str(workspace)).said.split())
    for name, content in before.items():
        assert (workspace / f"{name}.json").read_bytes() != content
        (kept,) = workspace.glob(f"{name}-*.json")
        assert f"kept as {kept}, to put back in the place of {name}.json" in said
        kept.rename(workspace / f"{name}.json")
        assert (workspace / f"{name}.json").read_bytes() == content
    answer = autoseg("train", "--fold", "all", "--epochs", "3", "--precision", "float32", "-w", str(workspace), "--json")
    assert [model["trained_now"] for model in json.loads(answer.told)["models"]] == [False, False]


def test_what_was_planned_is_not_hashed_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        pytest.fail(f"{path} was hashed again")

    monkeypatch.setattr(source_checksums, "image_checksum", refuse)
    run(home, "preprocess")


def test_verifying_finds_what_the_file_system_hides(home: Path) -> None:
    path = home / "data" / "imagesTr" / "case_00002_0000.nii"
    status = path.stat()
    with path.open("r+b") as stream:
        stream.seek(400)
        stream.write(b"\7")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    before = arrays(home)
    run(home, "preprocess")
    assert made_since(before, home) == set()
    run(home, "preprocess", "--verify")
    assert made_since(before, home) == {"case_00002"}


def make_short(home: Path) -> None:
    """Edit the plan: an epoch lasts a fraction of a second."""
    path = home / "w" / "plan.json"
    plan = json.loads(path.read_text())
    plan["training"]["steps_per_epoch"] = 2
    plan["network"]["features"] = [4, 8, 8, 8][: len(plan["network"]["features"])]
    path.write_text(json.dumps(plan))


def replacing(module: Any, name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a function's work take as long as somebody needs to replace a label map."""
    work = getattr(module, name)

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        made = work(*arguments, **named)
        correct(path.parents[2], path.stem)
        return made

    monkeypatch.setattr(module, name, meanwhile)


TRAIN = ("train", "--fold", "0", "--epochs", "1", "--precision", "float32", "-w", "w")


def a_held_out_label_map(home: Path) -> Path:
    """That of a case which fold 0 holds out."""
    make_short(home)
    case = json.loads((home / "w" / "splits.json").read_text())["folds"][0]["validation"][0]
    return home / "data" / "labelsTr" / f"{case}.nii"


def test_a_label_map_that_is_replaced_while_a_network_learns_is_not_scored_against(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_held_out_label_map(home)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        replacing(runs, "train_where_needed", path, patch)
        answer = autoseg(*TRAIN, cwd=home, expect=3)
    assert f"files of {path.stem} were replaced, or cannot be read any more, while the command ran" in answer.said
    assert not (home / "w" / "models" / "unet" / "fold_0" / "validation" / "record.json").exists()
    path.write_bytes(before)
    answer = autoseg(*TRAIN, "--json", cwd=home)  # it is only scored
    assert not answer.document["models"][0]["trained_now"]


def test_a_label_map_that_is_replaced_while_select_works_is_nothing_to_select_by(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_held_out_label_map(home)
    autoseg(*TRAIN, cwd=home)
    [side] = find_sides({"w": home / "w"}, Judging(), Silent()).sides
    assert path.stem in side.references
    replacing(selecting, "make_selection", path, monkeypatch)
    answer = autoseg("select", "-w", "w", cwd=home, expect=6)
    assert f"other files for {path.stem}" in answer.said
    assert not (home / "w" / "selection.json").exists()


def test_scores_do_not_claim_a_label_map_that_was_replaced_before_training(home: Path) -> None:
    path = a_held_out_label_map(home)
    correct(home, path.stem)
    autoseg(*TRAIN, cwd=home)
    [side] = find_sides({"w": home / "w"}, Judging(), Silent()).sides
    assert path.stem not in side.references
    assert {case.id for case in side.cases} - {path.stem} < side.references.keys()


def test_what_is_told_after_edits_and_further_scans_works(tmp_path: Path) -> None:
    """The printed command makes a plan again, with what was asked for, and keeps what was edited."""
    write_tiny_cases(tmp_path / "data", 4)
    run(tmp_path, "plan", "data", "--folds", "2")
    plan = tmp_path / "w" / "plan.json"
    edited = plan.read_bytes().replace(b'"grad_clip_norm": 12.0', b'"grad_clip_norm": 5.0')
    assert edited != plan.read_bytes()
    plan.write_bytes(edited)
    for scan, label in tiny_scans(1, seed=98):
        write_nifti(tmp_path / "data" / "imagesTr" / "added_0000.nii", scan)
        write_nifti(tmp_path / "data" / "labelsTr" / "added.nii", label)
    told = " ".join(autoseg("status", "--workspace", "w", cwd=tmp_path).told.split())
    command = re.search(r"plan again: `autoseg (plan [^`]*--force)` \(what was edited by hand is kept", told)
    assert command is not None
    autoseg(*shlex.split(command[1]), cwd=tmp_path)
    assert len(json.loads((tmp_path / "w" / "splits.json").read_text(encoding="utf-8"))["folds"]) == 2
    assert "added" in held_out(tmp_path)
    assert [kept for kept in (tmp_path / "w").glob("plan-*.json") if kept.read_bytes() == edited]
