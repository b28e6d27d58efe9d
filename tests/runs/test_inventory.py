import json
import shutil
from pathlib import Path

import pytest

from autoseg.errors import BundleError
from autoseg.model.identity import ModelId
from autoseg.preprocessing.keys import DataKeys
from autoseg.runs.inventory import FinishedModel, refuse_changed_data, refuse_mixed_data, take_inventory
from autoseg.runs.workspace import Workspace

NOW = DataKeys(cases={"a": "1", "b": "1", "c": "1"}, all_labelled="x")
STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"  # fold 0 trained to its end, fold 1 interrupted


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(STORED, tmp_path / "run")))


def fold_0(workspace: Workspace) -> list[Path]:
    return [workspace.models / network / "fold_0" for network in ("attention", "sepres", "unet")]


def model(fold: str, *, all_labelled: str = "x", **cases: str) -> FinishedModel:
    named = ModelId("unet", fold)
    return FinishedModel(named, Path("run/models") / named.folder, DataKeys(cases=cases, all_labelled=all_labelled))


def test_what_is_finished_is_used_and_the_rest_is_skipped_with_the_reason(workspace: Workspace) -> None:
    inventory = take_inventory(workspace, workspace.plan())
    assert [model.id.title for model in inventory.finished] == ["attention, fold 0", "sepres, fold 0", "unet, fold 0"]
    assert [model.folder for model in inventory.finished] == fold_0(workspace)
    (skipped,) = inventory.skipped
    assert skipped.endswith("fold_1 (not finished: repeat its train command)")


def test_models_of_another_plan_are_skipped(workspace: Workspace) -> None:
    document = json.loads(workspace.plan_file.read_text(encoding="utf-8"))
    document["training"]["batch_size"] += 1
    workspace.plan_file.write_text(json.dumps(document), encoding="utf-8")
    inventory = take_inventory(workspace, workspace.plan())
    assert not inventory.finished
    assert [line.split(" ", 1)[1] for line in inventory.skipped] == ["(trained under another plan)"] * 4


def test_folds_of_the_same_data_go_together_whatever_was_added_between() -> None:
    refuse_mixed_data([model("0", a="1", b="1"), model("1", all_labelled="y", b="1", c="1")])
    refuse_mixed_data([model("0"), model("1"), model("2", a="1")])  # the first two of 0.1


def test_a_case_that_changed_between_two_models_is_named() -> None:
    with pytest.raises(BundleError) as raised:
        refuse_mixed_data([model("0", a="1", b="1"), model("1", a="1", b="2")])
    assert raised.value.found == "not the same b in unet/fold_0 and unet/fold_1"


def test_models_of_0_1_know_no_cases() -> None:
    with pytest.raises(BundleError) as raised:
        refuse_mixed_data([model("0"), model("1", all_labelled="y")])
    assert raised.value.found == "not the same data in unet/fold_0 and unet/fold_1"


def test_data_that_changed_since_training_are_named() -> None:
    workspace = Workspace(Path("run"))
    refuse_changed_data([model("0", a="1", b="1"), model("1")], NOW, workspace=workspace)
    with pytest.raises(BundleError) as raised:
        refuse_changed_data([model("0", a="1", b="2")], NOW, workspace=workspace)
    assert raised.value.found == "other files for b"
    assert raised.value.expected == "the data that unet/fold_0 was trained on"
    with pytest.raises(BundleError, match="other files for some of its cases"):
        refuse_changed_data([model("0", all_labelled="y")], NOW, workspace=workspace)
