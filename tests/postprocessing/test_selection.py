import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from autoseg.errors import WorkspaceError
from autoseg.inference.quality import ClassQuality, Quality, QualityPoint
from autoseg.inference.steps import Step
from autoseg.postprocessing.selection import (
    Candidate,
    ClassScore,
    Estimate,
    Score,
    SelectedModel,
    Selection,
    TriedShift,
    TriedStep,
    decision_digest,
    read_selection,
    write_selection,
)

ESTIMATE = Estimate(mean=0.9, low=0.85, high=0.95, cases=4)
UNDEFINED = Estimate(mean=None, low=None, high=None, cases=0)
SCORE = Score(dice=ESTIMATE, hausdorff_mm=UNDEFINED, classes=(ClassScore(name="GM", dice=ESTIMATE, hausdorff_mm=UNDEFINED),))
MODELS = (
    SelectedModel(architecture="unet", fold="0", weights_sha256="a" * 64),
    SelectedModel(architecture="sepres", fold="official", weights_sha256="b" * 64),
)
STEPS = (Step(type="drop_small", label=None, min_volume_ml=0.25), Step(type="fill_holes", label=3))
SELECTION = Selection(
    plan_digest="c" * 64,
    data_key="d" * 64,
    models=MODELS,
    views=(),
    log_shift=(),
    postprocessing=STEPS,
    decided_sha256=decision_digest(MODELS, STEPS, log_shift=(), views=()),
    reasons=("it scores best",),
    missing=(),
    compared_cases=("01", "02"),
    candidates=(
        Candidate(networks=("unet", "sepres"), score=SCORE, difference=None, p=None),
        Candidate(networks=("unet",), score=SCORE, difference=ESTIMATE, p=0.25),
    ),
    shift=TriedShift(log_shift=(0.0, -0.35), phrase="GM -0.35", kept=False, reason="", before=SCORE, after=SCORE),
    tried=(TriedStep(step=STEPS[1], phrase="GM: holes filled", kept=True, reason="", before=SCORE, after=SCORE),),
    score=SCORE,
    quality=Quality(
        classes=(ClassQuality(name="GM", intercept=-0.1, slope=1.0, error=None, lowest=0.7),),
        points=(QualityPoint(case="01", name="GM", expected=0.9, reached=0.8, predicted=None),),
    ),
    intervals="skewness-adjusted t",
)


def stored(folder: Path) -> tuple[Path, dict[str, Any]]:
    """A selection's file and what is in it."""
    path = folder / "selection.json"
    write_selection(SELECTION, path)
    return path, json.loads(path.read_text())


def refused(path: Path, document: object) -> WorkspaceError:
    path.write_text(json.dumps(document))
    with pytest.raises(WorkspaceError) as raised:
        read_selection(path)
    return raised.value


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    path, document = stored(tmp_path)
    assert read_selection(path) == SELECTION
    assert not read_selection(path).edited
    assert document["version"] == 3
    assert document["postprocessing"] == [
        {"type": "drop_small", "label": None, "min_volume_ml": 0.25},
        {"type": "fill_holes", "label": 3, "min_volume_ml": None},
    ]


def test_the_digest_of_a_decision_is_that_of_its_canonical_json() -> None:
    models = '[{"architecture":"unet","fold":"0","weights_sha256":"' + "a" * 64 + '"}]'
    steps = '[{"kind":"fill_holes","label":3,"smallest_ml":null}]'  # as in format 1: an older digest stays what it is
    by_hand = hashlib.sha256(f"[{models},{steps}]".encode()).hexdigest()
    assert decision_digest(MODELS[:1], STEPS[1:], log_shift=(), views=()) == by_hand


def test_a_selection_of_format_2_shifts_nothing(tmp_path: Path) -> None:
    path, document = stored(tmp_path)
    del document["views"], document["log_shift"], document["shift"], document["intervals"]
    path.write_text(json.dumps({**document, "version": 2}))
    assert read_selection(path) == SELECTION.model_copy(update={"shift": None, "intervals": "percentile bootstrap"})
    assert not read_selection(path).edited


def test_a_selection_of_format_1_is_read_as_the_same(tmp_path: Path) -> None:
    path, document = stored(tmp_path)
    for step in (*document["postprocessing"], *(trial["step"] for trial in document["tried"])):
        step["kind"], step["smallest_ml"] = step.pop("type"), step.pop("min_volume_ml")
    path.write_text(json.dumps({**document, "version": 1}))
    assert read_selection(path) == SELECTION
    assert not read_selection(path).edited
    document["postprocessing"][0]["smallest_ml"] = 0.5
    path.write_text(json.dumps({**document, "version": 1}))
    assert read_selection(path).edited


@pytest.mark.parametrize(
    "broken", [{"postprocessing": 3}, {"tried": [7]}, {"tried": {"step": {}}}, {"postprocessing": [None]}]
)
def test_a_broken_selection_of_format_1_is_refused_by_name(tmp_path: Path, broken: dict[str, Any]) -> None:
    path, document = stored(tmp_path)
    assert f" {next(iter(broken))}" in refused(path, {**document, **broken, "version": 1}).what


@pytest.mark.parametrize(
    "change",
    [
        {"models": MODELS[:1]},
        {"models": MODELS[::-1]},
        {"postprocessing": ()},
        {"log_shift": (0.0, 0.1)},
        {"views": ("axial",)},
    ],
)
def test_a_changed_decision_is_noticed(change: dict[str, object]) -> None:
    assert SELECTION.model_copy(update=change).edited


def test_changed_evidence_is_no_changed_decision() -> None:
    assert not SELECTION.model_copy(update={"reasons": (), "candidates": ()}).edited


def test_a_selection_edited_by_hand_is_read_and_known_as_edited(tmp_path: Path) -> None:
    path, document = stored(tmp_path)
    document["postprocessing"][0]["min_volume_ml"] = 0.5
    path.write_text(json.dumps(document))
    assert read_selection(path).edited
    assert read_selection(path).postprocessing[0].min_volume_ml == 0.5


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"version": True}, "version"),
        ({"models": []}, "models"),
        ({"plan_digest": "c" * 63}, "plan_digest"),
        ({"models": [{"architecture": "vnet", "fold": "0", "weights_sha256": "a" * 64}]}, "models.0.architecture"),
        ({"models": [{"architecture": "unet", "fold": "0", "weights_sha256": "a" * 64, "x": 1}]}, "models.0.x"),
        ({"postprocessing": [{"type": "fill_holes", "label": 0}]}, "postprocessing.0.label"),
        ({"postprocessing": [{"type": "fill_holes", "label": 3, "min_volume_ml": 1}]}, "postprocessing.0"),
        ({"postprocessing": [{"type": "drop_small", "label": 3}]}, "postprocessing.0"),
        ({"quality": {"classes": []}}, "quality.points"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(tmp_path: Path, change: dict[str, object], named: str) -> None:
    path, document = stored(tmp_path)
    error = refused(path, {**document, **change})
    assert error.where == str(path)
    assert f" {named}: " in error.what
    assert "autoseg select" in error.remedy


@pytest.mark.parametrize("key", sorted(name for name, field in Selection.model_fields.items() if field.is_required()))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    path, document = stored(tmp_path)
    del document[key]
    assert f" {key}: " in refused(path, document).what


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path, document = stored(tmp_path)
    what = refused(path, {**document, "colour": "red", "models": []}).what
    assert "colour" in what
    assert "models" in what


def test_what_is_no_selection_at_all_is_refused(tmp_path: Path) -> None:
    path, _ = stored(tmp_path)
    assert "not a usable selection: expected an object" in refused(path, []).what
    path.write_text("{")
    with pytest.raises(WorkspaceError, match="not a JSON document") as raised:
        read_selection(path)
    assert "autoseg select" in raised.value.remedy
    path.unlink()
    with pytest.raises(WorkspaceError, match="does not exist"):
        read_selection(path)
