import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autoseg.metrics import surface
from autoseg.metrics.surface import UNDEFINED, surface_distances

ISOTROPIC = (1.0, 1.0, 1.0)
ROOT2, ROOT3 = math.sqrt(2), math.sqrt(3)


def voxels(shape, *places):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


def in_mm(distances):
    return distances.hausdorff_mm, distances.hausdorff95_mm, distances.assd_mm


def numbers(distances):
    return pytest.approx(in_mm(distances), rel=1e-12, abs=1e-12)


# Golden: worked out by hand.


@pytest.mark.parametrize(
    ("place", "spacing_mm", "expected_mm"),
    [
        ((0, 0, 0), ISOTROPIC, 0.0),
        ((0, 3, 4), ISOTROPIC, 5.0),
        ((2, 2, 1), ISOTROPIC, 3.0),
        ((0, 30, 40), ISOTROPIC, 50.0),
        ((1, 2, 3), (2.0, 1.0, 0.5), math.sqrt(4 + 4 + 2.25)),
    ],
)
def test_two_single_voxels_are_as_far_apart_as_their_centres(place, spacing_mm, expected_mm):
    shape = (5, 40, 50)
    found = surface_distances(voxels(shape, (0, 0, 0)), voxels(shape, place), spacing_mm=spacing_mm)
    assert in_mm(found) == pytest.approx((expected_mm,) * 3)


def test_nearest_means_in_millimetres_not_in_voxels():
    shape = (3, 3, 9)
    source = voxels(shape, (0, 0, 0))
    target = voxels(shape, (1, 0, 0), (0, 0, 4))  # one thick slice away: 5 mm; four thin columns away: 4 mm
    found = surface_distances(source, target, spacing_mm=(5.0, 1.0, 1.0))
    # from the source 4; back from the targets 5 and 4
    assert found.hausdorff_mm == 5.0
    assert found.assd_mm == pytest.approx((4 + 5 + 4) / 3)


def test_nearest_is_found_beyond_the_reach_of_neighbours_of_fine_voxels():
    shape = (5, 4, 4)
    source = voxels(shape, (0, 0, 0))
    target = voxels(shape, (0, 3, 3), (4, 0, 0))  # three voxels off twice: .42 mm; four voxels off once: .4 mm
    found = surface_distances(source, target, spacing_mm=(0.1, 0.1, 0.1))
    # from the source .4; back from the targets .3 x root 2 and .4
    assert found.assd_mm == pytest.approx((0.4 + 0.3 * ROOT2 + 0.4) / 3)


def test_cube_against_its_centre():
    shape = (5, 5, 5)
    cube, centre = voxels(shape, np.s_[1:4, 1:4, 1:4]), voxels(shape, (2, 2, 2))
    found = surface_distances(cube, centre, spacing_mm=ISOTROPIC)
    # The cube's surface is its 26 outer voxels: 6 faces at 1, 12 edges at root 2, 8 corners at root 3; back: 1.
    assert found.hausdorff_mm == pytest.approx(ROOT3)
    assert found.hausdorff95_mm == pytest.approx(ROOT3)
    assert found.assd_mm == pytest.approx((6 + 12 * ROOT2 + 8 * ROOT3 + 1) / 27)


def test_percentile_is_interpolated_and_taken_per_direction():
    shape = (3, 3, 11)
    longer, shorter = voxels(shape, np.s_[1, 1, 0:11]), voxels(shape, np.s_[1, 1, 0:10])
    found = surface_distances(longer, shorter, spacing_mm=ISOTROPIC)
    # Lines: every voxel is surface. Eleven distances 0, ..., 0, 1: position 9.5 of 10 is half-way; back all are 0.
    assert found.hausdorff_mm == 1.0
    assert found.hausdorff95_mm == pytest.approx(0.5)
    assert found.assd_mm == pytest.approx(1 / 21)


def test_beyond_the_border_of_the_image_all_is_outside():
    full, centre = np.ones((3, 3, 3), bool), voxels((3, 3, 3), (1, 1, 1))
    found = surface_distances(full, centre, spacing_mm=ISOTROPIC)
    assert found.hausdorff_mm == pytest.approx(ROOT3)
    assert found.assd_mm == pytest.approx((6 + 12 * ROOT2 + 8 * ROOT3 + 1) / 27)


def test_a_picture_has_its_outline_as_surface():
    square = np.ones((1, 5, 5), bool)
    ring = square.copy()
    ring[0, 1:4, 1:4] = False
    assert surface_distances(square, ring, spacing_mm=ISOTROPIC).hausdorff_mm == 0.0


def test_in_a_volume_a_thin_mask_is_all_surface():
    square = voxels((3, 5, 5), np.s_[1, :, :])
    ring = square.copy()
    ring[1, 1:4, 1:4] = False
    found = surface_distances(square, ring, spacing_mm=ISOTROPIC)
    # 16 outer voxels at 0, 8 around the centre at 1, the centre at 2; back 16 at 0
    assert found.hausdorff_mm == 2.0
    assert found.assd_mm == pytest.approx((8 * 1 + 2) / (25 + 16))


def test_an_image_of_a_single_voxel_agrees_with_itself():
    one = np.ones((1, 1, 1), bool)
    assert in_mm(surface_distances(one, one, spacing_mm=ISOTROPIC)) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("prediction", "reference"), [(False, True), (True, False), (False, False)])
def test_an_empty_mask_has_no_distances(prediction, reference):
    found = surface_distances(np.full((2, 3, 4), prediction), np.full((2, 3, 4), reference), spacing_mm=ISOTROPIC)
    assert found is UNDEFINED
    assert all(math.isnan(value) for value in in_mm(found))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.there_mm = found.back_mm


@pytest.mark.parametrize(
    ("prediction", "reference", "spacing_mm", "complaint"),
    [
        (np.ones((1, 3, 3), bool), np.ones((2, 3, 3), bool), ISOTROPIC, "one shape"),
        (np.ones((3, 3), bool), np.ones((3, 3), bool), ISOTROPIC, "volumes"),
        (np.ones((2, 2, 2), np.uint8), np.ones((2, 2, 2), bool), ISOTROPIC, "boolean"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1.0, 0.0, 1.0), "positive"),
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1.0, math.nan, 1.0), "positive"),
    ],
)
def test_what_is_no_pair_of_masks_is_refused(prediction, reference, spacing_mm, complaint):
    with pytest.raises(ValueError, match=complaint):
        surface_distances(prediction, reference, spacing_mm=spacing_mm)


# Normalised surface Dice: golden.


@pytest.mark.parametrize(
    ("tolerance_mm", "expected"),
    [
        (0.5, 0.0),
        (1.0, 7 / 27),  # the middles of 6 sides, and the centre
        (ROOT2, 19 / 27),  # and 12 edges
        (1.5, 19 / 27),
        (ROOT3, 1.0),  # and 8 corners
    ],
)
def test_fraction_of_a_cube_within_reach_of_its_centre(tolerance_mm, expected):
    shape = (5, 5, 5)
    cube, centre = voxels(shape, np.s_[1:4, 1:4, 1:4]), voxels(shape, (2, 2, 2))
    found = surface_distances(cube, centre, spacing_mm=ISOTROPIC)
    assert found.fraction_within(tolerance_mm) == pytest.approx(expected)


def test_fraction_within_counts_both_surfaces_together():
    shape = (3, 3, 11)
    longer, shorter = voxels(shape, np.s_[1, 1, 0:11]), voxels(shape, np.s_[1, 1, 0:6])
    found = surface_distances(longer, shorter, spacing_mm=(1.0, 1.0, 2.0))
    # Lines: every voxel is surface. Six of both are shared; the others of the longer one lie 2, 4, 6, 8 and 10 mm off.
    assert [found.fraction_within(tolerance) for tolerance in (0.1, 4.0, 9.9, 10.0)] == [12 / 17, 14 / 17, 16 / 17, 1.0]


def test_a_picture_is_judged_by_its_outline():
    square = np.ones((1, 5, 5), bool)
    corner = voxels((1, 5, 5), (0, 0, 0))
    found = surface_distances(square, corner, spacing_mm=(9.0, 1.0, 1.0))
    # Of the outline's 16 pixels five on each side of the corner are 0 to 4 away; back it is 0.
    assert found.fraction_within(2.0) == pytest.approx((5 + 1) / 17)


def test_a_tolerance_of_a_voxel_is_not_missed_by_rounding():
    stored = float(np.float32(0.3))  # 0.300000012, as a file holds it
    pair = voxels((1, 1, 9), (0, 0, 0)), voxels((1, 1, 9), (0, 0, 1))
    assert surface_distances(*pair, spacing_mm=(1.0, 1.0, stored)).fraction_within(0.3) == 1.0
    assert surface_distances(*pair, spacing_mm=(1.0, 1.0, 0.3001)).fraction_within(0.3) == 0.0


def test_without_a_mask_no_fraction_is_within():
    assert math.isnan(UNDEFINED.fraction_within(1.0))


# Brute force and properties, on random masks.

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 9))
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.9375, 1.0, 1.5, 4.0])] * 3)


@st.composite
def mask_pairs(draw):
    """Two masks of one shape, not empty, from a few voxels to nearly all."""
    shape = draw(SHAPES)
    pair = []
    for _ in range(2):
        generator = np.random.default_rng(draw(st.integers(0, 2**32)))
        mask = generator.random(shape) < draw(st.sampled_from([0.05, 0.3, 0.7, 0.95]))
        assume(mask.any())
        pair.append(mask)
    return tuple(pair)


def surface_places(mask):
    axes = [axis for axis in range(3) if mask.shape[axis] > 1]

    def is_outside(place):
        return any(not 0 <= index < length for index, length in zip(place, mask.shape, strict=True)) or not mask[place]

    places = []
    for place in itertools.product(*map(range, mask.shape)):
        neighbours = [
            tuple(index + step * (axis == other) for other, index in enumerate(place)) for axis in axes for step in (-1, 1)
        ]
        if mask[place] and (not neighbours or any(is_outside(neighbour) for neighbour in neighbours)):
            places.append(place)
    return places


def directed(source, target, spacing_mm):
    return [
        min(math.dist(np.multiply(one, spacing_mm), np.multiply(other, spacing_mm)) for other in target) for one in source
    ]


@given(mask_pairs(), SPACINGS)
def test_equals_the_definition_tried_on_every_voxel(pair, spacing_mm):
    ours, theirs = (surface_places(mask) for mask in pair)
    there, back = directed(ours, theirs, spacing_mm), directed(theirs, ours, spacing_mm)
    expected = (
        max(*there, *back),
        max(np.percentile(there, 95), np.percentile(back, 95)),
        np.mean([*there, *back]),
    )
    assert expected == numbers(surface_distances(*pair, spacing_mm=spacing_mm))


@given(mask_pairs(), SPACINGS)
def test_symmetric_ordered_and_zero_for_itself(pair, spacing_mm):
    prediction, reference = pair
    found = surface_distances(prediction, reference, spacing_mm=spacing_mm)
    assert in_mm(surface_distances(reference, prediction, spacing_mm=spacing_mm)) == numbers(found)
    assert found.hausdorff_mm >= found.hausdorff95_mm >= 0
    assert found.hausdorff_mm >= found.assd_mm >= 0
    itself = surface_distances(prediction, prediction, spacing_mm=spacing_mm)
    assert in_mm(itself) == (0.0, 0.0, 0.0)


@given(mask_pairs(), SPACINGS, st.floats(0.1, 10))
@settings(max_examples=30)
def test_scales_with_the_spacing(pair, spacing_mm, factor):
    found = np.array(in_mm(surface_distances(*pair, spacing_mm=spacing_mm)))
    wider = surface_distances(*pair, spacing_mm=tuple(factor * step for step in spacing_mm))
    assert tuple(factor * found) == pytest.approx(in_mm(wider), rel=1e-9, abs=1e-12)


@given(mask_pairs(), st.tuples(*[st.integers(0, 3)] * 3), st.tuples(*[st.integers(0, 3)] * 3))
@settings(max_examples=30)
def test_does_not_depend_on_the_place_in_the_image(pair, before, after):
    assume(min(pair[0].shape) > 1)  # a 2D image is another thing than a thin volume
    framed = [np.pad(mask, tuple(zip(before, after, strict=True))) for mask in pair]
    there, here = (surface_distances(*masks, spacing_mm=(1.5, 1.0, 0.7)) for masks in (framed, pair))
    assert in_mm(there) == in_mm(here)


@given(hnp.arrays(np.bool_, (1, 6, 6)), hnp.arrays(np.bool_, (1, 6, 6)))
@settings(max_examples=30)
def test_a_picture_measures_the_same_along_any_axis(first, second):
    assume(first.any() and second.any())
    flat = surface_distances(first, second, spacing_mm=(9.0, 1.5, 1.0))
    upright = surface_distances(np.moveaxis(first, 0, 2), np.moveaxis(second, 0, 2), spacing_mm=(1.5, 1.0, 9.0))
    assert in_mm(upright) == numbers(flat)


@given(mask_pairs(), SPACINGS, st.floats(0.05, 8))
@settings(max_examples=50)
def test_fraction_within_is_that_of_the_definition(pair, spacing_mm, tolerance_mm):
    ours, theirs = (surface_places(mask) for mask in pair)
    distances = [*directed(ours, theirs, spacing_mm), *directed(theirs, ours, spacing_mm)]
    assume(min(abs(distance - tolerance_mm) for distance in distances) > 1e-3)  # rounding is tried above
    expected = sum(distance <= tolerance_mm for distance in distances) / len(distances)
    assert surface_distances(*pair, spacing_mm=spacing_mm).fraction_within(tolerance_mm) == expected


@given(mask_pairs(), SPACINGS, st.floats(0.05, 8), st.floats(0.1, 10))
@settings(max_examples=50)
def test_fraction_within_is_symmetric_monotone_and_scales_with_the_spacing(pair, spacing_mm, tolerance_mm, factor):
    found = surface_distances(*pair, spacing_mm=spacing_mm)
    fraction = found.fraction_within(tolerance_mm)
    assert (
        0.0 <= fraction <= found.fraction_within(2 * tolerance_mm) <= found.fraction_within(found.hausdorff_mm + 0.01) == 1.0
    )
    assert surface_distances(*pair[::-1], spacing_mm=spacing_mm).fraction_within(tolerance_mm) == fraction
    distances = np.concatenate([found.there_mm, found.back_mm])
    assume(np.abs(distances - tolerance_mm).min() > 1e-3)
    wider = surface_distances(*pair, spacing_mm=tuple(factor * step for step in spacing_mm))
    assert wider.fraction_within(factor * tolerance_mm) == fraction


# What makes it fast.


def test_surfaces_up_to_three_voxels_apart_need_no_tree(monkeypatch):
    monkeypatch.setattr(surface, "cKDTree", None)
    shape = (9, 9, 9)
    plate, other = voxels(shape, np.s_[2, 1:8, 1:8]), voxels(shape, np.s_[5, 1:8, 1:8])
    assert surface_distances(plate, other, spacing_mm=ISOTROPIC).hausdorff_mm == 3.0


def test_only_the_box_around_the_mask_is_searched():
    corners = voxels((9, 8, 7), (2, 3, 1), (6, 4, 5))
    assert surface._bounding_box(corners) == np.s_[2:7, 3:5, 1:6]


# Oracles: independent packages, where the definitions coincide (docs/reference/metrics.md says where).


def blobs(seed):
    """A pair of masks as a good and a bad network would give: smooth, partly equal, with far specks."""
    from scipy import ndimage

    generator = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(generator.standard_normal((20, 30, 40)), 3)
    other = field + 0.3 * ndimage.gaussian_filter(generator.standard_normal(field.shape), 1.5)
    return field > 0.03, other > 0.03


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spacing_mm", [ISOTROPIC, (1.5, 0.9375, 0.9375)])
def test_medpy_finds_the_same(seed, spacing_mm):
    binary = pytest.importorskip("medpy.metric.binary")
    prediction, reference = blobs(seed)
    found = surface_distances(prediction, reference, spacing_mm=spacing_mm)
    # With face connectivity MedPy erodes as we do, the border counting as outside: surfaces and HD are the same.
    assert found.hausdorff_mm == pytest.approx(binary.hd(prediction, reference, voxelspacing=spacing_mm), rel=1e-14)
    # It pools both directions before the percentile and averages the directions' means, so take its parts.
    directions = vars(binary)["__surface_distances"]
    there, back = directions(prediction, reference, spacing_mm), directions(reference, prediction, spacing_mm)
    assert found.hausdorff95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-12)
    assert found.assd_mm == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-12)


def test_medpy_finds_the_same_for_a_picture():
    binary = pytest.importorskip("medpy.metric.binary")
    prediction, reference = (mask[10] for mask in blobs(0))
    found = surface_distances(prediction[None], reference[None], spacing_mm=(7.0, 1.5, 1.0))
    assert found.hausdorff_mm == pytest.approx(binary.hd(prediction, reference, voxelspacing=(1.5, 1.0)), rel=1e-14)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spacing_mm", [ISOTROPIC, (1.5, 0.9375, 0.9375)])
def test_monai_finds_the_same(seed, spacing_mm):
    monai = pytest.importorskip("monai.metrics")
    import torch

    prediction, reference = blobs(seed)
    batches = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, reference)]
    found = surface_distances(prediction, reference, spacing_mm=spacing_mm)
    for percentile, ours in ((None, found.hausdorff_mm), (95, found.hausdorff95_mm)):
        theirs = monai.compute_hausdorff_distance(
            *batches, include_background=True, percentile=percentile, spacing=list(spacing_mm)
        )
        assert ours == pytest.approx(float(theirs), rel=1e-5)  # single precision
    average = monai.compute_average_surface_distance(
        *batches, include_background=True, symmetric=True, spacing=list(spacing_mm)
    )
    assert found.assd_mm == pytest.approx(float(average), rel=1e-5)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.9375, 1.5, 0.31)])
@pytest.mark.parametrize("fraction", [0.001, 0.02, 0.4])
def test_a_distance_transform_and_a_tree_find_the_same(
    monkeypatch: pytest.MonkeyPatch, fraction: float, spacing_mm: tuple[float, float, float]
) -> None:
    generator = np.random.default_rng(7)
    speckled = generator.random((40, 24, 32)) < fraction
    compact = np.zeros_like(speckled)
    compact[3:9, 15:20, 4:12] = True
    found = []
    for limit in (0.0, 1.0):  # as soon as anything lies apart, and never
        monkeypatch.setattr("autoseg.metrics.surface._SPECKLED", limit)
        distances = surface_distances(speckled, compact, spacing_mm=spacing_mm)
        found.append(in_mm(distances))
    assert found[0] == pytest.approx(found[1], rel=1e-14)
