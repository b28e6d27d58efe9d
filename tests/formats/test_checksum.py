"""An image's checksum follows its voxels, wherever they are stored."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.formats.checksum import image_checksum
from autoseg.storage import files


def stored(path: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)), str(path))
    return path


def flip_last_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mha", "a.nrrd", "a.png"])
def test_of_a_single_file_it_is_the_files_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    sitk.WriteImage(sitk.GetImageFromArray(picture), str(path))
    assert image_checksum(path) == files.sha256_file(path)


@pytest.mark.parametrize(("name", "voxels"), [("a.mhd", "a.raw"), ("a.nhdr", "a.raw"), ("a.hdr", "a.img")])
def test_it_follows_voxels_in_a_file_of_their_own(name: str, voxels: str, tmp_path: Path) -> None:
    path = stored(tmp_path / name)
    before, header = image_checksum(path), path.read_bytes()
    flip_last_bit(tmp_path / voxels)
    changed = image_checksum(path)
    (tmp_path / voxels).unlink()
    assert len({before, changed, image_checksum(path)}) == 3
    assert path.read_bytes() == header


def test_a_damaged_header_still_has_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    path.write_bytes(b"NDims = three")
    assert image_checksum(path) == files.sha256_file(path)
