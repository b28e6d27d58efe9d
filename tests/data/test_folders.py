"""What folders hold by their names."""

from pathlib import Path

import pytest
from oracles.empty_files import touch

from autoseg.data.dataset import Subset
from autoseg.data.folders import Kind, PassedOver, Role, all_files, files_below, role_of, some_files


@pytest.mark.parametrize(
    ("name", "kind", "subset"),
    [
        ("images", "images", None),
        ("imagesTr", "images", "training"),
        ("labelsTs", "labels", "test"),
        ("train_masks", "labels", "training"),
        ("Ground Truth", "labels", None),
        ("img", "images", None),
        ("label", "labels", None),
        ("imagesVal", "images", "validation"),
        ("Training_Set", None, "training"),
        ("val", None, "validation"),
        ("test-data", None, "test"),
        ("latest", None, None),
        ("imagery", None, None),
        ("sub-01", None, None),
        ("", None, None),
    ],
)
def test_roles(name: str, kind: Kind | None, subset: Subset | None) -> None:
    assert role_of(name) == Role(kind, subset)


def test_folders_without_scans_are_skipped_where_folders_of_scans_lie_beside_them(tmp_path: Path) -> None:
    touch(tmp_path, "a/images/x", "a/labels/x", "b/labels/x", "c/sub-1/x", "c/derivatives/x", "d/derivatives/x", ".e/x", "f")
    skipped: list[Path] = []
    found = [path.relative_to(tmp_path).as_posix() for path in files_below(tmp_path, visited=set(), skipped=skipped)]
    assert found == ["a/images/x", "b/labels/x", "c/sub-1/x", "d/derivatives/x", "f"]
    assert skipped == [tmp_path / "a/labels", tmp_path / "c/derivatives"]


def test_what_autoseg_made_holds_no_scans(tmp_path: Path) -> None:
    touch(tmp_path, "a", "out/predictions.csv", "out/a", "runs/x/plan.json", "runs/x/models/a", "linked/b")
    skipped: list[Path] = []
    assert list(files_below(tmp_path, visited=set(), skipped=skipped)) == [tmp_path / "a", tmp_path / "linked" / "b"]
    assert skipped == [tmp_path / "out", tmp_path / "runs" / "x"]
    assert list(all_files(tmp_path)) == [tmp_path / "a", tmp_path / "linked" / "b"]
    assert list(files_below(tmp_path / "out", visited=set(), skipped=[])) == [
        tmp_path / "out/a",
        tmp_path / "out/predictions.csv",
    ]


def test_long_lists_are_cut() -> None:
    root = Path("/data")
    assert some_files([root / "x" / str(number) for number in range(8)], root=root) == "x/0, x/1, x/2, x/3, x/4 and 3 more"
    others = [*(root / f"{number}.mgz" for number in range(6)), root / "a.nii.bz2", root / "b", root / "c.nii.bz2"]
    shown = "0.mgz, 1.mgz, 2.mgz, 3.mgz, 4.mgz and 4 more (1 .mgz, 2 .bz2, 1 no ending)"
    assert some_files(others, root=root) == shown


def test_probabilities_of_held_out_cases_are_nobodys_scans(tmp_path: Path) -> None:
    passed = PassedOver(tmp_path)
    passed.add_unread(tmp_path / "a.npy")
    (tmp_path / "record.json").write_text("{}")
    passed.add_unread(tmp_path / "b.npy")
    assert passed.files == {"files that are not read, by their names": [tmp_path / "a.npy"]}
