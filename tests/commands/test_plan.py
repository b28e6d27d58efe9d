"""Planning with values that are asked for."""

import json
from pathlib import Path

import pytest
from oracles.commands import autoseg as command

import autoseg
from autoseg.commands import plan as plan_module
from autoseg.errors import UsageError
from autoseg.planning.plan import read_plan


def test_values_asked_for_are_in_the_plan_and_recorded(cohort: Path, tmp_path: Path) -> None:
    asked = ["--set", "training.loss=dice", "--set", "network.features=[8, 16, 32]"]
    command("plan", str(cohort), "-w", str(tmp_path / "a"), *asked)
    document = json.loads((tmp_path / "a" / "plan.json").read_text(encoding="utf-8"))
    assert document["training"]["loss"] == "dice"
    assert document["network"]["features"] == [8, 16, 32]
    assert document["inputs"]["overrides"] == {"network.features": [8, 16, 32], "training.loss": "dice"}
    autoseg.plan(cohort, workspace=tmp_path / "b", overrides=["training.loss=dice", "network.features=[8, 16, 32]"])
    assert (tmp_path / "b" / "plan.json").read_bytes() == (tmp_path / "a" / "plan.json").read_bytes()


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["training.los=dice"], "did you mean `training.loss`"),
        (["inputs.recipe=paper"], "cannot be set"),
        (["data.channels=2"], "cannot be set"),
        (["training.loss"], "expected KEY=VALUE"),
        (["training.loss=dice", "training.loss=dice"], "given twice"),
    ],
)
def test_what_cannot_be_asked_for_is_said_before_data_are_read(tmp_path: Path, overrides: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        autoseg.plan(tmp_path / "nowhere", overrides=overrides)


def test_a_value_that_makes_no_plan_writes_none(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"training\.loss: There is no loss `dize`: did you mean `dice`"):
        autoseg.plan(cohort, workspace=tmp_path / "run", overrides=["training.loss=dize"])
    assert not (tmp_path / "run" / "plan.json").exists()


@pytest.mark.parametrize(
    ("device", "card_gb", "expected_gb"), [("cuda", 85.5, 68), ("cuda", 0.9, 1), ("cuda", None, 8), ("cpu", 85.5, 4)]
)
def test_a_step_is_sized_for_the_graphics_card_that_is_found(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, card_gb: float | None, expected_gb: float
) -> None:
    monkeypatch.setattr(plan_module, "gpu_memory_gb", lambda: card_gb)
    autoseg.plan(cohort, workspace=tmp_path / "run", device=device)
    plan = read_plan(tmp_path / "run" / "plan.json")
    assert plan.inputs.memory_gb == expected_gb
    autoseg.plan(cohort, workspace=tmp_path / "asked", device=device, memory_gb=expected_gb)
    assert read_plan(tmp_path / "asked" / "plan.json").digest == plan.digest


def test_several_planes_are_asked_for_and_recorded(cohort: Path, tmp_path: Path) -> None:
    asked = command("plan", str(cohort), "-w", str(tmp_path / "a"), "--planes", "coronal,axial", "--json")
    document = json.loads(asked.told)["plan"]
    assert [view["plane"] for view in document["views"]] == ["coronal", "axial"]
    assert (document["inputs"]["plane"], document["inputs"]["planes"]) == ("coronal", ["coronal", "axial"])
    planned = autoseg.plan(cohort, workspace=tmp_path / "b", planes=["coronal", "axial"])
    assert (tmp_path / "b" / "plan.json").read_bytes() == (tmp_path / "a" / "plan.json").read_bytes()
    (table,) = plan_module.describe(planned).details
    shown = [row[0] for row in table.rows if row[0].startswith("views.")]
    assert {"views.0.plane (coronal)", "views.1.plane (axial)", "views.adjacent_slices"} <= set(shown)


def test_one_plane_has_two_names(cohort: Path, tmp_path: Path) -> None:
    old = autoseg.plan(cohort, workspace=tmp_path / "a", plane="sagittal").plan
    new = autoseg.plan(cohort, workspace=tmp_path / "b", planes="sagittal").plan
    assert old == new == autoseg.plan(cohort, workspace=tmp_path / "c", plane="sagittal", planes="sagittal").plan
    assert old.inputs.planes is None


def test_planes_that_contradict_one_another_are_refused_before_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name different planes"):
        autoseg.plan(tmp_path / "nowhere", plane="axial", planes="axial,coronal")
    with pytest.raises(UsageError, match="Did you mean coronal"):
        autoseg.plan(tmp_path / "nowhere", planes="coronl")
