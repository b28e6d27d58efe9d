import io
import json
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from autoseg.data.dataset import LabelClass
from autoseg.reporting import viewer
from autoseg.reporting.viewer import VolumeView, encode

SPACING_MM = (3.0, 2.0, 1.0)
CLASSES = [LabelClass(value=value, name=name) for value, name in ((0, "background"), (2, "CSF"), (7, "WM"))]
RNG = np.random.default_rng(3)


def labels_of(view: VolumeView, name: str) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(view.overlays[name]), np.uint8).reshape(view.shape)


def slices_of(view: VolumeView) -> NDArray[np.uint8]:
    """The image's slices, read tile by tile from the encoded image: from left to right, then from top to bottom."""
    pixels = np.asarray(Image.open(io.BytesIO(view.image)))
    slices, height, width = view.shape
    places = [divmod(index, view.columns) for index in range(slices)]
    return np.stack([pixels[y * height : (y + 1) * height, x * width : (x + 1) * width] for y, x in places])


def ramp(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Smooth intensities, different at every voxel: 1 and more."""
    z, y, x = np.indices(shape, dtype=np.float32)
    return 1 + 20 * z + 3 * y + 0.5 * x


def test_what_is_not_background_is_kept_with_a_margin() -> None:
    image = np.zeros((40, 50, 60), np.float32)
    image[10:20, 2:12, 30:50] = 5
    labels = np.zeros(image.shape, np.uint8)
    labels[10, 30, 30] = 2  # dark, but labelled
    view = encode(image, {"reference": labels}, spacing_mm=SPACING_MM, classes=CLASSES)
    # 4 voxels around 10..19, 2..30 and 30..49, as far as there are any
    assert view.shape == (18, 35, 28)
    assert view.spacing_mm == SPACING_MM
    assert [tuple(place) for place in np.argwhere(labels_of(view, "reference"))] == [(4, 30, 4)]


def test_label_values_become_class_numbers_without_loss() -> None:
    labels = RNG.choice(np.array([0, 2, 7], np.int16), size=(5, 6, 7))
    labels[0, 0, 0] = 9  # not a class
    view = encode(ramp(labels.shape), {"reference": labels}, spacing_mm=SPACING_MM, classes=CLASSES)
    expected = np.select([labels == 2, labels == 7], [1, 2], 0)
    np.testing.assert_array_equal(labels_of(view, "reference"), expected)
    assert [name for name, _ in view.classes] == ["CSF", "WM"]
    assert [colour for _, colour in view.classes] == ["#0072B2", "#D55E00"]


def test_every_slice_is_at_its_place_in_the_picture() -> None:
    image = ramp((11, 24, 32))
    view = encode(image, {}, spacing_mm=SPACING_MM, classes=CLASSES)
    low, high = np.quantile(image, (0.005, 0.995))
    expected = np.clip((image - low) / (high - low), 0, 1) * 255
    assert np.abs(slices_of(view) - expected).max() < 12  # lossy; a neighbouring slice is 19 away on average
    assert np.abs(slices_of(view) - expected).mean() < 2


def test_outliers_do_not_darken_the_picture() -> None:
    image = ramp((10, 20, 20))
    image[5, 5, 5] = 1e6
    assert slices_of(encode(image, {}, spacing_mm=SPACING_MM, classes=CLASSES)).mean() > 100


def test_pictures_are_grey_and_know_no_colour_profile() -> None:
    picture = Image.open(io.BytesIO(encode(ramp((5, 8, 8)), {}, spacing_mm=SPACING_MM, classes=CLASSES).image))
    assert (picture.format, picture.mode) == ("JPEG", "L")
    assert "icc_profile" not in picture.info


def test_a_picture_of_one_intensity_is_shown_whole() -> None:
    view = encode(np.full((3, 4, 5), 7, np.float32), {}, spacing_mm=SPACING_MM, classes=CLASSES)
    assert view.shape == (3, 4, 5)


def test_the_finest_axes_of_large_scans_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "MAX_VOXELS", 2000)
    labels = RNG.integers(0, 2, (10, 30, 40), dtype=np.uint8) * 2
    view = encode(ramp(labels.shape), {"reference": labels}, spacing_mm=(5.0, 1.0, 1.0), classes=CLASSES)
    # 12000 voxels: rows and columns in turn, every 2nd (3000 left), then every 3rd row (2000 left).
    assert view.shape == (10, 10, 20)
    assert view.spacing_mm == (5.0, 3.0, 2.0)
    np.testing.assert_array_equal(labels_of(view, "reference"), labels[:, ::3, ::2] // 2)


@pytest.mark.parametrize("shape", [(1, 50, 60), (1, 3000, 1), (7, 20, 30)])
def test_no_scan_is_too_large(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "MAX_VOXELS", 100)
    view = encode(ramp(shape), {}, spacing_mm=SPACING_MM, classes=CLASSES)
    assert np.prod(view.shape) <= 100
    for axis in range(3):
        assert view.shape[axis] < shape[axis] or view.spacing_mm[axis] == SPACING_MM[axis]


@pytest.mark.parametrize(("slices", "flat"), [(1, True), (2, False)])
def test_a_single_slice_is_flat(slices: int, flat: bool) -> None:
    assert encode(ramp((slices, 9, 9)), {}, spacing_mm=SPACING_MM, classes=CLASSES).flat is flat


def test_a_label_map_of_another_shape_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"shape \(3, 4, 5\), not \{'reference': \(3, 4, 6\)\}"):
        encode(ramp((3, 4, 5)), {"reference": np.zeros((3, 4, 6), np.uint8)}, spacing_mm=SPACING_MM, classes=CLASSES)


def test_a_byte_tells_255_classes_apart() -> None:
    classes = [LabelClass(value=value, name=f"class {value}") for value in range(257)]
    labels = np.arange(256, dtype=np.uint16).reshape(4, 8, 8)
    view = encode(ramp(labels.shape), {"reference": labels}, spacing_mm=SPACING_MM, classes=classes[:256])
    np.testing.assert_array_equal(labels_of(view, "reference"), labels)
    with pytest.raises(ValueError, match="at most 255 classes can be shown, not 256"):
        encode(ramp(labels.shape), {}, spacing_mm=SPACING_MM, classes=classes)


def test_a_case_like_those_of_ibsr18_takes_little_room() -> None:
    shape = (160, 120, 144)  # a brain of 150 x 180 x 135 mm
    depth = 1 - np.sum(
        [((place / length - 0.5) * 2.1) ** 2 for place, length in zip(np.indices(shape), shape, strict=True)], 0
    )
    lumps = ndimage.zoom(RNG.standard_normal((20, 15, 18)), 8, order=1)
    tissue = np.where(depth > 0, 1 + (lumps > -0.4) + (lumps > 0.3), 0).astype(np.uint8)
    noise = 0.03 * RNG.standard_normal(shape)
    image = np.where(tissue > 0, np.abs(0.4 + 0.2 * tissue + noise), 0)
    classes = [LabelClass(value=value, name=f"class {value}") for value in range(4)]
    overlays = {"prediction": tissue, "reference": np.roll(tissue, 1, axis=2)}
    view = encode(image, overlays, spacing_mm=(0.94, 1.5, 0.94), classes=classes)
    assert len(json.dumps(view.document())) < 1_300_000
