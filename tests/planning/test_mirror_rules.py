import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.data.dataset import Case
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, LabelMap
from autoseg.planning import mirror_rules
from autoseg.planning.case_fingerprint import measure
from autoseg.planning.fingerprint import Fingerprint

FLAT = {
    "dimensions": 2,
    "shape": (1, 80, 60),
    "nonzero_box": ((0, 1), (20, 60), (15, 45)),
    "label_box": ((0, 1), (20, 60), (15, 45)),
}


@pytest.mark.parametrize(
    ("plane", "symmetry", "axes"),
    [
        ("axial", (0.9, 0.9, 0.6), ("columns",)),
        ("axial", (0.9, 0.9, 0.59), ()),
        ("coronal", (0.1, 0.1, 0.61), ("columns",)),
        ("sagittal", (0.9, 0.9, 0.9), ()),
    ],
)
def test_only_left_and_right_are_mirrored(make_fingerprint, plane, symmetry, axes):
    fingerprint = make_fingerprint({"symmetry": symmetry}, {"symmetry": None})
    assert mirror_rules.mirror_axes(fingerprint, plane=plane, recipe="auto").value == axes


def test_left_and_right_are_those_of_the_patient_not_of_the_array(make_fingerprint):
    stored = {"axes": ("left-right", "inferior-superior", "posterior-anterior"), "symmetry": (0.8, 0.1, 0.2)}
    assert mirror_rules.mirror_axes(make_fingerprint(stored), plane="axial", recipe="auto").value == ("columns",)


@pytest.mark.parametrize(
    ("rows", "columns", "axes"), [(0.8, 0.6, ("rows", "columns")), (0.8, 0.59, ()), (0.59, 0.8, ()), (0.59, 0.59, ())]
)
def test_2d_images_are_mirrored_where_both_axes_are_symmetric(make_fingerprint, rows, columns, axes):
    fingerprint = make_fingerprint({**FLAT, "symmetry": (1.0, rows, columns)})
    assert mirror_rules.mirror_axes(fingerprint, plane=None, recipe="auto").value == axes


def test_classes_that_are_each_others_mirror_image_are_not_flipped(make_fingerprint):
    def mirrored(*swapped, plane="axial", **changes):
        fingerprint = make_fingerprint(*[{"symmetry": (0.9, 0.9, 0.9), "swapped": each, **changes} for each in swapped])
        choice = mirror_rules.mirror_axes(fingerprint, plane=plane, recipe="auto")
        assert choice.value or "each other's mirror image" in choice.reason
        return choice.value

    left_right, up_down, none = (False, False, True), (True, True, False), (False, False, False)
    assert mirrored(left_right) == mirrored(left_right, none) == mirrored(left_right, None) == ()
    assert mirrored(left_right, none, none) == mirrored(up_down) == mirrored(None) == ("columns",)
    assert mirrored(left_right, plane=None, **FLAT) == mirrored((False, True, False), plane=None, **FLAT) == ()
    assert mirrored(none, plane=None, **FLAT) == ("rows", "columns")


LEFT, RIGHT, MIDDLE = (0.0, 0.0, 0.25), (0.0, 0.0, -0.25), (0.0, 0.0, 0.1)


@pytest.mark.parametrize(
    ("offsets", "axes"),
    [
        ([{1: LEFT}], ()),
        ([{1: LEFT}] * 3, ()),
        ([{1: RIGHT}] * 3, ()),
        ([{1: LEFT}, {1: RIGHT}], ("columns",)),
        ([{1: MIDDLE}] * 3, ("columns",)),
        ([{1: LEFT}] * 9 + [{1: RIGHT}], ()),
        ([{1: LEFT}] * 9 + [{1: MIDDLE}], ()),
        ([{1: LEFT}] * 8 + [{1: RIGHT}], ("columns",)),
        ([{1: LEFT}] * 10 + [{1: RIGHT}] * 10, ("columns",)),
        ([{1: LEFT}] * 3 + [None], ()),
        ([None], ("columns",)),
        ([{1: MIDDLE, 2: MIDDLE, 3: LEFT}] * 3, ()),  # one class of several
        ([{1: MIDDLE, 2: LEFT}, {1: MIDDLE}], ()),
        ([{1: MIDDLE, 2: LEFT}, {1: MIDDLE}, {1: MIDDLE}], ("columns",)),  # a rare one
    ],
)
def test_a_class_that_is_always_on_one_side_is_not_mirrored(make_fingerprint, offsets, axes):
    fingerprint = make_fingerprint(*({"symmetry": (0.9, 0.9, 0.9), "class_offsets": each} for each in offsets))
    assert mirror_rules.mirror_axes(fingerprint, plane="axial", recipe="auto").value == axes


def test_sides_are_those_along_the_axes_that_would_be_flipped(make_fingerprint):
    def mirrored(offset, *, plane, **changes):
        fingerprint = make_fingerprint(*[{"symmetry": (0.9, 0.9, 0.9), "class_offsets": {1: offset}, **changes}] * 3)
        return mirror_rules.mirror_axes(fingerprint, plane=plane, recipe="auto").value

    front, left = (0.0, 0.3, 0.0), (0.0, 0.0, 0.3)
    assert mirrored(front, plane="axial") == mirrored(front, plane="coronal") == ("columns",)
    assert mirrored(left, plane="axial") == mirrored(left, plane="coronal") == ()
    sideways = ("left-right", "inferior-superior", "posterior-anterior")
    assert mirrored((0.3, 0.0, 0.0), plane="axial", axes=sideways) == ()
    # Of images in which labels always lie in one half, either axis tells that they have an orientation.
    assert mirrored(front, plane=None, **FLAT) == mirrored(left, plane=None, **FLAT) == ()
    assert mirrored((0.0, 0.0, 0.0), plane=None, **FLAT) == ("rows", "columns")


def kidneys(number, *, side):
    """A scan of a body with two kidneys, of which only one is drawn: 1 the left one (+X), -1 the right one."""
    z, y, x = np.mgrid[:10, :32, :48]
    shift = number % 3 - 1

    def kidney(sign):
        along = (x - 24 - sign * (12 + shift)) * sign
        bean = ((z - 5) / 4) ** 2 + ((y - 19) / 5) ** 2 + ((along + (y - 19) * 0.25) / 4) ** 2 < 1
        return bean & ~(((y - 19) / 2) ** 2 + ((along + 4) / 2) ** 2 < 1)

    image = np.where(((y - 16) / 14) ** 2 + ((x - 24) / 22) ** 2 < 1, 100.0, 0.0).astype(np.float32)
    image[kidney(1) | kidney(-1)] = 160.0
    return image[None], kidney(side).astype(np.uint16)


def test_a_kidney_of_one_side_is_not_mirrored_and_a_lesion_of_either_is(tmp_path):
    (path := tmp_path / "file").write_bytes(b"content")
    geometry = Geometry((10, 32, 48), (6.0, 3.0, 3.0))

    def planned(sides):
        cases = []
        for number, side in enumerate(sides):
            image, labels = kidneys(number, side=side)
            case = Case(id=f"{number}", images=(path,), label=path, subject=f"{number}")
            cases.append(measure(case, Image(image, geometry), LabelMap(labels, geometry)))
        return mirror_rules.mirror_axes(Fingerprint(cases=tuple(cases)), plane="axial", recipe="auto")

    assert planned([1, -1, 1, 1, -1]).value == ("columns",)
    one_side = planned([1] * 5)
    assert one_side.value == ()
    assert one_side.reason == (
        "Label 1 lies on one side, the same in 5 of the 5 cases that show it: flipped slices would show it on the other."
    )


@given(symmetry=st.floats(0, 1), more=st.floats(0, 1))
def test_more_symmetric_labels_are_never_mirrored_less(make_fingerprint, symmetry, more):
    def mirrored(value: float) -> int:
        fingerprint = make_fingerprint({"symmetry": (0.0, 0.0, value)})
        return len(mirror_rules.mirror_axes(fingerprint, plane="axial", recipe="auto").value)

    assert mirrored(symmetry) <= mirrored(min(1.0, symmetry + more))


def test_the_paper_flips_both_axes_and_predicts_once(make_fingerprint):
    trained = mirror_rules.mirror_axes(make_fingerprint({}), plane="axial", recipe="paper").value
    assert trained == ("rows", "columns")
    assert mirror_rules.tta_axes(trained, recipe="paper").value == ()
    assert mirror_rules.tta_axes(("columns",), recipe="auto").value == ("columns",)


def test_why_mirrored_in_training(make_fingerprint):
    def why(plane, *, recipe="auto"):
        return mirror_rules.mirror_axes(make_fingerprint({}), plane=plane, recipe=recipe).reason

    assert why("axial", recipe="paper") == "The paper uses random flips; that they go along both axes is ours."
    assert why("sagittal") == "Sagittal slices do not show left and right, the only symmetric axis of a patient."
    assert why("axial") == (
        "Left and right of the label maps agree to a Dice of 0.80 in the median scan; mirroring needs 0.6."
    )
    assert why(None) == (
        "Labels agree with their mirror images to a Dice of 0.50 (rows) and 0.80 (columns); both must reach 0.6."
    )


def test_why_averaged_over_flips():
    def why(trained, *, recipe="auto"):
        return mirror_rules.tta_axes(trained, recipe=recipe).reason

    assert why(("columns",), recipe="paper") == "The paper mentions no averaging over flips."
    assert why(()) == "No axis is mirrored in training."
    assert why(("columns",)) == "The axes mirrored in training: averaging over their flips steadies the prediction."
