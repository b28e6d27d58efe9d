"""How far a workspace has come, on one that version 0.1 left: three networks on fold 0, one interrupted on fold 1."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from oracles.empty_files import touch

from autoseg.data import places
from autoseg.model.description import Origin
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan
from autoseg.postprocessing import next_step as next_steps
from autoseg.postprocessing.next_step import NextStep, next_step
from autoseg.postprocessing.run_status import RunStatus
from autoseg.postprocessing.status import REPORT_FILE, WorkspaceStatus, status_of
from autoseg.runs.workspace import Workspace
from autoseg.storage.lease import Lease

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """With empty files in the place of its data."""
    workspace = Workspace(Path(shutil.copytree(STORED, tmp_path / "run")))
    dataset = places.at(workspace.stored_dataset(), tmp_path / "data")
    workspace.write_dataset(dataset)
    touch(dataset.root, *(str(path) for case in dataset.cases for path in places.files_of(case)))
    return workspace


@pytest.fixture(autouse=True)
def precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs compute in for which nothing is chosen: as the stored ones did, whatever this machine is."""
    monkeypatch.setattr(next_steps, "processor_precision", lambda: "float32")


def change(path: Path, how: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    how(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def stages(status: WorkspaceStatus) -> dict[str, str]:
    return {run.model.title: run.stage for run in status.runs}


def later(path: Path, than: Path) -> None:
    """Give a file a time of change after that of another."""
    time_ns = than.stat().st_mtime_ns + 2_000_000_000
    os.utime(path, ns=(time_ns, time_ns))


def test_a_workspace_under_way(workspace: Workspace) -> None:
    status = status_of(workspace)
    assert status.plan == workspace.plan()
    assert (status.cases, status.preprocessed) == (4, 4)
    assert status.folds[:2] == ("0", "1")
    assert stages(status) == {
        "unet, fold 0": "scored",
        "unet, fold 1": "interrupted",
        "sepres, fold 0": "scored",
        "sepres, fold 1": "missing",
        "attention, fold 0": "scored",
        "attention, fold 1": "missing",
    }
    (stopped,) = status.of_stage("interrupted")
    assert stopped.told == f"interrupted, epoch {stopped.epochs} of {stopped.of_epochs}"
    assert 0 < stopped.epochs < (stopped.of_epochs or 0)
    assert status.selection.models
    assert status.report is None
    step = next_step(status, exported=False)
    assert step.command == f"autoseg train --arch unet --fold 1 --seed 3 --workspace {workspace.root}"


def test_a_run_whose_lock_is_held_is_under_way(workspace: Workspace) -> None:
    lease = Lease(workspace.models / "unet" / "fold_1" / ".lock")
    assert lease.take() is None
    try:
        status = status_of(workspace)
    finally:
        lease.release()
    assert stages(status)["unet, fold 1"] == "under way"
    assert next_step(status, exported=True).why == "wait for unet, fold 1"
    assert stages(status_of(workspace))["unet, fold 1"] == "interrupted"


def test_a_run_that_cannot_be_read_has_failed_and_is_begun_again(workspace: Workspace) -> None:
    (workspace.models / "sepres" / "fold_0" / "checkpoint.json").write_text("{", encoding="utf-8")
    status = status_of(workspace)
    (failed,) = status.of_stage("failed")
    assert failed.model == ModelId("sepres", "0")
    assert "not a JSON document" in failed.reason
    assert next_step(status, exported=False).command.startswith("autoseg train --arch sepres --fold 0 --restart --seed 3 ")


def test_a_run_that_was_not_scored_is_done_and_repeated(workspace: Workspace) -> None:
    shutil.rmtree(workspace.models / "unet" / "fold_1")
    (workspace.models / "attention" / "fold_0" / "validation" / "record.json").unlink()
    status = status_of(workspace)
    assert stages(status)["attention, fold 0"] == "done"
    step = next_step(status, exported=False)
    assert "not scored yet" in step.why
    assert "--arch attention --fold 0" in step.command


def test_a_run_that_does_not_go_on_with_the_cases_of_its_fold_begins_again(workspace: Workspace) -> None:
    """A case that the interrupted run learnt from is held out by hand; the scored ones held out what their fold does."""

    def hold_out_more(splits: dict[str, Any]) -> None:
        fold = splits["folds"][1]
        fold["validation"].append(fold["training"].pop())

    change(workspace.splits_file, hold_out_more)
    status = status_of(workspace)
    assert [run.model.title for run in status.runs if run.of_other_cases] == ["unet, fold 1"]
    (stopped,) = status.of_stage("interrupted")
    assert stopped.told == "interrupted (its fold has other cases now)"
    step = next_step(status, exported=False)
    assert "Bring splits.json back (what `autoseg plan` replaced is beside it), or begin it again" in step.why
    assert step.command.startswith("autoseg train --arch unet --fold 1 --restart --seed 3 ")


def test_commands_that_need_data_which_were_moved_are_told_where_they_are(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert named(workspace).command == "autoseg train --arch unet --fold 1 --seed 3 --data DIR"
    shutil.rmtree(workspace.models)
    assert named(workspace).command == "autoseg train --arch unet --fold 0 --data DIR"


def test_runs_of_another_plan_are_told_apart(workspace: Workspace) -> None:
    change(workspace.plan_file, lambda plan: plan["training"].update(batch_size=plan["training"]["batch_size"] + 1))
    status = status_of(workspace)
    assert set(stages(status).values()) == {"of another plan", "missing"}
    assert status.plan is not None
    assert status.plan.edited
    assert status.selection.outdated == "made under another plan"
    step = next_step(status, exported=False)
    assert "unet, fold 0 was trained under another plan" in step.why
    assert "which discards what is there" in step.why
    assert step.command == f"autoseg train --arch unet --fold 0 --restart --seed 3 --workspace {workspace.root}"


def test_missing_folds_are_trained_like_the_others(workspace: Workspace) -> None:
    shutil.rmtree(workspace.models / "unet" / "fold_1")
    step = next_step(status_of(workspace), exported=False)
    assert step.why == "train unet on the other folds (1)"
    assert step.command.startswith("autoseg train --arch unet --fold all --seed 3 ")


def test_a_run_goes_on_with_the_choices_that_it_was_begun_with(workspace: Workspace) -> None:
    chosen = {"minutes": 2.5, "threads": 3, "memory_format": "channels_last", "seed": 0}
    checkpoint = workspace.models / "unet" / "fold_1" / "checkpoint.json"
    change(checkpoint, lambda document: document["state"]["config"].update(chosen))
    (stopped,) = status_of(workspace).of_stage("interrupted")
    assert stopped.told.endswith("of 2.5")
    command = next_step(status_of(workspace), exported=False).command
    assert " --fold 1 --minutes 2.5 --threads 3 --memory-format channels_last --workspace " in command


@pytest.fixture
def complete(workspace: Workspace) -> WorkspaceStatus:
    """Everything trained and scored, a selection and a page."""
    page = workspace.root / REPORT_FILE
    page.touch()
    later(page, workspace.selection_file)
    status = status_of(workspace)
    done = tuple(replace(run, stage="scored") for run in status.runs if run.stage in {"scored", "interrupted"})
    return replace(status, runs=done, report=page, report_outdated=False)


def test_what_follows_training(complete: WorkspaceStatus) -> None:
    def command(*, exported: bool = True, **changes: Any) -> str:
        return next_step(replace(complete, **changes), exported=exported).command.partition(" --workspace")[0]

    assert command() == "autoseg predict SCANS results"
    assert command(exported=False) == "autoseg export run.autoseg"
    assert command(report=None) == "autoseg report"
    assert command(report_outdated=True) == "autoseg report"
    assert command(selection=replace(complete.selection, models={})) == "autoseg select"
    assert command(selection=replace(complete.selection, outdated="made under another plan")) == "autoseg select"
    assert command(runs=()) == "autoseg train --arch unet --fold 0"
    assert command(runs=(), folds=("official",)) == "autoseg train --arch unet --fold full"


def test_a_selection_is_outdated_by_what_was_trained_since(workspace: Workspace) -> None:
    selected = status_of(workspace).selection
    first = next(iter(selected.models))
    bundle = workspace.model(first) / "bundle.json"
    before = bundle.read_text(encoding="utf-8")
    change(bundle, lambda document: document.update(weights_sha256="0" * 64))
    assert status_of(workspace).selection.outdated == f"{first.title} has been trained again, or further, since"
    bundle.write_text(before, encoding="utf-8")
    later(workspace.selection_file, bundle)
    assert status_of(workspace).selection.outdated == ""
    later(bundle, workspace.selection_file)  # as in a copy of the workspace: it has the weights that were selected
    assert status_of(workspace).selection.outdated == ""
    other = next(run.model for run in status_of(workspace).of_stage("scored") if run.model not in selected.models)
    later(workspace.model(other) / "bundle.json", workspace.selection_file)
    assert status_of(workspace).selection.outdated == f"1 model trained since, such as {other.title}"
    shutil.rmtree(bundle.parent)
    assert status_of(workspace).selection.outdated == f"{first.title} is missing or not trained to its end"


def test_a_page_is_outdated_by_a_newer_selection(workspace: Workspace) -> None:
    page = workspace.root / REPORT_FILE
    page.touch()
    newest = max(workspace.root.rglob("*.json"), key=lambda path: path.stat().st_mtime)
    later(page, newest)
    assert not status_of(workspace).report_outdated
    later(workspace.selection_file, page)
    assert status_of(workspace).report_outdated


def test_a_selection_that_cannot_be_read_has_to_be_made_again(workspace: Workspace) -> None:
    for content in ("{", "[]", '{"models": [1]}', '{"models": []}'):
        workspace.selection_file.write_text(content, encoding="utf-8")
        assert status_of(workspace).selection.outdated == "cannot be read"


@pytest.mark.parametrize("name", ["plan.json", "splits.json", "fingerprint.json"])
def test_a_document_that_cannot_be_read_is_part_of_the_status(workspace: Workspace, name: str) -> None:
    (workspace.root / name).write_text("[]", encoding="utf-8")
    status = status_of(workspace)
    assert status.plan is None
    assert name in status.problem
    assert not next_step(status, exported=False).command


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (RunStatus(ModelId("unet", "0"), "under way", epochs=12, of_epochs=100), "under way, epoch 12 of 100"),
        (RunStatus(ModelId("unet", "0"), "interrupted", minutes=12.4, of_minutes=60), "interrupted, minute 12 of 60"),
        (RunStatus(ModelId("unet", "0"), "missing"), "missing"),
    ],
)
def test_how_far_a_run_is_in_words(run: RunStatus, told: str) -> None:
    assert run.told == told


def test_models_that_have_not_learnt_from_adopted_label_maps_are_to_go_on(workspace: Workspace) -> None:
    shutil.rmtree(workspace.models / "unet" / "fold_1")
    assert status_of(workspace).behind == ()
    change(workspace.dataset_file, lambda document: document.update(revision=2))
    for network in ("attention", "sepres"):
        path = workspace.models / network / "fold_0" / "checkpoint.json"
        change(path, lambda document: document["state"].update(revision=2))
    status = status_of(workspace)
    assert (status.revision, [run.model.title for run in status.behind]) == (2, ["unet, fold 0"])
    complete = replace(status, runs=tuple(run for run in status.runs if run.stage != "missing"))
    step = next_step(complete, exported=True)
    assert "label maps were adopted after the training of 1 model, such as unet, fold 0" in step.why
    assert "--arch unet --fold 0" in step.command
    assert "--continue" in step.command


def begun(workspace: Workspace, place: str, *, like: str = "unet/fold_0", **choices: Any) -> Path:
    """A run in another place, with its fold's cases and other choices than the one it is a copy of; gives its checkpoint."""
    folder = workspace.models / place
    number = place.split("/")[1].removeprefix("fold_")
    members = workspace.stored_splits().folds[int(number)].model_dump()
    shutil.copytree(workspace.models / like, folder, ignore=shutil.ignore_patterns("seed_*", "axial", "coronal"))
    change(folder / "checkpoint.json", lambda document: document["state"]["config"].update(choices))
    change(folder / "checkpoint.json", lambda document: document["state"].update(members=members))
    return folder / "checkpoint.json"


def named(workspace: Workspace) -> NextStep:
    """What to do next, without the place of the workspace in the command."""
    step = next_step(status_of(workspace), exported=False)
    return replace(step, command=step.command.removesuffix(f" --workspace {workspace.root}"))


def test_a_damaged_run_of_another_seed_is_begun_again_alone(workspace: Workspace) -> None:
    for model in ("unet/fold_1", "sepres", "attention"):
        shutil.rmtree(workspace.models / model)
    begun(workspace, "unet/fold_0/seed_1", seed=1, named_by_seed=True).write_text("{", encoding="utf-8")
    assert named(workspace).command == "autoseg train --arch unet --fold 0 --restart --seed 1"


def test_a_damaged_run_in_the_folders_of_a_fold_keeps_the_seed_that_its_model_tells(workspace: Workspace) -> None:
    (workspace.models / "unet" / "fold_0" / "checkpoint.json").write_text("{", encoding="utf-8")
    assert named(workspace).command == "autoseg train --arch unet --fold 0 --restart --seed 3"


@pytest.fixture
def views(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A network for each of two views, trained on both folds, and nothing else."""
    for fold in ("0", "1"):
        for view in ("axial", "coronal"):
            begun(workspace, f"new/fold_{fold}/{view}", fold=fold, seed=0, view=view)
    for network in ("unet", "sepres", "attention"):
        shutil.rmtree(workspace.models / network)
    (workspace.models / "new").rename(workspace.models / "unet")
    monkeypatch.setattr(Plan, "network_views", ("axial", "coronal"))
    return workspace


def test_a_damaged_run_of_one_view_does_not_cost_those_of_the_others(views: Workspace) -> None:
    assert named(views).command == "autoseg select"
    folder = views.models / "unet" / "fold_0" / "axial"
    (folder / "checkpoint.json").write_text("{", encoding="utf-8")
    step = named(views)
    assert "unet, fold 0, axial cannot be read" in step.why
    assert f"move what is in {folder} elsewhere" in step.why
    assert not step.command
    begun(views, "unet/fold_0/axial/seed_1", like="unet/fold_1/axial", seed=1, named_by_seed=True)
    assert named(views).why.endswith("elsewhere, except for seed_1")
    shutil.rmtree(folder)
    step = named(views)
    assert step.why == "train unet on the other folds (0)"
    assert step.command == "autoseg train --arch unet --fold all"


def test_a_view_that_was_lost_on_all_folds_is_missing(views: Workspace) -> None:
    for fold in ("fold_0", "fold_1"):
        shutil.rmtree(views.models / "unet" / fold / "coronal")
    assert stages(status_of(views)) == {
        "unet, fold 0, axial": "scored",
        "unet, fold 1, axial": "scored",
        "unet, fold 0, coronal": "missing",
        "unet, fold 1, coronal": "missing",
    }
    assert named(views).command == "autoseg train --arch unet --fold all"


def test_a_run_of_one_view_under_another_plan_does_not_cost_those_under_this_one(views: Workspace) -> None:
    axial, coronal = (views.models / "unet" / "fold_0" / view / "checkpoint.json" for view in ("axial", "coronal"))
    change(axial, lambda document: document["state"].update(plan_digest="0" * 64))
    step = named(views)
    assert step.why.startswith("unet, fold 0, axial was trained under another plan")
    assert f"move what is in {axial.parent} elsewhere" in step.why
    assert not step.command
    change(coronal, lambda document: document["state"].update(plan_digest="0" * 64))
    assert named(views).command == "autoseg train --arch unet --fold 0 --restart"


def test_what_is_not_damaged_is_not_discarded(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = workspace.models / "sepres" / "fold_0" / "checkpoint.json"
    content = checkpoint.read_text(encoding="utf-8")
    change(checkpoint, lambda document: document.update(version=99))
    assert named(workspace) == NextStep("sepres, fold 0 cannot be read. Update autoseg and try again.")
    checkpoint.write_text(content, encoding="utf-8")
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path == checkpoint:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert named(workspace) == NextStep("sepres, fold 0 cannot be read. Check the file, its permissions and its disk.")


def test_a_run_of_another_seed_that_was_interrupted_in_its_first_epoch_begins_again(workspace: Workspace) -> None:
    shutil.rmtree(workspace.models / "unet" / "fold_1")
    folder = workspace.models / "unet" / "fold_0" / "seed_1"
    folder.mkdir()
    lease = Lease(folder / ".lock")
    assert lease.take() is None
    assert stages(status_of(workspace))["unet, fold 0, seed 1"] == "under way"
    lease.release()
    shutil.copy(workspace.models / "unet" / "fold_0" / "bundle.json", folder)
    step = named(workspace)
    assert step.why.startswith("unet, fold 0, seed 1 is a model without a checkpoint")
    assert step.command == "autoseg train --arch unet --fold 0 --seed 1"


def test_missing_folds_of_another_seed_are_trained_with_it(workspace: Workspace) -> None:
    for model in ("unet/fold_1", "sepres", "attention"):
        shutil.rmtree(workspace.models / model)
    begun(workspace, "unet/fold_1", fold="1")
    begun(workspace, "unet/fold_0/seed_1", seed=1, named_by_seed=True)
    assert named(workspace) == NextStep(
        "train unet, seed 1, on the other folds (1)", "autoseg train --arch unet --fold all --seed 1"
    )


def test_a_seed_of_its_own_in_the_folder_of_a_fold_is_the_same_on_the_other_folds(workspace: Workspace) -> None:
    """Version 0.1 put every seed there; what is trained now like it, with this seed, has a folder of its own."""
    for model in ("unet/fold_1", "sepres", "attention"):
        shutil.rmtree(workspace.models / model)
    assert named(workspace).command == "autoseg train --arch unet --fold all --seed 3"
    begun(workspace, "unet/fold_1/seed_3", fold="1", named_by_seed=True)
    assert stages(status_of(workspace)) == {"unet, fold 0": "scored", "unet, fold 1, seed 3": "scored"}
    assert not named(workspace).command.startswith("autoseg train")


def test_a_network_of_another_plan_is_trained_by_its_own_name_and_fold_by_fold(workspace: Workspace) -> None:
    for model in ("unet/fold_1", "attention"):
        shutil.rmtree(workspace.models / model)
    begun(workspace, "sepres/fold_1", like="sepres/fold_0", fold="1")
    earlier = workspace.models / "unet" / "fold_0" / "checkpoint.json"
    change(earlier, lambda document: document["state"].update(plan_digest="0" * 64))
    assert named(workspace) == NextStep("train unet on the other folds (1)", "autoseg train --arch unet --fold 1 --seed 3")
    shutil.copytree(workspace.models / "sepres" / "fold_1", workspace.models / "unet" / "fold_1")
    step = named(workspace)
    assert step.why.startswith("unet, fold 0 was trained under another plan: begin it again")
    assert step.command == "autoseg train --arch unet --fold 0 --restart --seed 3"


def test_folds_that_one_command_would_refuse_are_trained_one_by_one(workspace: Workspace) -> None:
    for model in ("unet/fold_1", "sepres", "attention"):
        shutil.rmtree(workspace.models / model)
    assert named(workspace).command == "autoseg train --arch unet --fold all --seed 3"
    change(workspace.dataset_file, lambda document: document.update(revision=1))
    assert named(workspace).command == "autoseg train --arch unet --fold 1 --seed 3"


def test_what_a_run_would_not_have_by_itself_is_part_of_its_command(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = workspace.models / "unet" / "fold_1" / "checkpoint.json"
    change(checkpoint, lambda document: document["state"]["config"].update(seed=12_345_678, minutes=123456.75))
    command = "autoseg train --arch unet --fold 1 --minutes 123456.75"
    assert named(workspace).command == f"{command} --seed 12345678"
    for own in ("bfloat16", None):
        monkeypatch.setattr(next_steps, "processor_precision", lambda own=own: own)
        assert named(workspace).command == f"{command} --precision float32 --seed 12345678"


def test_a_model_that_a_run_was_started_from_has_to_be_named(workspace: Workspace) -> None:
    origin = Origin(
        weights_sha256="1" * 64, name="unet, fold 0 of brains", epochs=20, minutes=3.0, classes_kept=True, channels_kept=True
    )
    for fold in ("0", "1"):
        checkpoint = workspace.models / "unet" / f"fold_{fold}" / "checkpoint.json"
        change(checkpoint, lambda document: document["state"].update(origin=origin.model_dump()))
        change(checkpoint, lambda document: document["state"]["config"].update(started_from="1" * 64))
    step = named(workspace)
    assert step.command == "autoseg train --arch unet --fold 1 --seed 3 --init MODEL"
    assert (
        "MODEL is the file or folder of the model that it started from: unet, fold 0 of brains after 20 epochs" in step.why
    )
    shutil.rmtree(workspace.models / "unet" / "fold_1")
    assert named(workspace).command == "autoseg train --arch unet --fold all --seed 3 --init MODEL"
