"""BIDS as a data set."""

from pathlib import Path
from typing import Any

import pytest
from oracles.empty_files import touch

from autoseg.data.bids import BidsScan, group_scans
from autoseg.data.dataset import Dataset
from autoseg.errors import DatasetError
from autoseg.layouts import bids, find_dataset
from autoseg.layouts.common import Choice

LABELS = "derivatives/manual"


def scan(subject: str, *suffixes: str, session: str = "", entities: str = "") -> list[str]:
    folder = f"sub-{subject}/" + (f"ses-{session}/" if session else "")
    name = f"sub-{subject}_" + (f"ses-{session}_" if session else "") + (f"{entities}_" if entities else "")
    return [f"{folder}anat/{name}{suffix}.nii.gz" for suffix in suffixes]


def label(subject: str, *, session: str = "", end: str = "dseg", pipeline: str = LABELS) -> str:
    (path,) = scan(subject, end, session=session)
    return f"{pipeline}/{path}"


def summary(data: Dataset) -> list[tuple[str, str, str, list[str], str | None]]:
    return [
        (case.id, case.subject, case.subset, [path.name for path in case.images], case.label and case.label.name)
        for case in data.cases
    ]


def message(root: Path, choice: Choice = Choice()) -> str:  # noqa: B008 - frozen
    with pytest.raises(DatasetError) as caught:
        find_dataset(root, choice=choice)
    return str(caught.value)


def test_subjects_with_and_without_label_maps(tmp_path: Path) -> None:
    touch(tmp_path, *scan("01", "T1w"), *scan("02", "T1w"), *scan("10", "T1w"), label("01"), label("10"), "participants.tsv")
    data = find_dataset(tmp_path)
    assert (data.layout, data.channels, data.classes) == ("bids", ("T1w",), None)
    assert summary(data) == [
        ("sub-01", "sub-01", "training", ["sub-01_T1w.nii.gz"], "sub-01_dseg.nii.gz"),
        ("sub-02", "sub-02", "test", ["sub-02_T1w.nii.gz"], None),
        ("sub-10", "sub-10", "training", ["sub-10_T1w.nii.gz"], "sub-10_dseg.nii.gz"),
    ]


def test_sessions_of_a_subject_stay_together(tmp_path: Path) -> None:
    for session in ("a", "b"):
        touch(tmp_path, *scan("1", "T1w", session=session), label("1", session=session))
    touch(tmp_path, *scan("2", "T1w", session="a"), label("2"))
    data = find_dataset(tmp_path)
    assert [(case.id, case.subject) for case in data.training] == [
        ("sub-1_ses-a", "sub-1"),
        ("sub-1_ses-b", "sub-1"),
        ("sub-2_ses-a", "sub-2"),
    ]


def test_a_label_map_without_session_is_of_none_where_there_are_several(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w", session="a"), *scan("1", "T1w", session="b"), label("1"))
    assert "no training case has a label" in message(tmp_path)


def test_scans_are_gone_through_twice_for_all_label_maps() -> None:
    class Counted(list[BidsScan]):
        seen = 0

        def __iter__(self) -> Any:
            for scan in super().__iter__():
                self.seen += 1
                yield scan

    paths = [Path(path) for number in range(50) for path in scan(f"{number}", "T1w", session="a")]
    scans = Counted(group_scans(paths, channels=("T1w",)))
    labels = {Path(f"{number}_dseg.nii.gz"): {"sub": f"{number}"} for number in range(50)}
    assert len(bids._matched(scans, labels, root=Path())) == len(labels)
    assert scans.seen == 2 * len(scans)


def test_the_kinds_that_every_labelled_session_has_are_channels(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "FLAIR", "T1w", "T2w", "PDw"), *scan("2", "T1w", "FLAIR", "PDw"), *scan("3", "T1w"))
    touch(tmp_path, label("1"), label("2"))
    data = find_dataset(tmp_path)
    assert data.channels == ("T1w", "FLAIR")
    assert [case.id for case in data.cases] == ["sub-1", "sub-2"]
    assert [path.name for path in data.cases[0].images] == ["sub-1_T1w.nii.gz", "sub-1_FLAIR.nii.gz"]


def test_channels_may_be_chosen(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w", "PDw", "FLAIR"), label("1"))
    assert find_dataset(tmp_path, choice=Choice(channels=("PDw", "T1w"))).channels == ("PDw", "T1w")
    text = message(tmp_path, Choice(channels=("T1w", "T2w")))
    assert "labelled scans lack channels" in text
    assert "sub-1: T2w" in text


def test_several_images_of_one_kind_in_a_session_are_scans_of_their_own(tmp_path: Path) -> None:
    for run in ("run-1", "run-2"):
        touch(tmp_path, *scan("1", "T1w", entities=run))
    touch(tmp_path, *scan("1", "FLAIR"), label("1", end="run-1_desc-manual_dseg"), label("1", end="run-2_dseg"))
    assert [(name, subject, images) for name, subject, _, images, _ in summary(find_dataset(tmp_path))] == [
        ("sub-1_run-1", "sub-1", ["sub-1_run-1_T1w.nii.gz", "sub-1_FLAIR.nii.gz"]),
        ("sub-1_run-2", "sub-1", ["sub-1_run-2_T1w.nii.gz", "sub-1_FLAIR.nii.gz"]),
    ]


def test_a_label_map_of_two_scans_is_refused_until_one_is_chosen(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w", entities="acq-a"), *scan("1", "T1w", entities="acq-b"), label("1"))
    text = message(tmp_path)
    assert "may belong to several scans" in text
    assert "found sub-1_acq-a, sub-1_acq-b" in text
    assert [case.id for case in find_dataset(tmp_path, choice=Choice(channels=("acq-b_T1w",))).training] == ["sub-1"]


def test_other_label_maps_than_discrete_segmentations(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w"), f"{LABELS}/sub-1/anat/sub-1_T1w_label-lesion_seg.nii.gz")
    assert find_dataset(tmp_path).training[0].label is not None
    beside = touch(tmp_path / "beside", *scan("1", "T1w", "label-L_mask"))
    assert find_dataset(beside).training[0].label == beside / "sub-1/anat/sub-1_label-L_mask.nii.gz"


def test_a_label_map_in_the_scans_own_space_wins(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w"), label("1", end="space-MNI_dseg"), label("1", end="space-T1w_dseg"))
    assert summary(find_dataset(tmp_path))[0][-1] == "sub-1_space-T1w_dseg.nii.gz"


def test_several_label_maps_of_a_scan_ask_for_a_pattern(tmp_path: Path) -> None:
    for subject in ("1", "2"):
        touch(tmp_path, *scan(subject, "T1w"), label(subject), label(subject, end="desc-aseg_dseg"))
    text = message(tmp_path)
    assert "several label maps for one scan" in text
    assert "--labels 'derivatives/manual/**/*_desc-aseg_dseg.nii.gz'" in text
    assert "and so have 1 more scans" in text
    for pattern in ("derivatives/manual/**/*_desc-aseg_dseg.nii.gz", "*_desc-aseg_dseg*"):
        labels = [name for *_, name in summary(find_dataset(tmp_path, choice=Choice(labels=pattern)))]
        assert labels == ["sub-1_desc-aseg_dseg.nii.gz", "sub-2_desc-aseg_dseg.nii.gz"]


@pytest.mark.parametrize("pattern", ["/x/*.nii", "**x/*.nii", "*_mask.nii.gz"])
def test_patterns_that_fit_nothing_are_named(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, *scan("1", "T1w"), label("1"))
    text = message(tmp_path, Choice(labels=pattern))
    assert pattern in text
    assert "Give another pattern" in text


def test_an_image_twice_is_named(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w"), "sub-1/anat/sub-1_T1w.nii", *scan("2", "T1w"), label("2"))
    text = message(tmp_path)
    assert "several files for one id; found sub-1: " in text
    assert "sub-1_T1w.nii.gz" in text


def test_data_that_were_not_fetched_are_broken_links(tmp_path: Path) -> None:
    touch(tmp_path, *scan("1", "T1w"), label("1"), "sub-2/anat/x")
    (tmp_path / scan("2", "T1w")[0]).symlink_to(tmp_path / ".git/annex/objects/x")
    assert "broken links" in message(tmp_path)


def test_a_table_of_cases_leaves_nothing_to_choose(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "a_seg.nii")
    (tmp_path / "cases.csv").write_text("id,image,label\nb,a.nii,a_seg.nii\n")
    assert find_dataset(tmp_path).cases[0].id == "b"
    assert "cases_csv: leaves nothing to choose" in message(tmp_path, Choice(channels=("T1w",)))
