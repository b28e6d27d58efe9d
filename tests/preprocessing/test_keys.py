"""What the keys of preprocessed arrays follow, and what not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.catalogue import NORMALISATIONS, Package
from autoseg.data.dataset import Case, Dataset
from autoseg.planning.plan import Plan, read_plan
from autoseg.planning.sections import NormalisationStep, PreprocessingSection
from autoseg.preprocessing import keys as keys_module
from autoseg.preprocessing.keys import DataKeys, case_checksum, case_key, data_keys, key_of_0_1

MakePlan = Callable[..., Plan]
STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"


def test_a_key_follows_preprocessing_and_class_values_but_not_training(make_plan: MakePlan) -> None:
    other_values = [{"value": value, "name": f"any {value}"} for value in (0, 5, 10)]
    other_names = [{"value": value, "name": f"other {value}"} for value in (0, 5, 9)]
    same = [
        make_plan(),
        make_plan(view={"batch_size": 9}, network={"features": [8, 16]}),
        make_plan(data={"classes": other_names}),
    ]
    changed = [
        make_plan(data={"classes": other_values}),
        make_plan(view={"plane": "coronal"}),
        make_plan(view={"spacing_mm": [1.0, 1.0]}),
        make_plan(preprocessing={"crop": "none"}),
        make_plan(preprocessing={"crop_margin_px": 2}),
        make_plan(preprocessing={"not_finite": "zero"}),
        make_plan(preprocessing={"normalisation": [{"method": "zscore"}]}),
    ]
    for key in (lambda plan: case_key(plan, "1"), lambda plan: key_of_0_1(plan, {"a": "1"})):
        assert len({key(plan) for plan in same}) == 1
        assert len({key(plan) for plan in (same[0], *changed)}) == 1 + len(changed)


def test_a_key_follows_the_version_of_a_package_that_normalises(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_plan()
    before, keys = case_key(own, "1"), []
    for version in ("0.1", "0.2"):
        package = Package("my-normalisations", version)
        monkeypatch.setattr(NORMALISATIONS, "_registered", {"mine": ()})
        monkeypatch.setattr(NORMALISATIONS, "package", lambda name, package=package: package if name == "mine" else None)
        keys.append(case_key(make_plan(preprocessing={"normalisation": [{"method": "mine"}]}), "1"))
        assert case_key(own, "1") == before
    assert len({*keys, before}) == 3


def test_a_key_follows_its_own_case_alone(make_plan: MakePlan) -> None:
    before, after = (data_keys(make_plan(), checksums) for checksums in ({"a": "1", "b": "2"}, {"b": "3", "a": "1"}))
    assert before.cases["a"] == after.cases["a"]
    assert before.cases["b"] != after.cases["b"]


def test_the_key_of_0_1_follows_all_cases_but_not_their_order(make_plan: MakePlan) -> None:
    key = key_of_0_1(make_plan(), {"b": "1", "a": "2"})
    assert key == key_of_0_1(make_plan(), {"a": "2", "b": "1"})
    assert len({key, key_of_0_1(make_plan(), {"a": "1", "b": "2"}), key_of_0_1(make_plan(), {"a": "2"})}) == 3


def test_the_key_of_0_1_is_what_0_1_computed() -> None:
    document = (STORED / "workspace" / "dataset.json").read_text().replace('"/data', f'"{STORED}/data')
    cases = Dataset.model_validate_json(document).labelled
    checksums = {case.id: case_checksum(case) for case in cases}
    [folder] = (STORED / "workspace" / "preprocessed").iterdir()
    key = key_of_0_1(read_plan(STORED / "workspace" / "plan.json"), checksums)
    assert key[:16] == folder.name
    state = json.loads((STORED / "workspace" / "models" / "unet" / "fold_1" / "checkpoint.json").read_text())["state"]
    assert key == state["data_key"]


def test_every_setting_of_the_plan_is_in_the_keys(make_plan: MakePlan) -> None:
    """A setting that comes later is added to `_shaping`, where it is not neutral."""
    shaping = keys_module._shaping(make_plan(), make_plan().views[0])["preprocessing"]
    assert set(shaping) == {*PreprocessingSection.model_fields, "plane", "spacing_mm"}
    renamed = {"deviation": "std", "limit": "clip"}
    later = {"background"}
    assert {renamed.get(key, key) for key in shaping["normalisation"][0]} == set(NormalisationStep.model_fields) - later
    other = make_plan(preprocessing={"normalisation": [{"method": "none", "background": -3.0}]})
    assert keys_module._shaping(other, other.views[0])["preprocessing"]["normalisation"][0]["background"] == -3.0


@pytest.mark.parametrize(
    ("before", "now", "differing"),
    [
        (DataKeys(cases={"a": "1", "b": "2"}, all_labelled="x"), DataKeys(cases={"a": "1", "b": "2"}, all_labelled="y"), ()),
        (DataKeys(cases={"a": "1"}, all_labelled="x"), DataKeys(cases={"b": "2"}, all_labelled="y"), ()),
        (
            DataKeys(cases={"c": "1", "b": "2", "a": "3"}, all_labelled="x"),
            DataKeys(cases={"a": "4", "b": "2", "c": "5"}, all_labelled="x"),
            ("a", "c"),
        ),
        (DataKeys(all_labelled="x"), DataKeys(cases={"a": "1"}, all_labelled="x"), ()),
        (DataKeys(all_labelled="x"), DataKeys(cases={"a": "1"}, all_labelled="y"), None),
        (DataKeys(all_labelled="x"), DataKeys(all_labelled="y"), None),
    ],
    ids=["a case added", "nothing in common", "two changed", "0.1, the same", "0.1, another", "both 0.1"],
)
def test_cases_that_both_have_are_compared(before: DataKeys, now: DataKeys, differing: tuple[str, ...] | None) -> None:
    assert before.differing(now) == differing
    assert now.differing(before) == differing


def test_a_run_knows_its_own_cases_only(make_plan: MakePlan) -> None:
    every = data_keys(make_plan(), {"a": "1", "b": "2", "c": "3"})
    assert every.of(["c", "a"]).cases == {"c": every.cases["c"], "a": every.cases["a"]}
    assert every.of(["a"]).all_labelled == every.all_labelled


def test_a_checksum_follows_contents_and_roles_but_not_names(cases: list[Case], tmp_path: Path) -> None:
    first = cases[0]
    moved = tmp_path / "moved.nii.gz"
    shutil.copyfile(first.images[0], moved)
    assert case_checksum(first.model_copy(update={"images": (moved,)})) == case_checksum(first)
    exchanged = first.model_copy(update={"images": (Path(str(first.label)),), "label": first.images[0]})
    relabelled = first.model_copy(update={"label": cases[1].images[0]})
    unlabelled = first.model_copy(update={"label": None})
    assert len({case_checksum(case) for case in (*cases, exchanged, relabelled, unlabelled)}) == 6
