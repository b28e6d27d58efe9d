"""Values asked for when planning."""

import json
from pathlib import Path
from typing import Any

import pytest

from autoseg.catalogue import Plane
from autoseg.data.dataset import Case, Dataset
from autoseg.errors import UsageError
from autoseg.planning.overrides import edits_without_effect, overridden, parse_overrides, parse_planes
from autoseg.planning.plan import Plan, read_plan, write_plan
from autoseg.planning.planner import make_plan
from autoseg.planning.sections import Inputs


def planned(make_fingerprint: Any, *, planes: tuple[Plane, ...] | None = None, **overrides: Any) -> Plan:
    fingerprint = make_fingerprint({}, {}, {}, {})
    cases = tuple(Case(id=case.id, images=(Path("i"),), label=Path("l"), subject=case.id) for case in fingerprint.cases)
    dataset = Dataset(name="demo", root=Path("demo"), layout="table", channels=("T1",), classes=None, cases=cases)
    inputs = Inputs(
        name="demo",
        recipe="auto",
        plane="auto",
        planes=planes,
        device="cpu",
        memory_gb=4.0,
        folds=None,
        overrides=overrides,
    )
    return make_plan(dataset, fingerprint, inputs)


@pytest.mark.parametrize(
    ("pair", "path", "value"),
    [
        ("training.learning_rate=1e-3", "training.learning_rate", 1e-3),
        ("training.loss=dice", "training.loss", "dice"),
        ('training.loss="dice"', "training.loss", "dice"),
        ("training.epochs=null", "training.epochs", None),
        ("network.deep_supervision=true", "network.deep_supervision", True),
        ("network.features=[8, 16]", "network.features", [8, 16]),
        ("views.0.batch_size=4", "views.0.batch_size", 4),
        ("views.2.batch_size=4", "views.2.batch_size", 4),
        ("views.batch_size = 4", "views.batch_size", 4),
        ("training.batch_size=4", "views.batch_size", 4),
        ("network.neighbours=0", "views.adjacent_slices", 0),
        ('training.slices={"rule": "all"}', "training.slices", {"rule": "all"}),
    ],
)
def test_a_pair_is_a_path_and_a_value(pair: str, path: str, value: Any) -> None:
    assert parse_overrides([pair]) == {path: value}


@pytest.mark.parametrize(("pair", "found"), [("training.loss=", "``"), ("training.loss=a=b", "`a=b`")])
def test_a_value_is_all_that_comes_after_the_first_sign(pair: str, found: str) -> None:
    with pytest.raises(UsageError, match=rf"training\.loss: There is no loss {found}"):
        parse_overrides([pair])


def test_values_stand_in_the_order_of_the_plan() -> None:
    pairs = ["training.loss=dice", "views.batch_size=4", "network.convolutions=1"]
    assert list(parse_overrides(pairs)) == ["views.batch_size", "network.convolutions", "training.loss"]


def test_what_is_asked_for_all_views_comes_before_what_is_asked_for_one() -> None:
    assert list(parse_overrides(["views.1.tta_axes=[]", "views.0.batch_size=5", "views.tta_axes=[]"])) == [
        "views.tta_axes",
        "views.1.tta_axes",
        "views.0.batch_size",
    ]


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["training.loss"], "--set training.loss: a value is missing"),
        (["training.learning_rat=1"], "did you mean `training.learning_rate`?"),
        (["training.bath_size=4"], "did you mean `views.batch_size`?"),
        (["batch_size=4"], "did you mean `views.batch_size`?"),
        (["network.batch_size=4"], "did you mean `views.batch_size`?"),
        (["training.slices.rule=all"], "did you mean `training.slices`?"),
        (["views.x.batch_size=4"], "did you mean `views.batch_size`?"),
        (["qqqq=1"], "a plan has no value 'qqqq'"),
        (["=1"], "a plan has no value ''"),
        (["data.classes=[]"], "data.classes cannot be set"),
        (["inputs.memory_gb=9"], "inputs.memory_gb cannot be set"),
        (["inputs=9"], "inputs cannot be set"),
        (["folds=3"], "Use --folds instead"),
        (["decisions={}"], "a plan has no value 'decisions'"),
        (["planned_digest=x"], "a plan has no value 'planned_digest'"),
        (["training.loss=dice", "training.loss=dice"], "training.loss is given twice"),
        (["views.batch_size=4", "training.batch_size=5"], "views.batch_size is given twice"),
    ],
)
def test_what_cannot_be_set_is_refused(pairs: list[str], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_overrides(pairs)
    assert words in str(refused.value)
    assert refused.value.remedy


def test_what_is_asked_for_takes_the_place_of_what_a_rule_chose(make_fingerprint: Any, tmp_path: Path) -> None:
    before = planned(make_fingerprint)
    plan = planned(make_fingerprint, **{"views.0.batch_size": 3, "training.loss": "dice"})
    assert plan.views[0].batch_size == 3
    assert plan.training.loss == "dice"
    decision = plan.decisions["views.0.batch_size"]
    assert (decision.rule, decision.value) == ("asked", 3)
    assert decision.reason == f"Asked for; the rule `batch_size` would take {before.views[0].batch_size}."
    assert plan.inputs.overrides == {"views.0.batch_size": 3, "training.loss": "dice"}
    assert plan.decisions["training.slices"] == before.decisions["training.slices"]
    write_plan(plan, tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == plan
    assert not plan.edited


def test_planning_again_gives_the_same_plan_and_an_equal_edit_the_same_digest(make_fingerprint: Any, tmp_path: Path) -> None:
    plan = planned(make_fingerprint, **{"training.loss": "dice"})
    assert planned(make_fingerprint, **{"training.loss": "dice"}) == plan
    write_plan(planned(make_fingerprint), tmp_path / "plan.json")
    document = json.loads((tmp_path / "plan.json").read_text())
    document["training"]["loss"] = "dice"
    document["prediction"]["prior_power"] = 0
    (tmp_path / "plan.json").write_text(json.dumps(document))
    assert read_plan(tmp_path / "plan.json").digest == plan.digest


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"training.loss": "hinge"}, "training.loss: "),
        ({"views.0.batch_size": "3"}, 'views.0.batch_size: expected 3, found "3"'),
        ({"views.0.batch_size": True}, "views.0.batch_size: expected 1, found true"),
        ({"training.learning_rate": float("inf")}, "training.learning_rate: "),
        ({"training.epochs": 5}, "exactly one of `epochs` and `minutes`"),
        ({"training.slices": {"rule": "all", "more": 1}}, "training.slices.more: "),
        ({"views.0.patch_px": [33, 33]}, "patch_px of views must be multiples"),
    ],
)
def test_values_that_make_no_plan_are_refused(make_fingerprint: Any, overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        overridden(planned(make_fingerprint), overrides)
    assert words in str(refused.value)


def test_a_value_without_a_number_is_that_of_every_view_but_one_asked_for_itself(make_fingerprint: Any) -> None:
    plan = planned(
        make_fingerprint, planes=("axial", "coronal", "sagittal"), **{"views.batch_size": 3, "views.1.batch_size": 5}
    )
    assert [view.batch_size for view in plan.views] == [3, 5, 3]
    assert {plan.decisions[f"views.{number}.batch_size"].rule for number in range(3)} == {"asked"}
    assert plan.inputs.overrides == {"views.batch_size": 3, "views.1.batch_size": 5}


def test_a_view_that_is_not_there_has_no_values(make_fingerprint: Any) -> None:
    with pytest.raises(UsageError, match=r"no value views\.1\.batch_size; expected a number below 1"):
        planned(make_fingerprint, planes=("axial",), **{"views.1.batch_size": 3})
    with pytest.raises(UsageError, match=r"no value views\.2\.batch_size; expected a number below 2"):
        planned(make_fingerprint, planes=("axial", "sagittal"), **{"views.2.batch_size": 3})


@pytest.mark.parametrize(
    ("asked", "planes"),
    [
        ("auto", "auto"),
        ("all", "all"),
        ("coronal", ("coronal",)),
        ("coronal, axial", ("coronal", "axial")),
        (["sagittal", "axial", "coronal"], ("sagittal", "axial", "coronal")),
    ],
)
def test_planes_are_named_one_by_one_or_all_at_once(asked: Any, planes: Any) -> None:
    assert parse_planes(asked) == planes


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            "coronl",
            "there is no plane 'coronl'; expected auto, all, or some of axial, coronal, sagittal, each once. Did",
        ),
        ("axial,auto", "there is no plane 'auto'"),
        ("axial,", "there is no plane ''"),
        (["axial", "all"], "there is no plane 'all'"),
        ("axial,coronal,axial", "axial is named twice"),
    ],
)
def test_what_is_no_plane_is_refused(asked: Any, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_planes(asked)
    assert words in str(refused.value)


def changed_by_hand(plan: Plan, **values: Any) -> Plan:
    return plan.model_copy(
        update={"folds": values.pop("number", plan.folds), "inputs": plan.inputs.model_copy(update=values)}
    )


def test_edits_from_which_nothing_is_made_are_named_with_what_works(make_fingerprint: Any) -> None:
    asked = {"views.batch_size": 3, "views.1.batch_size": 5, "training.loss": "dice"}
    plan = planned(make_fingerprint, planes=("axial", "coronal"), **asked)
    assert list(edits_without_effect(plan)) == []
    assert list(edits_without_effect(changed_by_hand(plan, folds=4))) == []  # as they are
    (told,) = edits_without_effect(changed_by_hand(plan, number=2))
    assert "`folds` in plan.json was changed to 2, which changes no fold" in told
    assert "Put 4 back and run `autoseg plan DATASET --folds 2`" in told
    (told,) = edits_without_effect(changed_by_hand(plan, folds=3, overrides={**asked, "views.batch_size": 4}))
    assert "`inputs` in plan.json was changed (folds, overrides.views.batch_size)" in told
    (told,) = edits_without_effect(changed_by_hand(plan, overrides={**asked, "training.epochs": 4}))
    assert "was changed (overrides.training.epochs)" in told
