"""Where the files of a data set lie, and how a workspace finds them again."""

import shutil
from pathlib import Path

import pytest

from autoseg.data import places
from autoseg.data.dataset import Case, Dataset
from autoseg.layouts import find_dataset


def dataset(root: Path, *, outside: Path | None = None) -> Dataset:
    """One case, whose label map may lie elsewhere."""
    image, label = root / "images" / "a.nii", outside or root / "labels" / "a.nii"
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    case = Case(id="a", images=(image,), label=label, subject="a")
    return Dataset(name="d", root=root, layout="any", channels=("T1",), classes=None, cases=(case,))


def test_files_below_the_folder_are_stored_relative_to_it(tmp_path: Path) -> None:
    stored = places.as_stored(dataset(tmp_path / "data"), tmp_path / "runs" / "d")
    assert stored.cases[0].images == (Path("images/a.nii"),)
    assert stored.cases[0].label == Path("labels/a.nii")
    assert stored.root_from_workspace == "../../data"


def test_files_elsewhere_stay_where_they_are(tmp_path: Path) -> None:
    label = tmp_path / "elsewhere" / "a.nii"
    stored = places.as_stored(dataset(tmp_path / "data", outside=label), tmp_path / "run")
    assert stored.cases[0].label == label
    assert places.at(stored, tmp_path / "other").cases[0].label == label


def test_absolute_paths_as_0_1_stored_them_move_with_the_folder(tmp_path: Path) -> None:
    moved = places.at(dataset(tmp_path / "data"), tmp_path / "other")
    assert moved.root == tmp_path / "other"
    assert places.files_of(moved.cases[0]) == (tmp_path / "other/images/a.nii", tmp_path / "other/labels/a.nii")


def test_paths_through_a_link_are_those_of_the_folder_behind_it(tmp_path: Path) -> None:
    there = dataset(tmp_path / "data")
    (tmp_path / "link").symlink_to("data")
    stored = places.as_stored(there.model_copy(update={"root": tmp_path / "link"}), tmp_path / "run")
    assert stored.cases[0].images == (Path("images/a.nii"),)


@pytest.mark.parametrize("workspace", ["data/run", "runs/d", "run"], ids=["inside the data", "deeper", "beside them"])
def test_what_is_moved_together_is_found(tmp_path: Path, workspace: str) -> None:
    before = tmp_path / "before"
    stored = places.as_stored(dataset(before / "data"), before / workspace)
    (before / workspace).mkdir(parents=True)
    before.rename(tmp_path / "after")
    found = places.located(stored, tmp_path / "after" / workspace)
    assert found.root == tmp_path / "after/data"
    assert not places.absent(found.cases)


def test_a_workspace_behind_a_link_finds_its_data(tmp_path: Path) -> None:
    (tmp_path / "far" / "away" / "runs").mkdir(parents=True)
    (tmp_path / "runs").symlink_to("far/away/runs")
    data = dataset(tmp_path / "data")
    stored = places.as_stored(data, tmp_path / "runs" / "d")
    assert places.located(stored, tmp_path / "runs" / "d") == data.model_copy(
        update={"root_from_workspace": "../../../../data"}
    )


def test_a_workspace_that_is_moved_alone_finds_its_data_where_they_were(tmp_path: Path) -> None:
    stored = places.as_stored(dataset(tmp_path / "data"), tmp_path / "runs" / "d")
    assert places.located(stored, tmp_path / "elsewhere").root == tmp_path / "data"


def test_a_copy_of_both_uses_its_own_data(tmp_path: Path) -> None:
    stored = places.as_stored(dataset(tmp_path / "one" / "data"), tmp_path / "one" / "run")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    assert places.located(stored, tmp_path / "other" / "run").root == tmp_path / "other/data"


def test_a_folder_of_the_same_name_without_the_cases_is_another_one(tmp_path: Path) -> None:
    stored = places.as_stored(dataset(tmp_path / "one" / "data"), tmp_path / "one" / "run")
    (tmp_path / "other" / "data").mkdir(parents=True)
    assert places.located(stored, tmp_path / "other" / "run").root == tmp_path / "one/data"


def test_what_is_nowhere_is_where_it_was(tmp_path: Path) -> None:
    stored = places.as_stored(dataset(tmp_path / "data"), tmp_path / "run")
    shutil.rmtree(tmp_path / "data")
    found = places.located(stored, tmp_path / "run")
    assert found.root == tmp_path / "data"
    assert [case.id for case in places.absent(found.cases)] == ["a"]


@pytest.mark.parametrize("absolute", [True, False])
def test_tables_with_absolute_and_with_relative_paths_move_alike(tmp_path: Path, absolute: bool) -> None:
    data = tmp_path / "data"
    dataset(data)
    prefix = f"{data}/" if absolute else ""
    (data / "cases.csv").write_text(f"id,image,label\na,{prefix}images/a.nii,{prefix}labels/a.nii\n")
    stored = places.as_stored(find_dataset(data), tmp_path / "run")
    assert stored.cases[0].images == (Path("images/a.nii"),)
    data.rename(tmp_path / "moved")
    assert not places.absent(places.at(stored, tmp_path / "moved").cases)


def test_tables_that_name_files_beside_their_folder_move_with_them(tmp_path: Path) -> None:
    dataset(tmp_path / "project" / "scans")
    table = tmp_path / "project" / "tables" / "cases.csv"
    table.parent.mkdir()
    table.write_text("id,image,label\na,../scans/images/a.nii,../scans/labels/a.nii\n")
    stored = places.as_stored(find_dataset(table.parent), tmp_path / "project" / "run")
    (tmp_path / "project").rename(tmp_path / "renamed")
    assert not places.absent(places.located(stored, tmp_path / "renamed" / "run").cases)
