"""Folders as they are, with label maps beside the scans."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles.dicom_exports import export
from oracles.empty_files import touch

from autoseg.errors import DatasetError
from autoseg.layouts import beside, find_dataset
from autoseg.layouts.common import Choice


def cases(root: Path, choice: Choice | None = None) -> list[tuple[str, str, list[str], str | None]]:
    """Ids, subjects, names of images, and of label maps."""
    data = find_dataset(root, choice=choice or Choice())
    assert data.layout == "beside"
    return [
        (case.id, case.subject, [path.name for path in case.images], case.label and case.label.name) for case in data.cases
    ]


@pytest.mark.parametrize("end", ["-seg", "_mask", "-label", "_label", ".seg", "_gt", "_segmentation"])
def test_label_maps_by_the_ends_of_their_names(tmp_path: Path, end: str) -> None:
    touch(tmp_path, "a.nrrd", f"a{end}.nrrd", "x/b.nrrd", f"x/b{end}.nrrd")
    assert [(name, label) for name, _, _, label in cases(tmp_path)] == [("a", f"a{end}.nrrd"), ("b", f"b{end}.nrrd")]


def test_ends_of_names_may_differ(tmp_path: Path) -> None:
    touch(tmp_path, "a.nrrd", "a.seg.nrrd", "b.nrrd", "b.seg.nrrd", "c.nrrd", "c_seg.nii.gz")
    assert [(name, label) for name, _, _, label in cases(tmp_path)] == [
        ("a", "a.seg.nrrd"),
        ("b", "b.seg.nrrd"),
        ("c", "c_seg.nii.gz"),
    ]


def test_equal_names_become_their_folders(tmp_path: Path) -> None:
    for way in ("p1/day1/anat", "p1/day2/anat", "p2/day1/anat"):
        touch(tmp_path, f"{way}/T1.nii.gz", f"{way}/T1_seg.nii.gz")
    assert [(name, subject) for name, subject, *_ in cases(tmp_path)] == [
        ("p1_day1", "p1"),
        ("p1_day2", "p1"),
        ("p2_day1", "p2"),
    ]


def test_the_only_scan_of_a_folder_has_its_label_map_whatever_that_is_called(tmp_path: Path) -> None:
    touch(tmp_path, "p1/T1.nii", "p1/mask.nii", "p2/T1.nii", "p2/lesion_mask.nii")
    assert cases(tmp_path) == [("p1", "p1", ["T1.nii"], "mask.nii"), ("p2", "p2", ["T1.nii"], "lesion_mask.nii")]


def test_images_that_every_label_map_has_beside_it_are_channels(tmp_path: Path) -> None:
    for name in ("B_1", "B_2"):
        touch(tmp_path / name, *(f"{name}_{end}.nii" for end in ("t1", "t1ce", "flair", "seg")))
    touch(tmp_path / "B_1", "B_1_extra.nii")
    assert cases(tmp_path) == [
        (name, name, [f"{name}_{end}.nii" for end in ("flair", "t1", "t1ce")], f"{name}_seg.nii") for name in ("B_1", "B_2")
    ]
    bare = touch(tmp_path / "bare", *(f"{name}/{image}.nii" for name in ("p1", "p2") for image in ("T1", "T2", "mask")))
    assert find_dataset(bare).channels == ("T1", "T2")
    assert [case.id for case in find_dataset(bare).cases] == ["p1", "p2"]


@pytest.mark.parametrize("folders", [True, False], ids=["a folder for each", "one folder"])
def test_scans_are_gone_through_once_for_all_label_maps(*, folders: bool) -> None:
    class Counted(dict[Path, str]):
        seen = 0

        def items(self) -> Any:
            for pair in super().items():
                self.seen += 1
                yield pair

    ids = [f"c{number}" for number in range(50)]
    place = {name: Path("/data") / (name if folders else "") for name in ids}
    scans = Counted({place[name] / f"{name}_{end}.nii": f"{name}_{end}" for name in ids for end in ("t1", "t2")})
    labels = {place[name] / f"{name}_seg.nii": name for name in ids}
    assert beside._shared_channels(scans, labels) == ("t1", "t2")
    assert scans.seen == len(scans)


def test_channels_and_label_maps_may_be_chosen(tmp_path: Path) -> None:
    for name in ("p1", "p2"):
        touch(tmp_path / name, "T1.nii", "T2.nii", "brain_mask.nii", "lesion.nii")
    chosen = Choice(labels="lesion.nii", channels=("T2",))
    assert cases(tmp_path, chosen) == [(name, name, ["T2.nii"], "lesion.nii") for name in ("p1", "p2")]


def test_parts_of_the_data_set_and_scans_without_labels_in_them(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{part}/p{number}/{name}.nii" for number, part in enumerate(PARTS) for name in ("T1", "T1-seg")))
    touch(tmp_path, "test/p9/T1.nii")
    data = find_dataset(tmp_path)
    assert [(case.id, case.subset, case.subject) for case in data.cases] == [
        ("test_p9", "test", "test_p9"),
        ("train_p0", "training", "train_p0"),
        ("val_p1", "validation", "val_p1"),
    ]


PARTS = ("train", "val")


def test_unpaired_files_are_all_named(tmp_path: Path) -> None:
    touch(tmp_path, "p1/a.nii", "p1/a-seg.nii", "p2/a.nii", "p3/a-seg.nii")
    with pytest.raises(DatasetError, match=r"without a label: p2/a; labels without an image: p3/a-seg\.nii"):
        find_dataset(tmp_path)


def test_several_label_maps_ask_for_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "p1/T1.nii", "p1/T1-seg.nii", "p1/T1_mask.nii")
    with pytest.raises(DatasetError, match=r"several label maps.*p1/T1: .*--labels '\*_mask\.nii'"):
        find_dataset(tmp_path)
    assert cases(tmp_path, Choice(labels="*_mask.nii"))[0][-1] == "T1_mask.nii"


def test_scans_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    for folder in ("a_b/c", "a/b_c"):
        touch(tmp_path / folder, "t.nii", "t_seg.nii")
    with pytest.raises(DatasetError, match=r"several files for one id; found a_b_c_t: .*a/b_c/t\.nii, .*a_b/c/t\.nii"):
        find_dataset(tmp_path)


def test_names_that_differ_in_their_unicode_form_only_belong_together(tmp_path: Path) -> None:
    touch(tmp_path, "Zoe\u0308.nii", "Zo\u00eb-seg.nii")
    assert cases(tmp_path) == [("Zo\u00eb", "Zo\u00eb", ["Zoe\u0308.nii"], "Zo\u00eb-seg.nii")]


def test_pairs_of_files_are_scans(tmp_path: Path) -> None:
    touch(tmp_path, "p1/a.hdr", "p1/a.img", "p1/a-label.hdr", "p1/a-label.img")
    assert cases(tmp_path) == [("a", "a", ["a.hdr"], "a-label.hdr")]


def slices(root: Path, *folders: str) -> None:
    for folder in folders:
        export(root / folder, np.zeros((2, 4, 4), np.int16), series=folder)


@pytest.mark.parametrize(
    ("scan", "label"),
    [
        ("{}", "{}/{}_seg.nii.gz"),
        ("{}", "{}_seg.nii.gz"),
        ("{}/DICOM", "{}/{}_seg.nii.gz"),
        ("{}/T1", "{}/mask.nii.gz"),
        ("{}/T1", "{}/mask"),
    ],
)
def test_folders_of_slices_are_scans(tmp_path: Path, scan: str, label: str) -> None:
    expected = []
    for name in ("p1", "p2"):
        image, mask = Path(scan.format(name)), Path(label.format(name, name))
        slices(tmp_path, str(image), *([str(mask)] if not mask.suffix else []))
        touch(tmp_path, *([str(mask)] if mask.suffix else []))
        expected.append((name, name, [image.name], mask.name))
    assert cases(tmp_path) == expected


def test_folders_of_slices_are_channels(tmp_path: Path) -> None:
    slices(tmp_path, *(f"{name}/{image}" for name in ("p1", "p2") for image in ("T1", "FLAIR")))
    touch(tmp_path, "p1/mask.nii", "p2/mask.nii")
    assert cases(tmp_path) == [(name, name, ["FLAIR", "T1"], "mask.nii") for name in ("p1", "p2")]


def test_slices_that_scans_were_made_of_are_no_scans(tmp_path: Path) -> None:
    touch(tmp_path, "p1/a.mha", "p1/a-label.mha")
    slices(tmp_path, "p1/DICOM", "p2")
    assert cases(tmp_path) == [("a", "a", ["a.mha"], "a-label.mha")]
