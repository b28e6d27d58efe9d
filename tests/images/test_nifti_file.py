"""Whatever is written on a scan's grid lies where the scan lies, by every statement and every reader."""

import dataclasses
import itertools
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.errors import ImageError
from autoseg.images.geometry import Geometry
from autoseg.images.image import read_image, read_labels, write_channels, write_labels
from autoseg.images.nifti_file import write_nifti

SHAPE = (6, 5, 4)
"""Voxels along X, Y, Z."""


def rotation(axis: int, degrees: float) -> np.ndarray:
    matrix = np.eye(3)
    first, second = (other for other in range(3) if other != axis)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def form(*, turns: tuple[float, float, float], spacing: tuple[float, float, float], at: float, flip: int = 1) -> np.ndarray:
    affine = np.eye(4)
    axes = rotation(0, turns[0]) @ rotation(1, turns[1]) @ rotation(2, turns[2])
    affine[:3, :3] = axes * spacing * np.array([flip, 1, 1])
    affine[:3, 3] = at, -at, 2 * at
    return affine


QFORM = form(turns=(10, -20, 30), spacing=(0.8, 1.5, 3.0), at=17.0)
SFORM = form(turns=(-5, 40, 5), spacing=(0.8, 1.5, 3.0), at=-30.0, flip=-1)
SHEARED = SFORM + np.eye(4)[[1, 0, 2, 3]] * (0.4, 0, 0, 0)


def scan(path: Path, *, qform: np.ndarray, qform_code: int, sform: np.ndarray, sform_code: int, order: str = "<") -> Path:
    voxels = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    image = nib.Nifti1Image(voxels, None, nib.Nifti1Header(endianness=order))
    image.set_sform(sform, sform_code)
    image.set_qform(qform, qform_code)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    assert (image.header["qform_code"], image.header["sform_code"]) == (qform_code, sform_code)
    return path


def written_beside(path: Path) -> list[Path]:
    """A label map, one volume of floats and several, on the grid of the scan."""
    image = read_image([path], channels=1)
    folder = path.parent / "out"
    write_labels(folder / "labels.nii.gz", (image.array[0] > 400).astype(np.uint8), image.geometry)
    write_labels(folder / "plain.nii", (image.array[0] > 400).astype(np.uint8), image.geometry)
    write_channels(folder / "uncertainty.nii.gz", image.array / 1000, image.geometry)
    write_channels(folder / "probabilities.nii.gz", np.repeat(image.array / 1000, 3, axis=0), image.geometry)
    return sorted(folder.iterdir())


def assert_placed_alike(path: Path, original: Path) -> None:
    """By nibabel, its affine, both forms and both codes; by SimpleITK, its spacing, origin and direction."""
    found, expected = nib.load(path), nib.load(original)
    np.testing.assert_array_equal(found.affine, expected.affine)
    for name in ("qform", "sform"):
        ours, theirs = (getattr(image.header, f"get_{name}")(coded=True) for image in (found, expected))
        assert ours[1] == theirs[1]
        np.testing.assert_array_equal(*(np.nan if one is None else one for one in (ours[0], theirs[0])))
    assert found.header.get_zooms()[:3] == expected.header.get_zooms()[:3]
    assert found.header.get_xyzt_units()[0] == expected.header.get_xyzt_units()[0]
    itk, itk_expected = (sitk.ReadImage(str(one)) for one in (path, original))
    assert itk.GetSpacing()[:3] == itk_expected.GetSpacing()[:3]
    assert itk.GetOrigin()[:3] == itk_expected.GetOrigin()[:3]
    total = itk.GetDimension()
    np.testing.assert_array_equal(
        np.reshape(itk.GetDirection(), (total, total))[:3, :3], np.reshape(itk_expected.GetDirection(), (3, 3))
    )


@pytest.mark.parametrize(("qform_code", "sform_code"), list(itertools.product((0, 1, 2, 4), repeat=2)))
def test_both_forms_and_both_codes_are_carried_over(tmp_path: Path, qform_code: int, sform_code: int) -> None:
    path = scan(tmp_path / "scan.nii.gz", qform=QFORM, qform_code=qform_code, sform=SFORM, sform_code=sform_code)
    outputs = written_beside(path)
    assert len(outputs) == 4
    for output in outputs:
        assert_placed_alike(output, path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_sheared_form_in_any_byte_order_is_carried_over(tmp_path: Path, order: str) -> None:
    path = scan(tmp_path / "scan.nii", qform=QFORM, qform_code=1, sform=SHEARED, sform_code=1, order=order)
    for output in written_beside(path):
        assert_placed_alike(output, path)


@pytest.mark.parametrize("unit", ["mm", "micron", "meter", "unknown"])
def test_units_of_length_are_carried_over(tmp_path: Path, unit: str) -> None:
    image = nib.Nifti1Image(np.zeros(SHAPE, dtype=np.uint8), SFORM)
    image.header.set_xyzt_units(0 if unit == "unknown" else unit)
    nib.save(image, tmp_path / "scan.nii.gz")
    for output in written_beside(tmp_path / "scan.nii.gz"):
        assert_placed_alike(output, tmp_path / "scan.nii.gz")


def test_a_spacing_that_contradicts_the_sform_is_carried_over(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.nii", qform=QFORM, qform_code=0, sform=SFORM, sform_code=2)
    content = bytearray(path.read_bytes())
    struct.pack_into("<3f", content, 80, 1.0, 1.0, 1.0)
    path.write_bytes(content)
    for output in written_beside(path):
        assert_placed_alike(output, path)


def test_an_image_with_a_fourth_axis_of_1_and_one_of_a_pair_of_files(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((*SHAPE, 1), dtype=np.uint8), SFORM)
    image.header["pixdim"][4] = 0
    nib.save(image, tmp_path / "four.nii.gz")
    geometry = read_image([tmp_path / "four.nii.gz"], channels=1).geometry
    write_labels(tmp_path / "labels.nii.gz", np.zeros(SHAPE[::-1], dtype=np.uint8), geometry)
    assert np.array_equal(nib.load(tmp_path / "labels.nii.gz").affine, nib.load(tmp_path / "four.nii.gz").affine)
    assert nib.load(tmp_path / "labels.nii.gz").shape == SHAPE

    pair = nib.Nifti1Pair(np.zeros(SHAPE, dtype=np.uint8), None)
    pair.set_sform(SFORM, 2)
    pair.set_qform(QFORM, 1)
    nib.save(pair, tmp_path / "pair.hdr")
    for output in written_beside(tmp_path / "pair.hdr"):
        assert_placed_alike(output, tmp_path / "pair.hdr")


@pytest.mark.parametrize("unit", [b"mm", b"um"])
def test_an_image_of_analyze_stays_where_readers_without_orientation_put_it(tmp_path: Path, unit: bytes) -> None:
    image = nib.AnalyzeImage(np.zeros(SHAPE, dtype=np.uint8), None)
    image.header.set_zooms((0.5, 1.0, 2.0))
    nib.save(image, tmp_path / "scan.img")
    content = bytearray((tmp_path / "scan.hdr").read_bytes())
    content[56 : 56 + len(unit)] = unit
    (tmp_path / "scan.hdr").write_bytes(content)
    factor = {b"mm": 1, b"um": 1e-3}[unit]
    expected = nib.load(tmp_path / "scan.hdr").affine * (np.array([factor, factor, factor, 1])[:, np.newaxis])
    for output in written_beside(tmp_path / "scan.hdr"):
        found = nib.load(output)
        np.testing.assert_allclose(found.affine, expected, rtol=1e-6)
        assert (found.header["qform_code"], found.header["sform_code"]) == (0, 0)


def test_a_2d_image_with_forms(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((6, 5), dtype=np.uint8), SFORM), tmp_path / "scan.nii.gz")
    geometry = read_image([tmp_path / "scan.nii.gz"], channels=1).geometry
    write_labels(tmp_path / "labels.nii.gz", np.zeros((1, 5, 6), dtype=np.uint8), geometry)
    write_channels(tmp_path / "probabilities.nii.gz", np.zeros((2, 1, 5, 6), dtype=np.float32), geometry)
    assert nib.load(tmp_path / "labels.nii.gz").shape == (6, 5)
    for name in ("labels", "probabilities"):
        found, expected = nib.load(tmp_path / f"{name}.nii.gz"), nib.load(tmp_path / "scan.nii.gz")
        np.testing.assert_array_equal(found.affine, expected.affine)
        np.testing.assert_array_equal(found.get_qform(), expected.get_qform())
        assert found.header["sform_code"] == expected.header["sform_code"]


def test_a_copy_of_a_geometry_says_only_what_it_says_itself(tmp_path: Path) -> None:
    path = scan(tmp_path / "scan.nii.gz", qform=QFORM, qform_code=1, sform=SFORM, sform_code=2)
    geometry = read_image([path], channels=1).geometry
    moved = dataclasses.replace(geometry, origin_mm=(1.0, 2.0, 3.0))
    assert moved.placement is None
    write_labels(tmp_path / "labels.nii.gz", np.zeros(SHAPE[::-1], dtype=np.uint8), moved)
    assert nib.load(tmp_path / "labels.nii.gz").affine[:3, 3].tolist() == [-1.0, -2.0, 3.0]
    assert read_labels(tmp_path / "labels.nii.gz").geometry.difference(moved) == ""


angles = st.floats(-180, 180)
sides = st.floats(0.01, 20)


@settings(max_examples=50)
@given(
    turns=st.tuples(angles, angles, angles),
    spacing=st.tuples(sides, sides, sides),
    at=st.floats(-500, 500),
    left_handed=st.booleans(),
)
def test_a_grid_that_no_header_stated_is_stated_in_both_forms(
    tmp_path_factory: pytest.TempPathFactory,
    *,
    turns: tuple[float, float, float],
    spacing: tuple[float, float, float],
    at: float,
    left_handed: bool,
) -> None:
    path = tmp_path_factory.mktemp("forms") / "a.nii"
    axes = rotation(0, turns[0]) @ rotation(1, turns[1]) @ rotation(2, turns[2]) * (1, 1, -1 if left_handed else 1)
    geometry = Geometry(SHAPE[::-1], spacing, (at, 2 * at, -at), tuple(axes.ravel().tolist()))
    write_nifti(path, np.zeros(SHAPE[::-1], dtype=np.uint8), geometry)
    expected = np.diag([-1, -1, 1]) @ geometry.affine
    header = nib.load(path).header
    np.testing.assert_allclose(header.get_sform()[:3], expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(header.get_qform()[:3], expected, rtol=1e-5, atol=0.002 * max(spacing))
    assert (header["qform_code"], header["sform_code"]) == (1, 1)
    assert sitk.ReadImage(str(path)).GetSpacing() == pytest.approx(spacing[::-1], rel=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_voxels_of_any_layout_and_byte_order_come_back(tmp_path: Path, dtype: type, order: str) -> None:
    stored = np.random.default_rng(0).integers(0, 250, (2, 4, 5, 6)).astype(np.dtype(dtype).newbyteorder(order))
    seen = stored.transpose(0, 3, 2, 1)[:, ::-1]  # (2, 6, 5, 4), neither contiguous nor forward
    geometry = Geometry(shape=(6, 5, 4), spacing_mm=(1.0, 1.0, 1.0))
    write_nifti(tmp_path / "a.nii.gz", seen, geometry)
    assert np.array_equal(np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj), seen.T)
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == np.dtype(dtype)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nii.gz"))), seen)


def test_equal_arrays_give_equal_files(tmp_path: Path) -> None:
    geometry = Geometry(shape=(4, 5, 6), spacing_mm=(1.0, 1.0, 1.0))
    for name in ("a", "b"):
        write_nifti(tmp_path / f"{name}.nii.gz", np.ones((4, 5, 6), dtype=np.uint8), geometry)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_more_voxels_than_the_format_can_count(tmp_path: Path) -> None:
    geometry = Geometry(shape=(1, 1, 32768), spacing_mm=(1.0, 1.0, 1.0), dimensions=2)
    with pytest.raises(ImageError, match="at most 32767 voxels along an axis"):
        write_nifti(tmp_path / "a.nii.gz", np.zeros((1, 1, 32768), dtype=np.uint8), geometry)
    assert list(tmp_path.iterdir()) == []
