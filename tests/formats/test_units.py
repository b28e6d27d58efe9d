"""Units that headers state are used or refused: readers drop most of them."""

import struct
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.errors import ImageError
from autoseg.formats.units import is_no_unit, length_mm
from autoseg.images.geometry import Geometry
from autoseg.images.image import read_image, read_labels

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
DIRECTIONS = [[0.5, 0, 0], [0, 1.5, 0], [0, 0, 2.5]]
ORIGIN = [7.0, 8.0, 9.0]


def geometry(path: Path) -> Geometry:
    found = read_image([path], channels=1).geometry
    labels = read_labels(path).geometry
    assert (labels.spacing_mm, labels.origin_mm) == (found.spacing_mm, found.origin_mm)
    return found


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("mm millimeter Millimetres", 1.0),
        ("um \N{MICRO SIGN}m \N{GREEK SMALL LETTER MU}m micron microns micrometers", 1e-3),
        ("nm", 1e-6),
        ("cm", 10.0),
        ("m metres", 1e3),
        ("inch", 25.4),
    ],
)
def test_names_of_units(names: str, expected: float) -> None:
    assert {length_mm(name) for name in names.split()} == {expected}


def test_what_names_no_unit() -> None:
    assert all(is_no_unit(name) and length_mm(name) is None for name in ("", " ", "pixel", "?", "Voxels"))
    assert not is_no_unit("furlong")
    assert length_mm("furlong") is None


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1.0), ("microns", 1e-3), ("um", 1e-3), ("cm", 10.0), ("", 1.0)])
def test_units_of_space_in_nrrd(tmp_path: Path, unit: str, factor: float) -> None:
    header = {"space": "left-posterior-superior", "space directions": DIRECTIONS, "space origin": ORIGIN}
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS, header | {"space units": [unit] * 3})
    found = geometry(tmp_path / "a.nrrd")
    np.testing.assert_allclose(found.spacing_mm, np.multiply((2.5, 1.5, 0.5), factor))
    np.testing.assert_allclose(found.origin_mm, np.multiply(ORIGIN, factor))


@pytest.mark.parametrize(
    ("units", "says"),
    [
        (["furlong"] * 3, "unknown unit of length; expected mm, or one of um, nm, cm, m; found 'furlong'"),
        (["mm", "mm", "um"], "units that differ between axes"),
    ],
)
def test_other_units_in_nrrd_are_refused(tmp_path: Path, units: list[str], says: str) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS, {"space": "LPS", "space directions": DIRECTIONS, "space units": units})
    with pytest.raises(ImageError, match=says):
        geometry(tmp_path / "a.nrrd")


def test_units_of_axes_in_nrrd(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS, {"spacings": [0.5, 1.5, 2.5], "units": ["um", "um", "um"]})
    np.testing.assert_allclose(geometry(tmp_path / "a.nrrd").spacing_mm, (0.0025, 0.0015, 0.0005))


def test_extents_in_place_of_spacings_are_refused(tmp_path: Path) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS, {"axis mins": [0, 0, 0], "axis maxs": [1, 2, 3]})
    with pytest.raises(ImageError, match="axis mins and axis maxs alone"):
        geometry(tmp_path / "a.nrrd")


@pytest.mark.parametrize(("unit", "factor"), [("um", 1e-3), ("mm", 1.0), ("cm", 10.0), ("?", 1.0)])
def test_units_in_metaimage(tmp_path: Path, unit: str, factor: float) -> None:
    image = sitk.GetImageFromArray(VOXELS)
    image.SetSpacing((0.5, 1.5, 2.5))
    image.SetOrigin(ORIGIN)
    path = tmp_path / "a.mha"
    sitk.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes().replace(b"ElementType", b"DistanceUnits = " + unit.encode() + b"\nElementType"))
    found = geometry(path)
    np.testing.assert_allclose(found.spacing_mm, np.multiply((2.5, 1.5, 0.5), factor))
    np.testing.assert_allclose(found.origin_mm, np.multiply(ORIGIN, factor))


def test_a_2d_image_stays_one_mm_thick_in_any_unit(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    image = sitk.GetImageFromArray(VOXELS[0])
    image.SetSpacing((0.5, 0.25))
    sitk.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes().replace(b"ElementType", b"DistanceUnits = cm\nElementType"))
    assert read_image([path], channels=1).geometry.spacing_mm == (1.0, 2.5, 5.0)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
@pytest.mark.parametrize(("unit", "factor"), [(0, 1.0), (1, 1e3), (2, 1.0), (3, 1e-3), (8 + 3, 1e-3)])
def test_units_in_nifti(tmp_path: Path, name: str, unit: int, factor: float) -> None:
    image = nib.Nifti1Image(VOXELS.T, np.diag([0.5, 1.5, 2.5, 1.0]))
    image.header["xyzt_units"] = unit
    nib.save(image if name != "a.hdr" else nib.Nifti1Pair(VOXELS.T, image.affine, image.header), tmp_path / name)
    np.testing.assert_allclose(geometry(tmp_path / name).spacing_mm, np.multiply((2.5, 1.5, 0.5), factor))


def test_a_unit_that_nifti_does_not_know_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VOXELS.T, np.eye(4))
    image.header["xyzt_units"] = 5
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(ImageError, match=r"unknown unit of length \(xyzt_units\).* found 5"):
        geometry(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("unit", "factor", "remark"), [(b"um", 1e-3, ""), (b"mm", 1.0, ""), (b"vx!", 1.0, "unit of length, 'vx!', is unknown")]
)
def test_units_in_analyze(tmp_path: Path, unit: bytes, factor: float, remark: str) -> None:
    path = tmp_path / "a.hdr"
    nib.save(nib.AnalyzeImage(VOXELS.T, np.diag([0.5, 1.5, 2.5, 1.0])), path)
    content = bytearray(path.read_bytes())
    struct.pack_into("4s", content, 56, unit)
    path.write_bytes(content)
    np.testing.assert_allclose(geometry(path).spacing_mm, np.multiply((2.5, 1.5, 0.5), factor))
    assert any(remark in warning for warning in read_image([path], channels=1).warnings)
