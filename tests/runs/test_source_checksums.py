"""Scans are not hashed again while the file system says that they are unchanged."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from oracles.restricted import ordinary_user
from oracles.tiny_cases import tiny_scans, write_nifti
from PIL import Image as Picture

from autoseg.data.dataset import Case
from autoseg.errors import ImageError
from autoseg.formats.checksum import image_checksum
from autoseg.preprocessing.keys import case_checksum
from autoseg.runs import source_checksums
from autoseg.runs.source_checksums import SETTLED_NS, SourceChecksums, case_checksums


def settle(*paths: Path) -> None:
    """Let files have changed so long ago that a later change has a later time."""
    for number, path in enumerate(paths):
        at_ns = time.time_ns() - 10 * SETTLED_NS - number
        os.utime(path, ns=(at_ns, at_ns))


def overwrite(path: Path, content: bytes) -> None:
    """Change a file's content, in place, so that its size, time and inode stay."""
    status = path.stat()
    assert len(content) == status.st_size
    with path.open("r+b") as stream:
        stream.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def with_a_bit_flipped(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    return bytes(content)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that were hashed."""
    paths: list[Path] = []

    def counting(path: Path) -> str:
        paths.append(path)
        return image_checksum(path)

    monkeypatch.setattr(source_checksums, "image_checksum", counting)
    return paths


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    found = []
    for number, (scan, label) in enumerate(tiny_scans(3)):
        case = Case(
            id=f"case_{number}", images=(tmp_path / f"{number}.nii",), label=tmp_path / f"{number}_seg.nii",
            subject=f"case_{number}", subset="training",
        )  # fmt: skip
        write_nifti(case.images[0], scan)
        write_nifti(Path(str(case.label)), label)
        settle(case.images[0], Path(str(case.label)))
        found.append(case)
    return found


def checksums(cases: list[Case], folder: Path, *, verify: bool = False) -> dict[str, str]:
    return case_checksums(folder / "checksums.json", cases, verify=verify)


def test_what_is_unchanged_is_hashed_once(cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    first = checksums(cases, tmp_path)
    assert first == {case.id: case_checksum(case) for case in cases}
    assert len(hashed) == 6
    written = (tmp_path / "checksums.json").stat().st_mtime_ns
    assert checksums(cases, tmp_path) == first
    assert len(hashed) == 6
    assert (tmp_path / "checksums.json").stat().st_mtime_ns == written, "nothing new, nothing written"


@pytest.mark.parametrize("verify", [False, True])
def test_what_is_asked_for_again_is_hashed_once(
    cases: list[Case], tmp_path: Path, hashed: list[Path], *, verify: bool
) -> None:
    path, known = cases[0].images[0], SourceChecksums(tmp_path / "checksums.json", verify=verify)
    first = known.of(path)
    assert known.of(path) == first
    assert hashed == [path]
    path.write_bytes(with_a_bit_flipped(path))
    assert known.of(path) != first


@pytest.mark.parametrize("change", ["size", "time", "inode"])
def test_what_changed_is_hashed_again(change: str, cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    first = checksums(cases, tmp_path)
    hashed.clear()
    path = cases[1].images[0]
    status = path.stat()
    if change == "size":
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        (tmp_path / "copy").write_bytes(with_a_bit_flipped(path))
        os.utime(tmp_path / "copy", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "copy").replace(path)
    second = checksums(cases, tmp_path)
    assert hashed == [path]
    assert [case for case in second if second[case] != first[case]] == ([] if change == "time" else ["case_1"])


def test_what_only_verifying_finds(cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    first = checksums(cases, tmp_path)
    overwrite(cases[0].images[0], with_a_bit_flipped(cases[0].images[0]))
    assert checksums(cases, tmp_path) == first
    verified = checksums(cases, tmp_path, verify=True)
    assert len(hashed) == 12
    assert [case for case in verified if verified[case] != first[case]] == ["case_0"]
    assert checksums(cases, tmp_path) == verified, "what was found is remembered"


def test_what_changed_a_moment_before_is_hashed_again(cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    """A change within the same tick of the file system's clock would have the same time."""
    path = cases[2].images[0]
    at_ns = time.time_ns()
    os.utime(path, ns=(at_ns, at_ns))
    first = checksums(cases, tmp_path)
    overwrite(path, with_a_bit_flipped(path))
    hashed.clear()
    assert checksums(cases, tmp_path)["case_2"] != first["case_2"]
    assert hashed == [path]


def test_what_changes_while_it_is_hashed_is_not_remembered(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interfering(path: Path) -> str:
        found = image_checksum(path)
        path.write_bytes(with_a_bit_flipped(path))
        settle(path)
        return found

    monkeypatch.setattr(source_checksums, "image_checksum", interfering)
    known = SourceChecksums(tmp_path / "checksums.json")
    known.of(cases[0].images[0])
    known.store()
    assert not (tmp_path / "checksums.json").exists()


def _detached(folder: Path) -> tuple[Path, Path]:
    """A header whose voxels lie in another file."""
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5)), str(folder / "a.mhd"))
    return folder / "a.mhd", folder / "a.raw"


def _picture(folder: Path) -> tuple[Path, Path]:
    """A picture whose spacing is stated beside it."""
    Picture.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(folder / "a_0000.png")
    (folder / "a.json").write_text('{"spacing": [9, 1, 1]}')
    return folder / "a_0000.png", folder / "a.json"


def _series(folder: Path) -> tuple[Path, Path]:
    """A folder of a DICOM series, of which the second file is looked at."""
    for number in range(2):
        (folder / "series" / "below").mkdir(parents=True, exist_ok=True)
        (folder / "series" / "below" / f"{number}.dcm").write_bytes(b"\0" * 128 + b"DICM" + bytes([number]))
    return folder / "series", folder / "series" / "below" / "1.dcm"


@pytest.mark.parametrize("make", [_detached, _picture, _series])
@pytest.mark.parametrize("change", ["changed", "gone", "new"])
def test_every_file_of_an_image_counts(
    change: str, make: Callable[[Path], tuple[Path, Path]], tmp_path: Path, hashed: list[Path]
) -> None:
    image, other = make(tmp_path)
    settle(*(path for path in tmp_path.rglob("*") if path.is_file()))
    content = other.read_bytes()
    if change == "new":
        other.unlink()

    def checksum() -> str:
        known = SourceChecksums(tmp_path / "checksums.json")
        try:
            return known.of(image)
        finally:
            known.store()

    first = checksum()
    assert checksum() == first
    assert hashed == [image]
    if change == "gone":
        other.unlink()
    else:
        other.write_bytes(content if change == "new" else content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(other, ns=(1, 1))
    assert checksum() != first
    assert hashed == [image, image]


@pytest.mark.parametrize("damage", ["", "{}", "text", '{"version":1,"images":{},"digest":"0"}', "flipped"])
def test_a_damaged_document_is_made_again(damage: str, cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    first = checksums(cases, tmp_path)
    file = tmp_path / "checksums.json"
    whole = file.read_text()
    place = whole.index('"sha256":"') + len('"sha256":"')
    flipped = whole[:place] + ("1" if whole[place] != "1" else "2") + whole[place + 1 :]
    file.write_text(flipped if damage == "flipped" else damage)
    assert checksums(cases, tmp_path) == first
    assert len(hashed) == 12
    assert file.read_text() == whole


def test_several_processes_remember_at_once(cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    both = [SourceChecksums(tmp_path / "checksums.json") for _ in range(2)]
    for known, case in zip(both, cases, strict=False):
        known.of(case.images[0])
    for known in both:
        known.store()
    hashed.clear()
    checksums(cases[:2], tmp_path)
    assert hashed == [cases[0].label, cases[1].label]


def test_images_that_are_gone_are_forgotten(cases: list[Case], tmp_path: Path) -> None:
    checksums(cases, tmp_path)
    cases[0].images[0].unlink()
    checksums(cases[:1], tmp_path)
    settle(cases[1].images[0])
    checksums(cases[1:], tmp_path)
    assert str(cases[0].images[0]) not in (tmp_path / "checksums.json").read_text()


def test_a_missing_file_counts_as_such(cases: list[Case], tmp_path: Path) -> None:
    first = checksums(cases, tmp_path)
    cases[0].images[0].unlink()
    assert checksums(cases, tmp_path)["case_0"] != first["case_0"]
    with pytest.raises(ImageError, match="does not exist"):
        SourceChecksums(tmp_path / "checksums.json").of(cases[0].images[0])


def test_a_remembered_image_that_may_not_be_read_is_told_at_once(cases: list[Case], tmp_path: Path) -> None:
    settle(cases[0].images[0])
    checksums(cases, tmp_path)
    cases[0].images[0].chmod(0)
    with ordinary_user(), pytest.raises(ImageError, match="Permission denied"):
        SourceChecksums(tmp_path / "checksums.json").of(cases[0].images[0])


def test_where_nothing_may_be_written_everything_is_hashed(cases: list[Case], tmp_path: Path, hashed: list[Path]) -> None:
    (tmp_path / "no folder").touch()
    for _ in range(2):
        assert checksums(cases, tmp_path / "no folder") == {case.id: case_checksum(case) for case in cases}
    assert len(hashed) == 12
