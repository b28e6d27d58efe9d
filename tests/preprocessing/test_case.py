"""From scan to slices and exactly back, whatever way the scan is stored."""

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.whole_scans import restore_labels, restore_probabilities

from autoseg import catalogue
from autoseg.data.labels import LabelEncoding
from autoseg.errors import ImageError, PlanError
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.planning.sections import PreprocessingSection, View
from autoseg.preprocessing import case
from autoseg.preprocessing.case import Prepared
from autoseg.preprocessing.footprint import (
    Footprint,
    apply_to_labels,
    empty_labels,
    empty_probabilities,
    put_labels,
    put_probabilities,
)

MakeSection = Callable[..., tuple[PreprocessingSection, View]]
Triple = tuple[int, int, int]


def apply(image: Image, settings: tuple[PreprocessingSection, View]) -> Prepared:
    section, view = settings
    return case.apply(image, section, view=view)


@dataclass(frozen=True)
class Storage:
    """How an anatomy whose axes run towards superior, posterior and left (Z, Y, X) lies in a file.

    Attributes:
        axes: the anatomy's axis along each array axis.
        flipped: whether each array axis runs the other way.
        tilt: rotation of the patient, well below 45 degrees.
    """

    axes: Triple = (0, 1, 2)
    flipped: tuple[bool, bool, bool] = (False, False, False)
    tilt: tuple[tuple[float, ...], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    def array(self, anatomy: NDArray[Any]) -> NDArray[Any]:
        turned = anatomy.transpose(self.axes)
        steps = tuple(slice(None, None, -1 if reverse else 1) for reverse in self.flipped)
        return np.ascontiguousarray(turned[steps])

    def geometry(self, shape: Triple, spacing_mm: tuple[float, float, float]) -> Geometry:
        matrix = np.zeros((3, 3))
        for axis, (source, reverse) in enumerate(zip(self.axes, self.flipped, strict=True)):
            matrix[2 - source, 2 - axis] = -1 if reverse else 1  # rows x, y, z; columns X, Y, Z
        first, second, third = self.axes
        return Geometry(
            shape=(shape[first], shape[second], shape[third]),
            spacing_mm=(spacing_mm[first], spacing_mm[second], spacing_mm[third]),
            origin_mm=(11.0, -7.0, 3.0),
            direction=tuple((np.array(self.tilt) @ matrix).ravel().tolist()),
        )


def rotation(axis: int, degrees: float) -> tuple[tuple[float, ...], ...]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.eye(3)
    first, second = (other for other in range(3) if other != axis)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return tuple(tuple(row) for row in matrix.tolist())


STORAGES = st.builds(
    Storage,
    axes=st.sampled_from(list(permutations(range(3)))),
    flipped=st.tuples(*[st.booleans()] * 3),
    tilt=st.builds(rotation, st.integers(0, 2), st.floats(-40, 40)),
)
SHAPES = st.tuples(*[st.integers(1, 7)] * 3)
SPACING_MM = (3.0, 1.5, 1.0)


def scan_of(anatomy: NDArray[np.float32], storage: Storage, spacing_mm: tuple[float, float, float] = SPACING_MM) -> Image:
    """A scan of one or several channels (C, z, y, x)."""
    array = np.stack([storage.array(channel) for channel in anatomy])
    shape = anatomy.shape
    return Image(array, storage.geometry((shape[1], shape[2], shape[3]), spacing_mm))


def classes(count: int) -> LabelEncoding:
    return LabelEncoding(tuple(range(count)))


def one_hot(labels: NDArray[np.integer[Any]], classes: int) -> NDArray[np.float32]:
    return np.stack([labels == index for index in range(classes)]).astype(np.float32)


def dotted(shape: Triple, seed: int, *, channels: int = 1) -> NDArray[np.float32]:
    """Noise of both signs in a random few voxels, 0 elsewhere."""
    generator = np.random.default_rng(seed)
    noise = generator.normal(10, 20, (channels, *shape))
    return (noise * (generator.random(noise.shape) < 0.2)).astype(np.float32)


def kept_mask(image: Image, margin: int) -> NDArray[np.bool_]:
    """The box around voxels other than 0, with its margin, on the scan's own axes; everything where there are none."""
    occupied = np.argwhere((image.array != 0).any(axis=0))
    mask = np.zeros(image.geometry.shape, dtype=bool)
    if not len(occupied):
        return ~mask
    low = np.maximum(occupied.min(axis=0) - margin, 0)
    high = occupied.max(axis=0) + margin + 1
    mask[tuple(slice(first, last) for first, last in zip(low, high, strict=True))] = True
    return mask


# There.


@pytest.mark.parametrize(
    ("plane", "shown"),
    [  # slices run towards inferior, posterior, left; pictures have superior or anterior on top
        ("axial", lambda anatomy: anatomy[::-1]),
        ("coronal", lambda anatomy: anatomy.transpose(1, 0, 2)[:, ::-1]),
        ("sagittal", lambda anatomy: anatomy.transpose(2, 0, 1)[:, ::-1]),
    ],
)
def test_each_plane_shows_its_view(
    plane: str, shown: Callable[[NDArray[np.float32]], NDArray[np.float32]], make_section: MakeSection
) -> None:
    anatomy = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    prepared = apply(scan_of(anatomy[np.newaxis], Storage()), make_section(plane=plane))
    np.testing.assert_array_equal(prepared.array[0], shown(anatomy))
    spacing_mm = {"axial": (3.0, 1.5, 1.0), "coronal": (1.5, 3.0, 1.0), "sagittal": (1.0, 3.0, 1.5)}
    assert prepared.footprint.spacing_mm == spacing_mm[plane]


@given(
    storage=STORAGES,
    shape=SHAPES,
    seed=st.integers(0, 1000),
    plane=st.sampled_from(get_args(catalogue.Plane)),
    crop=st.sampled_from(get_args(catalogue.Crop)),
    spacing_mm=st.sampled_from([None, (0.7, 1.9)]),
    method=st.sampled_from(["quantile_zscore", "zscore"]),
    sign=st.sampled_from([1, -1]),
)
def test_the_same_anatomy_gives_the_same_slices_however_it_is_stored(
    storage: Storage, shape: Triple, seed: int, sign: int, make_section: MakeSection, **settings_: Any
) -> None:
    method = settings_.pop("method")
    section = make_section(normalisation=({"method": method},) * 2, crop_margin_px=1, **settings_)
    anatomy = sign * np.abs(dotted(shape, seed, channels=2))
    reference = apply(scan_of(anatomy, Storage()), section)
    prepared = apply(scan_of(anatomy, storage), section)
    np.testing.assert_array_equal(prepared.array, reference.array)
    assert prepared.footprint.spacing_mm == reference.footprint.spacing_mm
    assert prepared.footprint.pad_value == reference.footprint.pad_value


def test_the_order_of_channels_stays_and_each_has_its_own_normalisation(make_section: MakeSection) -> None:
    anatomy = np.stack([np.full((2, 3, 4), 5), np.arange(24).reshape(2, 3, 4)]).astype(np.float32)
    section = make_section(normalisation=({"method": "zscore"}, {"method": "none", "clip": 20.0}))
    prepared = apply(scan_of(anatomy, Storage()), section)
    assert prepared.array.shape == (2, 2, 3, 4)
    assert not prepared.array[0].any()
    np.testing.assert_array_equal(prepared.array[1], np.minimum(anatomy[1], 20)[::-1])
    assert prepared.footprint.pad_value == (0.0, 0.0)


def test_the_box_holds_what_any_channel_shows(make_section: MakeSection) -> None:
    anatomy = np.zeros((2, 6, 7, 8), dtype=np.float32)
    anatomy[0, 2, 3, 4] = 1
    anatomy[1, 3, 5, 6] = -1
    section = make_section(crop="nonzero", normalisation=({"method": "none"},) * 2)
    assert apply(scan_of(anatomy, Storage()), section).array.shape == (2, 2, 3, 3)


def test_the_margin_ends_at_the_scans_border(make_section: MakeSection) -> None:
    anatomy = np.zeros((1, 6, 7, 8), dtype=np.float32)
    anatomy[0, 1, 3, 6] = 1
    prepared = apply(scan_of(anatomy, Storage()), make_section(crop="nonzero", crop_margin_px=2))
    # Superior to inferior, voxel 1 of 6 is number 4: 2 to 5 are kept; of rows 1 to 5, of columns 4 to 7.
    assert (prepared.footprint.start, prepared.footprint.stop) == ((2, 1, 4), (6, 6, 8))
    assert prepared.array.shape == (1, 4, 5, 4)


@pytest.mark.parametrize("lowest", [-5.0, -80.0])
def test_intensities_do_not_depend_on_the_crop(lowest: float, make_section: MakeSection) -> None:
    anatomy = np.zeros((1, 5, 5, 5), dtype=np.float32)
    anatomy[0, 1:4, 1:4, 1:4] = np.random.default_rng(0).uniform(lowest, lowest + 60, (3, 3, 3))
    step = ({"method": "quantile_zscore"},)
    whole = apply(scan_of(anatomy, Storage()), make_section(normalisation=step))
    cut = apply(scan_of(anatomy, Storage()), make_section(normalisation=step, crop="nonzero"))
    np.testing.assert_array_equal(cut.array, whole.array[:, 1:4, 1:4, 1:4])


def test_slices_come_on_the_pixel_grid_of_the_plan(make_section: MakeSection) -> None:
    # 8 rows of 1.5 mm are 12 mm: 6 of 2 mm; of 2.1 mm: 5.7, so 6 again. 9 columns of 1 mm likewise.
    anatomy = np.ones((1, 4, 8, 9), dtype=np.float32)
    for spacing_mm in ((2.0, 1.5), (2.1, 1.6)):
        prepared = apply(scan_of(anatomy, Storage()), make_section(spacing_mm=spacing_mm))
        assert prepared.array.shape == (1, 4, 6, 6)
        assert prepared.footprint.size_px == (6, 6)
        assert prepared.footprint.spacing_mm == (3.0, 2.0, 1.5)
        assert prepared.footprint.resampled
    assert not apply(scan_of(anatomy, Storage()), make_section(spacing_mm=(1.5, 1.0))).footprint.resampled


def test_plans_of_before_take_a_resolution_for_printing_for_a_size(make_section: MakeSection) -> None:
    """They may name the spacing that they took it for; where slices stay as they are, nothing depends on it."""
    geometry = Geometry((1, 20, 40), (1.0, 1.0, 1.0), dimensions=2, spacing_stated=False, printed_mm=(0.5, 0.25))
    image = Image(array=dotted((1, 20, 40), 0), geometry=geometry)
    assert apply(image, make_section(plane=None, spacing_mm=(0.5, 0.5))).array.shape == (1, 1, 20, 20)
    assert apply(image, make_section(plane=None, spacing_mm=None)).array.shape == (1, 1, 20, 40)


def test_a_scan_smaller_than_a_pixel_of_the_plan_keeps_one(make_section: MakeSection) -> None:
    prepared = apply(scan_of(np.ones((1, 2, 1, 1), dtype=np.float32), Storage()), make_section(spacing_mm=(9.0, 9.0)))
    assert prepared.array.shape == (1, 2, 1, 1)


def test_pad_value_is_the_darkest_value_of_each_channel(make_section: MakeSection) -> None:
    anatomy = np.stack([np.arange(8), -np.arange(8)]).reshape(2, 2, 2, 2).astype(np.float32)
    section = make_section(normalisation=({"method": "none"},) * 2)
    assert apply(scan_of(anatomy, Storage()), section).footprint.pad_value == (0.0, -7.0)


def test_a_background_is_one_value_in_scans_of_any_scale_and_slices_are_extended_with_it(make_section: MakeSection) -> None:
    anatomy = np.arange(2, 50, dtype=np.float32).reshape(1, 3, 4, 4)
    anatomy[:, :, :2] = 0
    section = make_section(normalisation=({"method": "quantile_zscore", "background": -7.5},))
    for scan in (anatomy, 3 * anatomy, anatomy + 100 * (anatomy > 0)):
        prepared = apply(scan_of(scan, Storage()), section)
        assert (prepared.array == -7.5).sum() == (anatomy == 0).sum()
        assert prepared.footprint.pad_value == (-7.5,)


@pytest.mark.parametrize("plane", [None, "axial", "coronal", "sagittal"])
def test_a_picture_is_one_slice_of_any_plane(make_section: MakeSection, plane: catalogue.Plane | None) -> None:
    picture = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    flipped = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
    geometry = Geometry(shape=(1, 3, 4), spacing_mm=(1.0, 0.5, 0.5), direction=flipped, dimensions=2)
    prepared = apply(Image(picture, geometry), make_section(plane=plane))
    np.testing.assert_array_equal(prepared.array, picture)
    assert prepared.footprint.spacing_mm == (1.0, 0.5, 0.5)
    labels = (picture[0] % 3).astype(np.uint8)
    slices = apply_to_labels(labels, prepared.footprint)
    np.testing.assert_array_equal(restore_labels(one_hot(slices, 3), prepared.footprint, classes(3)), labels)


def test_a_volume_is_no_picture(make_section: MakeSection) -> None:
    volume = np.ones((1, 2, 3, 4), dtype=np.float32)
    with pytest.raises(ImageError, match=r"a volume, and the plan is for 2D images .*; expected one slice; found 2 slices"):
        apply(scan_of(volume, Storage()), make_section(plane=None))
    assert apply(scan_of(volume[:, :1], Storage()), make_section(plane=None)).array.shape == (1, 1, 3, 4)


def test_another_number_of_channels_than_planned_is_a_mistake(make_section: MakeSection) -> None:
    with pytest.raises(ValueError, match="argument"):
        apply(scan_of(np.ones((2, 2, 2, 2), dtype=np.float32), Storage()), make_section())


# And back.


@given(
    storage=STORAGES,
    shape=SHAPES,
    seed=st.integers(0, 1000),
    plane=st.sampled_from(get_args(catalogue.Plane)),
    margin=st.integers(0, 2),
    channels=st.integers(1, 2),
    finer=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_labels_return_to_their_voxels_and_background_surrounds_them(
    storage: Storage,
    shape: Triple,
    seed: int,
    plane: catalogue.Plane,
    margin: int,
    channels: int,
    finer: tuple[int, int],
    make_section: MakeSection,
) -> None:
    image = scan_of(dotted(shape, seed, channels=channels), storage)
    labels = np.random.default_rng(seed).integers(0, 4, image.geometry.shape).astype(np.uint8)
    steps = ({"method": "none"},) * channels
    own = apply(image, make_section(plane=plane, normalisation=steps)).footprint.spacing_mm
    section = make_section(
        plane=plane,
        crop="nonzero",
        crop_margin_px=margin,
        spacing_mm=(own[1] / finer[0], own[2] / finer[1]),  # at most halved: every voxel keeps its majority both ways
        normalisation=steps,
    )
    prepared = apply(image, section)
    slices = apply_to_labels(labels, prepared.footprint)
    assert slices.shape == prepared.array.shape[1:]
    assert slices.dtype == labels.dtype
    probabilities = one_hot(slices, 4)
    kept = kept_mask(image, margin)
    expected = np.where(kept, labels, 0)

    restored = restore_labels(probabilities, prepared.footprint, classes(4))
    np.testing.assert_array_equal(restored, expected)
    assert restored.dtype == np.uint16

    shares = restore_probabilities(probabilities, prepared.footprint, classes(4))
    assert shares.dtype == np.float32
    assert shares.shape == (4, *image.geometry.shape)
    np.testing.assert_array_equal(shares.argmax(axis=0), expected)
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-5)
    assert (shares[0, ~kept] == 1).all()
    assert not shares[1:, ~kept].any()


def test_more_slices_than_are_resampled_together_all_return(make_section: MakeSection) -> None:
    image = scan_of(np.ones((1, 70, 3, 2), dtype=np.float32), Storage())
    labels = np.random.default_rng(0).integers(0, 3, image.geometry.shape).astype(np.uint8)
    footprint = apply(image, make_section(spacing_mm=(0.75, 0.5))).footprint
    slices = apply_to_labels(labels, footprint)
    assert slices.shape == (70, 6, 4)
    np.testing.assert_array_equal(restore_labels(one_hot(slices, 3), footprint, classes(3)), labels)


def test_an_empty_scan_is_kept_whole(make_section: MakeSection) -> None:
    image = scan_of(np.zeros((1, 2, 3, 4), dtype=np.float32), Storage())
    section = make_section(crop="nonzero", normalisation=({"method": "quantile_zscore"},))
    prepared = apply(image, section)
    assert prepared.array.shape == (1, 2, 3, 4)
    assert not prepared.array.any()


@pytest.mark.parametrize("restore", [restore_labels, restore_probabilities])
@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (2, 2, 3, 1)])
def test_slices_of_another_scan_are_refused(
    shape: tuple[int, ...],
    restore: Callable[[NDArray[np.float32], Footprint, LabelEncoding], NDArray[Any]],
    make_section: MakeSection,
) -> None:
    footprint = apply(scan_of(np.ones((1, 2, 3, 4), dtype=np.float32), Storage()), make_section()).footprint
    with pytest.raises(ValueError, match=r"\(2, 3, 4\)"):
        restore(np.ones(shape, dtype=np.float32), footprint, classes(2))


def test_slices_after_the_last_are_refused(make_section: MakeSection) -> None:
    footprint = apply(scan_of(np.ones((1, 2, 3, 4), dtype=np.float32), Storage()), make_section()).footprint
    with pytest.raises(ValueError, match=r"slices 1 to 3 of \(3, 4\)"):
        put_labels(empty_labels(footprint, classes(2)), np.ones((2, 2, 3, 4), np.float32), footprint, classes(2), first=1)


@settings(max_examples=25)
@given(storage=STORAGES, shape=SHAPES, seed=st.integers(0, 1000))
def test_a_footprint_survives_json(storage: Storage, shape: Triple, seed: int, make_section: MakeSection) -> None:
    section = make_section(crop="nonzero", spacing_mm=(0.7, 1.9), normalisation=({"method": "quantile_zscore"},))
    footprint = apply(scan_of(dotted(shape, seed), storage), section).footprint
    again = Footprint.model_validate_json(footprint.model_dump_json())
    assert again == footprint
    assert again.resampled == footprint.resampled


# Pixels without end.


@pytest.mark.parametrize(
    "spacing_mm", [(1e-6, 1e-6), (1e-300, 1.0), (1.0, 5e-324), (1e-4, 1.0), (1.0, 1e-8), (1e-3, 1e-3)], ids=str
)
def test_slices_that_would_fill_any_memory_are_refused_before_they_are_made(
    spacing_mm: tuple[float, float], make_section: MakeSection
) -> None:
    scan = Image(np.ones((1, 30, 40, 50), dtype=np.float32), Geometry(shape=(30, 40, 50), spacing_mm=(1.0, 1.0, 1e3)))
    tracemalloc.start()
    try:
        with pytest.raises(PlanError, match=r"spacing_mm of the view.*30 slices of 40 x 50 pixels") as refused:
            apply(scan, make_section(spacing_mm=spacing_mm))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert "plan.json" in refused.value.remedy


def test_large_scans_are_never_refused_for_staying_as_they_are(make_section: MakeSection) -> None:
    shape = (1, 20_000, 2)
    scan = Image(np.ones((1, *shape), dtype=np.float32), Geometry(shape=shape, spacing_mm=(1.0, 1.0, 1.0)))
    assert apply(scan, make_section(spacing_mm=(1.0, 1.0))).footprint.size_px == shape[1:]
    with pytest.raises(PlanError, match="20000 x 2 pixels that would become 40000 x 2"):
        apply(scan, make_section(spacing_mm=(0.5, 1.0)))


# Slices made when they are asked for.


@settings(max_examples=25)
@given(storage=STORAGES, shape=SHAPES, seed=st.integers(0, 1000), data=st.data())
def test_slices_are_the_same_however_many_are_made_at_once(
    storage: Storage, shape: Triple, seed: int, data: st.DataObject, make_section: MakeSection
) -> None:
    section = make_section(crop="nonzero", spacing_mm=(0.7, 1.9), normalisation=({"method": "quantile_zscore"},))
    scan = scan_of(dotted(shape, seed), storage)
    whole = apply(scan, section)
    cut = case.cut_slices(scan, section[0], view=section[1])
    first = data.draw(st.integers(0, whole.array.shape[1] - 1))
    window = slice(first, data.draw(st.integers(first + 1, whole.array.shape[1])))
    np.testing.assert_array_equal(cut.part(window), whole.array[:, window])
    assert cut.darkest() == whole.footprint.pad_value


@pytest.mark.parametrize("at_once", [1, 10**6])
@pytest.mark.parametrize("spacing_mm", [None, (0.7, 1.9)])
def test_the_darkest_value_is_that_of_all_slices_however_many_at_once(
    make_section: MakeSection, monkeypatch: pytest.MonkeyPatch, at_once: int, spacing_mm: tuple[float, float] | None
) -> None:
    monkeypatch.setattr(case, "_NUMBERS_AT_ONCE", at_once)
    section = make_section(spacing_mm=spacing_mm, normalisation=({"method": "zscore"}, {"method": "none"}))
    image = scan_of(np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype(np.float32), Storage())
    darkest = case.cut_slices(image, section[0], view=section[1]).darkest()
    assert darkest == apply(image, section).footprint.pad_value
    assert darkest[0] != darkest[1]


@settings(max_examples=25)
@given(storage=STORAGES, shape=SHAPES, seed=st.integers(0, 1000), data=st.data())
def test_probabilities_return_the_same_however_many_slices_at_once(
    storage: Storage, shape: Triple, seed: int, data: st.DataObject, make_section: MakeSection
) -> None:
    section = make_section(crop="nonzero", spacing_mm=(0.7, 1.9))
    way_back = apply(scan_of(dotted(shape, seed), storage), section).footprint
    encoding = LabelEncoding((0, 3, 4))
    probabilities = np.random.default_rng(seed).random((3, way_back.kept[0], *way_back.size_px), dtype=np.float32)
    middle = data.draw(st.integers(0, way_back.kept[0]))
    labels, restored = empty_labels(way_back, encoding), empty_probabilities(way_back, encoding)
    for first, part in ((0, probabilities[:, :middle]), (middle, probabilities[:, middle:])):
        put_labels(labels, part, way_back, encoding, first=first)
        put_probabilities(restored, part, way_back, first=first)
    np.testing.assert_array_equal(labels, restore_labels(probabilities, way_back, encoding))
    np.testing.assert_array_equal(restored, restore_probabilities(probabilities, way_back, encoding))
