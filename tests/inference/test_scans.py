from pathlib import Path

import pytest

from autoseg.errors import UsageError
from autoseg.inference.scans import find_scans


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def names(place: Path, *, channels: int = 1, results: Path | None = None) -> dict[str, list[str]]:
    found = find_scans(place, channels=channels, results=results)
    assert not found.failures
    return {scan.id: [path.name for path in scan.images] for scan in found.scans}


def test_folders_are_searched_through_and_labels_and_hidden_files_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "b/b.nii.gz", "b/b_seg.nii.gz", "a.mha", "._a.mha", "notes.txt")
    assert names(tmp_path) == {"a": ["a.mha"], "b": ["b.nii.gz"]}


def test_label_maps_below_the_scans_are_no_scans(tmp_path: Path) -> None:
    scans = touch(tmp_path / "in", "a.nii.gz", "deep/b.nii.gz", "out/a.nii.gz", "out/probabilities/a.nii.gz")
    assert list(names(scans, results=scans / "out")) == ["a", "b"]


def test_scans_below_or_beside_the_results_are_scans(tmp_path: Path) -> None:
    scans = touch(tmp_path / "out" / "in", "a.nii.gz", "b.nii.gz")
    for results in (tmp_path / "out", scans, tmp_path / "elsewhere"):
        assert list(names(scans, results=results)) == ["a", "b"]


def test_numbered_files_are_the_channels_of_a_scan(tmp_path: Path) -> None:
    touch(tmp_path, "x_0001.nii.gz", "x_0000.nii.gz", "sub_2015.nii.gz")
    expected = {"sub_2015": ["sub_2015.nii.gz"], "x": ["x_0000.nii.gz", "x_0001.nii.gz"]}
    assert names(tmp_path, channels=2) == expected


def test_for_one_channel_only_0000_is_a_channel(tmp_path: Path) -> None:
    touch(tmp_path, "x_0000.nii.gz", "sub_2015.nii.gz", "sub_2016.nii.gz")
    assert list(names(tmp_path)) == ["sub_2015", "sub_2016", "x"]


def test_a_single_file_finds_its_other_channels(tmp_path: Path) -> None:
    touch(tmp_path, "x_0000.nii.gz", "x_0001.nii.gz", "y_0000.nii.gz")
    assert names(tmp_path / "x_0001.nii.gz", channels=2) == {"x": ["x_0000.nii.gz", "x_0001.nii.gz"]}
    assert names(tmp_path / "x_0000.nii.gz", channels=1) == {"x": ["x_0000.nii.gz"]}


@pytest.mark.parametrize(
    "files",
    [
        ("bad_0000.nii.gz", "bad_0002.nii.gz"),
        ("bad_0000.nii.gz", "bad_0000.nii"),
        ("bad_0000.nii.gz", "sub/bad_0000.nii.gz"),
    ],
)
def test_a_bad_scan_does_not_hide_the_good_ones(tmp_path: Path, files: tuple[str, ...]) -> None:
    touch(tmp_path, *files, "good_0000.nii.gz", "good_0001.nii.gz", "good_0002.nii.gz")
    found = find_scans(tmp_path, channels=3)
    assert [scan.id for scan in found.scans] == ["good"]
    (failure,) = found.failures
    assert failure[0] == "bad"
    assert "bad_0000" in str(failure[1])


def test_nothing_there_is_a_usage_error(tmp_path: Path) -> None:
    for place in (tmp_path / "missing", touch(tmp_path, "notes.txt")):
        with pytest.raises(UsageError):
            find_scans(place, channels=1)
