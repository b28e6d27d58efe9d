"""Orientation and comparison of geometries, on directions whose answers are known by construction."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from autoseg.images.geometry import ANATOMICAL_AXES, Geometry

GEOMETRY = Geometry(shape=(4, 5, 6), spacing_mm=(3.0, 1.5, 1.0))


def rotation(axis: int, degrees: float) -> np.ndarray:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.eye(3)
    first, second = (other for other in range(3) if other != axis)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def directed(matrix: np.ndarray) -> Geometry:
    return dataclasses.replace(GEOMETRY, direction=tuple(np.ravel(matrix).tolist()))


def names(geometry: Geometry) -> list[str]:
    return [ANATOMICAL_AXES[axis] for axis in geometry.anatomical_axes()]


def test_identity_is_axial_slices_growing_towards_left_posterior_superior() -> None:
    assert names(GEOMETRY) == ["inferior-superior", "posterior-anterior", "left-right"]
    assert GEOMETRY.axis_signs() == (1, 1, 1)


@pytest.mark.parametrize(
    ("code", "expected_axes", "expected_signs"),
    [  # the code names, as SimpleITK does, the direction towards which X, Y, Z grow
        ("LPS", (2, 1, 0), (1, 1, 1)),
        ("RAS", (2, 1, 0), (1, -1, -1)),
        ("RSA", (1, 2, 0), (-1, 1, -1)),
        ("PIR", (0, 2, 1), (-1, -1, 1)),
        ("SLP", (1, 0, 2), (1, 1, 1)),
    ],
)
def test_axes_and_signs_of_named_orientations(
    code: str, expected_axes: tuple[int, ...], expected_signs: tuple[int, ...]
) -> None:
    matrix = sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(code)
    geometry = directed(np.array(matrix))
    assert geometry.anatomical_axes() == expected_axes
    assert geometry.axis_signs() == expected_signs


@pytest.mark.parametrize("degrees", [-44.0, -10.0, 10.0, 44.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rotation_below_45_degrees_keeps_the_nearest_axes(axis: int, degrees: float) -> None:
    assert directed(rotation(axis, degrees)).anatomical_axes() == (2, 1, 0)
    assert directed(rotation(axis, degrees)).axis_signs() == (1, 1, 1)


def test_a_rotation_beyond_45_degrees_about_left_right_swaps_the_other_two() -> None:
    oblique = directed(rotation(0, 60.0))
    assert oblique.anatomical_axes() == (1, 2, 0)
    # Y grows towards (0, cos 60, sin 60): mostly superior; Z towards (0, -sin 60, cos 60): mostly anterior.
    assert oblique.axis_signs() == (-1, 1, 1)


angles = st.floats(-180, 180)


@given(x=angles, y=angles, z=angles)
def test_every_orientation_uses_each_patient_axis_once(x: float, y: float, z: float) -> None:
    geometry = directed(rotation(0, x) @ rotation(1, y) @ rotation(2, z))
    assert sorted(geometry.anatomical_axes()) == [0, 1, 2]


@given(x=angles, y=angles, z=angles)
def test_reversing_an_image_axis_flips_its_sign_alone(x: float, y: float, z: float) -> None:
    matrix = rotation(0, x) @ rotation(1, y) @ rotation(2, z)
    plain, reversed_x = directed(matrix), directed(matrix * (-1, 1, 1))
    assert reversed_x.anatomical_axes() == plain.anatomical_axes()
    if abs(matrix[plain.anatomical_axes()[2], 0]) > 1e-9:  # a cosine of 0 has no sign
        assert reversed_x.axis_signs() == (*plain.axis_signs()[:2], -plain.axis_signs()[2])


ORDERS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]
"""Every way in which the axes of an image can be stored."""

STEEP = [
    *(rotation(axis, degrees) for axis in range(3) for degrees in (45.0, -45.0, 90.0, 135.0)),
    rotation(0, 45.0) @ rotation(1, 45.0),
    rotation(1, 45.0) @ rotation(2, -45.0),
    rotation(0, 45.0) @ rotation(1, 45.0) @ rotation(2, 45.0),
    np.array([[2, -1, 2], [2, 2, -1], [-1, 2, 2]]) / 3,  # 60 degrees about a diagonal: six cosines are equal
    rotation(0, 45.0) @ rotation(1, np.degrees(np.arctan(np.sqrt(0.5)))),  # an axis along a diagonal: three are
]


def patients_axes_by_column(geometry: Geometry) -> dict[int, tuple[int, int]]:
    """The patient axis and sign of each image axis, X, Y, Z."""
    pairs = list(zip(geometry.anatomical_axes(), geometry.axis_signs(), strict=True))
    return {2 - axis: pair for axis, pair in enumerate(pairs)}


@pytest.mark.parametrize("matrix", STEEP)
def test_ties_do_not_depend_on_the_order_in_which_axes_are_stored(matrix: np.ndarray) -> None:
    expected = patients_axes_by_column(directed(matrix))
    noise = np.random.default_rng(0)
    for order, signs in ORDERS:
        stored = directed(matrix[:, order] * signs + noise.uniform(-1e-6, 1e-6, (3, 3)))  # headers are rounded
        found = patients_axes_by_column(stored)
        for column, (source, sign) in enumerate(zip(order, signs, strict=True)):
            patient, direction = expected[source]
            assert found[column] == (patient, direction * sign)


@given(x=angles, y=angles, z=angles, stored=st.sampled_from(ORDERS))
def test_axes_and_tilt_belong_to_the_voxels_and_not_to_their_order(
    x: float, y: float, z: float, stored: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    matrix = rotation(0, x) @ rotation(1, y) @ rotation(2, z)
    order, signs = stored
    plain, other = directed(matrix), directed(matrix[:, order] * signs)
    for column, source in enumerate(order):
        assert other.anatomical_axes()[2 - column] == plain.anatomical_axes()[2 - source]
    np.testing.assert_allclose(other.tilt_degrees, plain.tilt_degrees, atol=1e-6)


@pytest.mark.parametrize("degrees", [-44.0, -20.0, 0.0, 3.0, 44.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_tilt_about_one_axis_is_its_angle(axis: int, degrees: float) -> None:
    expected = np.zeros(3)
    expected[axis] = degrees if axis != 1 else -degrees  # `rotation` turns Y the other way round
    np.testing.assert_allclose(directed(rotation(axis, degrees)).tilt_degrees, expected, atol=1e-9)


def test_a_scan_beyond_45_degrees_is_tilted_the_other_way_from_its_nearest_axes() -> None:
    np.testing.assert_allclose(directed(rotation(0, 46.0)).tilt_degrees, (-44.0, 0.0, 0.0), atol=1e-9)
    np.testing.assert_allclose(directed(rotation(2, 92.0)).tilt_degrees, (0.0, 0.0, 2.0), atol=1e-9)


def test_a_2d_image_has_no_tilt() -> None:
    assert moved(shape=(1, 5, 6), dimensions=2).tilt_degrees is None


def test_voxel_volume_in_millilitres() -> None:
    assert GEOMETRY.voxel_volume_ml == pytest.approx(0.0045)


def test_a_geometry_does_not_differ_from_itself() -> None:
    assert GEOMETRY.difference(GEOMETRY) == ""


def moved(**change: object) -> Geometry:
    return dataclasses.replace(GEOMETRY, **change)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"shape": (4, 6, 5)}, "shape"),
        ({"spacing_mm": (3.0, 1.5, 1.05)}, "spacing"),
        ({"origin_mm": (0.0, 0.0, 0.31)}, "origin"),
        ({"direction": tuple(rotation(2, 3.0).ravel())}, "direction"),
    ],
)
def test_a_difference_is_named(change: dict[str, tuple[float, ...]], word: str) -> None:
    assert GEOMETRY.difference(moved(**change)).startswith(word)


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (3.0, 1.5, 1.015)},  # 6 voxels: the last ends .09 voxels further
        {"origin_mm": (0.09, 0.14, 0.29)},  # a little less than a tenth of 1, 1.5 and 3 mm
        {"direction": tuple(rotation(2, 0.3).ravel())},
    ],
)
def test_differences_below_the_tolerance_do_not_count(change: dict[str, tuple[float, ...]]) -> None:
    assert GEOMETRY.difference(moved(**change)) == ""


@pytest.mark.parametrize("voxel_mm", [1e-5, 0.01, 1.0, 300.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_tolerance_is_a_tenth_of_a_voxel_of_any_size(voxel_mm: float, axis: int) -> None:
    grid = moved(spacing_mm=(3 * voxel_mm, 1.5 * voxel_mm, voxel_mm), direction=tuple(rotation(1, 30.0).ravel()))
    step_mm = np.reshape(grid.direction, (3, 3))[:, axis] * grid.spacing_mm[2 - axis]
    beside, off = (dataclasses.replace(grid, origin_mm=tuple(fraction * step_mm)) for fraction in (0.0999, 0.1001))
    assert grid.difference(beside) == ""
    assert f"up to 0.1 voxels apart along {'XYZ'[axis]}, tolerance 0.1" in grid.difference(off)


def test_a_rounded_spacing_counts_at_the_far_end_of_the_grid() -> None:
    long = moved(shape=(4, 5, 500), spacing_mm=(3.0, 1.5, 0.9375))
    assert long.difference(dataclasses.replace(long, spacing_mm=(3.0, 1.5, 0.9374))) == ""
    # 500 voxels, each .0005 mm too short: at the far end .27 voxels.
    assert "0.266 voxels apart along X" in long.difference(dataclasses.replace(long, spacing_mm=(3.0, 1.5, 0.937)))


def test_a_slight_turn_counts_far_from_its_centre() -> None:
    turned = {"direction": tuple(rotation(2, 0.02).ravel())}
    assert GEOMETRY.difference(moved(**turned)) == ""
    wide = moved(shape=(4, 500, 500))
    assert wide.difference(dataclasses.replace(wide, **turned)).startswith("direction")


def test_a_single_slice_has_a_thickness_and_a_direction() -> None:
    flat = moved(shape=(1, 5, 6))
    assert flat.difference(dataclasses.replace(flat, spacing_mm=(5.0, 1.5, 1.0))).startswith("spacing")
    assert flat.difference(dataclasses.replace(flat, direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))).startswith("direction")


@pytest.mark.parametrize("number", [1e300, np.inf, np.nan])
def test_an_origin_that_no_number_holds_is_another_one(number: float) -> None:
    assert GEOMETRY.difference(moved(origin_mm=(number, 0.0, 0.0))).startswith("origin")


@given(shift=st.tuples(*[st.floats(-0.2, 0.2)] * 3), x=angles, y=angles, z=angles)
def test_shifts_are_measured_along_the_axes_of_the_image(
    shift: tuple[float, float, float], x: float, y: float, z: float
) -> None:
    axes = rotation(0, x) @ rotation(1, y) @ rotation(2, z)
    grid = directed(axes)
    other = dataclasses.replace(grid, origin_mm=tuple(axes @ (np.array(shift) * grid.spacing_mm[::-1])))
    if abs(max(map(abs, shift)) - 0.1) > 1e-9:
        assert (grid.difference(other) == "") == (max(map(abs, shift)) < 0.1)
