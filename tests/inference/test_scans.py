import errno
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from oracles.dicom_files import dicom_file, write_series
from oracles.empty_files import touch
from oracles.heard import Heard

from autoseg.data.folders import NO_SCANS, OTHER_KINDS
from autoseg.errors import ImageError, UsageError
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_channels
from autoseg.inference.scans import find_scans
from autoseg.inference.table import PredictionRow, write_table


def names(
    place: Path, *, channels: int = 1, called: Sequence[str] = (), results: Path | None = None
) -> dict[str, list[str]]:
    found = find_scans(place, channels=channels, names=called, results=results)
    assert not found.failures
    return {scan.id: [path.name for path in scan.images] for scan in found.scans}


def test_folders_are_searched_through_and_labels_and_hidden_files_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "b/b.nii.gz", "b/b_seg.nii.gz", "a.mha", "._a.mha", "notes.txt")
    assert names(tmp_path) == {"a": ["a.mha"], "b": ["b.nii.gz"]}


def test_what_is_passed_over_is_named(tmp_path: Path) -> None:
    labels = ["a_seg.nii.gz", "b/a-SEG.nii.gz", "c_mask.mha", "d_label.nii", "e.seg.nrrd", "f_dseg.nii.gz", "labels.nii"]
    unread = ["h.mgz", "i.nii.bz2", "j.vtk", "k.img", "l"]
    touch(tmp_path, *labels, *unread, "a.nii.gz", "segment.nii", "unmasked.nii")
    touch(tmp_path, "m.hdr", "m.img", "n.mhd", "n.raw", "notes.txt", "table.CSV", ".DS_Store")
    found = find_scans(tmp_path, channels=1)
    assert [scan.id for scan in found.scans] == ["a", "m", "n", "segment", "unmasked"]
    assert found.passed_over.sentences == (
        f"skipped (label maps by their names): {', '.join(labels[:5])} and 2 more",
        f"skipped (files that are not read, by their names): {', '.join(unread)}",
    )


def test_files_that_are_not_read_are_a_warning(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "a_seg.nii", "b.mgz")
    said = Heard()
    find_scans(tmp_path, channels=1).passed_over.tell(said)
    assert said.infos == ["skipped (label maps by their names): a_seg.nii"]
    assert said.warnings == ["skipped (files that are not read, by their names): b.mgz"]


def test_nothing_but_what_is_passed_over_is_said_in_the_error(tmp_path: Path) -> None:
    touch(tmp_path, "a_seg.nii", "b.mgz")
    with pytest.raises(UsageError, match=r"holds no scans.*a_seg\.nii; .*b\.mgz.*named itself"):
        find_scans(tmp_path, channels=1)


@pytest.mark.parametrize(
    ("name", "scan"),
    [
        ("a_seg.nii", "a_seg"),
        ("b.seg.nrrd", "b.seg"),
        ("c.mgz", "c"),
        ("d", "d"),
        (".e.nii", ".e"),
        (".f", "f"),
        ("g.1.bak", "g.1"),
    ],
)
def test_a_scan_that_is_given_itself_may_be_called_anything(tmp_path: Path, name: str, scan: str) -> None:
    assert names(touch(tmp_path, name) / name) == {scan: [name]}


def test_the_voxels_of_a_pair_of_files_stand_for_the_scan(tmp_path: Path) -> None:
    touch(tmp_path, "a.hdr", "a.img")
    assert names(tmp_path / "a.img") == {"a": ["a.hdr"]}


def test_equal_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    touch(tmp_path, "p1/anat/T1.nii", "p2/anat/T1.nii", "p3/T2.nii")
    assert list(names(tmp_path)) == ["T2", "p1", "p2"]
    touch(tmp_path, "p1/later/T1.nii")
    assert list(names(tmp_path)) == ["T2", "p1_anat", "p1_later", "p2_anat"]


def test_channels_of_equal_names_are_grouped_by_their_folders(tmp_path: Path) -> None:
    touch(tmp_path, *(f"p{number}/t_000{channel}.nii" for number in (1, 2) for channel in (0, 1)))
    found = find_scans(tmp_path, channels=2).scans
    assert [(scan.id, [path.parent.name for path in scan.images]) for scan in found] == [
        ("p1", ["p1"] * 2),
        ("p2", ["p2"] * 2),
    ]


def test_names_of_channels_group_as_numbers_do(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{name}_{end}.nii" for name in ("a", "b") for end in ("flair", "t1", "t1ce")), "c_0000.nii")
    called = ("t1", "t1ce", "flair")
    assert names(tmp_path, channels=3, called=called) == {
        **{name: [f"{name}_{end}.nii" for end in called] for name in ("a", "b")},
        "c": ["c_0000.nii"],
    }
    bare = touch(tmp_path / "bare", *(f"{name}/{end}.nii" for name in ("p1", "p2") for end in ("T1", "T2")))
    both = {name: ["T1.nii", "T2.nii"] for name in ("p1", "p2")}
    assert names(bare, channels=2, called=("T1", "T2")) == both
    assert names(bare / "p1" / "T2.nii", channels=2, called=("T1", "T2")) == {"p1": both["p1"]}


def test_for_one_channel_its_name_is_no_end(tmp_path: Path) -> None:
    touch(tmp_path, "a_T1.nii", "a_T2.nii")
    assert list(names(tmp_path, called=("T1",))) == ["a_T1", "a_T2"]


def test_scans_of_bids_are_those_of_the_models_kind(tmp_path: Path) -> None:
    for session in ("a", "b"):
        folder = f"sub-1/ses-{session}"
        touch(tmp_path, *(f"{folder}/anat/sub-1_ses-{session}_{kind}.nii.gz" for kind in ("T1w", "T2w", "FLAIR")))
    touch(tmp_path, "derivatives/x/sub-1/anat/sub-1_T1w.nii.gz", "sub-2/anat/sub-2_T2w.nii.gz", "sub-1/ses-a/anat/x.nii")
    found = find_scans(tmp_path, channels=1, names=("T1w",))
    assert [scan.id for scan in found.scans] == ["sub-1_ses-a", "sub-1_ses-b", "x"]
    assert [(reason, len(paths)) for reason, paths in found.passed_over.files.items()] == [(NO_SCANS, 1), (OTHER_KINDS, 5)]
    both = find_scans(tmp_path, channels=2, names=("FLAIR", "T1w")).scans
    assert [path.name for path in both[0].images] == ["sub-1_ses-a_FLAIR.nii.gz", "sub-1_ses-a_T1w.nii.gz"]
    assert len(find_scans(tmp_path, channels=1, names=("MRI",)).scans) == 8


def test_scans_that_folders_do_not_tell_apart_fail_with_both_files_named(tmp_path: Path) -> None:
    touch(tmp_path, "a_b/c/t.nii", "a/b_c/t.nii", "u.nii")
    found = find_scans(tmp_path, channels=1)
    assert [scan.id for scan in found.scans] == ["u"]
    ((name, error),) = found.failures
    assert name == "a_b_c_t"
    assert str(tmp_path / "a_b/c/t.nii") in str(error)
    assert str(tmp_path / "a/b_c/t.nii") in str(error)


def test_names_that_differ_in_their_unicode_form_only_are_one_name(tmp_path: Path) -> None:
    touch(tmp_path, "Zo\u00eb.nii")
    assert list(names(tmp_path)) == list(names(tmp_path / "Zoe\u0308.nii")) == ["Zo\u00eb"]
    touch(tmp_path, "Zoe\u0308.nii.gz")
    assert "several scans are called Zo\u00eb" in failure(tmp_path, channels=1)[1]


def test_folders_of_label_maps_beside_folders_of_scans_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "imagesTr/a.nii", "labelsTr/a.nii", "imagesTs/b.nii", "masks/c/d.nii")
    found = find_scans(tmp_path, channels=1)
    assert [scan.id for scan in found.scans] == ["a", "b"]
    assert found.passed_over.sentences == ("skipped (folders of label maps, derivatives or results): labelsTr, masks",)
    assert list(names(tmp_path / "labelsTr")) == ["a"]


def test_label_maps_below_the_scans_are_no_scans(tmp_path: Path) -> None:
    scans = touch(tmp_path / "in", "a.nii.gz", "deep/b.nii.gz", "out/a.nii.gz", "out/probabilities/a.nii.gz")
    assert list(names(scans, results=scans / "out")) == ["a", "b"]


def test_what_predict_made_is_no_scan_in_a_folder_or_by_itself(tmp_path: Path) -> None:
    row = PredictionRow("a", "1" * 64, "2" * 64, "3" * 64, {}, {}, "")
    write_table(tmp_path / "predictions.csv", [row], classes=())
    touch(tmp_path, "a.nii.gz", "evaluation/metrics.csv", "evaluation/dice.png", "evaluation/hausdorff_mm.png")
    with pytest.raises(
        UsageError, match=r"results of an earlier call\): a\.nii\.gz, evaluation/dice\.png, .*\. Name the scans themselves"
    ):
        names(tmp_path)
    with pytest.raises(UsageError, match=r"a\.nii\.gz: is what `predict` made of a scan, and none\. Name the scans"):
        names(tmp_path / "a.nii.gz")
    touch(tmp_path, "b.nii.gz")
    assert list(names(tmp_path)) == ["b"]
    assert list(names(tmp_path / "b.nii.gz")) == ["b"]


@pytest.mark.parametrize(
    "name", ["scans.zip", "scans.7z", "scans.tgz", "scans.tar.gz", "Scans.TAR.xz", "a.txz", "a.nii.bz2"]
)
def test_a_folder_of_an_archive_alone_says_that_it_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(UsageError, match=rf"by their names\): {re.escape(name)}\. Unpack archives first\."):
        names(tmp_path)


@pytest.mark.parametrize("name", ["scans.gz", "tar.xz.txt", "guitar"])
def test_a_folder_of_other_files_has_nothing_to_unpack(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    with pytest.raises(UsageError, match="Check the path; a file that is named itself is a scan"):
        names(tmp_path)


def test_scans_below_or_beside_the_results_are_scans(tmp_path: Path) -> None:
    scans = touch(tmp_path / "out" / "in", "a.nii.gz", "b.nii.gz")
    for results in (tmp_path / "out", scans, tmp_path / "elsewhere"):
        assert list(names(scans, results=results)) == ["a", "b"]


def test_numbered_files_are_the_channels_of_a_scan(tmp_path: Path) -> None:
    touch(tmp_path, "x_0001.nii.gz", "x_0000.nii.gz", "sub_2015.nii.gz")
    expected = {"sub_2015": ["sub_2015.nii.gz"], "x": ["x_0000.nii.gz", "x_0001.nii.gz"]}
    assert names(tmp_path, channels=2) == expected


def test_names_of_channels_may_be_in_capitals_unless_these_tell_channels_apart(tmp_path: Path) -> None:
    touch(tmp_path, "a_T1.nii", "a_Flair.nii", "b_t1.nii", "b_FLAIR.nii")
    expected = {"a": ["a_T1.nii", "a_Flair.nii"], "b": ["b_t1.nii", "b_FLAIR.nii"]}
    assert names(tmp_path, channels=2, called=("t1", "FLAIR")) == expected
    assert names(tmp_path, channels=3, called=("t1", "T1", "flair")) == {"a_Flair": ["a_Flair.nii"]} | {
        "a": ["a_T1.nii"], "b": ["b_t1.nii"], "b_FLAIR": ["b_FLAIR.nii"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "called", "missing"),
    [
        (("a_t1.nii", "a_t2.nii"), ("t1", "t2", "flair"), "missing: flair (a_flair or a_0002)"),
        (("a_0000.nii", "a_0002.nii"), (), "missing: a_0001"),
        (("a/t1.nii", "a/t2.nii"), ("t1", "t2", "flair"), "missing: flair"),
    ],
)
def test_missing_channels_are_named(tmp_path: Path, files: Sequence[str], called: Sequence[str], missing: str) -> None:
    touch(tmp_path, *files)
    [(scan, error)] = find_scans(tmp_path, channels=3, names=called).failures
    assert scan == "a"
    assert f"{', '.join(Path(name).name for name in files)}; {missing}" in str(error)


def test_channels_beside_an_only_file_are_named_where_it_does_not_hold_them(tmp_path: Path) -> None:
    write_channels(tmp_path / "a_t1.nii", np.ones((1, 2, 3, 4), np.float32), Geometry((2, 3, 4), (1.0, 1.0, 1.0)))
    [scan] = find_scans(tmp_path, channels=2, names=("t1", "flair")).scans
    with pytest.raises(ImageError, match=r"found 1 in 1 file; missing: flair \(a_flair or a_0001\)"):
        scan.read(channels=2)


def test_for_one_channel_only_0000_is_a_channel(tmp_path: Path) -> None:
    touch(tmp_path, "x_0000.nii.gz", "sub_0001.nii.gz", "sub_2016.nii.gz")
    assert list(names(tmp_path)) == ["sub_0001", "sub_2016", "x"]


def test_a_single_file_finds_its_other_channels(tmp_path: Path) -> None:
    touch(tmp_path, "x_0000.nii.gz", "x_0001.nii.gz", "y_0000.nii.gz")
    assert names(tmp_path / "x_0001.nii.gz", channels=2) == {"x": ["x_0000.nii.gz", "x_0001.nii.gz"]}
    assert names(tmp_path / "x_0000.nii.gz", channels=1) == {"x": ["x_0000.nii.gz"]}


@pytest.mark.parametrize(
    "files",
    [
        ("bad_0000.nii.gz", "bad_0002.nii.gz"),
        ("bad_0000.nii.gz", "bad_0000.nii"),
        ("sub/bad_0000.nii.gz", "sub/bad_0000.nii"),
    ],
)
def test_a_bad_scan_does_not_hide_the_good_ones(tmp_path: Path, files: tuple[str, ...]) -> None:
    touch(tmp_path, *files, "good_0000.nii.gz", "good_0001.nii.gz", "good_0002.nii.gz")
    found = find_scans(tmp_path, channels=3)
    assert [scan.id for scan in found.scans] == ["good"]
    (failure,) = found.failures
    assert failure[0] == "bad"
    assert "bad_0000" in str(failure[1])


def failure(place: Path, *, channels: int) -> tuple[str, str]:
    """The id and the message of the only scan that cannot be used."""
    ((name, error),) = find_scans(place, channels=channels).failures
    return name, str(error)


def test_channels_of_different_folders_are_never_mixed(tmp_path: Path) -> None:
    touch(tmp_path, "anna/t_0000.nii", "bert/t_0001.nii", "carl/u_0000.nii", "carl/u_0001.nii")
    name, text = failure(tmp_path, channels=2)
    assert name == "t"
    assert "different folders" in text
    assert str(tmp_path / "bert/t_0001.nii") in text


@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_without_number_is_no_channel_of_a_numbered_scan(tmp_path: Path, channels: int) -> None:
    numbered = f"t_{channels - 1:04d}.nii"
    touch(tmp_path, "t.nii", numbered)
    name, text = failure(tmp_path, channels=channels)
    assert name == "t"
    assert "several scans are called t" in text
    for given in ("t.nii", numbered):
        assert names(tmp_path / given, channels=channels) == {"t": [given]}


def test_a_file_given_by_name_is_taken_whatever_lies_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, "t_0000.nii", "t_0000.nii.gz", "t_seg.nii")
    assert names(tmp_path / "t_0000.nii") == {"t": ["t_0000.nii"]}


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "t.nii", ".snapshot/t.nii", "deep/.cache/u.nii")
    assert list(names(tmp_path)) == ["t"]


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    scans = touch(tmp_path / "in", "b.nii")
    touch(tmp_path / "store", "c.nii")
    (scans / "linked").symlink_to(tmp_path / "store")
    (scans / "again").symlink_to(tmp_path / "store")
    (scans / "circle").symlink_to(scans)
    assert list(names(scans)) == ["b", "c"]


def test_broken_links_are_reported(tmp_path: Path) -> None:
    touch(tmp_path, "good.nii")
    (tmp_path / "lost.nii").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    (tmp_path / "notes.txt").symlink_to(tmp_path / "nowhere")
    found = find_scans(tmp_path, channels=1)
    assert [scan.id for scan in found.scans] == ["good"]
    assert [name for name, error in found.failures if "a broken link" in str(error)] == ["loop", "lost"]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    assert "not a file" in failure(tmp_path, channels=1)[1]


def test_names_that_are_not_utf8_are_reported_in_escapes(tmp_path: Path) -> None:
    try:
        touch(tmp_path, "good.nii", "\udcff.nii")  # how the byte ff in a file's name reads
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    name, text = failure(tmp_path, channels=1)
    assert name == "\\xff"
    assert "not UTF-8" in text
    assert text.isprintable()


def test_a_folder_that_cannot_be_read_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.nii", "closed/b.nii")
    listing = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(UsageError, match=r"closed: cannot be read \(Permission denied\)"):
        find_scans(tmp_path, channels=1)


def test_spaces_and_unicode_survive(tmp_path: Path) -> None:
    touch(tmp_path / "Kohorte ä", "Zoë 1_0000.nii", "Zoë 1_0001.nii")
    assert names(tmp_path, channels=2) == {"Zoë 1": ["Zoë 1_0000.nii", "Zoë 1_0001.nii"]}


def test_nothing_there_is_a_usage_error(tmp_path: Path) -> None:
    for place in (tmp_path / "missing", touch(tmp_path, "notes.txt")):
        with pytest.raises(UsageError):
            find_scans(place, channels=1)


VOLUME = np.arange(5 * 8 * 9, dtype=np.int16).reshape(5, 8, 9)


def test_every_folder_of_a_dicom_export_is_a_scan_beside_other_files(tmp_path: Path) -> None:
    write_series(tmp_path / "ada" / "DICOM", VOLUME)
    write_series(tmp_path / "bob" / "DICOM", VOLUME, names="{:d}.dcm", number=8)
    touch(tmp_path, "c.nii.gz", "ada/DICOM/notes.txt")
    found = names(tmp_path)
    assert {name: len(files) for name, files in found.items()} == {"ada_DICOM": 5, "bob_DICOM": 5, "c": 1}


def test_a_dicom_folder_given_itself_is_called_by_its_name_and_read_as_a_volume(tmp_path: Path) -> None:
    write_series(tmp_path / "ada", VOLUME)
    (scan,) = find_scans(tmp_path / "ada", channels=1).scans
    assert scan.id == "ada"
    np.testing.assert_array_equal(scan.read(channels=1).array[0], VOLUME)


def test_one_file_of_a_series_stands_for_all_of_it(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "ada", VOLUME)
    write_series(tmp_path / "ada", VOLUME, number=8, names="other{:d}")
    (scan,) = find_scans(paths[2], channels=1).scans
    assert (scan.id, set(scan.images)) == ("ada", set(paths))


def test_a_folder_with_the_name_of_a_file_is_a_series(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "ada.nii.gz", VOLUME)
    assert list(names(tmp_path / "in")) == ["ada"]
    assert list(names(tmp_path / "in" / "ada.nii.gz")) == ["ada"]


def test_several_series_of_a_folder_bear_their_numbers(tmp_path: Path) -> None:
    write_series(tmp_path / "ada", VOLUME, number=3)
    write_series(tmp_path / "ada", VOLUME, number=12, names="other{:d}")
    assert list(names(tmp_path / "ada")) == ["ada_12", "ada_3"]


REPORT = dicom_file({"0008|0016": "1.2.840.10008.5.1.4.1.1.88.11", "0008|0018": "1.2.3", "0020|000e": "1.2"}, b"")


def test_dicom_that_is_no_image_is_passed_over(tmp_path: Path) -> None:
    """Reports, and the table of contents of a disc."""
    report = REPORT[: REPORT.rindex(b"\xe0\x7f\x10\x00")] + b"\x40\x00\x30\xa7SQ" + bytes(6)
    write_series(tmp_path / "ada", VOLUME)
    (tmp_path / "ada" / "report").write_bytes(report)
    (tmp_path / "DICOMDIR").write_bytes(report)
    (scan,) = find_scans(tmp_path, channels=1).scans
    assert (scan.id, len(scan.images)) == ("ada", 5)
    with pytest.raises(UsageError, match="holds no scans"):
        find_scans(tmp_path / "DICOMDIR", channels=1)


def test_a_damaged_slice_fails_its_series_alone(tmp_path: Path) -> None:
    write_series(tmp_path / "ada", VOLUME)
    path = write_series(tmp_path / "bob", VOLUME, number=8)[1]
    path.write_bytes(path.read_bytes()[:-3])
    found = find_scans(tmp_path, channels=1)
    assert [scan.id for scan in found.scans] == ["ada"]
    ((name, error),) = found.failures
    assert name == "bob"
    assert str(path) in str(error)


def test_a_dicom_series_for_a_model_of_several_channels_fails_alone(tmp_path: Path) -> None:
    write_series(tmp_path / "ada", VOLUME)
    touch(tmp_path, "b_0000.nii.gz", "b_0001.nii.gz")
    found = find_scans(tmp_path, channels=2)
    assert [scan.id for scan in found.scans] == ["b"]
    ((name, error),) = found.failures
    assert name == "ada"
    assert "one channel" in str(error)


def test_a_series_and_a_file_of_the_same_name_are_not_mixed_up(tmp_path: Path) -> None:
    write_series(tmp_path / "ada", VOLUME)
    touch(tmp_path, "ada.nii.gz", "b.nii.gz")
    found = find_scans(tmp_path, channels=1)
    assert [scan.id for scan in found.scans] == ["b"]
    assert [name for name, _ in found.failures] == ["ada"]
