"""A folder of scans beside a folder of label maps."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from oracles.dicom_exports import export
from oracles.empty_files import touch

from autoseg.errors import DatasetError
from autoseg.layouts import find_dataset
from autoseg.layouts.common import Choice


def cases(root: Path, choice: Choice | None = None) -> list[tuple[str, str, list[str], str | None]]:
    """Ids, subsets, images and label maps below the folder."""
    data = find_dataset(root, choice=choice or Choice())
    assert data.layout == "folder_pair"
    return [
        (
            case.id,
            case.subset,
            [path.relative_to(root).as_posix() for path in case.images],
            None if case.label is None else case.label.relative_to(root).as_posix(),
        )
        for case in data.cases
    ]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/{}.nii.gz", "labels/{}.nii.gz"),
        ("images/{}.nii.gz", "masks/{}_mask.nrrd"),
        ("imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz"),
        ("train_images/{}.png", "train_masks/{}.png"),
        ("img/img{}.nii.gz", "label/label{}.nii.gz"),
        ("Images/image-{}.jpg", "Ground Truth/mask-{}.png"),
        ("scans/{}_scan.nii", "segmentations/{}-segmentation.nii"),
        ("train/images/{}.nii", "train/labels/{}.nii"),
        ("images/training/{}.nii", "labels/training/{}.nii"),
        ("images/a/{}.nii", "labels/a/{}.nii"),
    ],
)
def test_what_people_call_their_folders(tmp_path: Path, image: str, label: str) -> None:
    touch(tmp_path, *(form.format(name) for form in (image, label) for name in ("x1", "x2")))
    expected = [([image.format(name)], label.format(name)) for name in ("x1", "x2")]
    assert [(images, labels) for _, subset, images, labels in cases(tmp_path) if subset == "training"] == expected


def test_parts_of_a_data_set(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *(f"{part}/{kind}/{name}.nii" for part in ("train", "val") for kind in ("images", "labels") for name in "ab"),
    )
    touch(tmp_path, "test/images/c.nii")
    assert [(name, subset, label) for name, subset, _, label in cases(tmp_path)] == [
        ("c", "test", None),
        ("train_a", "training", "train/labels/a.nii"),
        ("train_b", "training", "train/labels/b.nii"),
        ("val_a", "validation", "val/labels/a.nii"),
        ("val_b", "validation", "val/labels/b.nii"),
    ]


def test_channels_are_numbered(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "imagesTr/a_0000.nii",
        "imagesTr/a_0001.nii",
        "labelsTr/a.nii",
        "imagesTs/b_0001.nii",
        "imagesTs/b_0000.nii",
    )
    assert cases(tmp_path) == [
        ("a", "training", ["imagesTr/a_0000.nii", "imagesTr/a_0001.nii"], "labelsTr/a.nii"),
        ("b", "test", ["imagesTs/b_0000.nii", "imagesTs/b_0001.nii"], None),
    ]
    assert find_dataset(tmp_path).channels == ("channel 0", "channel 1")


def test_four_digits_are_no_channel_where_label_maps_have_them_too(tmp_path: Path) -> None:
    touch(tmp_path, "images/a_0001.nii", "labels/a_0001.nii")
    assert [name for name, *_ in cases(tmp_path)] == ["a_0001"]
    assert find_dataset(tmp_path).channels == ("image",)


def test_channels_may_be_chosen_by_the_ends_of_names(tmp_path: Path) -> None:
    touch(tmp_path, "images/a_T1.nii", "images/a_FLAIR.nii", "images/a_T2.nii", "labels/a.nii")
    chosen = Choice(channels=("FLAIR", "T1"))
    assert cases(tmp_path, chosen) == [("a", "training", ["images/a_FLAIR.nii", "images/a_T1.nii"], "labels/a.nii")]
    assert find_dataset(tmp_path, choice=chosen).asked_channels == ("FLAIR", "T1")
    with pytest.raises(DatasetError, match=r"scans lack channels.*a: PD"):
        find_dataset(tmp_path, choice=Choice(channels=("T1", "PD")))


def test_patients_have_folders(tmp_path: Path) -> None:
    for name in ("p1/day1", "p1/day2", "p2/day1"):
        touch(tmp_path, f"images/{name}/T1.nii", f"masks/{name}/T1.nii")
    data = find_dataset(tmp_path)
    assert [(case.id, case.subject) for case in data.cases] == [("p1_day1", "p1"), ("p1_day2", "p1"), ("p2_day1", "p2")]


def test_unpaired_files_are_all_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "images/b.nii", "labels/a.nii", "labels/c.nii")
    with pytest.raises(DatasetError, match=r"without a label: b; labels without an image: c"):
        find_dataset(tmp_path)


def test_several_folders_of_label_maps_ask_for_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a.nii", "masks/a.nii")
    with pytest.raises(DatasetError, match=r"several label maps.*a: labels/a\.nii, masks/a\.nii.*--labels"):
        find_dataset(tmp_path)
    assert cases(tmp_path, Choice(labels="masks/*"))[0][-1] == "masks/a.nii"
    assert find_dataset(tmp_path, choice=Choice(labels="masks/*")).asked_labels == "masks/*"


def test_folders_of_other_names_hold_the_label_maps_that_are_chosen(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "contours/a.nii", "contours/a_old.nii")
    assert cases(tmp_path, Choice(labels="contours/?.nii")) == [("a", "training", ["images/a.nii"], "contours/a.nii")]


def test_chosen_label_maps_are_gone_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(list[Path]):
        rounds = 0

        def __iter__(self) -> Iterator[Path]:
            self.rounds += 1
            return super().__iter__()

    touch(tmp_path, *(f"{folder}/{number}.nii" for folder in ("images", "labels") for number in range(5)))
    found = Counted(Choice(labels="labels/*").label_maps(tmp_path))
    monkeypatch.setattr(Choice, "label_maps", lambda _choice, _root: found)
    assert len(cases(tmp_path, Choice(labels="labels/*"))) == 5
    assert found.rounds == 1


def test_eleven_channels_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    touch(tmp_path, "labelsTr/a.nii", *(f"imagesTr/a_{number:04d}.nii" for number in range(11)))
    assert [path.name[-8:-4] for path in find_dataset(tmp_path).cases[0].images] == [f"{number:04d}" for number in range(11)]


def test_the_same_name_twice_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "images/a.nii.gz", "labels/a.nii")
    with pytest.raises(DatasetError, match=r"several files for one id.*a\.nii,.*a\.nii\.gz"):
        find_dataset(tmp_path)


def test_folders_without_label_maps_fit_nothing(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.nii", "labels/a.mgz")
    with pytest.raises(
        DatasetError, match=r"folder_pair: no label map in labels(.|\n)*not read, by their names\): labels/a\.mgz"
    ):
        find_dataset(tmp_path)


@pytest.mark.parametrize("labels", ["files", "folders"])
def test_folders_of_slices_are_scans(tmp_path: Path, labels: str) -> None:
    for name in ("a", "b"):
        export(tmp_path / "images" / name, np.zeros((2, 4, 4), np.int16), series=name)
        if labels == "folders":
            export(tmp_path / "labels" / name, np.zeros((2, 4, 4), np.uint8), series=f"{name} labels")
        else:
            touch(tmp_path, f"labels/{name}.nii.gz")
    end = "" if labels == "folders" else ".nii.gz"
    assert cases(tmp_path) == [(name, "training", [f"images/{name}"], f"labels/{name}{end}") for name in ("a", "b")]
