import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autoseg.errors import BundleError
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan
from autoseg.preprocessing.keys import DataKeys
from autoseg.runs.inventory import (
    FinishedModel,
    by_network,
    refuse_changed_data,
    refuse_mixed_data,
    refuse_models_behind,
    revisions_apart,
    take_inventory,
)
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


@pytest.mark.parametrize(
    "copy", ["unet/fold_0_old", "unet/fold_0 (copy)", "unet/fold_2", "unet_backup/fold_0", "sepres/fold_7"]
)
def test_a_copy_of_a_model_in_another_place_is_not_used_a_second_time(workspace: Workspace, copy: str) -> None:
    before = take_inventory(workspace, workspace.plan())
    shutil.copytree(workspace.models / "unet" / "fold_0", workspace.models / copy)
    after = take_inventory(workspace, workspace.plan())
    assert after.finished == before.finished
    (told,) = set(after.skipped) - set(before.skipped)
    assert told == f"{workspace.models / copy} (not the place of unet, fold 0: a copy, or renamed)"


def with_seed(workspace: Workspace, seed: int) -> Path:
    """A finished model of another seed beside that of the U-Net on fold 0."""
    fold = workspace.models / "unet" / "fold_0"
    for name in ("bundle.json", "checkpoint.json"):
        document = json.loads((fold / name).read_text(encoding="utf-8"))
        if name == "bundle.json":
            document.update(seed=seed)
        else:
            document["state"]["config"].update(seed=seed)
        (fold / f"seed_{seed}").mkdir(exist_ok=True)
        (fold / f"seed_{seed}" / name).write_text(json.dumps(document), encoding="utf-8")
    return fold / f"seed_{seed}"


def test_models_of_other_seeds_are_found_beside_that_of_the_fold(workspace: Workspace) -> None:
    folders = [with_seed(workspace, seed) for seed in (7, 10)]
    found = [model for model in take_inventory(workspace, workspace.plan()).finished if model.architecture == "unet"]
    assert [model.id.title for model in found] == ["unet, fold 0", "unet, fold 0, seed 10", "unet, fold 0, seed 7"]
    assert [model.seed for model in found] == [3, 10, 7]
    assert [model.folder for model in found[1:]] == folders[::-1]


def test_networks_of_single_views_are_used_together_or_not_at_all(
    workspace: Workspace, make_plan: Callable[..., Plan]
) -> None:
    plan = make_plan(views=[{}, {"plane": "coronal"}], network={"shared_by_views": False})
    fold = workspace.models / "unet" / "fold_0"
    for seed, view in ((3, "axial"), (3, "coronal"), (4, "axial")):
        folder = fold / view if seed == 3 else fold / view / f"seed_{seed}"
        folder.mkdir(parents=True)
        bundle, checkpoint = (json.loads((fold / name).read_text()) for name in ("bundle.json", "checkpoint.json"))
        bundle.update(
            view=view, seed=None if seed == 3 else seed, plan=plan.model_dump(mode="json"), plan_digest=plan.digest
        )
        checkpoint["state"]["config"].update(view=view, seed=seed)
        (folder / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")
        (folder / "checkpoint.json").write_text(json.dumps(checkpoint), encoding="utf-8")
    inventory = take_inventory(workspace, plan)
    assert [model.id.title for model in inventory.finished] == ["unet, fold 0, axial", "unet, fold 0, coronal"]
    assert inventory.skipped[-1] == f"{fold / 'axial' / 'seed_4'} (not without the view coronal: repeat its train command)"
    assert [network.title for network in by_network(inventory.finished)] == ["U-Net, axial", "U-Net, coronal"]


def test_networks_are_told_apart_by_seed_where_a_fold_has_several() -> None:
    def trained(network: str, fold: str, seed: int) -> FinishedModel:
        return FinishedModel(ModelId(network, fold), Path("run"), NOW, seed)

    one, other = trained("unet", "0", 3), trained("unet", "1", 4)
    assert {key.title: models for key, models in by_network([one, other]).items()} == {"U-Net": (one, other)}
    twice = trained("unet", "1", 3)
    groups = by_network([twice, one, other, trained("attention", "0", 1)])
    assert list(groups)[-1].name == "attention"
    assert {key.name: models for key, models in groups.items() if key.architecture == "unet"} == {
        "unet, seed 3": (twice, one),
        "unet, seed 4": (other,),
    }
    assert by_network([]) == {}


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


def of_revision(number: int, fold: str, **cases: str) -> FinishedModel:
    return replace(model(fold, **cases), revision=number)


def test_between_revisions_label_maps_may_differ_and_within_one_they_may_not() -> None:
    before, after = of_revision(0, "0", a="1", b="1"), of_revision(1, "1", a="2", b="1")
    refuse_mixed_data([before, after])
    assert revisions_apart([before, after]) == "revision 0: unet/fold_0; revision 1: unet/fold_1"
    assert revisions_apart([before, before]) is None
    with pytest.raises(BundleError, match="trained on different data"):
        refuse_mixed_data([after, of_revision(1, "2", a="3", b="1"), before])


def adopt(workspace: Workspace, case: str, revision: int) -> None:
    """Have a case of the workspace say that its label map was adopted."""
    document = json.loads(workspace.dataset_file.read_text(encoding="utf-8"))
    for each in document["cases"]:
        if each["id"] == case:
            each["adopted"] = {"revision": revision, "corrected": True, "label_sha256": "0" * 64}
    workspace.dataset_file.write_text(json.dumps({**document, "revision": revision, "version": 2}), encoding="utf-8")


def test_models_behind_the_data_are_named_where_they_are_compared(workspace: Workspace) -> None:
    refuse_models_behind([of_revision(0, "0")], workspace=workspace)
    adopt(workspace, "IBSR_01", 2)
    refuse_models_behind([of_revision(2, "0")], workspace=workspace)
    with pytest.raises(BundleError, match="behind the data") as refused:
        refuse_models_behind([of_revision(2, "0"), of_revision(1, "1")], workspace=workspace)
    assert refused.value.found == "unet/fold_1 of revision 1"
    assert "train --continue" in refused.value.remedy


def test_label_maps_adopted_since_do_not_keep_a_model_from_being_shown(workspace: Workspace) -> None:
    adopt(workspace, "IBSR_01", 1)
    now = DataKeys(cases={"IBSR_01": "2", "IBSR_02": "1"}, all_labelled="y")
    refuse_changed_data([of_revision(0, "0", IBSR_01="1", IBSR_02="1")], now, workspace=workspace)
    refuse_changed_data([of_revision(0, "0")], now, workspace=workspace)  # a run of 0.1
    for changed in (of_revision(1, "0", IBSR_01="1", IBSR_02="1"), of_revision(0, "0", IBSR_01="1", IBSR_02="0")):
        with pytest.raises(BundleError, match="has changed since"):
            refuse_changed_data([changed], now, workspace=workspace)
