"""Contradictions in NIfTI headers, and that the remark names what SimpleITK really does."""

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from autoseg.formats import nifti_orientation
from autoseg.formats.header import UNORIENTED
from autoseg.formats.nifti_placement import parse_placement

SPACING = (1.0, 2.0, 3.0)


def placed(offset_mm: float, spacing: tuple[float, float, float] = SPACING) -> np.ndarray:
    form = np.diag([*spacing, 1.0])
    form[:3, 3] = offset_mm
    return form


def sheared() -> np.ndarray:
    form = placed(10.0)
    form[0, 1] = 0.3
    return form


def remarks_and_origin(
    path: Path, *, qform: np.ndarray, qform_code: int, sform: np.ndarray, sform_code: int
) -> tuple[tuple[str, ...], float]:
    """The remarks, and the z coordinate of the first voxel by SimpleITK, which tells the forms apart."""
    image = nib.Nifti1Image(np.zeros((6, 5, 4), dtype=np.int16), None)
    image.set_sform(sform, sform_code)
    image.set_qform(qform, qform_code)
    image.header["pixdim"][1:4] = SPACING
    nib.save(image, path)
    placement = parse_placement(path.read_bytes()[:352], "<")
    return nifti_orientation.warnings(placement, (6, 5, 4)), sitk.ReadImage(str(path)).GetOrigin()[2]


@pytest.mark.parametrize(("qform_code", "sform_code"), list(itertools.product(range(5), repeat=2)))
def test_the_remark_names_the_form_that_simpleitk_uses(tmp_path: Path, qform_code: int, sform_code: int) -> None:
    remarks, origin = remarks_and_origin(
        tmp_path / "a.nii", qform=placed(-7.0), qform_code=qform_code, sform=placed(10.0), sform_code=sform_code
    )
    if qform_code and sform_code:
        used = {10.0: "sform", -7.0: "qform"}[origin]
        # All three coordinates differ by 17 mm: 17 * sqrt(3) = 29.4.
        assert remarks == (f"qform and sform disagree by up to 29.4 mm; the {used} is used, with the spacing of pixdim",)
    elif qform_code or sform_code:
        assert remarks == ()
    else:
        assert remarks == (UNORIENTED,)


@pytest.mark.parametrize("code", [1, 2])
def test_a_sheared_sform_is_left_for_the_qform(tmp_path: Path, code: int) -> None:
    remarks, origin = remarks_and_origin(
        tmp_path / "a.nii", qform=placed(-7.0), qform_code=1, sform=sheared(), sform_code=code
    )
    assert origin == -7.0
    assert "the qform is used" in remarks[0]


def test_a_spacing_that_contradicts_the_sform(tmp_path: Path) -> None:
    stretched = placed(0.0, (0.5, 2.0, 3.0))
    remarks, _ = remarks_and_origin(tmp_path / "a.nii", qform=placed(0.0), qform_code=0, sform=stretched, sform_code=1)
    assert remarks == ("pixdim and sform disagree about the spacing; pixdim is used: (1.0, 2.0, 3.0) mm (X, Y, Z)",)
    assert sitk.ReadImage(str(tmp_path / "a.nii")).GetSpacing() == SPACING


@pytest.mark.parametrize("flip", [1, -1])
def test_forms_that_agree_need_no_remark(tmp_path: Path, flip: int) -> None:
    angle = np.radians(25.0)
    rotation = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    form = np.eye(4)
    form[:3, :3] = rotation * SPACING * (flip, 1, 1)
    form[:3, 3] = -90.0, 120.0, 33.0
    remarks, _ = remarks_and_origin(tmp_path / "a.nii", qform=form, qform_code=1, sform=form, sform_code=1)
    assert remarks == ()
