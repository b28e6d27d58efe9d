import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.catalogue import NORMALISATIONS, Package
from autoseg.errors import BundleError, WorkspaceError
from autoseg.events import Events, Silent
from autoseg.planning.plan import Plan
from autoseg.postprocessing.in_use import fingerprint_of, models_in_use, selection_of
from autoseg.postprocessing.selection import Selection
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"  # sepres selected from three networks on fold 0


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(STORED, tmp_path / "run")))


def in_use(workspace: Workspace, plan: Plan, selection: Selection | None, events: Events) -> tuple[Path, ...]:
    """Folders of the models in use."""
    return tuple(model.folder for model in models_in_use(workspace, plan, selection, events))


def fold_0(workspace: Workspace, *networks: str) -> tuple[Path, ...]:
    return tuple(workspace.models / network / "fold_0" for network in networks)


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **changes}), encoding="utf-8")


def test_what_was_selected_predicts_and_what_else_is_finished_is_named(workspace: Workspace) -> None:
    plan, events = workspace.plan(), Recorder()
    selection = selection_of(workspace, plan)
    assert in_use(workspace, plan, selection, events) == fold_0(workspace, "sepres")
    assert events.notes == ["not in the selection: attention/fold_0, unet/fold_0"]


def test_without_a_selection_everything_finished_predicts(workspace: Workspace) -> None:
    workspace.selection_file.unlink()
    plan = workspace.plan()
    assert selection_of(workspace, plan) is None
    assert in_use(workspace, plan, None, Silent()) == fold_0(workspace, "attention", "sepres", "unet")


def test_a_package_of_another_version_than_in_training_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = {"kind": "normalisation", "name": "mine", "package": "my-normalisations", "version": "1"}
    edit(fold_0(workspace, "sepres")[0] / "bundle.json", registered=[recorded])
    monkeypatch.setattr(NORMALISATIONS, "_registered", {"mine": ()})
    plan, events = workspace.plan(), Recorder()
    for version in ("1", "2"):
        package = Package("my-normalisations", version)
        monkeypatch.setattr(NORMALISATIONS, "package", lambda name, package=package: package if name == "mine" else None)
        assert in_use(workspace, plan, selection_of(workspace, plan), events) == fold_0(workspace, "sepres")
        assert len(events.warnings) == int(version) - 1
    assert "was that of `my-normalisations` 1 in training, and now is that of `my-normalisations` 2" in events.warnings[0]


@pytest.mark.parametrize(("folds", "used"), [(("full", "official"), "full"), (("official",), "official")])
def test_models_outside_the_cross_validation_predict_only_where_it_has_none(
    workspace: Workspace, folds: tuple[str, ...], used: str
) -> None:
    plan = workspace.plan()
    for fold, network in zip(folds, ("attention", "sepres"), strict=False):
        folder = workspace.models / network / "fold_0"
        document = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        edit(folder / "bundle.json", **{**document, "fold": fold})
        folder.rename(folder.with_name(f"fold_{fold}"))
    (unet,) = fold_0(workspace, "unet")
    assert in_use(workspace, plan, None, Silent())[-1] == unet
    for folder in (unet, *([fold_0(workspace, "sepres")[0]] if len(folds) == 1 else [])):
        shutil.rmtree(folder)
    (model,) = in_use(workspace, plan, None, Silent())
    assert json.loads((model / "bundle.json").read_text(encoding="utf-8"))["fold"] == used


def test_where_nothing_is_finished_training_is_the_remedy(workspace: Workspace) -> None:
    for folder in workspace.models.glob("*/fold_0"):
        shutil.rmtree(folder)
    with pytest.raises(BundleError, match=r"no finished model.*fold_1 \(not finished.*autoseg train"):
        in_use(workspace, workspace.plan(), None, Silent())


def test_a_selected_model_that_is_gone_or_trained_again_is_not_replaced_by_another(workspace: Workspace) -> None:
    plan = workspace.plan()
    selection = selection_of(workspace, plan)
    assert selection is not None
    other = selection.models[0].model_copy(update={"weights_sha256": "0" * 64})
    with pytest.raises(BundleError, match=r"trained again, or further, since.*autoseg select"):
        in_use(workspace, plan, selection.model_copy(update={"models": (other,)}), Silent())
    shutil.rmtree(workspace.models / "sepres")
    with pytest.raises(BundleError, match=r"missing or not trained to its end.*autoseg select"):
        in_use(workspace, plan, selection, Silent())


def test_a_selection_that_does_not_fit_the_plan_is_refused(workspace: Workspace) -> None:
    edit(workspace.selection_file, postprocessing=[{"kind": "fill_holes", "label": 33, "smallest_ml": None}])
    with pytest.raises(WorkspaceError, match=r"classes that the plan does not know.*\[33\]"):
        selection_of(workspace, workspace.plan())
    edit(workspace.selection_file, postprocessing=[], log_shift=[0, 0.1])
    with pytest.raises(WorkspaceError, match=r"does not fit the classes; expected 4 numbers in log_shift.*found 2\."):
        selection_of(workspace, workspace.plan())
    edit(workspace.selection_file, log_shift=[], views=["sagittal"])
    with pytest.raises(WorkspaceError, match=r"views are not those of the plan.*planes among coronal.*found sagittal"):
        selection_of(workspace, workspace.plan())
    edit(workspace.selection_file, plan_digest="0" * 64)
    with pytest.raises(WorkspaceError, match=r"made under another plan.*autoseg select"):
        selection_of(workspace, workspace.plan())


def test_scans_are_compared_with_what_the_models_know(workspace: Workspace) -> None:
    document = json.loads(workspace.dataset_file.read_text(encoding="utf-8"))
    adopted = {"IBSR_01": {"corrected": True}, "IBSR_02": {"corrected": False}}
    for case in document["cases"]:
        if case["id"] in adopted:
            case["adopted"] = {**adopted[case["id"]], "revision": 1, "label_sha256": "0" * 64}
    edit(workspace.dataset_file, **{**document, "revision": 1, "version": 2})
    models = models_in_use(workspace, workspace.plan(), selection_of(workspace, workspace.plan()), Silent())
    all_cases = [case.id for case in workspace.fingerprint().cases]
    known = [case.id for case in fingerprint_of(workspace, models).cases]
    assert known == [case for case in all_cases if case != "IBSR_02"]
    later = [replace(model, revision=1) for model in models]
    assert [case.id for case in fingerprint_of(workspace, later).cases] == all_cases


def test_models_of_several_revisions_are_averaged_with_a_warning(workspace: Workspace) -> None:
    path = workspace.models / "unet" / "fold_0" / "bundle.json"
    provenance = json.loads(path.read_text(encoding="utf-8"))["provenance"]
    edit(path, provenance={**provenance, "revision": 1})
    events = Recorder()
    assert in_use(workspace, workspace.plan(), None, events) == fold_0(workspace, "attention", "sepres", "unet")
    assert any("different revisions of the data" in warning for warning in events.warnings)
