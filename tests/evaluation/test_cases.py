import math
from contextlib import contextmanager

import numpy as np
import pytest

from autoseg.data.dataset import LabelClass
from autoseg.errors import ImageError
from autoseg.evaluation import cases
from autoseg.evaluation.cases import at_tolerances, score_case
from autoseg.evaluation.folders import evaluate_folders
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.metrics.masks import Masks
from autoseg.metrics.table import METRICS

CLASSES = (
    LabelClass(value=0, name="background"),
    LabelClass(value=2, name="GM"),
    LabelClass(value=7, name="WM"),
)
SPACING_MM = (2.0, 1.0, 0.5)
SHAPE = (4, 6, 8)


class Recorder:
    """Events, kept."""

    def __init__(self):
        self.warnings = []
        self.bars = []

    def info(self, message):
        pytest.fail(f"unexpected note {message}")

    def warn(self, message):
        self.warnings.append(message)

    @contextmanager
    def track(self, label, *, total, unit):
        self.bars.append([total, unit, 0])
        yield self

    def advance(self, steps=1, **fields):
        self.bars[-1][2] += steps


def label_map(*painted):
    """Zeros, with boxes painted: (slices, value)."""
    labels = np.zeros(SHAPE, np.uint16)
    for where, value in painted:
        labels[where] = value
    return labels


def write(folder, name, labels, spacing_mm=SPACING_MM):
    folder.mkdir(exist_ok=True)
    write_labels(folder / name, labels, Geometry(shape=labels.shape, spacing_mm=spacing_mm))


@pytest.fixture
def folders(tmp_path):
    """Predictions and references of three cases: a is perfect, b is shifted by one voxel along X, c lacks class 7."""
    ours, theirs = tmp_path / "predictions", tmp_path / "references"
    gm, wm = (np.s_[1:3, 1:3, 1:3], 2), (np.s_[1:3, 3:5, 1:3], 7)
    shifted = label_map((np.s_[1:3, 1:3, 2:4], 2), (np.s_[1:3, 3:5, 2:4], 7))
    for name, prediction, reference in (
        ("a", label_map(gm, wm), label_map(gm, wm)),
        ("b", shifted, label_map(gm, wm)),
        ("c", label_map(gm), label_map(gm)),
    ):
        write(ours, f"{name}.nii.gz", prediction)
        write(theirs, f"{name}_seg.nii.gz", reference)
    return ours, theirs


def test_a_case_is_scored_per_class_without_background():
    reference = label_map((np.s_[1:3, 1:3, 1:3], 2), (np.s_[0, 0, 0], 7))
    prediction = label_map((np.s_[1:3, 1:3, 2:4], 2))
    case = score_case(
        "x", prediction, reference, classes=CLASSES[::-1], spacing_mm=SPACING_MM, tolerances_mm={2: 0.5, 7: 3.0}, ignore=None
    )
    gm, wm = case.classes
    assert case.id == "x"
    assert (gm.value, gm.name, wm.value, wm.name) == (2, "GM", 7, "WM")
    # Eight voxels each, half of them shared, the others one column (0.5 mm) away, in both directions.
    assert gm.dice == 0.5
    assert (gm.hausdorff_mm, gm.number("hausdorff95_mm"), gm.number("assd_mm")) == pytest.approx((0.5, 0.5, 0.25))
    assert (gm.number("nsd"), gm.number("nsd_tolerance_mm")) == (1.0, 0.5)
    assert gm.number("volume_ml") == gm.number("reference_volume_ml") == pytest.approx(0.008)
    # In the reference only.
    assert (wm.dice, wm.number("volume_ml"), wm.number("reference_volume_ml")) == (0.0, 0.0, pytest.approx(0.001))
    assert (wm.number("nsd"), wm.number("nsd_tolerance_mm")) == (0.0, 3.0)
    assert all(math.isnan(value) for value in (wm.hausdorff_mm, wm.number("hausdorff95_mm"), wm.number("assd_mm")))


def test_the_tolerance_is_that_of_the_class_or_one_for_all_or_a_millimetre():
    shifted, there = label_map((np.s_[1:3, 1:3, 3:5], 2)), label_map((np.s_[1:3, 1:3, 1:3], 2))
    # Of the 8 voxels of either mask 4 are 0.5 mm from the other, 4 are 1 mm.
    for tolerances_mm, expected in (({2: 0.6}, 0.5), (0.6, 0.5), (0.4, 0.0), ({7: 0.4}, 1.0), (1.0, 1.0)):
        case = score_case(
            "x", shifted, there, classes=CLASSES[:2], spacing_mm=SPACING_MM, ignore=None, tolerances_mm=tolerances_mm
        )
        assert case.classes[0].number("nsd") == expected
    assert (
        score_case("x", shifted, there, classes=CLASSES[:2], spacing_mm=SPACING_MM, ignore=None).classes[0].number("nsd")
        == 1.0
    )


def test_scores_of_another_tolerance_are_undefined():
    labels = label_map((np.s_[1:3, 1:3, 1:3], 2), (np.s_[0, 0, 0], 7))
    scored = score_case(
        "x", labels, labels, classes=CLASSES, spacing_mm=SPACING_MM, ignore=None, tolerances_mm={2: 0.5, 7: 3.0}
    )
    assert at_tolerances([scored], {2: 0.5, 7: 3.0}) == (scored,)
    [(gm, wm)] = [case.classes for case in at_tolerances([scored], {2: 0.5, 7: 2.0})]
    assert gm == scored.classes[0]
    assert math.isnan(wm.number("nsd"))
    assert (wm.dice, wm.number("nsd_tolerance_mm")) == (1.0, 3.0)


def test_folders_are_scored_in_order_with_progress(folders):
    events = Recorder()
    evaluation = evaluate_folders(*folders, classes=CLASSES, ignore=None, events=events)
    assert [case.id for case in evaluation.cases] == ["a", "b", "c"]
    assert [[scores.dice for scores in case.classes] for case in evaluation.cases[:2]] == [[1.0, 1.0], [0.5, 0.5]]
    assert evaluation.cases[1].classes[0].hausdorff_mm == pytest.approx(0.5)
    absent = evaluation.cases[2].classes[1]
    assert math.isnan(absent.dice)
    assert absent.number("volume_ml") == absent.number("reference_volume_ml") == 0
    assert evaluation.failures == evaluation.unpaired == ()
    assert events.bars == [[3, "cases", 3]]
    assert events.warnings == []


def test_without_classes_every_value_found_on_either_side_is_one(folders):
    ours, theirs = folders
    write(ours, "c.nii.gz", label_map((np.s_[1:3, 1:3, 1:3], 2), (np.s_[0, 0, 0], 9)))
    evaluation = evaluate_folders(ours, theirs, classes=None, ignore=None, events=Silent())
    assert [[scores.name for scores in case.classes] for case in evaluation.cases] == [["class 2", "class 7", "class 9"]] * 3
    in_a, in_c = evaluation.cases[0].classes[2], evaluation.cases[2].classes[2]
    assert math.isnan(in_a.dice)
    assert (in_a.number("volume_ml"), in_a.number("reference_volume_ml")) == (0.0, 0.0)
    assert (in_c.dice, in_c.number("reference_volume_ml")) == (0.0, 0.0)
    assert in_c.number("volume_ml") == pytest.approx(0.001)


def test_without_classes_one_tolerance_holds_for_all(folders):
    cases = evaluate_folders(*folders, classes=None, tolerances_mm=0.5, ignore=None, events=Silent()).cases
    assert {scores.number("nsd_tolerance_mm") for case in cases for scores in case.classes} == {0.5}
    assert [[scores.number("nsd") for scores in case.classes] for case in cases[:2]] == [[1.0, 1.0], [1.0, 1.0]]
    narrow = evaluate_folders(*folders, classes=None, tolerances_mm=0.4, ignore=None, events=Silent()).cases
    assert [scores.number("nsd") for scores in narrow[1].classes] == [0.5, 0.5]
    assert math.isnan(narrow[2].classes[1].number("nsd"))


def test_a_case_that_fails_is_recorded_and_the_others_go_on(folders):
    ours, theirs = folders
    (ours / "a.nii.gz").write_bytes(b"not an image")
    write(ours, "b.nii.gz", label_map(), spacing_mm=(2.0, 1.0, 0.6))
    evaluation = evaluate_folders(ours, theirs, classes=CLASSES, ignore=None, events=Silent())
    assert [case.id for case in evaluation.cases] == ["c"]
    assert [case for case, _ in evaluation.failures] == ["a", "b"]
    assert all(isinstance(error, ImageError) for _, error in evaluation.failures)
    assert str(ours / "a.nii.gz") in str(evaluation.failures[0][1])
    assert "spacing" in str(evaluation.failures[1][1])
    assert str(theirs / "b_seg.nii.gz") in str(evaluation.failures[1][1])


def test_values_that_are_no_class_fail_the_case(folders):
    evaluation = evaluate_folders(*folders, classes=CLASSES[:2], ignore=None, events=Silent())
    assert [case.id for case in evaluation.cases] == ["c"]
    assert [case for case, _ in evaluation.failures] == ["a", "b"]


def test_an_empty_prediction_is_scored_and_remarked(folders):
    ours, theirs = folders
    write(ours, "a.nii.gz", label_map())
    events = Recorder()
    evaluation = evaluate_folders(ours, theirs, classes=CLASSES, ignore=None, events=events)
    assert [scores.dice for scores in evaluation.cases[0].classes] == [0.0, 0.0]
    assert len(events.warnings) == 1
    assert "empty" in events.warnings[0]
    assert str(ours / "a.nii.gz") in events.warnings[0]


def test_unpaired_files_are_reported(folders):
    ours, theirs = folders
    (ours / "a.nii.gz").rename(ours / "other.nii.gz")
    evaluation = evaluate_folders(ours, theirs, classes=CLASSES, ignore=None, events=Silent())
    assert evaluation.unpaired == (ours / "other.nii.gz", theirs / "a_seg.nii.gz")
    assert [case.id for case in evaluation.cases] == ["b", "c"]


def test_several_processes_find_the_same(folders):
    ours, theirs = folders
    (ours / "b.nii.gz").write_bytes(b"not an image")
    alone = evaluate_folders(ours, theirs, classes=CLASSES, ignore=None, events=Silent(), jobs=1)
    together = evaluate_folders(ours, theirs, classes=CLASSES, ignore=None, events=Silent(), jobs=2)
    assert repr(together.cases) == repr(alone.cases)  # as text, because NaN differs from itself
    assert [(case, str(error)) for case, error in together.failures] == [
        (case, str(error)) for case, error in alone.failures
    ]
    assert [case for case, _ in together.failures] == ["b"]


def test_a_region_is_scored_wherever_one_of_its_values_stands():
    whole = LabelClass(value=2, name="whole", values=(2, 7), order=0)
    core = LabelClass(value=7, name="core", values=(7,), order=1)
    reference = label_map((np.s_[:, :4, :4], 2), (np.s_[:, :2, :2], 7))
    prediction = label_map((np.s_[:, :4, :4], 2), (np.s_[:, 2:4, :2], 7))
    scores = score_case("c", prediction, reference, classes=(CLASSES[0], whole, core), spacing_mm=SPACING_MM, ignore=None)
    assert [(of.name, of.value, of.dice) for of in scores.classes] == [("whole", 2, 1.0), ("core", 7, 0.0)]
    assert scores.classes[0].number("reference_volume_ml") == 4 * 4 * 4 / 1000


def scored_on_the_whole(prediction, reference, *, classes, spacing_mm, ignore):
    """What `score_case` gives, from masks of the whole image."""
    labelled = np.ones(reference.shape, bool) if ignore is None else reference != ignore
    numbers = []
    for label in classes[1:]:
        ours, theirs = (np.isin(labels, label.label_values) for labels in (prediction, reference))
        masks = Masks(ours & labelled, theirs, spacing_mm, throughout=bool(labelled.all()))
        numbers.append({name: metric.compute(masks) for name, metric in METRICS.items()})
    return numbers


REGIONS = (
    CLASSES[0],
    LabelClass(value=1, name="whole", values=(1, 3, 5), order=0),
    LabelClass(value=3, name="core", values=(3, 5), order=1),
)


@pytest.mark.parametrize("classes", [CLASSES, REGIONS], ids=["classes", "regions"])
@pytest.mark.parametrize("ignore", [None, 255])
def test_boxes_around_classes_change_no_number(classes, ignore):
    """Of random volumes, many with an axis of one voxel, with classes at all borders, in one voxel, or nowhere."""
    generator = np.random.default_rng(0)
    values = [0, *{value for label in classes[1:] for value in label.label_values}]

    def painted(shape, dtype):
        labels = generator.choice(values, size=shape) * (generator.random(shape) < generator.choice([0.02, 0.3, 0.9]))
        low, high = np.sort(generator.integers(0, np.array(shape) + 1, size=(2, 3)), axis=0)
        kept = np.zeros(shape, bool)
        kept[tuple(map(slice, low, high))] = True
        return (labels * (kept | (generator.random() < 0.3))).astype(dtype)

    for number in range(150):
        shape = tuple(generator.integers(1, 8, size=3) * (generator.random(3) < 0.8) + 1)
        spacing_mm = tuple(generator.choice([0.5, 0.94, 1.0, 3.0], size=3).tolist())
        prediction, reference = (painted(shape, dtype) for dtype in (np.uint16, (np.uint8, np.int64)[number % 2]))
        if ignore is not None and number % 3:
            reference[generator.random(shape) < 0.1] = ignore
        case = score_case(
            "x", prediction, reference, classes=classes, spacing_mm=spacing_mm, tolerances_mm=1.0, ignore=ignore
        )
        expected = scored_on_the_whole(prediction, reference, classes=classes, spacing_mm=spacing_mm, ignore=ignore)
        assert [scores.value for scores in case.classes] == [label.value for label in classes[1:]]
        for scores, numbers in zip(case.classes, expected, strict=True):
            assert scores.numbers == pytest.approx(numbers, rel=0, abs=0, nan_ok=True)


def test_volumes_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="of one shape"):
        score_case(
            "x", np.zeros((3, 4, 5), int), np.zeros((3, 4, 6), int), classes=CLASSES, spacing_mm=SPACING_MM, ignore=None
        )
    with pytest.raises(ValueError, match="two volumes"):
        score_case("x", np.zeros((4, 5), int), np.zeros((4, 5), int), classes=CLASSES, spacing_mm=SPACING_MM, ignore=None)


def test_every_label_map_is_looked_at_once_for_the_boxes_of_all_classes(monkeypatch):
    looks = []
    find_objects = cases.ndimage.find_objects
    monkeypatch.setattr(
        cases.ndimage, "find_objects", lambda *given, **more: looks.append(1) or find_objects(*given, **more)
    )
    whole = np.zeros((40, 50, 60), np.uint16)
    whole[10:14, 20:25, 30:36] = 2
    computed = []
    monkeypatch.setattr(
        cases, "Masks", lambda ours, *others, **more: computed.append(ours.shape) or Masks(ours, *others, **more)
    )
    score_case("x", whole, whole, classes=CLASSES, spacing_mm=SPACING_MM, ignore=None)
    assert len(looks) == 2
    assert computed == [(6, 7, 8), (1, 1, 1)]
