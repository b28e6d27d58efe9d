import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.empty_files import touch
from oracles.heard import Heard
from oracles.watched_runs import Recorder

from autoseg.data.dataset import Case, Dataset, LabelClass
from autoseg.data.naming import dataset_name
from autoseg.data.splits import make_splits
from autoseg.errors import DatasetError
from autoseg.events import Silent
from autoseg.layouts import LAYOUTS, find_dataset, tell_found
from autoseg.layouts.common import Choice, Layout, Mismatch

TISSUES = [(0, "background"), (1, "CSF"), (2, "GM"), (3, "WM")]


def describe(root: Path, **document: Any) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return root


def table(root: Path, text: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "cases.csv").write_text(text, encoding="utf-8")
    return root


def summary(data: Dataset) -> list[tuple[str, str, bool]]:
    return [(case.id, case.subset, case.label is not None) for case in data.cases]


def class_pairs(data: Dataset) -> list[tuple[int, str]]:
    assert data.classes is not None
    return [(label.value, label.name) for label in data.classes]


def message(root: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        find_dataset(root)
    return str(caught.value)


def mentions(text: str, words: Iterable[str]) -> bool:
    return all(word in text for word in words)


# --- recognising -----------------------------------------------------------------------------------------------------


def test_a_folder_that_fits_nothing_hears_what_each_layout_missed(tmp_path: Path) -> None:
    text = message(touch(tmp_path, "notes.txt"))
    assert list(LAYOUTS) == ["cases_csv", "nnunet_raw", "decathlon", "bids", "ibsr18", "folder_pair", "beside"]
    assert mentions(text, ["cases_csv: no cases.csv", "nnunet_raw: no dataset.json", "decathlon: no", "ibsr18: no <id>_seg"])
    assert mentions(text, ["bids: no folder sub-<label>/anat", "folder_pair: no folder images", "beside: no label map"])


def test_what_is_in_a_folder_and_in_no_case_is_said(tmp_path: Path) -> None:
    events = Heard()
    touch(tmp_path, "a.nii", "a_seg.nii", "b.mgz", "deep/er/c.nii", "a_mask.nii", "notes.txt", ".hidden/d.nii", "e.raw")
    tell_found(find_dataset(tmp_path), Silent())
    tell_found(find_dataset(tmp_path), events)
    assert events.infos == [
        "for example a of subject a: a.nii (image) with a_seg.nii",
        "skipped (images that belong to no case): a_mask.nii, deep/er/c.nii",
    ]
    assert events.warnings == ["skipped (files that are not read, by their names): b.mgz, e.raw"]


@pytest.mark.parametrize(
    ("entries", "choice", "lacking"),
    [
        ({}, Choice(), ["nnunet_raw: dataset.json has no `channel_names`", "decathlon: dataset.json has no `modality`"]),
        ({"channel_names": {"0": "CT"}}, Choice(), ["nnunet_raw: imagesTr does not hold", "decathlon: dataset.json has no"]),
        (
            {"modality": {"0": "CT"}},
            Choice(labels="labels/*"),
            [f"{key}: leaves nothing" for key in ("nnunet_raw", "decathlon")],
        ),
    ],
    ids=["no channels", "other folders", "chosen label maps"],
)
def test_a_description_that_no_layout_uses_is_said(
    tmp_path: Path, entries: dict[str, Any], choice: Choice, lacking: list[str]
) -> None:
    describe(touch(tmp_path, "images/a.nii", "labels/a.nii"), labels={"background": 0, "x": 1, "ignore": 2}, **entries)
    data, events = find_dataset(tmp_path, choice=choice), Recorder()
    assert (data.layout, data.classes, data.ignore) == ("folder_pair", None, None)
    tell_found(data, events)
    (warning,) = events.warnings
    assert mentions(warning, ["dataset.json is not used", "classes", *lacking])


class Listing(Layout):
    """A layout of one's own, which reads `dataset.json`."""

    description = "read"

    def read(self, root: Path, *, choice: Choice) -> Dataset:
        names = json.loads((root / "dataset.json").read_text()).get("mine")
        if names is None:
            raise Mismatch("dataset.json has no `mine`")
        cases = [Case(id=name, images=(root / "x" / name,), label=root / "y" / name, subject=name) for name in names]
        return Dataset(name="x", root=root, layout="mine", channels=("CT",), classes=None, cases=tuple(cases))


def test_a_layout_of_ones_own_that_reads_the_description_has_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAYOUTS, "mine", Listing())
    events = Recorder()
    tell_found(find_dataset(describe(touch(tmp_path / "one", "x/a.nii", "y/a.nii"), mine=["a.nii"])), events)
    assert events.warnings == []
    tell_found(find_dataset(describe(touch(tmp_path / "two", "a.nii", "a_seg.nii"))), events)
    (warning,) = events.warnings
    assert mentions(warning, ["dataset.json is not used", "mine: dataset.json has no `mine`"])


@pytest.mark.parametrize("form", ["decathlon", "nnunet_raw", "no description"])
def test_a_description_that_is_used_is_not_warned_of(tmp_path: Path, form: str) -> None:
    if form == "no description":
        touch(tmp_path, "a.nii", "a_seg.nii")
    else:
        (decathlon if form == "decathlon" else raw)(tmp_path)
    events = Recorder()
    tell_found(find_dataset(tmp_path), events)
    assert events.warnings == []


def test_what_a_folder_holds_that_is_not_read_is_said_where_no_layout_fits(tmp_path: Path) -> None:
    text = message(touch(tmp_path, "a.mgz", "a_seg.mgz"))
    assert "not read, by their names): a.mgz, a_seg.mgz" in text


def test_missing_empty_and_file_instead_of_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    touch(tmp_path, "file")
    assert "no such folder" in message(tmp_path / "missing")
    assert "the folder is empty" in message(tmp_path / "empty")
    assert "a file, not the folder" in message(tmp_path / "file")
    assert "a broken link" in message(tmp_path / "link")


def test_paths_are_absolute_and_a_given_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "Kohorte ä", "x 1.nii.gz", "x 1_seg.nii.gz")
    monkeypatch.chdir(tmp_path)
    data = find_dataset(Path("Kohorte ä"), name="brains")
    assert data.name == "brains"
    assert data.root == tmp_path / "Kohorte ä"
    assert data.cases[0].images == (tmp_path / "Kohorte ä" / "x 1.nii.gz",)


@pytest.mark.parametrize("name", ["", "../x", "/x", "a:b", ".x", "a\n", "x" * 201])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "a.nii", "a_seg.nii")
    with pytest.raises(DatasetError, match="the name given to the data set"):
        find_dataset(tmp_path, name=name)


def test_numbers_in_ids_count_by_value(tmp_path: Path) -> None:
    ids = ["7", "a", "a1", "a01", "a2", "a2b", "a10", "a10b3", "a10b20", "b1"]
    for name in ids:
        touch(tmp_path, f"{name}.nii", f"{name}_seg.nii")
    found = [case.id for case in find_dataset(tmp_path).cases]
    assert found == ["7", "a", "a01", "a1", "a2", "a2b", "a10", "a10b3", "a10b20", "b1"]


def test_links_to_scans_are_kept(tmp_path: Path) -> None:
    touch(tmp_path, "store/blob", "data/a_seg.nii")
    (tmp_path / "data/a.nii").symlink_to(tmp_path / "store/blob")
    assert find_dataset(tmp_path / "data").cases[0].images == (tmp_path / "data/a.nii",)


@pytest.mark.parametrize("broken", ["a.nii", "b"], ids=["scan", "folder of a case"])
def test_broken_links_are_named(tmp_path: Path, broken: str) -> None:
    touch(tmp_path, "a_seg.nii", "c.nii", "c_seg.nii", *([] if broken == "a.nii" else ["a.nii"]))
    (tmp_path / broken).symlink_to(tmp_path / "nowhere")
    assert mentions(message(tmp_path), ["broken link", str(tmp_path / broken)])


@pytest.mark.parametrize("name", ["\udcff", "\udcff/b", "Training_Set/\udcff/b"], ids=["file", "folder", "folder of a case"])
def test_names_that_are_not_utf8_are_shown_in_escapes(tmp_path: Path, name: str) -> None:
    try:
        root = touch(tmp_path, f"{name}.nii", f"{name}_seg.nii")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    shown = name.replace("\udcff", "\\xff")  # how the byte ff in a file's name reads
    assert mentions(message(root), ["not UTF-8", os.fspath(tmp_path / shown)])


def test_a_data_set_may_lie_in_a_folder_whose_name_is_not_utf8(tmp_path: Path) -> None:
    root = tmp_path / "\udcff" / "\udcfe"
    try:
        touch(root, "b.nii", "b_seg.nii")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert find_dataset(root).name == "dataset"
    table(root, "id,image,label\nb,b.nii,b_seg.nii\n")
    assert find_dataset(root).cases[0].images == (root / "b.nii",)


def test_a_looping_link_is_a_broken_one(tmp_path: Path) -> None:
    touch(tmp_path, "a_seg.nii")
    (tmp_path / "a.nii").symlink_to(tmp_path / "a.nii")
    assert "broken link" in message(tmp_path)


def test_a_folder_with_an_images_name_is_no_image(tmp_path: Path) -> None:
    describe(tmp_path, modality={"0": "MRI"}, labels={"0": "background", "1": "x"})
    touch(tmp_path, "labelsTr/a.nii.gz", "imagesTr/a.nii.gz/a.nii")
    assert mentions(message(tmp_path), ["are folders", str(tmp_path / "imagesTr/a.nii.gz")])


@settings(max_examples=30)
@given(ids=st.sets(st.integers(0, 99), min_size=1, max_size=6), flat=st.booleans())
def test_every_pair_becomes_one_case_in_order(tmp_path_factory: pytest.TempPathFactory, ids: set[int], flat: bool) -> None:
    root = tmp_path_factory.mktemp("pairs")
    for number in ids:
        touch(root / ("" if flat else f"p{number}"), f"p{number}.nii.gz", f"p{number}_seg.nii.gz")
    names = [case.id for case in find_dataset(root).cases]
    assert names == [f"p{number}" for number in sorted(ids)]


# --- IBSR18 ----------------------------------------------------------------------------------------------------------


def test_ibsr18_as_taught(tmp_path: Path) -> None:
    root = touch(
        tmp_path / "IBSR18",
        "description.json",
        "Training_Set/IBSR_03/IBSR_03.nii.gz",
        "Training_Set/IBSR_03/IBSR_03_seg.nii.gz",
        "Training_Set/IBSR_03/._IBSR_03.nii.gz",
        "Training_Set/IBSR_01/IBSR_01.nii.gz",
        "Training_Set/IBSR_01/IBSR_01_seg.nii.gz",
        "Validation_Set/IBSR_11/IBSR_11.nii.gz",
        "Validation_Set/IBSR_11/IBSR_11_seg.nii.gz",
        "Validation_Set/IBSR_12/IBSR_12.nii.gz",
        "Test_Set/IBSR_02/IBSR_02.nii.gz",
        "Test_Set/IBSR_10/IBSR_10.nii.gz",
        "Test_Set/IBSR_10/IBSR_10_seg.nii.gz",
    )
    data = find_dataset(root)
    assert (data.name, data.layout, data.channels) == ("IBSR18", "ibsr18", ("T1",))
    assert class_pairs(data) == TISSUES
    assert summary(data) == [
        ("IBSR_01", "training", True),
        ("IBSR_02", "test", False),
        ("IBSR_03", "training", True),
        ("IBSR_10", "test", True),
        ("IBSR_11", "validation", True),
        ("IBSR_12", "test", False),
    ]
    assert data.cases[0].label == root / "Training_Set/IBSR_01/IBSR_01_seg.nii.gz"


def test_ibsr18_as_published(tmp_path: Path) -> None:
    ends = ("ana", "ana_strip", "ana_brainmask", "seg_ana", "segTRI_ana", "segTRI_fill_ana")
    root = touch(tmp_path, *(f"IBSR_0{n}/IBSR_0{n}_{end}.nii.gz" for n in (1, 2) for end in ends))
    data = find_dataset(root)
    assert summary(data) == [("IBSR_01", "training", True), ("IBSR_02", "training", True)]
    assert data.cases[0].images == (root / "IBSR_01/IBSR_01_ana_strip.nii.gz",)
    assert data.cases[0].label == root / "IBSR_01/IBSR_01_segTRI_ana.nii.gz"
    assert class_pairs(data) == TISSUES


def test_published_test_scans_need_no_labels(tmp_path: Path) -> None:
    touch(tmp_path / "Training_Set/7", "7_ana_strip.nii.gz", "7_segTRI_ana.nii.gz")
    touch(tmp_path / "Test_Set/8", "8_ana_strip.nii.gz", "8_ana.nii.gz", "8_ana_brainmask.nii.gz")
    data = find_dataset(tmp_path)
    assert summary(data) == [("7", "training", True), ("8", "test", False)]
    assert data.channels == ("T1",)


def test_taught_and_published_names_may_stand_side_by_side(tmp_path: Path) -> None:
    touch(tmp_path, "IBSR_01_ana_strip.nii", "IBSR_01_segTRI_ana.nii", "IBSR_02.nii", "IBSR_02_seg.nii")
    assert [case.id for case in find_dataset(tmp_path).cases] == ["IBSR_01", "IBSR_02"]


def subjects_of(root: Path, *names: str) -> dict[str, str]:
    """Subjects by case, of scans with a label map called `<id>_seg` beside each."""
    data = find_dataset(touch(root, *(f"{name}{end}.nii.gz" for name in names for end in ("", "_seg"))))
    assert data.layout == "ibsr18"
    return {case.id: case.subject for case in data.cases}


@pytest.mark.parametrize("place", ["", "Training_Set/"])
def test_scans_of_one_patients_folder_are_one_subjects(tmp_path: Path, place: str) -> None:
    scans = [f"{place}p{patient}/p{patient}_t{time}" for patient in (1, 2, 3) for time in (0, 1)]
    found = subjects_of(tmp_path, *scans, f"{place}p4/p4_t0", f"{place}p5")
    assert found == {"p4_t0": "p4_t0", "p5": "p5"} | {f"p{p}_t{t}": f"p{p}" for p in (1, 2, 3) for t in (0, 1)}
    folds = make_splits(find_dataset(tmp_path), classes_present={case: {1} for case in found}, folds=5, groups=None).folds
    assert not any({found[case] for case in fold.training} & {found[case] for case in fold.validation} for fold in folds)


@pytest.mark.parametrize("folder", ["", "scans/", "Training_Set/", "Training_Set/scans/"])
def test_scans_that_all_lie_in_one_folder_are_of_a_subject_each(tmp_path: Path, folder: str) -> None:
    assert subjects_of(tmp_path, f"{folder}a", f"{folder}b") == {"a": "a", "b": "b"}


@pytest.mark.parametrize("folder", ["", "case/"], ids=["flat", "folder per case"])
def test_other_pairs_have_unknown_classes(tmp_path: Path, folder: str) -> None:
    data = find_dataset(touch(tmp_path, f"{folder}liver.mha", f"{folder}liver_seg.nrrd"))
    assert (data.classes, data.channels) == (None, ("image",))
    assert summary(data) == [("liver", "training", True)]


def test_all_unpaired_files_are_named_at_once(tmp_path: Path) -> None:
    touch(tmp_path / "Training_Set", "IBSR_01.nii", "IBSR_01_seg.nii", "IBSR_04.nii", "IBSR_05_seg.nii")
    touch(tmp_path / "Test_Set", "IBSR_04_seg.nii", "IBSR_02.nii")
    text = message(tmp_path)
    assert "images without a label: Training_Set/IBSR_04;" in text
    assert "labels without an image: Test_Set/IBSR_04, Training_Set/IBSR_05" in text
    assert mentions(text, ["Test_Set", "autoseg predict"])
    assert "IBSR_02" not in text


def test_two_files_for_one_scan_are_all_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "a.nii.gz", "a_seg.nii", "x/b.nii", "x/b.mha", "x/b_seg.nii")
    assert mentions(message(tmp_path), ["several files", "a.nii,", "a.nii.gz", "x/b.nii", "x/b.mha"])


def test_the_same_id_in_two_sets(tmp_path: Path) -> None:
    touch(tmp_path, "Training_Set/a/a.nii", "Training_Set/a/a_seg.nii", "Test_Set/a/a.nii")
    assert mentions(message(tmp_path), ["a: ", "Training_Set/a/a.nii", "Test_Set/a/a.nii"])


def test_labels_in_the_test_set_alone_train_nothing(tmp_path: Path) -> None:
    assert "no training case has a label" in message(touch(tmp_path, "Test_Set/a.nii", "Test_Set/a_seg.nii"))


# --- Decathlon -------------------------------------------------------------------------------------------------------

TASK: dict[str, Any] = {
    "name": "Hippocampus",
    "modality": {"0": "MRI"},
    "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
    "training": [{"image": "./imagesTr/h_2.nii.gz", "label": "./labelsTr/h_2.nii.gz"}],
}


def decathlon(root: Path, **changes: Any) -> Path:
    return describe(touch(root, "imagesTr/h_2.nii.gz", "labelsTr/h_2.nii.gz"), **{**TASK, **changes})


def test_decathlon(tmp_path: Path) -> None:
    root = touch(tmp_path, "imagesTr/._h_2.nii.gz", "imagesTr/h_1.nii.gz", "labelsTr/h_1.nii.gz", "imagesTs/h_0.nii.gz")
    files = {"image": "./imagesTr/h_1.nii.gz", "label": "./labelsTr/h_1.nii.gz"}
    decathlon(root, training=[*TASK["training"], files])
    data = find_dataset(root)
    assert (data.name, data.layout, data.channels) == ("Hippocampus", "decathlon", ("MRI",))
    assert class_pairs(data) == [(0, "background"), (1, "Anterior"), (2, "Posterior")]
    assert summary(data) == [("h_0", "test", False), ("h_1", "training", True), ("h_2", "training", True)]


def test_decathlon_modalities_share_one_file(tmp_path: Path) -> None:
    data = find_dataset(decathlon(tmp_path, modality={"1": "T1", "0": "FLAIR"}))
    assert data.channels == ("FLAIR", "T1")
    assert [len(case.images) for case in data.cases] == [1]


def test_decathlon_test_labels_are_attached(tmp_path: Path) -> None:
    data = find_dataset(touch(decathlon(tmp_path), "imagesTs/t.nii.gz", "labelsTs/t.nii.gz"))
    assert ("t", "test", True) in summary(data)


def test_decathlon_ids_may_end_in_four_digits(tmp_path: Path) -> None:
    root = touch(tmp_path, "imagesTr/scan_0017.nii.gz", "labelsTr/scan_0017.nii.gz")
    describe(root, **{**TASK, "training": []})
    assert (find_dataset(root).layout, find_dataset(root).cases[0].id) == ("decathlon", "scan_0017")


def test_decathlon_unpaired_files(tmp_path: Path) -> None:
    text = message(touch(decathlon(tmp_path, training=[]), "imagesTr/alone.nii.gz", "labelsTr/lost.nii.gz"))
    assert mentions(text, ["without a label: alone", "without an image: lost"])


def test_decathlon_files_that_are_listed_but_missing_are_all_named(tmp_path: Path) -> None:
    training = [*TASK["training"], {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/lost.nii.gz"}]
    text = message(decathlon(tmp_path, training=training, test=["./imagesTs/t.nii.gz", {"image": "imagesTs/u.nii.gz"}]))
    assert mentions(text, ["dataset.json", "gone.nii.gz", "lost.nii.gz", "imagesTs/t.nii.gz", "imagesTs/u.nii.gz"])
    assert "h_2" not in text


def test_listed_names_are_found_in_any_unicode_form(tmp_path: Path) -> None:
    root = touch(
        decathlon(tmp_path, training=[{"image": "imagesTr/Zo\u00eb.nii"}]), "imagesTr/Zoe\u0308.nii", "labelsTr/Zo\u00eb.nii"
    )
    assert [case.id for case in find_dataset(root).cases] == ["Zo\u00eb", "h_2"]


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000], ids=["empty", "zero byte", "long"])
def test_listed_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    text = message(decathlon(tmp_path, training=[{"image": f"imagesTr/{name}.nii.gz"}]))
    assert str(tmp_path) in text


def test_a_listed_broken_link_is_called_one(tmp_path: Path) -> None:
    training = [*TASK["training"], {"image": "imagesTr/x.nii.gz", "label": "labelsTr/x.nii.gz"}]
    root = touch(decathlon(tmp_path, training=training), "labelsTr/x.nii.gz")
    (root / "imagesTr/x.nii.gz").symlink_to(root / "nowhere")
    assert mentions(message(root), ["broken links", "imagesTr/x.nii.gz"])


@pytest.mark.parametrize("key", ["training", "validation", "test"])
@pytest.mark.parametrize("entries", ["imagesTr", {}, None, [5], [None], [{"image": 5}], [["a"]]], ids=repr)
def test_decathlon_lists_of_wrong_types_are_named(tmp_path: Path, key: str, entries: object) -> None:
    assert mentions(message(decathlon(tmp_path, **{key: entries})), ["dataset.json", f"`{key}` is not a list of files"])


@pytest.mark.parametrize("form", ["decathlon", "nnunet_raw"])
def test_test_labels_without_image_are_named(tmp_path: Path, form: str) -> None:
    root = decathlon(tmp_path) if form == "decathlon" else raw(tmp_path)
    assert mentions(message(touch(root, "labelsTs/lost.nii.gz")), ["labelsTs", "labels without an image: lost"])


def test_decathlon_same_id_twice(tmp_path: Path) -> None:
    assert mentions(message(touch(decathlon(tmp_path), "imagesTr/h_2.nii")), ["h_2.nii,", "h_2.nii.gz"])


def test_decathlon_without_label_folder_says_so(tmp_path: Path) -> None:
    text = message(describe(touch(tmp_path, "imagesTr/a.nii.gz"), **TASK))
    assert "decathlon: no folder labelsTr" in text


# --- nnU-Net raw -----------------------------------------------------------------------------------------------------

RAW: dict[str, Any] = {
    "channel_names": {"0": "T1", "1": "FLAIR"},
    "labels": {"background": 0, "lesion": 7, "oedema": 3},
    "file_ending": ".nii.gz",
}


def raw(root: Path, **changes: Any) -> Path:
    touch(root, "imagesTr/b_0000.nii.gz", "imagesTr/b_0001.nii.gz", "labelsTr/b.nii.gz")
    return describe(root, **{**RAW, **changes})


def test_nnunet_raw(tmp_path: Path) -> None:
    root = raw(tmp_path / "Dataset042_Brain")
    touch(root, "imagesTr/a_0001.nii.gz", "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "imagesTr/a_0000.png")
    touch(root, "imagesTs/t_0000.nii.gz", "imagesTs/t_0001.nii.gz", "imagesTs/u_0000.nii.gz", "imagesTs/u_0001.nii.gz")
    data = find_dataset(touch(root, "labelsTs/u.nii.gz"))
    assert (data.name, data.layout, data.channels) == ("Brain", "nnunet_raw", ("T1", "FLAIR"))
    assert class_pairs(data) == [(0, "background"), (3, "oedema"), (7, "lesion")]
    assert summary(data) == [("a", "training", True), ("b", "training", True), ("t", "test", False), ("u", "test", True)]
    assert data.cases[0].images == (root / "imagesTr/a_0000.nii.gz", root / "imagesTr/a_0001.nii.gz")


def test_nnunet_version_1(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz")
    data = find_dataset(describe(tmp_path, name="Old", modality={"0": "CT"}, labels={"0": "background", "1": "liver"}))
    assert (data.name, data.layout, data.channels) == ("Old", "nnunet_raw", ("CT",))
    assert class_pairs(data) == [(0, "background"), (1, "liver")]


def test_nnunet_version_1_with_several_channels(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "labelsTr/a.nii.gz")
    data = find_dataset(describe(tmp_path, modality={"0": "T1", "1": "T2"}, labels={"0": "background", "5": "x"}))
    assert (data.layout, data.channels) == ("nnunet_raw", ("T1", "T2"))
    assert [path.name for path in data.cases[0].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]


def test_nnunet_missing_channels_are_named(tmp_path: Path) -> None:
    text = message(touch(raw(tmp_path), "imagesTr/c_0001.nii.gz", "labelsTr/c.nii.gz"))
    assert mentions(text, ["expected 0000, 0001", "found c: 0001"])


def test_nnunet_files_without_channel_number_are_named(tmp_path: Path) -> None:
    assert mentions(message(touch(raw(tmp_path), "imagesTr/c.nii.gz")), ["channel number", "imagesTr/c.nii.gz"])


def test_nnunet_ignored_voxels_are_told_from_classes(tmp_path: Path) -> None:
    dataset = find_dataset(raw(tmp_path, labels={"background": 0, "x": 1, "ignore": 7}))
    assert dataset.classes == (LabelClass(value=0, name="background"), LabelClass(value=1, name="x"))
    assert dataset.ignore == 7


def test_nnunet_regions_have_their_values_and_the_order_of_writing(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [1, 3], "enhancing": 3, "ignore": 4}
    dataset = find_dataset(raw(tmp_path, labels=labels, regions_class_order=[2, 1, 3]))
    assert dataset.classes == (
        LabelClass(value=0, name="background"),
        LabelClass(value=1, name="core", values=(1, 3), order=1),
        LabelClass(value=2, name="whole", values=(1, 2, 3), order=0),
        LabelClass(value=3, name="enhancing", values=(3,), order=2),
    )
    assert dataset.ignore == 4


@pytest.mark.parametrize(
    ("labels", "order", "words"),
    [
        ({"a": [1, 2], "b": [2, 3]}, [1, 3], ["must nest", "a and b share the values [2]", "neither contains"]),
        ({"a": [1, 2], "b": [1, 2]}, [1, 2], ["must nest", "the same values"]),
        ({"a": [1, 2], "b": 2}, [2, 1], ["1, which b is written with, is none of its values [2]"]),
        ({"a": [1, 2, 3], "b": [2, 3]}, [2, 3], ["a is written with 2, which would be read as b"]),
        ({"b": 2, "a": [1, 2]}, [2, 1], ["a, which contains b, must be written before it"]),
        ({"a": [1, 2], "b": 2}, None, ["regions_class_order", "2 different whole numbers"]),
        ({"a": [1, 2], "b": 2}, [1], ["regions_class_order"]),
        ({"a": [1, 2], "b": 2}, [1, 1], ["regions_class_order"]),
        ({"a": [0, 1], "b": 1}, [0, 1], ["contains the background"]),
        ({"a": [1, "x"], "b": 1}, [1, 2], ["whole number"]),
        ({"a": [], "b": 1}, [1, 2], ["whole number"]),
        ({"a": 1, "b": 2}, [1, 2], ["regions_class_order", "no label is a region"]),
        ({"a": 1, "ignore": 1}, None, ["two classes have the value 1"]),
        ({"a": [1, 2], "ignore": 2}, [1], ["two classes have the value 2"]),
        ({"a": 1, "ignore": 0}, None, ["whole number"]),
        ({"a": 1, "ignore": [2]}, None, ["whole number"]),
    ],
)
def test_nnunet_regions_that_cannot_be_told_are_refused(
    tmp_path: Path, labels: dict[str, Any], order: list[int] | None, words: list[str]
) -> None:
    given = {} if order is None else {"regions_class_order": order}
    assert mentions(message(raw(tmp_path, labels={"background": 0, **labels}, **given)), words)


def test_nnunet_unpaired_files(tmp_path: Path) -> None:
    text = message(touch(raw(tmp_path), "imagesTr/c_0000.nii.gz", "imagesTr/c_0001.nii.gz", "labelsTr/d.nii.gz"))
    assert mentions(text, ["without a label: c", "without an image: d"])


def listed(root: Path, entries: object, **changes: Any) -> Path:
    return describe(touch(root, "a 1.nii", "a 2.nii", "far/l.nii"), **{**RAW, "dataset": entries, **changes})


def test_nnunet_cases_listed_by_their_paths(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/b1.mha", "elsewhere/b2.mha", "elsewhere/b.nrrd")
    images = [str(tmp_path / "elsewhere/b1.mha"), "../elsewhere/b2.mha"]
    entries = {
        "b": {"images": images, "label": "../elsewhere/b.nrrd"},
        "a": {"images": ["a 1.nii", "./a 2.nii"], "label": "far/l.nii"},
    }
    root = listed(tmp_path / "set", entries)
    touch(root, "imagesTs/t_0000.nii.gz", "imagesTs/t_0001.nii.gz", "imagesTr/unlisted_0000.nii.gz")
    data = find_dataset(root)
    assert (data.layout, data.channels) == ("nnunet_raw", ("T1", "FLAIR"))
    assert summary(data) == [("a", "training", True), ("b", "training", True), ("t", "test", False)]
    assert data.cases[0].images == (root / "a 1.nii", root / "a 2.nii")
    assert data.cases[1].label is not None
    assert data.cases[1].label.samefile(tmp_path / "elsewhere/b.nrrd")


def test_all_missing_files_of_listed_cases_are_named(tmp_path: Path) -> None:
    entries = {name: {"images": ["a 1.nii", f"{name}.nii"], "label": f"{name}_l.nii"} for name in ("x", "y")}
    text = message(listed(tmp_path, entries))
    assert mentions(text, [f"{name}: {tmp_path / name}{end}.nii" for name in ("x", "y") for end in ("", "_l")])


def test_listed_cases_need_an_image_for_each_channel(tmp_path: Path) -> None:
    text = message(listed(tmp_path, {"x": {"images": ["a 1.nii"], "label": "far/l.nii"}}))
    assert mentions(text, ["`dataset`", "expected 2", "found x: 1", "`channel_names`"])


@pytest.mark.parametrize(
    "entries",
    [
        5,
        ["a"],
        {"x": "a 1.nii"},
        {"x": {"images": "a 1.nii", "label": "far/l.nii"}},
        {"x": {"images": ["a 1.nii", 5], "label": "far/l.nii"}},
        {"x": {"images": ["a 1.nii", "a 2.nii"]}},
        {"../x": {"images": ["a 1.nii", "a 2.nii"], "label": "far/l.nii"}},
    ],
    ids=repr,
)
def test_lists_of_cases_that_are_none_are_named(tmp_path: Path, entries: object) -> None:
    assert mentions(message(listed(tmp_path, entries)), [str(tmp_path / "dataset.json"), "`dataset`"])


def test_an_entry_that_comes_twice_is_no_matter_of_choice(tmp_path: Path) -> None:
    raw(tmp_path)
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "T1"}, "labels": {"a": 1, "a": 2}}')
    assert mentions(message(tmp_path), ["dataset.json", "not a JSON document", "a"])


# --- descriptions nobody vouches for ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": 5}, "`name`"),
        ({"labels": ["background", "x"]}, "`labels`"),
        ({"labels": {}}, "`labels`"),
        ({"labels": {"background": 0, "x": 1.5}}, "`labels`"),
        ({"labels": {"background": 0, "x": -1}}, "`labels`"),
        ({"labels": {"background": 0, "x": True}}, "`labels`"),
        ({"labels": {"background": 0, "x\x1b[2J": 1}}, "a printable name"),
        ({"labels": {"background": 0, "x": 65536}}, "`labels`"),
        ({"labels": {"background": 0, "x": "9" * 5000}}, "`labels`"),
        ({"labels": {"background": 0, "": 1}}, "`labels`"),
        ({"labels": {"background": 0, "x": 1, "y": 1}}, "two classes have the value 1"),
        ({"channel_names": ["T1", "FLAIR"]}, "`channel_names`"),
        ({"channel_names": {"0": "T1", "2": "FLAIR"}}, "`channel_names`"),
        ({"channel_names": {"0": "T1", "1": 5}}, "`channel_names`"),
        ({"channel_names": {}}, "`channel_names`"),
        ({"file_ending": 3}, "`file_ending`"),
    ],
    ids=lambda value: re.sub(r"\W+", " ", str(value))[:40],
)
def test_wrong_entries_of_a_description_are_named(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    assert mentions(message(raw(tmp_path, **change)), [key, "dataset.json"])


@pytest.mark.parametrize("form", ["decathlon", "nnunet_raw"])
def test_two_classes_of_one_name_are_refused(tmp_path: Path, form: str) -> None:
    labels = {"0": "background", "1": "x", "2": "x"}
    touch(tmp_path, "labelsTr/a.nii.gz", "imagesTr/a.nii.gz" if form == "decathlon" else "imagesTr/a_0000.nii.gz")
    text = message(describe(tmp_path, modality={"0": "MRI"}, labels=labels))
    assert mentions(text, ["two classes have the same name", "1: x", "2: x"])


def test_a_background_that_is_not_declared_is_added(tmp_path: Path) -> None:
    assert class_pairs(find_dataset(raw(tmp_path, labels={"lesion": 2}))) == [(0, "background"), (2, "lesion")]


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"null", b"\xff\xfe", b'{"name": "\\ud800"}', b"[" * 100_000, b'{"labels": ' + b"9" * 5000 + b"}"],
    ids=lambda c: repr(c[:12]),
)
def test_descriptions_that_are_no_json_objects(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    assert mentions(message(tmp_path), ["dataset.json", "not a JSON"])


def test_a_description_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").mkdir()
    assert mentions(message(tmp_path), ["dataset.json", "cannot be read"])


@pytest.mark.parametrize(
    ("folder", "document", "name"),
    [
        ("Dataset001_Liver", {}, "Liver"),
        ("Task04_Hippocampus", {"name": " "}, "Hippocampus"),
        ("Task04_", {}, "Task04"),
        ("x", {"name": "../my data"}, "my_data"),
        ("x", {"name": "..."}, "dataset"),
        ("Gehirn ä", {}, "Gehirn_ä"),
    ],
)
def test_names(folder: str, document: dict[str, Any], name: str) -> None:
    assert dataset_name(Path("/data") / folder, document) == name


# --- cases.csv -------------------------------------------------------------------------------------------------------


def test_a_table_with_everything(tmp_path: Path) -> None:
    touch(tmp_path, "i/a 1.nii", "i/a 2.nii", "l/a.nii", "i/ü.nii")
    table(
        tmp_path,
        "\ufeffid , image_T1, image_T2, label, split, subject\r\n"
        "b, i/a 1.nii, i/a 2.nii, l/a.nii, Val, s\r\n"
        "\r\n"
        f"a, {tmp_path / 'i/a 1.nii'}, i/a 2.nii, l/a.nii, train, s\r\n"
        "c, i/ü.nii, i/ü.nii, , test,\r\n",
    )
    data = find_dataset(tmp_path)
    assert (data.layout, data.channels, data.classes) == ("cases_csv", ("T1", "T2"), None)
    assert summary(data) == [("a", "training", True), ("b", "validation", True), ("c", "test", False)]
    assert [case.subject for case in data.cases] == ["s", "s", "c"]
    assert data.cases[0].images == (tmp_path / "i/a 1.nii", tmp_path / "i/a 2.nii")


@pytest.mark.parametrize("split", ["", ",val", ",valid", ",validation", ",test"])
def test_rows_without_label_are_test_cases(tmp_path: Path, split: str) -> None:
    header = "id,image,label,split" if split else "id,image,label"
    first = "a,a.nii,a.nii," if split else "a,a.nii,a.nii"
    data = find_dataset(table(touch(tmp_path, "a.nii"), f"{header}\n{first}\nb,a.nii,{split}\n"))
    assert summary(data) == [("a", "training", True), ("b", "test", False)]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("b,gone.nii,a.nii,", ["line 3, image", "gone.nii"]),
        ("b,a.nii,gone.nii,", ["line 3, label", "gone.nii"]),
        (",a.nii,a.nii,", ["line 3", "`id`"]),
        ("b,,a.nii,", ["line 3", "`image`"]),
        ("b,a.nii,a.nii,dev", ["line 3", "`split`", "dev"]),
        ("b,a.nii,,training", ["line 3", "`label`", "training case"]),
        ("b,a.nii", ["line 3", "expected 4", "found 2"]),
        ("../b,a.nii,a.nii,", ["line 3", "`id`", "../b"]),
        ("b" * 300 + ",a.nii,a.nii,", ["line 3", "`id`", "at most 200 bytes"]),
        (".b,a.nii,a.nii,", ["line 3", "`id`"]),
        ("a,a.nii,a.nii,", ["column `id` repeats", "a in lines 2, 3"]),
    ],
)
def test_wrong_rows_name_line_and_column(tmp_path: Path, row: str, words: list[str]) -> None:
    root = table(touch(tmp_path, "a.nii"), f"id,image,label,split\na,a.nii,a.nii,\n{row}\n")
    assert mentions(message(root), ["cases.csv", *words])


@pytest.mark.parametrize("sign", [";", "\t"], ids=["semicolons", "tabs"])
def test_tables_of_other_countries_spreadsheets(tmp_path: Path, sign: str) -> None:
    touch(tmp_path, "a,1.nii", "b.nii")
    lines = [["id", "image", "label", "split"], ["a", "a,1.nii", '"b.nii"', "train"], ["b", "b.nii", "", "test"]]
    data = find_dataset(table(tmp_path, "\r\n".join(sign.join(cells) for cells in lines)))
    assert summary(data) == [("a", "training", True), ("b", "test", False)]
    assert data.cases[0].images == (tmp_path / "a,1.nii",)


def test_all_missing_files_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    text = message(table(touch(tmp_path, "a.nii"), "id,image,label\na,a.nii,x.nii\nb,y.nii,a.nii\nc,a.nii,z.nii\n"))
    expected = [f"line {line}, {what}: {tmp_path / name}" for line, what, name in MISSING]
    assert mentions(text, [*expected, "Correct the paths"])


MISSING = [(2, "label", "x.nii"), (3, "image", "y.nii"), (4, "label", "z.nii")]


def test_a_table_may_name_the_voxels_of_a_pair_and_other_unicode_forms(tmp_path: Path) -> None:
    touch(tmp_path, "a.hdr", "a.img", "Zo\u00eb_seg.nii")
    case = find_dataset(table(tmp_path, "id,image,label\nZoe\u0308,a.img,Zoe\u0308_seg.nii\n")).cases[0]
    assert (case.id, case.images, case.label) == ("Zo\u00eb", (tmp_path / "a.hdr",), tmp_path / "Zo\u00eb_seg.nii")


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    root = table(touch(tmp_path, "a.nii"), 'id,image,label,subject\n"a",a.nii,a.nii,"two\nlines"\nb,gone.nii,,\n')
    assert "line 4" in message(root)


@pytest.mark.parametrize(
    "header",
    ["id,label", "image,label", "id,image", "id,image,image_T2,label", "id,image_,label", "id,id,image,label", "id;label"],
)
def test_wrong_headers(tmp_path: Path, header: str) -> None:
    assert mentions(message(table(tmp_path, f"{header}\n")), ["header", re.split("[,;]", header)[0]])


def test_tables_without_rows_or_text(tmp_path: Path) -> None:
    assert "the table is empty" in message(table(tmp_path / "nothing", "\n"))
    assert "no training case has a label" in message(table(tmp_path / "header", "id,image,label\n"))
    (table(tmp_path / "binary", "") / "cases.csv").write_bytes(b"id,image,label\n\xff\xfe\n")
    assert "not a CSV table" in message(tmp_path / "binary")
