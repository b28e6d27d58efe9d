"""Which names are images, label maps and channels."""

from pathlib import Path

import pytest

from autoseg.data.naming import case_and_channel, channel_stem, image_stem, is_label_stem, without_label_ending


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


def test_label_maps_end_in_seg() -> None:
    assert is_label_stem("IBSR_01_seg")
    assert not is_label_stem("IBSR_01_segmented")
    assert without_label_ending("IBSR_01_seg") == without_label_ending("IBSR_01") == "IBSR_01"
