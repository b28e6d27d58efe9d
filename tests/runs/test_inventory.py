import json
import shutil
from pathlib import Path

import pytest

from autoseg.errors import BundleError
from autoseg.model.identity import ModelId
from autoseg.runs.inventory import FinishedModel, refuse_mixed_data, take_inventory
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"  # fold 0 trained to its end, fold 1 interrupted


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(STORED, tmp_path / "run")))


def fold_0(workspace: Workspace) -> list[Path]:
    return [workspace.models / network / "fold_0" for network in ("attention", "sepres", "unet")]


def model(architecture: str, fold: str, key: str) -> FinishedModel:
    named = ModelId(architecture, fold)
    return FinishedModel(named, Path("run/models") / named.folder, key)


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


def test_models_of_different_data_are_refused() -> None:
    same = [model("unet", "0", "a" * 64), model("unet", "1", "a" * 64)]
    refuse_mixed_data(same)
    with pytest.raises(
        BundleError, match=r"different data.*unet/fold_0 on aaaaaaaa, .*sepres/fold_0 on bbbbbbbb.*--restart"
    ):
        refuse_mixed_data([*same, model("sepres", "0", "b" * 64)])
