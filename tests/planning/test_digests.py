"""Digests of plans: of what was decided, whatever later versions add to its keys or however it is written."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, create_model

from autoseg import catalogue
from autoseg.planning.augmentation_section import AugmentationSection
from autoseg.planning.decided import Decision
from autoseg.planning.evaluation_section import EvaluationSection
from autoseg.planning.plan import PLAN, Plan, read_plan
from autoseg.planning.sections import (
    Inputs,
    NetworkSection,
    NormalisationStep,
    PredictionSection,
    PreprocessingSection,
    TrainingSection,
    View,
)
from autoseg.planning.slices_section import SliceSelection

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
PLANS_OF_0_1 = (STORED / "workspace" / "plan.json", STORED / "plan_as_planned.json")
MakePlan = Callable[..., Plan]


def later(model: type[Any], default: Any = "neutral") -> type[Any]:
    """A section as a later version may have it."""
    return create_model(model.__name__, __base__=model, of_later=(type(default), Field(default=default)))


class LaterPreprocessing(later(PreprocessingSection)):  # type: ignore[misc]
    normalisation: tuple[later(NormalisationStep), ...]  # type: ignore[valid-type]


class LaterTraining(later(TrainingSection, default=0)):  # type: ignore[misc]
    slices: later(SliceSelection)  # type: ignore[valid-type]


class LaterPlan(Plan):
    """A plan that has a key more wherever it can have one."""

    inputs: later(Inputs)  # type: ignore[valid-type]
    views: tuple[later(View, default=1.0), ...]  # type: ignore[valid-type]
    preprocessing: LaterPreprocessing
    network: later(NetworkSection, default=False)  # type: ignore[valid-type]
    training: LaterTraining
    augmentation: later(AugmentationSection)  # type: ignore[valid-type]
    prediction: later(PredictionSection, default=())  # type: ignore[valid-type]
    of_later: str = "neutral"


def as_of_later(plan: Plan, **changes: Any) -> LaterPlan:
    document = json.loads(PLAN.text(plan))
    for section, change in changes.items():
        part = document[section][0] if section == "views" else document[section]
        part.update(change)
    return LaterPlan.model_validate_json(json.dumps(document))


@pytest.mark.parametrize("path", PLANS_OF_0_1, ids=["workspace", "planned"])
def test_what_0_1_computed_stays_computable(path: Path) -> None:
    assert read_plan(path).digest_in_0_1 == json.loads(path.read_text())["planned_digest"]


def test_the_digest_of_format_2_stays() -> None:
    # Frozen: whatever is added to plans, those of before keep their digest.
    assert read_plan(PLANS_OF_0_1[0]).digest == "86c0175499dbc869f9c82966ebb5a008699042b8e2558ddb68f55f7df6d97207"
    assert read_plan(PLANS_OF_0_1[1]).digest == "6f4ab0ae7548907a5b5556c34ae5617f77cdeda41aadf38a9f1b24748b50ef5a"


@pytest.mark.parametrize("path", PLANS_OF_0_1, ids=["workspace", "planned"])
def test_keys_added_with_a_neutral_default_change_no_digest(path: Path) -> None:
    plan = read_plan(path)
    assert (as_of_later(plan).digest, as_of_later(plan).digest_in_0_1) == (plan.digest, plan.digest_in_0_1)
    assert not as_of_later(plan).edited


@pytest.mark.parametrize(
    "change",
    [
        {"views": {"of_later": 2.0}},
        {"network": {"of_later": True}},
        {"training": {"of_later": 1}},
        {"augmentation": {"of_later": "other"}},
        {"preprocessing": {"of_later": "other"}},
    ],
)
def test_another_value_of_an_added_key_changes_both(change: dict[str, Any]) -> None:
    plan = read_plan(PLANS_OF_0_1[0])
    assert as_of_later(plan, **change).digest != plan.digest
    assert as_of_later(plan, **change).digest_in_0_1 != plan.digest_in_0_1
    assert as_of_later(plan, **change).edited


def test_no_augmentation_of_ones_own_is_as_before(make_plan: MakePlan) -> None:
    plan, other = make_plan(), make_plan(augmentation={"additional": []})
    assert (other.digest, other.digest_in_0_1) == (plan.digest, plan.digest_in_0_1)


def test_what_was_asked_for_and_why_are_no_part_of_it(make_plan: MakePlan) -> None:
    plan = make_plan()
    other = plan.model_copy(
        update={"inputs": plan.inputs.model_copy(update={"name": "other", "memory_gb": 9.0}), "decisions": {}}
    )
    assert other.digest == plan.digest
    assert other.digest_in_0_1 != plan.digest_in_0_1  # it was over all values


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("view", {"plane": "coronal"}),
        ("view", {"spacing_mm": [1.0, 1.0]}),
        ("view", {"adjacent_slices": 1}),
        ("view", {"patch_px": [16, 16]}),
        ("view", {"mirror_axes": []}),
        ("view", {"tta_axes": ["rows"]}),
        ("view", {"batch_size": 5}),
        ("preprocessing", {"not_finite": "zero"}),
        ("preprocessing", {"normalisation": [{"method": "none", "clip": 3.0}]}),
        ("training", {"slices": {"rule": "foreground_fraction", "fraction": 0.5}}),
        ("training", {"grad_clip_norm": None}),
        ("augmentation", {"shift_fraction": 0.5}),
        ("augmentation", {"additional": ["mine"]}),
        ("data", {"channels": ["T2"]}),
    ],
)
def test_every_decision_is_part_of_both(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch, section: str, change: dict[str, Any]
) -> None:
    monkeypatch.setattr(catalogue.AUGMENTATIONS, "_registered", {"mine": ()})
    plan, other = make_plan(), make_plan(**{section: change})
    assert other.digest != plan.digest
    assert other.digest_in_0_1 != plan.digest_in_0_1
    assert not other.is_identified_by(plan.digest)
    assert not other.is_identified_by(plan.digest_in_0_1)


def test_how_results_are_judged_is_part_of_neither_but_an_edit_shows(tmp_path: Path) -> None:
    # No model depends on a tolerance: another one must not cost the models.
    plan = read_plan(PLANS_OF_0_1[0])
    why = Decision(rule="tolerances", value=[1.0], reason="")
    planned = plan.model_copy(update={"decisions": {**plan.decisions, "evaluation.tolerances_mm": why}})
    edited = planned.model_copy(update={"evaluation": EvaluationSection(tolerances_mm=(2.5,))})
    assert (edited.digest, edited.digest_in_0_1) == (plan.digest, plan.digest_in_0_1)
    assert edited.is_identified_by(plan.digest)
    assert (plan.edited, planned.edited, edited.edited) == (False, False, True)
    PLAN.write(tmp_path / "plan.json", edited)
    assert read_plan(tmp_path / "plan.json").edited


def test_an_edited_plan_of_0_1_stays_edited_in_format_2(tmp_path: Path) -> None:
    edited = read_plan(STORED / "plan_edited.json")
    PLAN.write(tmp_path / "plan.json", edited)
    assert edited.edited
    assert read_plan(tmp_path / "plan.json").edited
    planned = read_plan(STORED / "plan_as_planned.json")
    PLAN.write(tmp_path / "plan.json", planned)
    assert not read_plan(tmp_path / "plan.json").edited


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"training": None, "network": [], "preprocessing": "x", "decisions": 3},
        {"training": {"slices": 3}, "preprocessing": {"normalisation": [1, None]}, "decisions": {"a": 1, "b": {"rule": []}}},
        {"views": 5, "network": {"neighbours": 1}},
        {
            "training": {"gradient_limit": 1, "grad_clip_norm": 2, "slices": {"rule": []}},
            "decisions": {"training.slices": {}},
        },
    ],
)
def test_what_is_no_plan_of_format_1_is_refused_as_any_other(document: Any) -> None:
    with pytest.raises(PLAN.error, match="not a usable plan"):
        PLAN.parse({"version": 1, **document}, where="plan.json")


def test_a_value_given_under_both_names_is_not_lost_silently() -> None:
    document = json.loads(PLANS_OF_0_1[0].read_text())
    document["training"]["grad_clip_norm"] = 5.0
    with pytest.raises(PLAN.error, match=r"training\.gradient_limit: is no key"):
        PLAN.parse(document, where="plan.json")
    document = json.loads(PLANS_OF_0_1[0].read_text())
    document["views"] = []
    with pytest.raises(PLAN.error, match="views"):
        PLAN.parse(document, where="plan.json")


def test_views_need_planes_of_their_own_and_equal_neighbours(make_plan: MakePlan) -> None:
    document = json.loads(PLAN.text(make_plan(views=[{}, {"plane": "coronal"}])))
    assert PLAN.parse(document, where="plan.json").planes == ("axial", "coronal")
    document["views"][1]["adjacent_slices"] = 1
    with pytest.raises(PLAN.error, match="adjacent_slices of views must be equal"):
        PLAN.parse(document, where="plan.json")
    document["network"]["shared_by_views"] = False
    assert PLAN.parse(document, where="plan.json").views[1].adjacent_slices == 1
    document["views"] = document["views"][:1] * 2
    with pytest.raises(PLAN.error, match="every plane once, not axial, axial"):
        PLAN.parse(document, where="plan.json")


def test_what_networks_see_is_part_of_the_digest_where_it_is_not_all(make_plan: MakePlan) -> None:
    views = [{}, {"plane": "coronal"}]
    shared, separate = (make_plan(views=views, network={"shared_by_views": shared}) for shared in (True, False))
    assert make_plan(views=views).digest == shared.digest != separate.digest


def test_no_plan_of_several_views_is_taken_for_one_of_0_1(make_plan: MakePlan) -> None:
    assert make_plan(views=[{}, {"plane": "coronal"}]).digest_in_0_1 != make_plan().digest_in_0_1
