"""Names of BIDS, and what belongs to one scan."""

from pathlib import Path

import pytest

from autoseg.data.bids import group_scans, parse_name


def test_the_parts_of_a_name() -> None:
    name = parse_name("sub-01_ses-a_acq-fast_run-2_T1w")
    assert name is not None
    assert (name.session, name.rest, name.suffix) == ("sub-01_ses-a", {"acq": "fast", "run": "2"}, "T1w")
    assert [channel for channel in ("T1w", "run-2_T1w", "acq-fast_T1w", "w", "T2w") if name.shows(channel)] == [
        "T1w",
        "run-2_T1w",
    ]


@pytest.mark.parametrize("stem", ["", "sub-01", "T1w", "x_sub-01_T1w", "sub-_T1w", "sub-01_T1w_seg", "sub-01__T1w"])
def test_other_names(stem: str) -> None:
    assert parse_name(stem) is None


def test_images_of_one_session_make_a_scan() -> None:
    names = ["sub-1_T1w", "sub-1_acq-x_FLAIR", "sub-2_FLAIR", "sub-3_run-1_T1w", "sub-3_run-2_T1w", "sub-3_run-2_FLAIR", "x"]
    found = group_scans([Path(f"{name}.nii") for name in names], channels=("T1w", "FLAIR"))
    assert [(scan.id, {channel: path.stem for channel, path in scan.images.items()}) for scan in found] == [
        ("sub-1", {"T1w": "sub-1_T1w", "FLAIR": "sub-1_acq-x_FLAIR"}),
        ("sub-2", {"FLAIR": "sub-2_FLAIR"}),
        ("sub-3_run-1", {"T1w": "sub-3_run-1_T1w", "FLAIR": "sub-3_run-2_FLAIR"}),
        ("sub-3_run-2", {"T1w": "sub-3_run-2_T1w", "FLAIR": "sub-3_run-2_FLAIR"}),
    ]
