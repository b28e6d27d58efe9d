"""A data set that is found again where it was moved to."""

import json
from pathlib import Path

from oracles.empty_files import touch

from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice
from autoseg.runs.moved_data import _found_in


def test_label_maps_that_were_chosen_are_chosen_again_in_another_arrangement(tmp_path: Path) -> None:
    touch(tmp_path / "old", "images/a.nii", "labels/a.nii", "masks/a.nii")
    planned = find_dataset(tmp_path / "old", choice=Choice(labels="masks/*"))
    touch(tmp_path / "new", "scans/a.nii", "labels/a.nii", "masks/a.nii")
    (case,) = _found_in(tmp_path / "new", planned).cases
    assert case.images == (tmp_path / "new" / "scans" / "a.nii",)
    assert case.label == tmp_path / "new" / "masks" / "a.nii"


def test_cases_that_a_list_of_the_data_set_does_not_name_are_found_where_they_were_planned(tmp_path: Path) -> None:
    folders = ("imagesTr", "labelsTr")
    for home in ("old", "new"):
        touch(tmp_path / home, *(f"{folder}/{name}.nii" for folder in folders for name in "ab"))
    (tmp_path / "old" / "dataset.json").write_text(json.dumps(DESCRIPTION))  # as the whole folder was read before
    planned = find_dataset(tmp_path / "old")
    listed = [{"image": "imagesTr/a.nii", "label": "labelsTr/a.nii"}]
    (tmp_path / "new" / "dataset.json").write_text(json.dumps(DESCRIPTION | {"training": listed}))
    assert [case.id for case in find_dataset(tmp_path / "new").cases] == ["a"]
    found = _found_in(tmp_path / "new", planned)
    assert [case.images for case in found.cases] == [(tmp_path / "new" / "imagesTr" / f"{name}.nii",) for name in "ab"]


DESCRIPTION = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "x"}}
