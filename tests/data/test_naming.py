"""Which names are images, label maps and channels."""

from pathlib import Path

import pytest
from oracles.empty_files import touch

from autoseg.data.naming import (
    case_and_channel,
    channel_stem,
    image_stem,
    is_label_stem,
    named_file,
    stem_of_any,
    without_label_ending,
)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("IBSR_01.nii.gz", "IBSR_01"),
        ("a.b.nii", "a.b"),
        ("Scan.NII.GZ", "Scan"),
        ("x.mha", "x"),
        ("notes.txt", None),
        ("scan.gz", None),
        (".nii.gz", None),
        ("nii.gz", None),
        ("x.img", None),
    ],
)
def test_image_stem(name: str, stem: str | None) -> None:
    assert image_stem(Path("some.nii") / name) == stem


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("a_0000", ("a", 0)),
        ("a_0001_0012", ("a_0001", 12)),
        ("a_001", None),
        ("a_00001", None),
        ("_0001", None),
        ("a", None),
    ],
)
def test_four_digits_at_the_end_of_a_name_are_a_channel(stem: str, found: tuple[str, int] | None) -> None:
    assert case_and_channel(stem) == found
    if found is not None:
        assert channel_stem(*found) == stem


@pytest.mark.parametrize(
    ("stem", "case"),
    [
        ("IBSR_01_seg", "IBSR_01"),
        ("a-seg", "a"),
        ("a.seg", "a"),
        ("a_mask", "a"),
        ("a_LABEL", "a"),
        ("a_labels", "a"),
        ("sub-1_dseg", "sub-1"),
        ("a-segmentation", "a"),
        ("patient_gt", "patient"),
        ("mask", ""),
    ],
)
def test_label_maps_by_their_names(stem: str, case: str) -> None:
    assert is_label_stem(stem)
    assert without_label_ending(stem) == case


@pytest.mark.parametrize("stem", ["IBSR_01", "IBSR_01_segmented", "a_seg_2", "unmask", "brainmask", "fig", "a_mask_T1"])
def test_other_names_are_no_label_maps(stem: str) -> None:
    assert not is_label_stem(stem)
    assert without_label_ending(stem) == stem


def test_names_are_normalised() -> None:
    assert image_stem(Path("Zoe\u0308.nii")) == stem_of_any(Path("Zoe\u0308.nii")) == "Zo\u00eb"


def test_the_file_that_somebody_means(tmp_path: Path) -> None:
    touch(tmp_path, "Zo\u00eb/a\u0301.hdr", "Zo\u00eb/a\u0301.img", "b.img", "c.IMG", "c.hdr")
    assert named_file(tmp_path / "Zoe\u0308" / "\u00e1.img") == tmp_path / "Zo\u00eb" / "a\u0301.hdr"
    assert named_file(tmp_path / "c.IMG") == tmp_path / "c.hdr"
    for same in ("b.img", "nowhere/x.nii", "Zo\u00eb"):
        assert named_file(tmp_path / same) == tmp_path / same
