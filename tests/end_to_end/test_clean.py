"""`autoseg clean` removes what nothing needs, says why, and leaves everything else."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from oracles.commands import autoseg
from oracles.tiny_cases import tiny_scans, write_nifti, write_tiny_cases

import autoseg as api
from autoseg.errors import ImageError
from autoseg.runs import source_checksums
from autoseg.storage.locks import lock

COUNT = 6
GONE = "the case is not among the labelled ones any more"
CHANGED = "the case's files have changed since the plan was made"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set that is an hour old, and `w`, in which a network was trained on one of two folds."""
    home = tmp_path_factory.mktemp("finished")
    write_tiny_cases(home / "data", COUNT)
    an_hour_ago = time.time() - 3600
    for path in (home / "data").rglob("*.nii"):
        os.utime(path, (an_hour_ago, an_hour_ago))
    run(home, "plan", "data", "--folds", "2", "--set", "training.steps_per_epoch=2")
    run(home, "train", "--epochs", "1", "--precision", "float32", "--restart")  # which leaves a file of its own
    return home.rename(home.with_name("moved"))  # so that no copy of it finds these data where its own are gone


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to change, in which files keep their times."""
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


def run(home: Path, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(autoseg(*options, "--workspace", "w", "--json", cwd=home).told)
    return document


def clean(home: Path, *options: str) -> dict[str, str]:
    """Try it, do it, and find that this did what was said: names of what went, with the reasons."""
    before = files(home)
    said = run(home, "clean", "--dry-run", *options)
    assert files(home) == before
    done = run(home, "clean", *options)
    assert (said.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert said == done
    named = {Path(path) for leftover in done["leftovers"] for path in leftover["files"]}
    assert before - files(home) == {home / path for path in named}
    assert run(home, "clean", *options)["leftovers"] == []
    return {leftover["name"]: leftover["reason"] for leftover in done["leftovers"]}


def files(home: Path) -> set[Path]:
    return {path for path in (home / "w").rglob("*") if path.is_file() and path.name not in {"checksums.json", ".lock"}}


def stems(home: Path, case: str) -> set[str]:
    return {path.name.split(".")[0] for path in (home / "w" / "preprocessed" / case).glob("*.npy")}


def correct(home: Path, case: str) -> None:
    for _, label in tiny_scans(1, seed=99):
        write_nifti(home / "data" / "labelsTr" / f"{case}.nii", label)


def remove(home: Path, case: str) -> None:
    (home / "data" / "imagesTr" / f"{case}_0000.nii").unlink()
    (home / "data" / "labelsTr" / f"{case}.nii").unlink()


def test_nothing_of_a_workspace_in_use_is_old(home: Path) -> None:
    assert clean(home) == {}
    assert "Nothing in w is old" in autoseg("clean", "--workspace", "w", cwd=home).told


def test_arrays_of_a_corrected_case_are_old(home: Path) -> None:
    (before,) = stems(home, "case_00002")
    correct(home, "case_00002")
    run(home, "preprocess")
    (after,) = stems(home, "case_00002") - {before}
    assert clean(home) == {f"preprocessed/case_00002/{before}.*": CHANGED}
    assert stems(home, "case_00002") == {after}


def test_a_corrected_case_that_was_not_preprocessed_again_leaves_an_empty_place(home: Path) -> None:
    correct(home, "case_00002")
    assert list(clean(home).values()) == [CHANGED]
    assert not (home / "w" / "preprocessed" / "case_00002").exists()
    assert run(home, "preprocess")


def test_arrays_of_a_case_that_is_gone_from_the_plan_are_old(home: Path) -> None:
    remove(home, "case_00005")
    run(home, "plan", "data", "--folds", "2", "--set", "training.steps_per_epoch=2")
    old = clean(home, "--other-plans")
    assert {name.split("/")[1] for name, reason in old.items() if reason == GONE} == {"case_00005"}
    assert not (home / "w" / "preprocessed" / "case_00005").exists()
    assert {path.name for path in (home / "w" / "preprocessed").iterdir()} == {f"case_0000{number}" for number in range(5)}


def test_arrays_whose_scans_are_gone_stay(home: Path) -> None:
    """Nobody could make them again; the run goes on with them."""
    remove(home, "case_00001")
    assert clean(home) == {}
    shutil.rmtree(home / "data")
    assert clean(home) == {}
    assert run(home, "train", "--fold", "full", "--epochs", "1")["models"]


def test_arrays_whose_scans_cannot_be_read_stay(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> str:
        raise ImageError("cannot be read (Input/output error)", where=path, remedy="Check the disk.")

    correct(home, "case_00001")  # it is not known to be unchanged
    monkeypatch.setattr(source_checksums, "image_checksum", failing)
    assert clean(home) == {}


def test_an_interrupted_run_goes_on_after_cleaning(home: Path) -> None:
    """Its arrays are those of the current plan."""
    correct(home, "case_00003")  # held out by neither or one of the folds: the run has other arrays than the finished one
    state = home / "w" / "models" / "unet" / "fold_1"
    run(home, "train", "--fold", "1", "--epochs", "2", "--precision", "float32")
    document = json.loads((state / "checkpoint.json").read_text())
    document["state"]["finished"] = False
    (state / "checkpoint.json").write_text(json.dumps(document))
    assert set(clean(home).values()) == {CHANGED}
    assert run(home, "train", "--fold", "1", "--epochs", "2", "--precision", "float32")["models"][0]["trained_now"]


def test_models_of_another_plan_keep_their_arrays_until_they_are_to_go(home: Path) -> None:
    everything = files(home)
    before = {case: stems(home, case) for case in ("case_00000", "case_00004")}
    run(home, "plan", "data", "--folds", "2", "--set", "preprocessing.crop_margin_px=2")
    run(home, "preprocess")
    assert all(len(stems(home, case)) == 2 for case in before)
    assert clean(home) == {}, "the earlier plan may be put back"
    old = clean(home, "--other-plans")
    assert "trained under another plan" in old["models/unet/fold_0"]
    assert not (home / "w" / "models" / "unet").exists()
    assert all(stems(home, case).isdisjoint(of_before) for case, of_before in before.items())
    assert len(old) == COUNT + 1
    assert files(home) - everything, "arrays of the present plan are there"


def test_arrays_of_settings_that_no_plan_has_are_old(home: Path) -> None:
    shutil.rmtree(home / "w" / "models")
    run(home, "plan", "data", "--folds", "2", "--set", "preprocessing.crop_margin_px=2")
    old = clean(home)
    assert len(old) == COUNT
    assert all("by other settings than any plan here has" in reason for reason in old.values())


def test_probabilities_of_a_model_that_was_replaced_are_old(home: Path) -> None:
    model = home / "w" / "models" / "unet" / "fold_0"
    stray = model / "validation" / "nobody.npy"
    stray.write_bytes(b"0")
    assert clean(home) == {"models/unet/fold_0/validation/nobody.npy": "of no case that the model held out"}
    record = json.loads((model / "validation" / "record.json").read_text())
    record["model_digest"] = "0" * 64
    (model / "validation" / "record.json").write_text(json.dumps(record))
    ((name, reason),) = clean(home).items()
    assert name.startswith("models/unet/fold_0/validation/*.np")
    assert "given by the model that was here before" in reason
    (answer,) = run(home, "train", "--epochs", "1", "--precision", "float32")["models"]
    assert not answer["trained_now"]
    assert answer["scores"]
    assert clean(home) == {}


def test_what_killed_processes_left_is_old(home: Path) -> None:
    left = [
        home / "w" / "preprocessed" / ".autoseg-0123abcd.plan.json",
        home / "w" / "preprocessed" / "case_00000" / ".autoseg-89abcdef.a.npy",
        home / "w" / "selection" / ".autoseg-4567cdef.label_maps" / ".autoseg-4567abcd.search" / "a.0.npz",
    ]
    two_days_ago = time.time() - 2 * 86_400  # nobody can tell whose they are, until a day has gone by
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for path in (*left[:2], left[2].parents[1]):
        os.utime(path, (two_days_ago, two_days_ago))
    names = {
        "preprocessed/.autoseg-0123abcd.plan.json", "preprocessed/case_00000/.autoseg-89abcdef.a.npy",
        "selection/.autoseg-4567cdef.label_maps/*",
    }  # fmt: skip
    assert clean(home) == dict.fromkeys(names, "left by a process that was killed while it wrote")
    assert not (home / "w" / "selection").exists()


def test_files_of_others_stay(home: Path) -> None:
    names = [
        "notes.txt", "preprocessed/notes.txt", "preprocessed/case_00000/notes.txt", "preprocessed/case_00000/notes.json",
        "preprocessed/case_00000/mine.image.npy", "models/unet/fold_0/notes.txt", "models/unet/fold_0/notes.csv",
        "models/unet/fold_0/validation/notes.csv", "models/unet/fold_0/mine/history.csv",
    ]  # fmt: skip
    for name in names:
        (home / "w" / name).parent.mkdir(exist_ok=True)
        (home / "w" / name).write_text("mine")
    assert clean(home) == {}
    run(home, "plan", "data", "--folds", "2", "--set", "preprocessing.crop_margin_px=2")
    assert "models/unet/fold_0" in clean(home, "--other-plans")
    left = {path.relative_to(home / "w").as_posix() for path in files(home)}
    assert {name for name in left if name.startswith(("models", "preprocessed"))} == set(names[1:])


def test_nothing_is_removed_while_somebody_trains(home: Path) -> None:
    correct(home, "case_00002")
    before = files(home)
    with lock(home / "w" / "models" / "unet" / "fold_0" / ".lock"):
        assert len(run(home, "clean", "--dry-run")["leftovers"]) == 1
        answer = autoseg("clean", "--workspace", "w", cwd=home, expect=5)
    assert "in use by process" in answer.said
    assert files(home) == before


def test_as_a_function(home: Path) -> None:
    correct(home, "case_00002")
    result = api.clean(home / "w", dry_run=True)
    assert [leftover.reason for leftover in result.leftovers] == [CHANGED]
    assert result.bytes == sum(path.stat().st_size for leftover in result.leftovers for path in leftover.paths) > 0
