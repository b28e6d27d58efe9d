"""What is done to probabilities and label maps of regions: shifts, doubt, postprocessing, volumes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles.whole_scans import expected_dice

from autoseg.data.dataset import LabelClass
from autoseg.data.labels import encoding_of, mask_of, value_around
from autoseg.images.geometry import Geometry
from autoseg.images.image import LabelMap
from autoseg.inference.quality import entropy
from autoseg.inference.shift import shift
from autoseg.inference.steps import Step, StepType, apply_steps
from autoseg.inference.table import volumes_ml

WHOLE = LabelClass(value=1, name="whole", values=(1, 2, 3), order=0)
CORE = LabelClass(value=2, name="core", values=(2, 3), order=1)
ENHANCING = LabelClass(value=3, name="enhancing", values=(3,), order=2)
VESSEL = LabelClass(value=5, name="vessel", values=(5,), order=3)
CLASSES = (LabelClass(value=0, name="background"), WHOLE, CORE, ENHANCING, VESSEL)
ENCODING = encoding_of(CLASSES)
CUBE = (1.0, 1.0, 1.0)
Volume = np.ndarray[tuple[int, ...], np.dtype[np.uint16]]


def flat(*rows: str) -> Volume:
    """A single slice, drawn with one digit per voxel; `.` is background."""
    return np.array([[[0 if sign == "." else int(sign) for sign in row] for row in rows]], dtype=np.uint16)


def clean(labels: Volume, step: StepType, label: int | None, min_volume_ml: float | None = None) -> list[list[list[int]]]:
    steps = [Step(type=step, label=label, min_volume_ml=min_volume_ml)]
    found: list[list[list[int]]] = apply_steps(labels, steps, spacing_mm=CUBE, classes=CLASSES).tolist()
    return found


def test_what_lies_around_a_region() -> None:
    assert [value_around(label, CLASSES) for label in CLASSES[1:]] == [0, 1, 2, 0]


def test_a_component_of_an_outer_region_takes_those_inside_along() -> None:
    labels = flat("111..1", "131..2", "111..3")
    assert clean(labels, "largest_component", 1) == flat("111...", "131...", "111...").tolist()


def test_a_component_of_an_inner_region_becomes_the_region_around_it() -> None:
    labels = flat("11111..", "1221311", "1221111", "1111..2")
    # Of the core, the component with an enhancing voxel in it and the one beside the background are small.
    expected = flat("11111..", "1221111", "1221111", "1111..1").tolist()
    assert clean(labels, "largest_component", 2) == expected
    assert clean(labels, "drop_small", 2, 0.0035) == expected
    assert clean(flat("3312231", "2212221"), "largest_component", 3) == flat("3312221", "2212221").tolist()


def test_a_component_beside_another_region_leaves_that_alone() -> None:
    labels = flat("11.555", "11.515", "...555")
    assert clean(labels, "largest_component", 1) == flat("11.555", "11.5.5", "...555").tolist()


def test_all_foreground_goes_whatever_region_it_is() -> None:
    assert (
        clean(flat("1111.3", "1221.2", "1111.."), "largest_component", None) == flat("1111..", "1221..", "1111..").tolist()
    )


def test_a_hole_of_a_region_takes_its_own_value() -> None:
    labels = flat("1111111", "1.12221", "1112131", "1112221", "1111111")
    assert clean(labels, "fill_holes", 1) == flat("1111111", "1112221", "1112131", "1112221", "1111111").tolist()
    assert clean(labels, "fill_holes", 2) == flat("1111111", "1.12221", "1112231", "1112221", "1111111").tolist()
    assert clean(labels, "fill_holes", 3) == labels.tolist()
    beside = flat("55555", "5.5.5", "55515")  # whose second hole touches another region
    assert clean(beside, "fill_holes", 5) == flat("55555", "555.5", "55515").tolist()


@given(
    arrays(np.uint16, (3, 5, 5), elements=st.sampled_from([0, 1, 2, 3, 5])),
    st.sampled_from([1, 2, 3, 5]),
    st.sampled_from(["largest_component", "drop_small", "fill_holes"]),
)
def test_a_step_changes_a_region_and_those_inside_it_and_no_other(labels: Volume, value: int, step: StepType) -> None:
    size = 0.003 if step == "drop_small" else None
    found = np.array(clean(labels, step, value, size), dtype=np.uint16)
    own = next(label for label in CLASSES if label.value == value)
    for label in CLASSES[1:]:
        before, after = mask_of(label, labels), mask_of(label, found)
        assert (after >= before if step == "fill_holes" else after <= before).all()
        if not set(label.label_values) <= set(own.label_values):
            np.testing.assert_array_equal(before, after)


def test_odds_are_shifted_region_by_region() -> None:
    probabilities = np.array([[0.2], [0.8], [0.5], [0.1], [0.0]], dtype=np.float32)
    shift(probabilities, (math.log(2), math.log(2), math.log(6), 0.0, 5.0), exclusive=False)
    # odds 4, 1, 1/9 and 0 times 1, 3, 1/2 and whatever
    np.testing.assert_allclose(probabilities[1:, 0], [4 / 5, 3 / 4, 1 / 19, 0], rtol=1e-5)
    assert probabilities[0, 0] == pytest.approx(1 / 5, rel=1e-5)


def test_doubt_is_that_of_the_region_in_doubt() -> None:
    probabilities = np.array([[0, 0.5, 0.1], [1, 0.5, 0.9], [0.25, 0, 0.9], [0, 1, 0.1], [0, 0, 0]], dtype=np.float32)
    tenth, quarter = (-(p * math.log2(p) + (1 - p) * math.log2(1 - p)) for p in (0.1, 0.25))
    found = entropy(probabilities[:, None, None, :], exclusive=False)
    assert found.dtype == np.float32
    assert found.ravel() == pytest.approx([quarter, 1.0, tenth], abs=1e-5)


def test_the_expected_dice_of_a_region_is_that_of_the_mask_that_is_written() -> None:
    probabilities = np.array([[0.1, 0.6], [0.9, 0.4], [0.2, 0.8], [0, 0], [0, 0]], dtype=np.float32)[:, None, None, :]
    whole, core = expected_dice(probabilities, ENCODING)[1:3]
    # The core's second voxel is written inside the whole, which expects .4 of it.
    assert whole == pytest.approx(2 * (0.9 + 0.4) / (2 + 1.3), rel=1e-6)
    assert core == pytest.approx(2 * 0.8 / (1 + 1.0), rel=1e-6)


def test_the_volume_of_a_region_holds_those_inside() -> None:
    found = volumes_ml(LabelMap(flat("1.23", "55..").copy(), Geometry((1, 2, 4), (10.0, 10.0, 10.0))), CLASSES)
    assert found == {"whole": 3.0, "core": 2.0, "enhancing": 1.0, "vessel": 2.0}
