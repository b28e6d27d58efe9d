import pytest

from autoseg.planning.slicing import PLANE_AXES, Stack, array_axes, in_plane_spacing_mm, stack_of, thick_axis


def test_each_plane_uses_each_patient_axis_once():
    assert all(len(set(axes)) == 3 for axes in PLANE_AXES.values())
    assert len({axes[0] for axes in PLANE_AXES.values()}) == 3


@pytest.mark.parametrize(
    ("plane", "axes"), [("axial", (0, 1, 2)), ("coronal", (1, 0, 2)), ("sagittal", (2, 0, 1)), (None, (0, 1, 2))]
)
def test_axes_of_a_volume_stored_axially(make_case, plane, axes):
    assert array_axes(make_case(), plane) == axes


def test_axes_follow_the_patient_not_the_file(make_case):
    stored_coronally = make_case(axes=("posterior-anterior", "inferior-superior", "left-right"))
    assert array_axes(stored_coronally, "axial") == (1, 0, 2)


def test_in_plane_spacing_is_rows_then_columns(make_case):
    case = make_case(spacing_mm=(3.0, 2.0, 1.0))
    assert in_plane_spacing_mm(case, "axial") == (2.0, 1.0)
    assert in_plane_spacing_mm(case, "sagittal") == (3.0, 2.0)


@pytest.mark.parametrize(
    ("spacing_mm", "axis"),
    [
        ((5.0, 0.5, 0.5), "inferior-superior"),
        ((0.5, 5.0, 0.5), "posterior-anterior"),
        ((1.0, 1.0, 1.3), "left-right"),
        ((1.0, 1.0, 1.29), None),
        ((1.0, 1.0, 1.0), None),
        ((3.0, 3.0, 1.0), None),
    ],
)
def test_a_thick_axis_is_clearly_coarser_than_the_others(make_case, spacing_mm, axis):
    assert thick_axis(make_case(spacing_mm=spacing_mm)) == axis


def test_uncropped_stack_is_the_whole_scan(make_case):
    stack = stack_of(make_case(), plane="coronal", spacing_mm=None, crop="none", margin_px=0)
    assert stack == Stack(slices=80, rows_px=40, columns_px=60)


def test_cropped_stack_has_its_margin_but_never_leaves_the_scan(make_case):
    stack = stack_of(make_case(), plane="axial", spacing_mm=None, crop="nonzero", margin_px=12)
    assert stack == Stack(slices=40, rows_px=64, columns_px=54)


def test_resampling_changes_the_size_in_the_plane_only(make_case):
    case = make_case(spacing_mm=(5.0, 1.0, 0.5))
    stack = stack_of(case, plane="axial", spacing_mm=(2.0, 1.0), crop="none", margin_px=0)
    assert stack == Stack(slices=40, rows_px=40, columns_px=30)
