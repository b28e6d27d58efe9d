"""What headers say about places, against nibabel's reading of the same bytes."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoseg.formats.nifti_placement import NiftiPlacement, parse_placement, placement_of

SHAPE = (6, 5, 4)
TO_RAS = np.diag([-1.0, -1.0, 1.0])


def turned(degrees: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        first, second = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def stored(path: Path, *, qform_code: int, sform_code: int, order: str = "<") -> nib.Nifti1Image:
    image = nib.Nifti1Image(np.zeros(SHAPE, np.uint8), None, nib.Nifti1Header(endianness=order))
    forms = [np.eye(4), np.eye(4)]
    for form, degrees, at in zip(forms, [(10, 20, 30), (-40, 5, 160)], [7.0, -20.0], strict=True):
        form[:3, :3], form[:3, 3] = turned(degrees) * (0.5, 1.0, 2.0), at
    image.set_sform(forms[0], sform_code)
    image.set_qform(forms[1] @ np.diag([1, 1, -1, 1]), qform_code)  # left-handed: the sign of the third axis counts
    nib.save(image, path)
    return nib.load(path)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("qform_code", "sform_code"), [(0, 0), (1, 0), (0, 2), (2, 4)])
def test_forms_are_those_that_nibabel_reads(tmp_path: Path, *, qform_code: int, sform_code: int, order: str) -> None:
    image = stored(tmp_path / "a.nii", qform_code=qform_code, sform_code=sform_code, order=order)
    placement = parse_placement((tmp_path / "a.nii").read_bytes()[:348], order)
    for name in ("qform", "sform"):
        ours, theirs = getattr(placement, name), getattr(image, f"get_{name}")(coded=True)[0]
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(TO_RAS @ ours, theirs[:3], atol=1e-6)
    statements = dict(placement.statements(SHAPE))
    assert list(statements) == [name for name, stated in (("sform", sform_code), ("qform", qform_code)) if stated] or list(
        statements
    ) == ["spacing"]
    assert any(np.allclose(TO_RAS @ affine, image.affine[:3], atol=1e-5) for affine in statements.values())


def test_a_spacing_of_0_stands_for_1() -> None:
    placement = NiftiPlacement(units=2, spacing=(1.0, 0.5, 2.0, 0.0), qform_code=1)
    assert placement.spacing_mm.tolist() == [0.5, 2.0, 1.0]
    assert placement.qform is not None
    assert abs(placement.qform[2, 2]) == 1.0


angles = st.floats(-180, 180)


@settings(max_examples=50)
@given(degrees=st.tuples(angles, angles, angles), left_handed=st.booleans(), at=st.floats(-300, 300))
def test_a_grid_is_stated_alike_in_both_forms(*, degrees: tuple[float, float, float], left_handed: bool, at: float) -> None:
    axes = turned(degrees) * (0.5, 1.0, -2.0 if left_handed else 2.0)
    affine = np.column_stack([axes, (at, -at, 2 * at)])
    placement = placement_of(affine)
    for form in (placement.qform, placement.sform):
        assert form is not None
        np.testing.assert_allclose(form, affine, atol=1e-6)
