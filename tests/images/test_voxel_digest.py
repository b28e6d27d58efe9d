from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from autoseg.images.geometry import Geometry
from autoseg.images.image import read_image
from autoseg.images.voxel_digest import voxel_digest

VOXELS = np.random.default_rng(0).integers(-50, 900, size=(4, 5, 6)).astype(np.int16)


def scan(path: Path, *, pixel_type: int = sitk.sitkInt16, order: str = "", compressed: bool = False) -> Path:
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.9, 1.1, 3.0))
    image.SetOrigin((-12.0, 7.0, 90.0))
    image = sitk.Cast(image, pixel_type)
    sitk.WriteImage(sitk.DICOMOrient(image, order) if order else image, str(path), useCompression=compressed)
    return path


def digest(path: Path) -> str:
    image = read_image([path], channels=1)
    return voxel_digest(image.array, image.geometry)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("b.nii", {}),
        ("b.mha", {"compressed": True}),
        ("b.nrrd", {"compressed": True, "order": "RIP"}),
        ("b.nii.gz", {"pixel_type": sitk.sitkFloat64, "order": "ASL"}),
        ("b.nii.gz", {"pixel_type": sitk.sitkInt32, "order": "IRA"}),
    ],
)
def test_a_copy_has_the_same_digest_however_it_is_stored(tmp_path: Path, name: str, how: dict[str, object]) -> None:
    assert digest(scan(tmp_path / name, **how)) == digest(scan(tmp_path / "a.nii.gz"))  # type: ignore[arg-type]


@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_the_order_of_storage_axes_makes_no_difference(order: list[int], signs: tuple[int, int, int]) -> None:
    """Storing the volume along other axes, and its direction cosines with it, describes the same patient."""
    straight = Geometry(VOXELS.shape, (3.0, 1.1, 0.9))
    flips = tuple(slice(None, None, sign) for sign in signs)
    stored = VOXELS.transpose(order)[flips]
    columns = np.eye(3)[:, [2 - axis for axis in order][::-1]] * np.array(signs[::-1])
    turned = Geometry(
        stored.shape,
        tuple(straight.spacing_mm[axis] for axis in order),  # type: ignore[arg-type]
        direction=tuple(columns.ravel()),
    )
    assert voxel_digest(stored, turned) == voxel_digest(VOXELS, straight)


def test_different_scans_have_different_digests() -> None:
    geometry = Geometry(VOXELS.shape, (3.0, 1.1, 0.9))
    seen = {voxel_digest(VOXELS, geometry)}
    for axes in permutations(range(3)):
        for flips in product((slice(None), slice(None, None, -1)), repeat=3):
            stored = VOXELS.transpose(axes)[flips]  # by a header that does not follow: another patient
            seen.add(voxel_digest(stored, replace(geometry, shape=stored.shape)))
    assert len(seen) == 6 * 8
    other = VOXELS.copy()
    other[1, 2, 3] += 1
    assert voxel_digest(other, geometry) not in seen


def test_headers_and_the_sign_of_nothing_take_no_part() -> None:
    zeros = np.zeros((1, 2, 3, 4), np.float32)
    geometry = Geometry((2, 3, 4), (1.0, 1.0, 1.0))
    assert voxel_digest(-zeros, replace(geometry, spacing_mm=(2.0, 2.0, 2.0))) == voxel_digest(zeros, geometry)
    assert voxel_digest(zeros.reshape(1, 4, 3, 2), replace(geometry, shape=(4, 3, 2))) != voxel_digest(zeros, geometry)
