"""Reading, comparing and writing scans and label maps: nothing is lost, and nothing wrong gets in."""

import dataclasses
import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.restricted import small_files

from autoseg.errors import ImageError, SystemFailureError
from autoseg.images.geometry import Geometry
from autoseg.images.image import (
    LabelMap,
    check_same_grid,
    on_grid_of,
    read_image,
    read_labels,
    write_channels,
    write_labels,
)
from autoseg.images.label_values import ROUNDED
from autoseg.images.sources import read_geometry

SHAPE = (4, 5, 6)


def oblique(*, degrees: tuple[float, float, float] = (20.0, -35.0, 50.0)) -> Geometry:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return Geometry(
        shape=SHAPE,
        spacing_mm=(3.0, 1.5, 0.8370536),
        origin_mm=(-90.25, 126.5, -72.125),
        direction=tuple(matrix.ravel().tolist()),
    )


def stored(path: Path, array: np.ndarray, geometry: Geometry | None = None) -> Path:
    """Write by SimpleITK alone, so that reading is not tested against our own writing."""
    image = sitk.GetImageFromArray(array, isVector=False)
    if geometry is not None:
        image.SetSpacing(geometry.spacing_mm[::-1])
        image.SetOrigin(geometry.origin_mm)
        image.SetDirection(geometry.direction)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def scan() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.int16)


# Images


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".hdr"])
def test_a_scan_keeps_its_voxels_in_every_format(tmp_path: Path, scan: np.ndarray, suffix: str) -> None:
    image = read_image([stored(tmp_path / f"Scan ü{suffix}", scan)], channels=1)
    assert image.array.dtype == np.float32
    assert np.array_equal(image.array, scan[np.newaxis])
    assert image.geometry == Geometry(shape=SHAPE, spacing_mm=(1.0, 1.0, 1.0))
    assert image.warnings == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("scaling", [None, (2.0, -5.0)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_nibabel_reads_the_same(
    tmp_path: Path, scan: np.ndarray, dtype: type, *, scaling: tuple[float, float] | None, order: str
) -> None:
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    affine = np.diag([0.9, 1.5, 2.0, 1.0]) @ np.array([[0, -1, 0, 7], [1, 0, 0, -8], [0, 0, 1, 9], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image((scan // 4).astype(dtype).T, affine, header)
    if scaling:
        image.header.set_slope_inter(*scaling)
    nib.save(image, tmp_path / "a.nii.gz")
    ours = read_image([tmp_path / "a.nii.gz"], channels=1)
    theirs = nib.load(tmp_path / "a.nii.gz")
    assert np.array_equal(ours.array[0], np.asarray(theirs.dataobj, dtype=np.float32).T)
    voxel_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ theirs.affine
    axes = np.reshape(ours.geometry.direction, (3, 3)) * ours.geometry.spacing_mm[::-1]
    np.testing.assert_allclose(axes, voxel_to_lps[:3, :3], atol=1e-6)
    np.testing.assert_allclose(ours.geometry.origin_mm, voxel_to_lps[:3, 3], atol=1e-6)


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_0_or_nan_means_no_scaling(tmp_path: Path, scan: np.ndarray, slope: float) -> None:
    content = bytearray(stored(tmp_path / "a.nii", scan).read_bytes())
    struct.pack_into("<2f", content, 112, slope, 0.0)
    (tmp_path / "a.nii").write_bytes(content)
    assert np.array_equal(read_image([tmp_path / "a.nii"], channels=1).array[0], scan)


def test_plain_nifti_named_gz_is_read_right(tmp_path: Path, scan: np.ndarray) -> None:
    path = stored(tmp_path / "a.nii", scan).rename(tmp_path / "a.nii.gz")
    image = read_image([path], channels=1)
    assert np.array_equal(image.array[0], scan)
    assert "plain NIfTI" in image.warnings[0]


def test_several_gzip_members_are_read_right(tmp_path: Path, scan: np.ndarray) -> None:
    content = stored(tmp_path / "a.nii", scan).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    assert np.array_equal(read_image([tmp_path / "b.nii.gz"], channels=1).array[0], scan)


def test_the_array_outlives_what_it_was_read_from(tmp_path: Path) -> None:
    large = np.arange(1 << 20, dtype=np.float32).reshape(16, 256, 256)
    stored(tmp_path / "a.nii", large)
    images = [read_image([tmp_path / "a.nii"], channels=1) for _ in range(4)]
    assert all(np.array_equal(image.array[0], large) for image in images)
    assert all(image.array.base is None for image in images)


def test_damage_is_found_before_reading(tmp_path: Path, scan: np.ndarray) -> None:
    path = stored(tmp_path / "a.nii.gz", scan)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ImageError, match="cut off"):
        read_image([path], channels=1)
    with pytest.raises(ImageError, match="cut off"):
        read_labels(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_oblique_geometry_is_kept(tmp_path: Path, scan: np.ndarray, suffix: str) -> None:
    image = read_image([stored(tmp_path / f"a{suffix}", scan, oblique())], channels=1)
    assert_same_place(image.geometry, oblique())


def assert_same_place(found: Geometry, expected: Geometry) -> None:
    assert (found.shape, found.dimensions) == (expected.shape, expected.dimensions)
    np.testing.assert_allclose(found.spacing_mm, expected.spacing_mm, rtol=1e-6)
    np.testing.assert_allclose(found.origin_mm, expected.origin_mm, atol=1e-4)
    np.testing.assert_allclose(found.direction, expected.direction, atol=1e-6)


def test_a_sheared_image_says_how_to_repair_it(tmp_path: Path, scan: np.ndarray) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.02
    image = nib.Nifti1Image(scan, None)
    image.set_sform(affine, 1)
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(ImageError, match=r"a\.nii\.gz: the image axes are not at right angles.*set_qform"):
        read_image([tmp_path / "a.nii.gz"], channels=1)
    # The advice in the message works.
    image.set_qform(image.affine)
    image.set_sform(image.get_qform(), 1)
    nib.save(image, tmp_path / "a.nii.gz")
    assert np.array_equal(read_image([tmp_path / "a.nii.gz"], channels=1).array[0], scan.T)


def test_a_single_slice_stays_three_dimensional(tmp_path: Path, scan: np.ndarray) -> None:
    geometry = dataclasses.replace(oblique(), shape=(1, 5, 6))
    image = read_image([stored(tmp_path / "a.nii.gz", scan[:1], geometry)], channels=1)
    assert image.array.shape == (1, 1, 5, 6)
    assert_same_place(image.geometry, geometry)


def test_a_slice_without_thickness_gets_1_mm(tmp_path: Path, scan: np.ndarray) -> None:
    content = bytearray(stored(tmp_path / "a.nii", scan[:1]).read_bytes())
    struct.pack_into("<f", content, 88, 0.0)
    (tmp_path / "a.nii").write_bytes(content)
    assert read_image([tmp_path / "a.nii"], channels=1).geometry.spacing_mm == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".png", ".tif"])
def test_a_2d_image(tmp_path: Path, scan: np.ndarray, suffix: str) -> None:
    picture = (scan[0] % 256).astype(np.uint8)
    image = read_image([stored(tmp_path / f"a{suffix}", picture)], channels=1)
    assert np.array_equal(image.array, picture[np.newaxis, np.newaxis])
    assert_same_place(image.geometry, Geometry(shape=(1, 5, 6), spacing_mm=(1.0, 1.0, 1.0), dimensions=2))
    assert any("no reliable spacing" in note for note in image.warnings) == (suffix in {".png", ".tif"})


def test_complex_images_are_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, dtype=np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(ImageError, match="neither a scalar image nor colours"):
        read_image([tmp_path / "complex.nii"], channels=1)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.hdr", "a.mha", "a.nrrd"])
def test_voxels_that_are_not_finite_are_refused(tmp_path: Path, name: str, *, wrong: float, dtype: type) -> None:
    array = np.zeros(SHAPE, dtype=dtype)
    array[2, 3, 1] = array[3, 0, 0] = wrong
    with pytest.raises(ImageError, match=r"found 2 NaN or infinite, the first at \(2, 3, 1\) \(Z, Y, X\)"):
        read_image([stored(tmp_path / name, array)], channels=1)


def test_a_double_beyond_single_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="fit into 32-bit floats; found 120"):
        read_image([stored(tmp_path / "a.nii.gz", np.full(SHAPE, 1e300))], channels=1)


# Channels


def test_one_file_per_channel(tmp_path: Path, scan: np.ndarray) -> None:
    paths = [stored(tmp_path / "a.nii.gz", scan), stored(tmp_path / "b.nii.gz", scan.astype(np.float32) / 2)]
    assert np.array_equal(read_image(paths, channels=2).array, np.stack([scan, scan / 2]).astype(np.float32))


def test_a_4d_file_with_the_channel_last(tmp_path: Path, scan: np.ndarray) -> None:
    channels = np.stack([scan, scan + 1, scan + 2])
    affine = np.diag([-1.0, -2.0, 3.0, 1.0])
    nib.save(nib.Nifti1Image(channels.T, affine), tmp_path / "a.nii.gz")  # (X, Y, Z, C), as the Decathlon stores it
    image = read_image([tmp_path / "a.nii.gz"], channels=3)
    assert np.array_equal(image.array, channels.astype(np.float32))
    assert image.geometry == Geometry(shape=SHAPE, spacing_mm=(3.0, 2.0, 1.0))


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_a_fourth_dimension_of_1_is_no_dimension(tmp_path: Path, scan: np.ndarray, suffix: str) -> None:
    path = stored(tmp_path / f"a{suffix}", scan[np.newaxis])
    assert read_image([path], channels=1).array.shape == (1, *SHAPE)
    assert read_labels(path).array.shape == SHAPE


def test_a_series_asks_which_volume(tmp_path: Path, scan: np.ndarray) -> None:
    path = stored(tmp_path / "a.nii.gz", np.stack([scan, scan]))
    for read in (lambda: read_image([path], channels=1), lambda: read_image([path, path], channels=4)):
        with pytest.raises(ImageError, match=r"which one is meant.*found 2 volumes"):
            read()
    with pytest.raises(ImageError, match="which one is meant"):
        read_labels(path)


def test_more_than_four_dimensions(tmp_path: Path, scan: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(np.zeros((6, 5, 4, 2, 3), dtype=np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(ImageError, match="more than four dimensions"):
        read_image([tmp_path / "a.nii.gz"], channels=6)


def test_another_number_of_channels(tmp_path: Path, scan: np.ndarray) -> None:
    path = stored(tmp_path / "a.nii.gz", scan)
    with pytest.raises(ImageError, match=r"expected 2 channels; found 1 in 1 file"):
        read_image([path], channels=2)
    with pytest.raises(ImageError, match=r"expected 1 channel; found 2 in 2 file"):
        read_image([path, path], channels=1)


def test_channels_on_different_grids(tmp_path: Path, scan: np.ndarray) -> None:
    paths = [stored(tmp_path / "a.nii.gz", scan), stored(tmp_path / "b.nii.gz", scan, oblique())]
    with pytest.raises(ImageError, match=r"b\.nii\.gz: not on the grid of .*a\.nii\.gz: origin"):
        read_image(paths, channels=2)


def test_remarks_name_their_channel(tmp_path: Path, scan: np.ndarray) -> None:
    plain = stored(tmp_path / "a.nii", scan).rename(tmp_path / "b.nii.gz")
    image = read_image([stored(tmp_path / "a.nii.gz", scan), plain], channels=2)
    assert [note.partition(":")[0] for note in image.warnings] == ["b.nii.gz"]


# Grids


def test_equal_grids_pass() -> None:
    nearly = dataclasses.replace(oblique(), origin_mm=(-90.2, 126.5, -72.125))
    check_same_grid(oblique(), nearly, where=Path("label"), other=Path("image"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (4, 5, 7)}, r"label: not on the grid of image: shape \(4, 5, 7\) and \(4, 5, 6\)"),
        ({"spacing_mm": (3.0, 1.5, 1.0)}, "spacing .* tolerance 0.1\\."),
        ({"origin_mm": (0.0, 0.0, 0.0)}, "origin .* tolerance 0.1\\."),
        ({"direction": Geometry.direction}, "direction .* tolerance 0.1\\."),
    ],
)
def test_a_label_on_another_grid_is_refused(change: dict[str, tuple[float, ...]], message: str) -> None:
    label = dataclasses.replace(oblique(), **change)
    with pytest.raises(ImageError, match=message):
        check_same_grid(oblique(), label, where=Path("label"), other=Path("image"))


def test_the_remedy_never_advises_to_resample_what_may_fit_voxel_by_voxel() -> None:
    shifted = dataclasses.replace(oblique(), origin_mm=(0.0, 0.0, 0.0))
    with pytest.raises(ImageError) as refused:
        check_same_grid(oblique(), shifted, where=Path("label"), other=Path("image"))
    assert "resampl" not in str(refused.value).lower()
    assert "copy it from the other file" in str(refused.value)
    with pytest.raises(ImageError, match="nearest neighbour"):
        check_same_grid(oblique(), dataclasses.replace(oblique(), shape=(4, 5, 7)), where=Path("label"), other=Path("image"))


# Grids that a header states twice, or not at all


def placed(*, at: float, turn: float = 0.0) -> np.ndarray:
    form = np.eye(4)
    form[:3, :3] = np.reshape(oblique(degrees=(turn, 0.0, 0.0)).direction, (3, 3)) * (0.8, 1.5, 3.0)
    form[:3, 3] = at
    return form


def nifti(path: Path, array: np.ndarray, **forms: tuple[np.ndarray, int]) -> Path:
    """Written by nibabel, with `qform` and `sform` as given and the other code 0."""
    image = nib.Nifti1Image(array.T, None)
    for name in ("sform", "qform"):  # the qform last: it sets the spacing
        form, code = forms.get(name, (placed(at=0.0), 0))
        getattr(image, f"set_{name}")(form, code)
    nib.save(image, path)
    return path


A, B, C = placed(at=-7.0), placed(at=23.0, turn=20.0), placed(at=50.0)
LABELS = np.arange(120).reshape(SHAPE).astype(np.uint8) % 4


@pytest.mark.parametrize(
    ("scan_forms", "label_forms", "agreeing"),
    [
        ({"qform": (A, 1), "sform": (B, 2)}, {"qform": (B, 1), "sform": (B, 2)}, ("orientation", "sform")),
        ({"qform": (A, 1), "sform": (B, 2)}, {"sform": (B, 1)}, ("orientation", "sform")),
        ({"qform": (A, 1), "sform": (B, 1)}, {"qform": (A, 1), "sform": (C, 1)}, ("qform", "qform")),
        ({"qform": (A, 1), "sform": (B, 2)}, {"qform": (C, 1), "sform": (B, 2)}, ("sform", "sform")),
        ({"qform": (A, 1), "sform": (B, 1)}, {"qform": (A, 1)}, ("orientation", "qform")),
        ({"qform": (B, 1)}, {"qform": (A, 1), "sform": (B, 2)}, ("sform", "orientation")),
        ({"qform": (A, 1), "sform": (B, 2)}, {"qform": (C, 1), "sform": (A, 2)}, ("sform", "orientation")),
    ],
)
def test_a_label_map_agrees_with_its_scan_where_any_of_their_forms_do(
    tmp_path: Path,
    scan: np.ndarray,
    *,
    scan_forms: dict[str, tuple[np.ndarray, int]],
    label_forms: dict[str, tuple[np.ndarray, int]],
    agreeing: tuple[str, str],
) -> None:
    image = read_image([nifti(tmp_path / "a.nii.gz", scan, **scan_forms)], channels=1)
    labels = read_labels(nifti(tmp_path / "b.nii.gz", LABELS, **label_forms))
    assert labels.geometry.difference(image.geometry) != ""
    used = on_grid_of(labels, image.geometry, where=Path("b"), other=Path("a"))
    assert np.array_equal(used.array, LABELS)
    assert used.geometry is image.geometry
    own, others = agreeing
    assert f"its {own} agrees with the {others} of the file it belongs to: it is used voxel by voxel" in used.warnings[-1]


def test_a_label_map_none_of_whose_forms_agrees_is_refused(tmp_path: Path, scan: np.ndarray) -> None:
    image = read_image([nifti(tmp_path / "a.nii.gz", scan, qform=(A, 1), sform=(B, 1))], channels=1)
    labels = read_labels(nifti(tmp_path / "b.nii.gz", LABELS, qform=(C, 1), sform=(C, 1)))
    with pytest.raises(ImageError, match="not on the grid of a: "):
        on_grid_of(labels, image.geometry, where=Path("b"), other=Path("a"))


def test_a_label_map_that_nibabel_made_of_a_scan_without_orientation_is_its(tmp_path: Path, scan: np.ndarray) -> None:
    unoriented = nib.load(nifti(tmp_path / "a.nii.gz", scan))
    nib.save(nib.Nifti1Image(LABELS.T, unoriented.affine), tmp_path / "b.nii.gz")
    image, labels = read_image([tmp_path / "a.nii.gz"], channels=1), read_labels(tmp_path / "b.nii.gz")
    used = on_grid_of(labels, image.geometry, where=Path("b"), other=Path("a"))
    assert "its orientation agrees with the spacing of the file it belongs to" in used.warnings[-1]
    assert used.geometry is image.geometry


def test_channels_agree_where_any_of_their_forms_do(tmp_path: Path, scan: np.ndarray) -> None:
    first = nifti(tmp_path / "a_0000.nii.gz", scan, qform=(A, 1), sform=(B, 2))
    image = read_image([first, nifti(tmp_path / "a_0001.nii.gz", scan, sform=(B, 2))], channels=2)
    assert np.array_equal(image.array, [scan, scan])
    assert image.geometry.difference(read_image([first], channels=1).geometry) == ""
    assert image.geometry.placement is not None
    assert any(note.startswith("a_0001.nii.gz: as read, it lies elsewhere") for note in image.warnings)


def test_resampling_is_never_advised_where_a_header_contradicts_itself(tmp_path: Path, scan: np.ndarray) -> None:
    image = read_image([nifti(tmp_path / "a.nii.gz", scan, qform=(A, 1), sform=(B, 2))], channels=1)
    shorter = read_labels(nifti(tmp_path / "b.nii.gz", LABELS[:3], qform=(B, 1), sform=(B, 2)))
    with pytest.raises(ImageError) as refused:
        on_grid_of(shorter, image.geometry, where=Path("b"), other=Path("a"))
    assert "resampl" not in str(refused.value).lower()


def test_what_was_compared_before_needs_the_same_shape_only() -> None:
    labels = LabelMap(LABELS.astype(np.uint16), dataclasses.replace(oblique(), origin_mm=(0.0, 0.0, 0.0)))
    used = on_grid_of(labels, oblique(), where=Path("b"), other=Path("a"), compared=True)
    assert (used.geometry, used.warnings) == (oblique(), ())
    longer = dataclasses.replace(oblique(), shape=(9, 5, 6))
    with pytest.raises(ImageError, match="shape"):
        on_grid_of(labels, longer, where=Path("b"), other=Path("a"), compared=True)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd", ".hdr"])
def test_the_header_alone_gives_the_geometry(tmp_path: Path, scan: np.ndarray, suffix: str) -> None:
    path = stored(tmp_path / f"a{suffix}", scan, oblique())
    whole = read_image([path], channels=1).geometry
    assert read_geometry(path) == whole
    assert read_geometry(path).placement == whole.placement


# Labels


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32, np.float64])
def test_labels_of_any_type_keep_their_values(tmp_path: Path, dtype: type) -> None:
    labels = np.zeros(SHAPE, dtype=dtype)
    labels[1, 2, 3], labels[0, 0, 5] = 3, 120
    found = read_labels(stored(tmp_path / "a.nrrd", labels, oblique()), values=(0, 3, 120))
    assert found.array.dtype == np.uint16
    assert np.array_equal(found.array, labels)
    assert_same_place(found.geometry, oblique())
    assert found.warnings == ()


def test_labels_that_nibabel_scaled_to_16_bits_are_read_as_they_were(tmp_path: Path) -> None:
    labels = np.rint(np.linspace(0, 131, 120).reshape(SHAPE))
    image = nib.Nifti1Image(labels.T, np.eye(4))
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii.gz")
    scaled = nib.load(tmp_path / "a.nii.gz").get_fdata()
    assert (scaled != np.rint(scaled)).any()
    found = read_labels(tmp_path / "a.nii.gz", values=range(132))
    assert np.array_equal(found.array, labels)
    assert ROUNDED in found.warnings


def test_wrong_labels_name_the_file(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nii.gz", np.full(SHAPE, 0.5, dtype=np.float32))
    with pytest.raises(ImageError, match=r"a\.nii\.gz: label values that cannot be; .*0\.5 \(120 voxels\)"):
        read_labels(path)
    with pytest.raises(ImageError, match=r"found 2 \(120 voxels\)"):
        read_labels(stored(path, np.full(SHAPE, 2, dtype=np.uint8)), values=(0, 1))
    with pytest.raises(ImageError, match=r"found -1 \(120 voxels\)"):
        read_labels(stored(path, np.full(SHAPE, -1, dtype=np.int16)))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_that_are_not_finite_are_taken_for_0_where_that_is_asked(
    tmp_path: Path, scan: np.ndarray, suffix: str, dtype: type
) -> None:
    wrong = scan.astype(dtype)
    wrong[0, 0, :3] = np.nan, np.inf, -np.inf
    path = stored(tmp_path / f"scan{suffix}", wrong)
    image = read_image([path], channels=1, not_finite="zero")
    assert np.array_equal(image.array[0, 0, 0, :3], [0, 0, 0])
    assert np.array_equal(image.array[0, 1:], scan[1:])
    assert "3 NaN or infinite voxels taken for 0, as asked" in image.warnings


def test_numbers_too_large_for_float32_are_refused_even_then(tmp_path: Path, scan: np.ndarray) -> None:
    large = scan.astype(np.float64)
    large[0, 0, 0] = 1e300
    with pytest.raises(ImageError, match="32-bit"):
        read_image([stored(tmp_path / "scan.mha", large)], channels=1, not_finite="zero")


def test_an_empty_label_map_is_remarked(tmp_path: Path) -> None:
    labels = read_labels(stored(tmp_path / "a.nii.gz", np.zeros(SHAPE, dtype=np.uint8)))
    assert not labels.array.any()
    assert "empty" in labels.warnings[0]


# Writing


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
@pytest.mark.parametrize(("largest", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_written_labels_come_back(tmp_path: Path, suffix: str, *, largest: int, dtype: type) -> None:
    labels = np.random.default_rng(0).integers(0, 4, SHAPE)
    labels[0, 0, 0] = largest
    path = tmp_path / "new" / f"é{suffix}"
    write_labels(path, labels, oblique())
    back = read_labels(path)
    assert np.array_equal(back.array, labels)
    assert_same_place(back.geometry, oblique())
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(path))).dtype == dtype
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


angles = st.floats(-180, 180)


@settings(max_examples=25)
@given(degrees=st.tuples(angles, angles, angles), spacing=st.tuples(*[st.floats(0.05, 20)] * 3))
def test_geometry_survives_nifti(
    tmp_path_factory: pytest.TempPathFactory,
    degrees: tuple[float, float, float],
    spacing: tuple[float, float, float],
) -> None:
    path = tmp_path_factory.mktemp("geometry") / "a.nii.gz"
    geometry = dataclasses.replace(oblique(degrees=degrees), spacing_mm=spacing)
    write_labels(path, np.ones(SHAPE, dtype=np.uint8), geometry)
    assert geometry.difference(read_labels(path).geometry) == ""


def test_a_prediction_has_the_geometry_of_its_input_exactly(tmp_path: Path, scan: np.ndarray) -> None:
    geometry = read_image([stored(tmp_path / "a.nii.gz", scan, oblique())], channels=1).geometry
    write_labels(tmp_path / "b.nii.gz", scan % 4, geometry)
    again = read_labels(tmp_path / "b.nii.gz").geometry
    assert again.shape == geometry.shape
    assert again.spacing_mm == geometry.spacing_mm
    assert again.origin_mm == geometry.origin_mm
    np.testing.assert_allclose(again.direction, geometry.direction, atol=1e-7)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_2d_labels_stay_2d(tmp_path: Path, suffix: str) -> None:
    labels = np.arange(30).reshape(1, 5, 6)
    geometry = Geometry(shape=(1, 5, 6), spacing_mm=(1.0, 0.5, 0.25), origin_mm=(3.0, -4.0, 0.0), dimensions=2)
    write_labels(tmp_path / f"a{suffix}", labels, geometry)
    assert sitk.ReadImage(str(tmp_path / f"a{suffix}")).GetDimension() == 2
    back = read_labels(tmp_path / f"a{suffix}")
    assert np.array_equal(back.array, labels)
    assert_same_place(back.geometry, geometry)


def test_labels_are_compressed(tmp_path: Path) -> None:
    geometry = Geometry(shape=(40, 50, 60), spacing_mm=(1.0, 1.0, 1.0))
    for suffix in (".nii.gz", ".mha", ".nrrd"):
        write_labels(tmp_path / f"a{suffix}", np.zeros(geometry.shape, dtype=np.uint8), geometry)
        assert (tmp_path / f"a{suffix}").stat().st_size < 2000


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("a.nii.gz", np.full(SHAPE, -1)),
        ("a.nii.gz", np.full(SHAPE, 65536)),
        ("a.nii.gz", np.zeros((4, 5, 7), dtype=int)),
        ("a.mhd", np.zeros(SHAPE, dtype=int)),
        ("a.txt", np.zeros(SHAPE, dtype=int)),
    ],
)
def test_what_cannot_be_written_is_a_mistake_of_the_caller(tmp_path: Path, name: str, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="cannot write"):
        write_labels(tmp_path / name, labels, oblique())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_a_full_disk_is_noticed_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    geometry = Geometry(shape=(20, 50, 60), spacing_mm=(1.0, 1.0, 1.0))
    labels = np.random.default_rng(0).integers(0, 256, geometry.shape)
    with small_files(4096), pytest.raises(SystemFailureError, match=r"Check the free space|the disk is full"):
        write_labels(tmp_path / f"a{suffix}", labels, geometry)
    assert list(tmp_path.iterdir()) == []


def test_channels_become_the_fourth_axis(tmp_path: Path) -> None:
    channels = np.random.default_rng(0).random((3, *SHAPE), dtype=np.float32)
    write_channels(tmp_path / "a.nii.gz", channels, oblique())
    viewer = nib.load(tmp_path / "a.nii.gz")
    assert viewer.shape == (6, 5, 4, 3)
    assert viewer.get_data_dtype() == np.float32
    assert np.array_equal(np.asarray(viewer.dataobj).T, channels)
    back = read_image([tmp_path / "a.nii.gz"], channels=3)
    assert np.array_equal(back.array, channels)
    assert_same_place(back.geometry, oblique())


@pytest.mark.parametrize(("dimensions", "count"), [(3, 1), (2, 1), (2, 3)])
def test_single_channels_and_2d_channels(tmp_path: Path, dimensions: int, count: int) -> None:
    geometry = Geometry(shape=(1, 5, 6), spacing_mm=(1.0, 0.5, 0.25), dimensions=dimensions)
    channels = np.random.default_rng(0).random((count, 1, 5, 6), dtype=np.float32)
    write_channels(tmp_path / "a.nii.gz", channels, geometry)
    back = read_image([tmp_path / "a.nii.gz"], channels=count)
    assert np.array_equal(back.array, channels)
    assert back.geometry.difference(geometry) == ""
    assert back.geometry.dimensions == (dimensions if count == 1 else 3)


def test_channels_of_another_shape_or_format_are_a_mistake_of_the_caller(tmp_path: Path) -> None:
    channels = np.zeros((2, 4, 5, 7), dtype=np.float32)
    with pytest.raises(ValueError, match="cannot write shape"):
        write_channels(tmp_path / "a.nii.gz", channels, oblique())
    with pytest.raises(ValueError, match=r"to a\.mha"):
        write_channels(tmp_path / "a.mha", channels[..., :6], oblique())
    with pytest.raises(ValueError, match="NaN"):
        write_channels(tmp_path / "a.nii.gz", channels[..., :6] * np.float32(np.nan), oblique())


def test_simpleitk_stays_silent(tmp_path: Path, scan: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    image = nib.Nifti1Image(scan, None)
    image.set_sform(np.diag([0.5, 2.0, 3.0, 1.0]), 1)
    image.header["pixdim"][1:4] = 1.0
    nib.save(image, tmp_path / "a.nii.gz")
    assert "disagree about the spacing" in read_image([tmp_path / "a.nii.gz"], channels=1).warnings[0]
    assert capfd.readouterr() == ("", "")
