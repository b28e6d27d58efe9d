from pathlib import PurePath

import pytest
from oracles.empty_files import touch

from autoseg.data.folders import SCANS
from autoseg.errors import DatasetError, UsageError
from autoseg.evaluation.pairing import Pair, has_label_maps, pair_files


def paired(pairing, *roots):
    """Pairs as (id, prediction, reference) with names relative to their roots."""
    return [
        (pair.id, pair.prediction.relative_to(roots[0]).as_posix(), pair.reference.relative_to(roots[1]).as_posix())
        for pair in pairing.pairs
    ]


def test_flat_and_nested_names_with_and_without_seg(tmp_path):
    ours = touch(tmp_path / "out", "b.nii.gz", "a.nii.gz", "deep/c_seg.nrrd")
    theirs = touch(tmp_path / "refs", "a.nii", "x/y/b.mha", "c.nii.gz")
    pairing = pair_files(ours, theirs)
    assert paired(pairing, ours, theirs) == [
        ("a", "a.nii.gz", "a.nii"),
        ("b", "b.nii.gz", "x/y/b.mha"),
        ("c", "deep/c_seg.nrrd", "c.nii.gz"),
    ]
    assert pairing.without_reference == pairing.without_prediction == ()


def test_scans_beside_seg_files_are_no_references(tmp_path):
    ours = touch(tmp_path / "out", "IBSR_11.nii.gz", "IBSR_02.nii.gz")
    theirs = touch(
        tmp_path / "IBSR18",
        "Validation_Set/IBSR_11/IBSR_11.nii.gz",
        "Validation_Set/IBSR_11/IBSR_11_seg.nii.gz",
        "Test_Set/IBSR_02/IBSR_02.nii.gz",
    )
    pairing = pair_files(ours, theirs)
    assert paired(pairing, ours, theirs) == [("IBSR_11", "IBSR_11.nii.gz", "Validation_Set/IBSR_11/IBSR_11_seg.nii.gz")]
    assert pairing.without_reference == (ours / "IBSR_02.nii.gz",)
    assert pairing.without_prediction == ()
    assert [passed.sentences for passed in pairing.passed_over] == [
        (),
        (f"skipped ({SCANS}): Test_Set/IBSR_02/IBSR_02.nii.gz, Validation_Set/IBSR_11/IBSR_11.nii.gz",),
    ]


def test_what_predict_and_evaluate_leave_behind_does_not_count(tmp_path):
    ours = touch(
        tmp_path / "out",
        "a.nii.gz",
        "predictions.csv",
        "probabilities/a.nii.gz",
        "pictures/a.png",
        "sub/uncertainty/a.nii.gz",
        "evaluation/dice.png",
        ".1234.a.nii.gz",
        ".hidden/a.nii.gz",
    )
    theirs = touch(tmp_path / "refs", "a.nii.gz", "dataset.json")
    pairing = pair_files(ours, theirs)
    assert paired(pairing, ours, theirs) == [("a", "a.nii.gz", "a.nii.gz")]
    assert pairing.without_reference == pairing.without_prediction == ()


def test_plots_are_told_from_label_maps_by_the_table_beside_them(tmp_path):
    ours = touch(tmp_path / "out", "a.nii.gz", "metrics.csv", "dice.png", "judged.json", "deep/dice.png")
    theirs = touch(tmp_path / "refs", "a.nii.gz", "dice.nii.gz")
    assert paired(pair_files(ours, theirs), ours, theirs) == [
        ("a", "a.nii.gz", "a.nii.gz"),
        ("dice", "deep/dice.png", "dice.nii.gz"),
    ]
    assert has_label_maps(ours)
    assert not has_label_maps(touch(tmp_path / "scores", "metrics.csv", "dice.png", "hausdorff_mm.png", "summary.json"))


@pytest.mark.parametrize(("name", "found"), [("a.nii.gz", True), ("metrics.csv", False)])
def test_a_file_is_a_label_map_by_its_name(tmp_path, name, found):
    assert has_label_maps(touch(tmp_path, name) / name) is found


def test_a_folder_of_probabilities_may_be_named_itself(tmp_path):
    ours = touch(tmp_path / "probabilities", "a.nii.gz")
    theirs = touch(tmp_path / "refs", "a.nii.gz")
    assert [pair.id for pair in pair_files(ours, theirs).pairs] == ["a"]


def test_unpaired_files_are_listed_on_both_sides(tmp_path):
    ours = touch(tmp_path / "out", "a.nii.gz", "only_ours.nii.gz")
    theirs = touch(tmp_path / "refs", "a.nii.gz", "z.nii.gz", "m.nii.gz")
    pairing = pair_files(ours, theirs)
    assert pairing.without_reference == (ours / "only_ours.nii.gz",)
    assert pairing.without_prediction == (theirs / "m.nii.gz", theirs / "z.nii.gz")
    assert pairing.expected == ("a", "m", "z")
    assert pair_files(ours / "a.nii.gz", theirs).expected == ("a",)
    assert pair_files(ours / "only_ours.nii.gz", theirs / "z.nii.gz").expected == ("only_ours",)


def test_two_files_are_a_pair_whatever_their_names(tmp_path):
    touch(tmp_path, "mine.nii.gz", "expert_seg.mha")
    pairing = pair_files(tmp_path / "mine.nii.gz", tmp_path / "expert_seg.mha")
    assert pairing.pairs == (Pair("mine", tmp_path / "mine.nii.gz", tmp_path / "expert_seg.mha"),)


def test_a_single_file_finds_its_partner_in_a_folder_and_misses_nothing_else(tmp_path):
    touch(tmp_path, "a.nii.gz")
    folder = touch(tmp_path / "folder", "a_seg.nii.gz", "b_seg.nii.gz")
    for sides in ((tmp_path / "a.nii.gz", folder), (folder, tmp_path / "a.nii.gz")):
        pairing = pair_files(*sides)
        assert [pair.id for pair in pairing.pairs] == ["a"]
        assert pairing.without_reference == pairing.without_prediction == ()


@pytest.mark.parametrize("names", [("a.nii", "a.nii.gz"), ("x/a.nii", "x/a.nii.gz"), ("a.nii.gz", "a_seg.nii.gz")])
def test_the_same_id_twice_among_predictions_is_an_error(tmp_path, names):
    ours = touch(tmp_path / "out", *names)
    theirs = touch(tmp_path / "refs", "a.nii.gz")
    with pytest.raises(DatasetError, match="2 files are called the case a") as caught:
        pair_files(ours, theirs)
    assert all(str(ours / name) in str(caught.value) for name in names)


def test_the_same_id_twice_among_references_is_an_error(tmp_path):
    ours = touch(tmp_path / "out", "a.nii.gz")
    theirs = touch(tmp_path / "task", "a_b/c/t.nii.gz", "a/b_c/t.nii.gz")
    with pytest.raises(DatasetError, match="2 files are called"):
        pair_files(ours, theirs)


def test_equal_names_are_told_apart_by_their_folders_on_both_sides(tmp_path):
    ours = touch(tmp_path / "out", "p1_day1.nii.gz", "p1_day2.nii.gz", "p2_day1.nii.gz")
    theirs = touch(tmp_path / "patients", *(f"{way}/{name}.nii" for way in DAYS for name in ("T1", "T1-label")))
    pairing = pair_files(ours, theirs)
    assert paired(pairing, ours, theirs) == [
        (way.replace("/", "_"), f"{way.replace('/', '_')}.nii.gz", f"{way}/T1-label.nii") for way in DAYS
    ]


DAYS = ("p1/day1", "p1/day2", "p2/day1")


def test_names_that_say_only_that_they_are_label_maps(tmp_path):
    ours = touch(tmp_path / "out", "p1.nii.gz", "p2.nii.gz")
    theirs = touch(tmp_path / "patients", "p1/mask.nii", "p2/mask.nii")
    assert [pair.id for pair in pair_files(ours, theirs).pairs] == ["p1", "p2"]
    alone = pair_files(touch(tmp_path / "one", "mask.nii"), touch(tmp_path / "other", "mask.nii"))
    assert [pair.id for pair in alone.pairs] == ["mask"]


def test_folders_of_label_maps_beside_folders_of_scans_are_the_references(tmp_path):
    ours = touch(tmp_path / "out", "a.nii.gz", "b.nii.gz")
    theirs = touch(tmp_path / "task", "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b.nii.gz", "labelsTs/b.nii.gz")
    assert paired(pair_files(ours, theirs), ours, theirs) == [
        ("a", "a.nii.gz", "labelsTr/a.nii.gz"),
        ("b", "b.nii.gz", "labelsTs/b.nii.gz"),
    ]


def test_the_label_maps_of_a_data_set_have_the_ids_of_its_cases(tmp_path):
    ours = touch(tmp_path / "out", "sub-1_ses-a.nii.gz", "img01.nii.gz")
    for session in "ab":
        touch(tmp_path / "bids", f"sub-1/ses-{session}/anat/sub-1_ses-{session}_T1w.nii.gz")
        touch(tmp_path / "bids", f"derivatives/x/sub-1/ses-{session}/anat/sub-1_ses-{session}_desc-x_dseg.nii.gz")
    pairing = pair_files(ours, tmp_path / "bids")
    assert [(pair.id, pair.reference.name) for pair in pairing.pairs] == [("sub-1_ses-a", "sub-1_ses-a_desc-x_dseg.nii.gz")]
    assert [path.name for path in pairing.without_prediction] == ["sub-1_ses-b_desc-x_dseg.nii.gz"]
    theirs = touch(tmp_path / "pair", "img/img01.nii.gz", "label/label01.nii.gz")
    assert [(pair.id, pair.reference.name) for pair in pair_files(ours, theirs).pairs] == [("img01", "label01.nii.gz")]


def test_names_are_compared_as_they_look(tmp_path):
    ours = touch(tmp_path / "out", "Zoe\u0308.nii.gz")
    theirs = touch(tmp_path / "refs", "Zo\u00eb_seg.nii.gz")
    assert [pair.id for pair in pair_files(ours, theirs).pairs] == ["Zo\u00eb"]


def test_files_that_are_not_read_are_named(tmp_path):
    ours = touch(tmp_path / "out", "a.nii.gz", "b.mgz", "predictions.csv")
    theirs = touch(tmp_path / "refs", "a.nii.gz", "b.nii.bz2", "a.hdr", "a.img")
    with pytest.raises(DatasetError, match="2 files are called"):
        pair_files(ours, theirs)
    (theirs / "a.nii.gz").unlink()
    assert [passed.sentences for passed in pair_files(ours, theirs).passed_over] == [
        ("skipped (files that are not read, by their names): b.mgz",),
        ("skipped (files that are not read, by their names): b.nii.bz2",),
    ]
    with pytest.raises(UsageError, match=r"holds no label map.*b\.mgz"):
        pair_files(touch(tmp_path / "third", "b.mgz"), theirs)


def test_the_voxels_of_a_pair_of_files_stand_for_both(tmp_path):
    theirs = touch(tmp_path, "a.hdr", "a.img", "b.nii")
    assert pair_files(theirs / "b.nii", theirs / "a.img").pairs == (Pair("b", theirs / "b.nii", theirs / "a.hdr"),)


def test_a_side_without_images_is_an_error_that_names_it(tmp_path):
    full, empty = touch(tmp_path / "full", "a.nii.gz"), touch(tmp_path / "empty", "notes.txt")
    for sides in ((empty, full), (full, empty)):
        with pytest.raises(UsageError, match="holds no label map") as caught:
            pair_files(*sides)
        assert caught.value.where == str(empty)
    with pytest.raises(UsageError, match="no such file or folder"):
        pair_files(full, tmp_path / "missing")
    with pytest.raises(UsageError, match="no file belongs"):
        pair_files(empty / "notes.txt", full)


def test_nothing_in_common_is_an_error_that_shows_both_kinds_of_names(tmp_path):
    ours = touch(tmp_path / "out", "case_1.nii.gz")
    theirs = touch(tmp_path / "refs", "subject-1.nii.gz")
    with pytest.raises(UsageError, match=r"subject-1.*found names such as case_1"):
        pair_files(ours, theirs)


def test_the_work_for_each_file_does_not_grow_with_their_number(tmp_path, monkeypatch):
    hashed = 0
    hash_of = PurePath.__hash__

    def counted(path):
        nonlocal hashed
        hashed += 1
        return hash_of(path)

    monkeypatch.setattr(PurePath, "__hash__", counted)
    counts = []
    for number in (50, 200):
        ours = touch(tmp_path / f"out{number}", *(f"c{index}.nii" for index in range(number)))
        theirs = touch(
            tmp_path / f"refs{number}", *(f"c{index}{end}.nii" for index in range(number) for end in ("", "_seg"))
        )
        hashed = 0
        assert len(pair_files(ours, theirs).pairs) == number
        counts.append(hashed / number)
    assert counts[1] < 1.5 * counts[0]
