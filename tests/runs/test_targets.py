import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autoseg.errors import UsageError
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan
from autoseg.runs.targets import Target, targets_of
from autoseg.runs.workspace import Workspace

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1" / "workspace"
"""Of version 0.1, whose models of seed 3 lie in the folders of their folds; that of fold 1 is not finished."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(STORED, tmp_path / "run")))


@pytest.fixture
def untrained(workspace: Workspace) -> Workspace:
    shutil.rmtree(workspace.models)
    return workspace


def titles(workspace: Workspace, *networks: str, fold: str = "0", seeds: tuple[int, ...] = (0,)) -> list[str]:
    return [
        target.model.title for target in targets_of(workspace, workspace.plan(), networks or ("unet",), fold, seeds=seeds)
    ]


def test_targets_go_fold_by_fold(untrained: Workspace) -> None:
    found = targets_of(untrained, untrained.plan(), ("unet", "sepres"), "all", seeds=(0,))
    assert [target.model.title for target in found] == ["unet, fold 0", "sepres, fold 0", "unet, fold 1", "sepres, fold 1"]
    first, second = untrained.splits().folds
    assert [target.members for target in found] == [first, first, second, second]


def test_seeds_of_a_network_follow_one_another(untrained: Workspace) -> None:
    found = targets_of(untrained, untrained.plan(), ("unet", "sepres"), "1", seeds=(2, 0))
    assert [(target.model.title, target.seed) for target in found] == [
        ("unet, fold 1, seed 2", 2), ("unet, fold 1", 0), ("sepres, fold 1, seed 2", 2), ("sepres, fold 1", 0),
    ]  # fmt: skip


def test_all_cases_train_the_full_model(untrained: Workspace) -> None:
    (target,) = targets_of(untrained, untrained.plan(), ("unet",), "full", seeds=(0,))
    assert isinstance(target, Target)
    assert (target.model, target.members.validation) == (ModelId("unet", "full"), ())
    assert set(target.members.training) == {case.id for case in untrained.dataset().labelled}


def test_views_with_networks_of_their_own_are_trained_after_one_another(
    untrained: Workspace, make_plan: Callable[..., Plan]
) -> None:
    views = [{}, {"plane": "coronal"}]
    plan = make_plan(views=views, network={"shared_by_views": False})
    found = targets_of(untrained, plan, ("unet",), "0", seeds=(0, 1))
    assert [target.model.folder for target in found] == [
        "unet/fold_0/axial", "unet/fold_0/coronal", "unet/fold_0/axial/seed_1", "unet/fold_0/coronal/seed_1",
    ]  # fmt: skip
    (target,) = targets_of(untrained, make_plan(views=views), ("unet",), "0", seeds=(0,))
    assert target.model.folder == "unet/fold_0"


def test_what_lies_in_the_folder_of_a_fold_stays_there_whatever_its_seed(workspace: Workspace) -> None:
    assert titles(workspace, fold="all", seeds=(3,)) == ["unet, fold 0", "unet, fold 1"]


def test_other_seeds_stand_beside_it(workspace: Workspace) -> None:
    assert titles(workspace, seeds=(0, 3, 4)) == ["unet, fold 0, seed 0", "unet, fold 0", "unet, fold 0, seed 4"]


@pytest.mark.parametrize("checkpoint", ["{}", None])
def test_a_model_tells_its_seed_where_its_checkpoint_does_not(workspace: Workspace, checkpoint: str | None) -> None:
    path = workspace.models / "unet" / "fold_0" / "checkpoint.json"
    if checkpoint is None:
        path.unlink()
    else:
        path.write_text(checkpoint, encoding="utf-8")
    assert titles(workspace, seeds=(0, 3)) == ["unet, fold 0, seed 0", "unet, fold 0"]


def test_a_run_that_cannot_be_read_is_that_of_the_default_seed_to_be_refused(workspace: Workspace) -> None:
    for name in ("checkpoint.json", "bundle.json"):
        (workspace.models / "unet" / "fold_0" / name).write_text("{}", encoding="utf-8")
    assert titles(workspace, seeds=(0, 3)) == ["unet, fold 0", "unet, fold 0, seed 3"]


def test_a_fold_that_is_not_there_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="no such fold"):
        targets_of(workspace, workspace.plan(), ("unet",), "2", seeds=(0,))
