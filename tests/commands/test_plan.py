"""Planning with values that are asked for."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from oracles.commands import autoseg as command
from oracles.gpus import pretend_gpus
from oracles.tiny_cases import write_tiny_cases
from oracles.watched_runs import Recorder

import autoseg
from autoseg.catalogue.devices import DeviceChoice, PresentDevices
from autoseg.commands import plan as plan_module
from autoseg.errors import AutosegError, UsageError, WorkspaceError
from autoseg.planning import fingerprint
from autoseg.planning.plan import read_plan
from autoseg.runs import speed


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
        (["training.loss=dize"], r"training\.loss: There is no loss `dize`: did you mean `dice`"),
        (["training.epochs=true"], r"training\.epochs: expected 1, found true"),
        (
            ["training.epochs=0", "views.1.patch_px=[8]"],
            r"training\.epochs: expected a number of at least 1.*views\.1\.patch_px",
        ),
        (['training.slices={"rule": "with_class"}'], "needs `label`"),
        (["views.3.batch_size=2"], r"no value views\.3\.batch_size; expected a number below 3"),
    ],
)
def test_what_cannot_be_asked_for_is_said_before_data_are_read(tmp_path: Path, overrides: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        autoseg.plan(tmp_path / "nowhere", overrides=overrides)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"folds": 5}, r"--folds 5: the subjects cannot be split like this; expected 1 to 4 folds"),
        ({"minutes": 5.0, "device": "cuda:7"}, r"no cuda:7 device here"),
    ],
)
def test_what_does_not_fit_is_said_before_data_are_read(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], words: str
) -> None:
    def read(*_: object, **__: object) -> None:
        pytest.fail("scans are read")

    def measured(device: DeviceChoice, _: object) -> float:
        return float(len(device.among(PresentDevices())))

    monkeypatch.setattr(fingerprint, "fingerprint_dataset", read)
    monkeypatch.setattr(speed, "_measured", measured)
    with pytest.raises(UsageError, match=words):
        autoseg.plan(cohort, workspace=tmp_path / "run", **asked)


def plan_of(folder: Path) -> bytes:
    return (folder / "plan.json").read_bytes()


def test_what_was_asked_for_holds_until_it_is_asked_for_otherwise(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    planned = autoseg.plan(
        cohort, workspace=run, ignore=9, folds=2, overrides=["training.loss=dice"], not_finite="zero", device="cpu"
    )
    before = plan_of(run)
    assert planned.held == ()
    again = command("plan", str(cohort), "-w", str(run))
    assert plan_of(run) == before
    told = "--ignore 9 --not-finite zero --folds 2 --device cpu --set 'training.loss=\"dice\"'"
    assert f"As asked for before (--forget drops it): {told}" in " ".join(again.told.split())
    with pytest.raises(UsageError, match=r"As asked for before: .*--folds 2.* or --forget drops them"):
        autoseg.plan(cohort, workspace=run, overrides=["views.batch_size=4", "training.class_weights=[1]"])
    assert plan_of(run) == before
    events = Recorder()
    fresh = autoseg.plan(cohort, workspace=run, forget=True, events=events)
    (warned,) = [told for told in events.warnings if "asked for before" in told]
    assert warned.endswith(
        "left out with --forget: --ignore 9 --not-finite zero --folds 2 --device cpu --set 'training.loss=\"dice\"'"
    )
    assert (fresh.held, fresh.plan.folds, fresh.plan.data.ignore) == ((), 4, None)
    autoseg.plan(cohort, workspace=tmp_path / "other")
    assert plan_of(run) == plan_of(tmp_path / "other")


def test_values_that_make_no_plan_together_write_none(cohort: Path, tmp_path: Path) -> None:
    asked = ["network.features=[4, 4, 4, 4, 4]", "views.patch_px=[24, 24]"]
    with pytest.raises(UsageError, match=r"patch_px of views must be multiples of 16"):
        autoseg.plan(cohort, workspace=tmp_path / "run", overrides=asked)
    assert not (tmp_path / "run" / "plan.json").exists()


@pytest.mark.parametrize(
    ("device", "card_mib", "expected_gb"),
    [("cuda", 81559, 68), ("cuda", 900, 1), ("cuda", None, 8), ("mps", 81559, 8), ("cpu", 81559, 4)],
)
def test_a_step_is_sized_for_the_graphics_card_that_is_found(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, card_mib: int | None, expected_gb: float
) -> None:
    pretend_gpus(monkeypatch, tmp_path, *([] if card_mib is None else [f"{card_mib}, GPU-1, Disabled, NVIDIA H100"]))
    autoseg.plan(cohort, workspace=tmp_path / "run", device=device)
    plan = read_plan(tmp_path / "run" / "plan.json")
    assert plan.inputs.memory_gb == expected_gb
    autoseg.plan(cohort, workspace=tmp_path / "asked", device=device, memory_gb=expected_gb)
    assert read_plan(tmp_path / "asked" / "plan.json").digest == plan.digest


def test_a_step_is_sized_for_the_graphics_card_that_is_named(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_gpus(monkeypatch, tmp_path, "2048, GPU-1, [N/A], NVIDIA GT 1030", "81920, GPU-2, Disabled, NVIDIA A100")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert autoseg.plan(cohort, workspace=tmp_path / "a").plan.inputs.memory_gb == 1
    assert autoseg.plan(cohort, workspace=tmp_path / "b", device="cuda:1").plan.inputs.memory_gb == 68
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert autoseg.plan(cohort, workspace=tmp_path / "c").plan.inputs.memory_gb == 68
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-3")
    planned = command("plan", str(cohort), "-w", str(tmp_path / "d"))
    assert (
        "does not tell how much memory a GPU has, or the part of one that is used (MIG): a training step may take 8 GB"
        in (" ".join(planned.said.split()))
    )
    assert read_plan(tmp_path / "d" / "plan.json").inputs.memory_gb == 8


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


def test_force_replaces_what_was_edited_and_keeps_what_was_asked_for(cohort: Path, tmp_path: Path) -> None:
    run, events = tmp_path / "run", Recorder()
    autoseg.plan(cohort, workspace=run, folds=2, overrides=["training.loss=dice"])
    before, folds = plan_of(run), (run / "splits.json").read_bytes()
    for name, content in {
        "plan": before.replace(b'"steps_per_epoch"', b'"epoch_steps"'),
        "splits": folds[:40],
        "dataset": b"{",
    }.items():
        (run / f"{name}.json").write_bytes(content)
        with pytest.raises(AutosegError, match="--force"):
            autoseg.plan(cohort, workspace=run)
        (run / "plan.json").write_bytes(before)
        autoseg.plan(cohort, workspace=run, force=True, events=events)
        assert (plan_of(run), (run / "splits.json").read_bytes()) == (before, folds)
        assert name == "plan" or [path for path in run.glob(f"{name}-*.json") if path.read_bytes() == content]


def test_a_folder_is_planned_again_as_before_without_being_told_where(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = autoseg.plan(cohort, name="study", ignore=9, folds=2)
    again = autoseg.plan(cohort)
    assert (again.workspace.root, again.held) == (first.workspace.root, ("--ignore 9", "--folds 2"))
    assert autoseg.plan(cohort, name="other").held == ()


def test_another_data_set_takes_no_place_whose_own_is_away(cohort: Path, tmp_path: Path) -> None:
    own, run = tmp_path / "own", tmp_path / "run"
    shutil.copytree(cohort, own)
    autoseg.plan(own, workspace=run, folds=2)
    shutil.rmtree(own)
    other = tmp_path / "other"
    write_tiny_cases(other, 4)
    with pytest.raises(WorkspaceError, match="another data set"):
        autoseg.plan(other, workspace=run)
    assert autoseg.plan(other, workspace=run, force=True).held == ()


def test_speed_is_for_minutes_that_hold(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(UsageError, match="--speed"):
        autoseg.plan(cohort, workspace=run, speed=100.0)
    autoseg.plan(cohort, workspace=run, minutes=5.0, speed=100.0)
    assert autoseg.plan(cohort, workspace=run, speed=200.0).plan.inputs.minutes == 5.0
