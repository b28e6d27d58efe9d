import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoseg.planning import mirror_rules

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
def test_pictures_are_mirrored_where_both_axes_are_symmetric(make_fingerprint, rows, columns, axes):
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
