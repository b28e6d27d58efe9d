"""One scan under several ids: said by `check` and `plan`, and kept on one side of every fold."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oracles.commands import autoseg


@pytest.fixture
def data(cohort: Path, tmp_path: Path) -> Path:
    shutil.copytree(cohort, tmp_path / "IBSR18")
    return tmp_path / "IBSR18"


def ids(data: Path, subset: str = "Training_Set") -> list[str]:
    return sorted(path.name for path in (data / subset).iterdir())


def file(data: Path, case: str, ending: str = "", *, subset: str = "Training_Set") -> Path:
    return data / subset / case / f"{case}{ending}.nii.gz"


def copy(data: Path, case: str, target: str, *, subset: str = "Training_Set", labels: bool = True) -> None:
    """The same scan under another id: stored along other axes and without compression, then with."""
    (data / subset / target).mkdir(exist_ok=True)
    for ending in ["", "_seg"] if labels else [""]:
        image = sitk.DICOMOrient(sitk.ReadImage(str(file(data, case, ending))), "ASL")
        sitk.WriteImage(image, str(file(data, target, ending, subset=subset)))


def folds(folder: Path) -> list[dict[str, list[str]]]:
    return json.loads((folder / "splits.json").read_text())["folds"]


def sides(folder: Path, *cases: str) -> list[set[bool]]:
    return [{case in fold["validation"] for case in cases} for fold in folds(folder)]


def test_a_scan_under_two_ids_is_named_and_stays_on_one_side_of_every_fold(data: Path, tmp_path: Path) -> None:
    first, *others = ids(data)
    for number, other in enumerate([*others, "IBSR_77"]):  # wherever the copy would have been assigned to
        shutil.rmtree(data / "Training_Set" / "IBSR_77", ignore_errors=True)
        kept = data.with_name("kept")
        shutil.copytree(data / "Training_Set", kept)
        copy(data, first, other)
        message = (
            f"{', '.join(sorted([first, other]))}: the same scan under several ids, voxel by voxel. They stay on one side "
            "of every fold. Remove all but one of them"
        )
        for command in (["check", str(data)], ["plan", str(data), "-w", f"w{number}"]):
            assert message in autoseg(*command, cwd=tmp_path).said.replace("\n", " ")
        assert all(len(side) == 1 for side in sides(tmp_path / f"w{number}", first, other))
        assert len(folds(tmp_path / f"w{number}")) == len(ids(data)) - 1  # four scans, so that each is a fold
        shutil.rmtree(data / "Training_Set")
        kept.rename(data / "Training_Set")
    plan = json.loads((tmp_path / "w0" / "plan.json").read_text())
    assert plan["decisions"]["folds"]["reason"].endswith("Subjects that share a scan count as one.")


def test_folds_edited_so_that_a_scan_is_on_both_sides_are_refused(data: Path, tmp_path: Path) -> None:
    first = ids(data)[0]
    copy(data, first, "again")
    autoseg("plan", str(data), "-w", "w", "--folds", "2", cwd=tmp_path)
    path = tmp_path / "w" / "splits.json"
    document = json.loads(path.read_text())
    for fold in document["folds"]:
        held_out, learnt = (fold[side] for side in ("validation", "training"))
        if "again" in held_out:
            held_out.remove("again")
            learnt.append("again")
        else:
            learnt.remove("again")
            held_out.append("again")
    path.write_text(json.dumps(document))
    said = autoseg("train", "-w", "w", "--epochs", "1", cwd=tmp_path, expect=5).said
    assert f"fold 0 has one scan in training and in validation: {first}, again" in said


def test_without_copies_nothing_is_said(cohort: Path, tmp_path: Path) -> None:
    said = autoseg("check", str(cohort)).said + autoseg("plan", str(cohort), "-w", "w", cwd=tmp_path).said
    assert "same" not in said


def test_patients_that_share_a_scan_stay_together_with_all_their_scans(data: Path, tmp_path: Path) -> None:
    first, second, third, fourth = ids(data)
    copy(data, first, "again")
    rows = ["id,image,label,subject"]
    subjects = {first: "p1", second: "p1", "again": "p2", third: "p2", fourth: "p3"}
    rows += [f"{case},{file(data, case)},{file(data, case, '_seg')},{subject}" for case, subject in subjects.items()]
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "cases.csv").write_text("\n".join(rows) + "\n")
    autoseg("plan", "table", "-w", "w", cwd=tmp_path)
    assert [sorted(fold["validation"]) for fold in folds(tmp_path / "w")] in (
        [sorted([first, second, "again", third]), [fourth]],
        [[fourth], sorted([first, second, "again", third])],
    )


def test_across_the_official_split_and_among_test_scans_copies_are_named(data: Path, tmp_path: Path) -> None:
    first, second, *_ = ids(data)
    copy(data, first, "v1", subset="Validation_Set")
    copy(data, second, "t1", subset="Test_Set", labels=False)
    said = autoseg("check", str(data)).said.replace("\n", " ")
    assert f"{first}, v1: the same scan under several ids, voxel by voxel. The official split has it on both sides" in said
    assert f"{second}, t1: the same scan under several ids, voxel by voxel. It is among the test scans, too" in said
    autoseg("plan", str(data), "-w", "w", cwd=tmp_path)
    official = json.loads((tmp_path / "w" / "splits.json").read_text())["official"]
    assert (first in official["training"], "v1" in official["validation"]) == (True, True)


def test_different_headers_and_label_maps_of_one_scan_are_said(data: Path) -> None:
    first, second, *_ = ids(data)
    copy(data, first, second)
    image = sitk.ReadImage(str(file(data, second)))
    labels = sitk.ReadImage(str(file(data, second, "_seg")))
    for one in (image, labels):
        one.SetSpacing([2 * side for side in one.GetSpacing()])
    labels[0, 0, 0] = 1 if labels[0, 0, 0] == 0 else 0
    sitk.WriteImage(image, str(file(data, second)))
    sitk.WriteImage(labels, str(file(data, second, "_seg")))
    said = autoseg("check", str(data)).said.replace("\n", " ")
    assert (
        f"{first}, {second}: the same scan under several ids, voxel by voxel, though with other spacings, with different"
        in said
    )


def test_one_label_map_of_different_scans_is_named(data: Path) -> None:
    reference = sitk.ReadImage(str(file(data, ids(data)[0], "_seg")))
    for seed, (case, labels) in enumerate({"a": reference, "b": reference, "c": reference * 0, "d": reference * 0}.items()):
        noise = np.random.default_rng(seed).normal(100, 9, reference.GetSize()[::-1]).astype(np.float32)
        image = sitk.GetImageFromArray(noise)
        image.CopyInformation(reference)
        (data / "Training_Set" / case).mkdir()
        sitk.WriteImage(image, str(file(data, case)))
        sitk.WriteImage(labels, str(file(data, case, "_seg")))
    said = autoseg("check", str(data)).said.replace("\n", " ")
    assert f"{ids(data)[0]}, a, b: different scans with exactly the same label map" in said
    assert said.count("the same") == 1  # nothing is labelled in c and d
