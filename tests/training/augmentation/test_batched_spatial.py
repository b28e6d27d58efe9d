import numpy as np
import pytest
import torch
from batchgenerators.augmentations.spatial_transformations import augment_mirroring, augment_spatial
from numpy.typing import NDArray

from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.sections import MirrorAxis
from autoseg.training.augmentation import affine
from autoseg.training.augmentation.batched_spatial import BatchedSpatialTransform, Slices

Arrays = tuple[NDArray[np.float32], NDArray[np.int16]]


def section(**changes: object) -> AugmentationSection:
    return AugmentationSection.model_validate(
        {
            "spatial_probability": 0.0, "rotation_deg": 0.0, "scale": (1.0, 1.0), "shift_fraction": 0.0,
            "intensity_probability": 0.0, "contrast": (1.0, 1.0), "brightness": (1.0, 1.0), "gamma": (1.0, 1.0),
            "noise_variance": 0.0, "blur_sigma_px": (0.0, 0.0), **changes,
        }
    )  # fmt: skip


def slices(*sizes: tuple[int, int], canvas: tuple[int, int]) -> Arrays:
    """Noisy images with two channels, and labels, in the corners of a canvas."""
    generator = np.random.default_rng(2)
    images = np.empty((len(sizes), 2, *canvas), dtype=np.float32)
    images[:, 0], images[:, 1] = -3.0, -7.0
    labels = np.zeros((len(sizes), 1, *canvas), dtype=np.int16)
    for number, (rows, columns) in enumerate(sizes):
        images[number, :, :rows, :columns] = generator.uniform(-2, 2, (2, rows, columns))
        labels[number, 0, :rows, :columns] = generator.integers(1, 300, (rows, columns))
    return images, labels


def patches(
    arrays: Arrays,
    *,
    sizes: list[tuple[int, int]],
    patch: tuple[int, int],
    numbers: NDArray[np.float64] | None = None,
    mirror_axes: tuple[MirrorAxis, ...] = (),
    **changes: object,
) -> Arrays:
    images, labels = arrays
    transform = BatchedSpatialTransform(section(**changes), mirror_axes=mirror_axes, patch_px=patch)
    if numbers is None:
        numbers = np.random.default_rng(5).random((len(images), transform.numbers))
    where = Slices(np.array(sizes), np.ones((len(sizes), 2)), images.shape[2:])
    matrix = torch.from_numpy(transform.draw(numbers, where)["matrix"].astype(np.float32))
    changed = transform(data=torch.from_numpy(images), seg=torch.from_numpy(labels), matrix=matrix)
    return changed["data"].numpy(), changed["seg"].numpy()


def test_a_patch_is_the_slice_in_the_middle_of_its_darkest_value() -> None:
    arrays = slices((7, 4), (8, 6), canvas=(8, 6))
    images, labels = patches(arrays, sizes=[(7, 4), (8, 6)], patch=(10, 7))
    np.testing.assert_allclose(images[0, :, 1:8, 1:5], arrays[0][0, :, :7, :4], atol=1e-5)  # of 3 rows, 1 comes first
    np.testing.assert_array_equal(labels[0, 0, 1:8, 1:5], arrays[1][0, 0, :7, :4])
    np.testing.assert_allclose(images[1, :, 1:9, 0:6], arrays[0][1], atol=1e-5)
    for channel, darkest in enumerate((-3.0, -7.0)):
        assert np.all(images[0, channel, [0, 8, 9]] == np.float32(darkest))
    assert labels.dtype == np.int16
    assert labels[0, 0, [0, 8, 9]].max() == 0


def test_a_larger_slice_is_cut_anywhere_and_everywhere_alike_in_images_and_labels() -> None:
    sizes = [(9, 5)] * 200
    arrays = slices(*sizes, canvas=(12, 8))
    images, labels = patches(arrays, sizes=sizes, patch=(7, 4))
    windows = set()
    for number in range(200):
        found = [
            (row, column)
            for row in range(3)
            for column in range(2)
            if np.array_equal(labels[number, 0], arrays[1][number, 0, row : row + 7, column : column + 4])
        ]
        ((row, column),) = found
        np.testing.assert_allclose(images[number], arrays[0][number, :, row : row + 7, column : column + 4], atol=1e-5)
        windows.add((row, column))
    assert len(windows) == 6


@pytest.mark.parametrize(("axes", "numbers"), [(("rows",), (0,)), (("columns",), (1,)), (("rows", "columns"), (0, 1))])
def test_mirror_images_are_those_of_batchgenerators(
    axes: tuple[MirrorAxis, ...], numbers: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = slices((9, 5), canvas=(9, 5))
    images, labels = patches(
        arrays, sizes=[(9, 5)], patch=(9, 5), numbers=np.full((1, 9), 0.3), mirror_axes=axes
    )  # both coins below a half
    monkeypatch.setattr(np.random, "uniform", lambda: 0.3)
    expected, expected_labels = augment_mirroring(arrays[0][0].copy(), arrays[1][0].copy(), axes=numbers)
    np.testing.assert_allclose(images[0], expected, atol=1e-5)
    np.testing.assert_array_equal(labels[0], expected_labels)


def test_mirroring_happens_to_half_of_the_images_after_everything_else() -> None:
    sizes = [(6, 6)] * 400
    arrays = slices(*sizes, canvas=(6, 6))
    moving = {"spatial_probability": 1.0, "rotation_deg": 20.0, "shift_fraction": 0.2}
    still, _ = patches(arrays, sizes=sizes, patch=(6, 6), **moving)
    images, _ = patches(arrays, sizes=sizes, patch=(6, 6), mirror_axes=("columns",), **moving)
    same = np.isclose(images, still, atol=1e-4).all(axis=(1, 2, 3))
    mirrored = np.isclose(images, still[..., ::-1], atol=1e-4).all(axis=(1, 2, 3))
    assert np.all(same ^ mirrored)
    assert mirrored.mean() == pytest.approx(0.5, abs=0.08)


def test_turned_and_scaled_images_are_those_of_batchgenerators() -> None:
    angle, factor = np.deg2rad(17.0), 1.3
    rows, columns = np.indices((40, 26))
    image = np.where((rows - 22) ** 2 + (columns - 11) ** 2 < 81, np.sin(rows / 3.0) + columns / 20.0, 0.0)
    labels = (image > 0.4).astype(np.int16)
    data = image.astype(np.float32)[np.newaxis, np.newaxis]
    expected, expected_labels = augment_spatial(
        data, labels[np.newaxis, np.newaxis], (40, 26), do_elastic_deform=False, angle_x=(angle, angle),
        scale=(factor, factor), border_mode_data="constant", order_data=1, random_crop=False,
    )  # fmt: skip
    transform = BatchedSpatialTransform(section(), mirror_axes=(), patch_px=(40, 26))
    matrix = affine.matrices(
        angle=np.array([angle]), zoom=np.array([1 / factor]), shift=np.zeros((1, 2)), sides=(40, 26)
    ).astype(np.float32)
    changed = transform(
        data=torch.from_numpy(data - 1.0),  # what comes in is the darkest value, whatever it is
        seg=torch.from_numpy(labels[np.newaxis, np.newaxis]),
        matrix=torch.from_numpy(matrix.reshape(1, 6)),
    )
    lowest = image.min()
    shown = np.maximum(expected, 0.0) if lowest >= 0 else expected
    inside = np.abs(shown[0, 0]) > 0
    np.testing.assert_allclose(changed["data"].numpy()[0, 0][inside] + 1.0, shown[0, 0][inside], atol=2e-4)
    assert np.mean(changed["seg"].numpy() != expected_labels) < 0.005  # ties between two pixels


def test_a_turned_patch_shows_what_lies_beside_the_cut() -> None:
    arrays = (np.ones((1, 1, 30, 30), dtype=np.float32), np.ones((1, 1, 30, 30), dtype=np.int16))
    arrays[0][0, 0, 0, 0] = -1.0  # the darkest value
    numbers = np.array([[0.0, 1.0, 0.5, 0.5, 0.5, 0.9, 0.9, 0.5, 0.5]])
    images, labels = patches(
        arrays, sizes=[(30, 30)], patch=(12, 12), numbers=numbers, spatial_probability=1.0, rotation_deg=45.0
    )
    np.testing.assert_allclose(images, 1.0, atol=1e-5)
    assert labels.min() == 1


def test_darkest_values_may_be_given() -> None:
    transform = BatchedSpatialTransform(section(), mirror_axes=(), patch_px=(6, 4))
    where = Slices(np.array([[4, 4]]), np.ones((1, 2)), (4, 4))
    matrix = torch.from_numpy(transform.draw(np.full((1, 9), 0.5), where)["matrix"].astype(np.float32))
    images = torch.full((1, 2, 4, 4), 0.5)
    changed = transform(
        data=images, seg=torch.ones((1, 1, 4, 4), dtype=torch.uint8), matrix=matrix, darkest=torch.tensor([[-4.0, -8.0]])
    )
    assert changed["data"][0, :, 0, 0].tolist() == [-4.0, -8.0]
    np.testing.assert_allclose(changed["data"][0, :, 1:5], 0.5, atol=1e-5)
    assert changed["seg"].dtype == torch.uint8


@pytest.mark.parametrize("unit", ["px", "mm"])
def test_a_quarter_turn_of_millimetres_swaps_the_sides_of_what_is_seen(unit: str) -> None:
    # A rod of 4 x 20 mm, upright on pixels that are 2 mm high and 1 mm wide, is 10 pixels high and 4 wide. Lying down it is
    # 2 pixels high and 20 wide; if pixels are turned, 4 high and 10 wide.
    labels = np.zeros((1, 1, 30, 30), dtype=np.int16)
    labels[0, 0, 10:20, 13:17] = 1
    transform = BatchedSpatialTransform(
        section(spatial_probability=1.0, rotation_deg=90.0, rotation_unit=unit), mirror_axes=(), patch_px=(30, 30)
    )
    numbers = np.array([[0.0, 1.0, 0.5, 0.5, 0.5, 0.9, 0.9, 0.5, 0.5]])  # the largest angle, and nothing else
    where = Slices(np.array([[30, 30]]), np.array([[2.0, 1.0]]), (30, 30))
    matrix = torch.from_numpy(transform.draw(numbers, where)["matrix"].astype(np.float32))
    changed = transform(data=torch.from_numpy(labels.astype(np.float32)), seg=torch.from_numpy(labels), matrix=matrix)
    rows, columns = np.nonzero(changed["seg"][0, 0].numpy())
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == ((2, 20) if unit == "mm" else (4, 10))
