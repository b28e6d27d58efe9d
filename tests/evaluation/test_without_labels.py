"""Voxels without a label: scores are those of the labelled part, and a surface that nobody drew has no distances."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autoseg.data.dataset import LabelClass
from autoseg.evaluation.cases import NOT_THROUGHOUT, CaseMetrics, score_case
from autoseg.evaluation.comparison import class_mean, why_undefined
from autoseg.evaluation.folders import evaluate_folders
from autoseg.evaluation.tables import read_cases, summarise, write_cases
from autoseg.events import Silent
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.postprocessing.judging import step_helps

CLASSES = (LabelClass(value=0, name="background"), LabelClass(value=1, name="GM"), LabelClass(value=2, name="WM"))
SPACING_MM = (2.0, 1.0, 1.0)
IGNORE = 255


def maps(seed: int = 0) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    generator = np.random.default_rng(seed)
    prediction, reference = generator.integers(0, 3, (2, 6, 8, 7)).astype(np.uint16)
    return prediction, reference


def scored(prediction: NDArray[np.uint16], reference: NDArray[np.uint16], ignore: int | None = IGNORE) -> CaseMetrics:
    return score_case("case", prediction, reference, classes=CLASSES, spacing_mm=SPACING_MM, ignore=ignore)


def test_scores_are_those_of_arrays_cut_by_hand() -> None:
    prediction, reference = maps()
    cut = scored(prediction[:2], reference[:2])
    reference[2:] = IGNORE
    found = scored(prediction, reference)
    for ours, theirs in zip(found.classes, cut.classes, strict=True):
        for metric in ("dice", "volume_ml", "reference_volume_ml"):
            assert ours.number(metric) == pytest.approx(theirs.number(metric))
        for metric in ("nsd", "hausdorff_mm", "hausdorff95_mm", "assd_mm", "nsd_tolerance_mm"):
            assert math.isnan(ours.number(metric))
            assert not math.isnan(theirs.number(metric))


def test_a_value_that_no_voxel_has_changes_nothing() -> None:
    assert scored(*maps()) == scored(*maps(), ignore=None)


def test_why_there_is_no_distance_is_told_also_of_stored_scores(tmp_path: Path) -> None:
    prediction, reference = maps()
    reference[0] = IGNORE
    prediction[prediction == 2] = 0
    write_cases(tmp_path / "metrics.csv", [scored(prediction, reference)])
    (case,) = read_cases(tmp_path / "metrics.csv")
    gm, wm = case.classes
    for metric in ("nsd", "hausdorff_mm", "hausdorff95_mm", "assd_mm"):
        assert why_undefined(gm, metric) == NOT_THROUGHOUT
        assert why_undefined(wm, metric) == "not found"
    assert class_mean(case, "hausdorff_mm").reason == f"GM {NOT_THROUGHOUT} and WM not found"
    assert class_mean(case, "dice").reason == ""
    (label, _) = summarise([case]).classes
    assert label.why_undefined("hausdorff_mm") == f"1 {NOT_THROUGHOUT}"


def test_a_mean_without_any_distance_names_one_reason() -> None:
    prediction, reference = maps()
    reference[0] = IGNORE
    assert class_mean(scored(prediction, reference), "nsd").reason == NOT_THROUGHOUT


def test_a_step_that_empties_a_class_is_seen_without_distances() -> None:
    prediction, reference = maps()
    reference[0] = IGNORE
    emptied = np.where(prediction == 2, 0, prediction).astype(np.uint16)
    kept, reason = step_helps([scored(prediction, reference)], [scored(emptied, reference)], value=2)
    assert not kept
    assert reason == "nothing of WM is left in 1 case that have it"


def store(folder: Path, labels: NDArray[np.uint16]) -> None:
    geometry = Geometry(shape=labels.shape, spacing_mm=SPACING_MM)
    write_labels(folder / "case.nii.gz", labels, geometry)


def test_folders_keep_255_as_a_class_unless_asked(tmp_path: Path) -> None:
    prediction, reference = maps()
    reference[:3] = IGNORE
    store(tmp_path / "ours", prediction)
    store(tmp_path / "theirs", reference)

    def names(ignore: int | None) -> list[str]:
        found = evaluate_folders(tmp_path / "ours", tmp_path / "theirs", classes=None, ignore=ignore, events=Silent())
        assert found.partial == (() if ignore is None else ("case",))
        (case,) = found.cases
        return [label.name for label in case.classes]

    assert names(None) == ["class 1", "class 2", "class 255"]
    assert names(IGNORE) == ["class 1", "class 2"]
