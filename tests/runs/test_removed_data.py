"""Files that are gone from the folder of a data set."""

from pathlib import Path

import pytest
from oracles.empty_files import touch

from autoseg.errors import DatasetError
from autoseg.layouts import find_dataset
from autoseg.runs.removed_data import planning_without, require_files
from autoseg.runs.workspace import Workspace


def test_files_that_are_gone_from_a_folder_that_is_there_are_put_back_or_left_out(tmp_path: Path) -> None:
    touch(tmp_path / "data", *(f"{kind}/{name}.nii" for kind in ("images", "labels") for name in "abc"))
    workspace = Workspace(tmp_path / "run")
    workspace.write_dataset(find_dataset(tmp_path / "data"))
    cases = workspace.dataset().labelled
    require_files(cases, workspace)
    (tmp_path / "data" / "labels" / "b.nii").unlink()
    with pytest.raises(DatasetError, match=r"files of b are not there any more") as single:
        require_files(cases[1:], workspace)
    left = tmp_path / "data" / "images" / "b.nii"
    assert (
        f"Put them back. Or move what is left of them out of the folder, too ({left}), and plan again without them: `"
        in (single.value.remedy)
    )
    assert "--data" not in single.value.remedy
    for name in "ac":
        (tmp_path / "data" / "images" / f"{name}.nii").unlink()
    with pytest.raises(DatasetError, match="files of b, c are not there any more") as moved:
        require_files(cases[1:], workspace)
    assert "name its folder with --data DIR" in moved.value.remedy


def test_models_are_told_of_where_there_are_some_and_a_removed_case_leaves_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "data", *(f"{kind}/{name}.nii" for kind in ("images", "labels") for name in "ab"))
    workspace = Workspace(tmp_path / "run")
    workspace.write_dataset(find_dataset(tmp_path / "data"))
    dataset = workspace.dataset()
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind / "b.nii").unlink()
    said = planning_without(dataset.labelled[1:], dataset, workspace)
    assert said.startswith("plan again without them: `autoseg plan")
    assert "Models" not in said
    (workspace.models / "unet" / "fold_0").mkdir(parents=True)
    assert "Models trained by then had the removed ones" in planning_without(dataset.labelled[1:], dataset, workspace)
