"""A data set that is found again where it was moved to."""

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
