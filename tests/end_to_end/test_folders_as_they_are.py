"""Folders as people have them, through the commands that take folders."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from oracles.commands import autoseg
from oracles.processes import Answer

FAST = ("--precision", "float32", "--no-mirror")


def pairs(cohort: Path) -> list[tuple[Path, Path]]:
    """The training scans of the phantom with their label maps."""
    return [
        (path.with_name(path.name.replace("_seg", "")), path) for path in sorted(cohort.glob("Training_Set/*/*_seg.nii.gz"))
    ]


def copy(files: Mapping[str, Path], root: Path) -> Path:
    """Copy files to their names below a folder, which is given back."""
    for name, path in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / name)
    return root


def predict(place: Path, out: Path, workspace: Path, *, expect: int = 0) -> Answer:
    return autoseg("predict", str(place), str(out), "-w", str(workspace), *FAST, expect=expect)


def test_patients_in_folders_are_planned_segmented_and_judged_under_the_same_ids(
    cohort: Path, trained: Path, tmp_path: Path
) -> None:
    days = ("p1/day1", "p1/day2", "p2/day1")
    files = {}
    for day, (image, label) in zip(days, pairs(cohort), strict=False):
        files |= {f"{day}/T1.nii.gz": image, f"{day}/T1-label.nii.gz": label, f"{day}/T1.mgz": image}
    patients = copy(files, tmp_path / "patients")
    checked = autoseg("check", str(patients), "--json")
    assert json.loads(checked.told)["labelled"] == ["p1_day1", "p1_day2", "p2_day1"]
    unread = "skipped (files that are not read, by their names): p1/day1/T1.mgz, p1/day2/T1.mgz, p2/day1/T1.mgz"
    assert unread in checked.said
    autoseg("plan", str(patients), "-w", str(tmp_path / "run"))
    folds = json.loads((tmp_path / "run" / "splits.json").read_text())["folds"]
    assert sorted(fold["validation"] for fold in folds) == [["p1_day1", "p1_day2"], ["p2_day1"]]
    predicted = predict(patients, tmp_path / "out", trained)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == [
        "p1_day1.nii.gz",
        "p1_day2.nii.gz",
        "p2_day1.nii.gz",
    ]
    assert unread in predicted.said
    assert "skipped (label maps by their names): p1/day1/T1-label.nii.gz, " in predicted.said
    judged = autoseg("evaluate", str(tmp_path / "out"), str(patients), "-w", str(trained))
    assert "3 cases" in judged.told


def test_scans_that_folders_do_not_tell_apart_fail_and_the_others_go_on(cohort: Path, trained: Path, tmp_path: Path) -> None:
    (image, _), *_ = pairs(cohort)
    place = copy({f"{name}.nii.gz": image for name in ("a_b/c/t", "a/b_c/t", "u")}, tmp_path / "in")
    said = predict(place, tmp_path / "out", trained, expect=7).said
    assert "1 case failed, 1 succeeded" in said
    assert f"several scans are called a_b_c_t; found {place}/a/b_c/t.nii.gz, {place}/a_b/c/t.nii.gz" in said


def test_a_scan_that_is_named_itself_is_segmented_whatever_its_name(cohort: Path, trained: Path, tmp_path: Path) -> None:
    (image, _), *_ = pairs(cohort)
    copy({"brain_mask.nii.gz": image, "T1.bak": image}, tmp_path / "in")
    for name, result in (("brain_mask.nii.gz", "brain_mask"), ("T1.bak", "T1")):
        predict(tmp_path / "in" / name, tmp_path / "out", trained)
        assert (tmp_path / "out" / f"{result}.nii.gz").exists()
    assert "holds no scans" in predict(tmp_path / "in", tmp_path / "out", trained, expect=2).said


def test_the_voxels_of_a_pair_of_files_stand_for_the_scan(cohort: Path, trained: Path, tmp_path: Path) -> None:
    (image, _), *_ = pairs(cohort)
    whole = nib.Nifti1Image.from_filename(image)
    nib.Nifti1Pair(np.asanyarray(whole.dataobj), whole.affine).to_filename(tmp_path / "a.img")
    copy({"b.nii.gz": image}, tmp_path)
    for name in ("a.img", "b.nii.gz"):
        predict(tmp_path / name, tmp_path / "out", trained)
    maps = [nib.Nifti1Image.from_filename(tmp_path / "out" / f"{name}.nii.gz").dataobj for name in "ab"]
    np.testing.assert_array_equal(maps[0], maps[1])


def test_bids_of_several_channels_is_planned_with_subjects_together_and_segmented(
    cohort: Path, trained: Path, tmp_path: Path
) -> None:
    files = {}
    for (image, label), scan in zip(pairs(cohort), ("1_ses-a", "1_ses-b", "2_ses-a", "3_ses-a"), strict=True):
        folder = f"sub-{scan.replace('_', '/')}/anat/sub-{scan}"
        files |= {f"{folder}_T1w.nii.gz": image, f"{folder}_FLAIR.nii.gz": image}
        files |= {f"derivatives/manual/{folder}_dseg.nii.gz": label}
    bids = copy(files, tmp_path / "bids")
    autoseg("plan", str(bids), "-w", str(tmp_path / "run"))
    dataset = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert (dataset["layout"], dataset["channels"]) == ("bids", ["T1w", "FLAIR"])
    folds = json.loads((tmp_path / "run" / "splits.json").read_text())["folds"]
    assert sorted(fold["validation"] for fold in folds) == [["sub-1_ses-a", "sub-1_ses-b"], ["sub-2_ses-a"], ["sub-3_ses-a"]]
    autoseg("plan", str(bids), "-w", str(tmp_path / "one"), "--channel", "T1w", "--folds", "3")
    autoseg("train", "-w", str(tmp_path / "one"), "--arch", "unet", "--fold", "0", "--epochs", "1", "--precision", "float32")
    predict(bids, tmp_path / "out", tmp_path / "one")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == [
        f"sub-{scan}.nii.gz" for scan in ("1_ses-a", "1_ses-b", "2_ses-a", "3_ses-a")
    ]
    assert "4 cases" in autoseg("evaluate", str(tmp_path / "out"), str(bids), "-w", str(tmp_path / "one")).told


def test_a_folder_of_scans_beside_one_of_masks(cohort: Path, tmp_path: Path) -> None:
    files = {}
    for number, (image, label) in enumerate(pairs(cohort)):
        files |= {f"images/{number}.nii.gz": image, f"masks/{number}_mask.nii.gz": label}
    told = autoseg("check", str(copy(files, tmp_path / "data"))).told
    assert "data (folder_pair layout) can be trained: 4 labelled cases" in told


def test_tables_with_semicolons_name_all_their_missing_files(cohort: Path, tmp_path: Path) -> None:
    rows = [f"{number};{image};{label}" for number, (image, label) in enumerate(pairs(cohort))]
    (tmp_path / "cases.csv").write_text("\n".join(["id;image;label", *rows]))
    assert "(cases_csv layout) can be trained: 4 labelled cases" in autoseg("check", str(tmp_path)).told
    (tmp_path / "cases.csv").write_text("id\timage\tlabel\na\tx.nii\ty.nii\n")
    said = autoseg("check", str(tmp_path), expect=3).said
    assert f"line 2, image: {tmp_path}/x.nii; line 2, label: {tmp_path}/y.nii" in said


def test_an_nnunet_data_set_that_lists_its_cases(cohort: Path, tmp_path: Path) -> None:
    entries = {
        str(number): {"images": [str(image)], "label": str(label)} for number, (image, label) in enumerate(pairs(cohort))
    }
    document = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "CSF": 1, "GM": 2, "WM": 3}, "dataset": entries}
    (tmp_path / "dataset.json").write_text(json.dumps(document))
    assert "(nnunet_raw layout) can be trained: 4 labelled cases" in autoseg("check", str(tmp_path)).told
