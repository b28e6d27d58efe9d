"""Values asked for when planning."""

import json
from pathlib import Path
from typing import Any

import pytest

from autoseg.data.dataset import Case, Dataset
from autoseg.errors import UsageError
from autoseg.planning.overrides import overridden, parse_overrides
from autoseg.planning.plan import Plan, read_plan, write_plan
from autoseg.planning.planner import make_plan
from autoseg.planning.sections import Inputs


def planned(make_fingerprint: Any, **overrides: Any) -> Plan:
    fingerprint = make_fingerprint({}, {}, {}, {})
    cases = tuple(Case(id=case.id, images=(Path("i"),), label=Path("l"), subject=case.id) for case in fingerprint.cases)
    dataset = Dataset(name="demo", root=Path("demo"), layout="table", channels=("T1",), classes=None, cases=cases)
    inputs = Inputs(name="demo", recipe="auto", plane="auto", device="cpu", memory_gb=4.0, folds=None, overrides=overrides)
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
        ("views.batch_size = 4", "views.0.batch_size", 4),
        ("training.batch_size=4", "views.0.batch_size", 4),
        ("network.neighbours=0", "views.0.adjacent_slices", 0),
        ('training.slices={"rule": "all"}', "training.slices", {"rule": "all"}),
        ("training.loss=", "training.loss", ""),
        ("training.loss=a=b", "training.loss", "a=b"),
    ],
)
def test_a_pair_is_a_path_and_a_value(pair: str, path: str, value: Any) -> None:
    assert parse_overrides([pair]) == {path: value}


def test_values_stand_in_the_order_of_the_plan() -> None:
    pairs = ["training.loss=dice", "views.batch_size=4", "network.convolutions=1"]
    assert list(parse_overrides(pairs)) == ["views.0.batch_size", "network.convolutions", "training.loss"]


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["training.loss"], "--set training.loss: a value is missing"),
        (["training.learning_rat=1"], "did you mean `training.learning_rate`?"),
        (["training.bath_size=4"], "did you mean `views.0.batch_size`?"),
        (["batch_size=4"], "did you mean `views.0.batch_size`?"),
        (["network.batch_size=4"], "did you mean `views.0.batch_size`?"),
        (["training.slices.rule=all"], "did you mean `training.slices`?"),
        (["views.1.batch_size=4"], "did you mean `views.0.batch_size`?"),
        (["qqqq=1"], "a plan has no value 'qqqq'"),
        (["=1"], "a plan has no value ''"),
        (["data.classes=[]"], "data.classes cannot be set"),
        (["inputs.memory_gb=9"], "inputs.memory_gb cannot be set"),
        (["inputs=9"], "inputs cannot be set"),
        (["folds=3"], "Use --folds instead"),
        (["decisions={}"], "a plan has no value 'decisions'"),
        (["planned_digest=x"], "a plan has no value 'planned_digest'"),
        (["training.loss=dice", "training.loss=dice"], "training.loss is given twice"),
        (["views.batch_size=4", "views.0.batch_size=5"], "views.0.batch_size is given twice"),
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
        ({"views.0.batch_size": "3"}, "views.0.batch_size: Would be read as 3"),
        ({"views.0.batch_size": True}, "views.0.batch_size: Would be read as 1"),
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
