"""Cases that the `dataset.json` of the Decathlon's layout lists, as MONAI reads it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from oracles.empty_files import touch
from oracles.watched_runs import Recorder

from autoseg.data.splits import make_splits
from autoseg.errors import DatasetError
from autoseg.layouts import find_dataset, tell_found


def entry(name: str, label: str | None = None) -> dict[str, str]:
    """An entry for a scan, and for the label map of the same or another name."""
    return {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{label or name}.nii.gz"}


def listing(root: Path, names: Sequence[str] = "abcd", **lists: Any) -> Path:
    """A folder with scans and label maps of these names, and lists."""
    touch(root, *(f"{folder}/{name}.nii.gz" for folder in ("imagesTr", "labelsTr") for name in names))
    document = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "x"}, **lists}
    (root / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def cases(root: Path) -> list[tuple[str, str, str | None]]:
    """Ids, subsets and names of label maps."""
    data = find_dataset(root)
    assert data.layout == "decathlon"
    return [(case.id, case.subset, case.label and case.label.name) for case in data.cases]


def refused(root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        find_dataset(root)
    return str(caught.value)


def test_only_what_is_listed_takes_part_and_the_rest_is_said(tmp_path: Path) -> None:
    root = listing(tmp_path, training=[entry("a"), entry("b")], validation=[entry("c")])
    assert cases(root) == [
        ("a", "training", "a.nii.gz"),
        ("b", "training", "b.nii.gz"),
        ("c", "validation", "c.nii.gz"),
    ]
    official = make_splits(find_dataset(root), classes_present={name: {1} for name in "ab"}, folds=2, groups=None).official
    assert official is not None
    assert (official.training, official.validation) == (("a", "b"), ("c",))
    events = Recorder()
    tell_found(find_dataset(root), events)
    assert [text for text in events.notes if "skipped" in text] == [
        "skipped (images that belong to no case): imagesTr/d.nii.gz, labelsTr/d.nii.gz"
    ]


def test_listed_pairs_may_have_different_names(tmp_path: Path) -> None:
    root = touch(tmp_path, "imagesTr/img0001.nii.gz", "labelsTr/label0001.nii.gz", "imagesTr/alone.nii.gz")
    listing(root, (), training=[entry("img0001", "label0001")])
    assert cases(root) == [("img0001", "training", "label0001.nii.gz")]


@pytest.mark.parametrize("training", [[], ["imagesTr/a.nii.gz"], [entry("a"), {"image": "imagesTr/b.nii.gz"}]], ids=repr)
def test_folders_count_where_label_maps_are_not_listed(tmp_path: Path, training: list[Any]) -> None:
    root = listing(tmp_path, training=training)
    assert cases(root) == [(name, "training", f"{name}.nii.gz") for name in "abcd"]
    text = refused(listing(tmp_path, training=training, validation=[entry("c")]))
    assert "`validation` lists cases, but `training` does not" in text


def test_scans_to_predict_are_those_of_their_folder_and_of_the_validation_without_label_map(tmp_path: Path) -> None:
    touch(tmp_path, *(f"imagesTs/{name}.nii.gz" for name in "xyz"), "labelsTs/x.nii.gz", "labelsTs/y.nii.gz")
    listed = {"image": "imagesTs/x.nii.gz", "label": "labelsTs/x.nii.gz"}
    unlabelled = [{"image": "imagesTr/c.nii.gz"}, "imagesTr/d.nii.gz"]
    root = listing(tmp_path, training=[entry("a")], validation=[entry("b"), listed, *unlabelled], test=["imagesTs/z.nii.gz"])
    assert cases(root) == [
        ("a", "training", "a.nii.gz"),
        ("b", "validation", "b.nii.gz"),
        ("c", "test", None),
        ("d", "test", None),
        ("x", "validation", "x.nii.gz"),
        ("y", "test", "y.nii.gz"),
        ("z", "test", None),
    ]


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ({"training": [entry("a"), entry("b")], "validation": [entry("b")]}, "imagesTr/b.nii.gz"),
        ({"training": [entry("a"), entry("b", "a")]}, "labelsTr/a.nii.gz"),
        ({"training": [entry("a"), entry("a", "b")]}, "imagesTr/a.nii.gz"),
    ],
    ids=["trained on and validated", "two scans of one label map", "two label maps of one scan"],
)
def test_files_of_two_entries_are_named(tmp_path: Path, lists: dict[str, Any], named: str) -> None:
    text = refused(listing(tmp_path, **lists))
    assert "list files more than once" in text
    assert str(tmp_path / named) in text


def test_an_entry_that_is_there_twice_is_one(tmp_path: Path) -> None:
    assert cases(listing(tmp_path, training=[entry("a"), entry("a")])) == [("a", "training", "a.nii.gz")]


def test_missing_files_of_the_validation_are_named(tmp_path: Path) -> None:
    text = refused(listing(tmp_path, training=[entry("a")], validation=[entry("gone")]))
    assert "imagesTr/gone.nii.gz" in text
    assert "labelsTr/gone.nii.gz" in text
