import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oracles.watched_runs import Recorder

from autoseg.data.dataset import DATASET, Case, Dataset
from autoseg.data.new_folds import with_new_cases
from autoseg.data.splits import SPLITS, Fold, Splits, make_splits
from autoseg.errors import AutosegError, WorkspaceError
from autoseg.model.identity import ModelId
from autoseg.planning.plan import Plan, write_plan
from autoseg.runs import protection
from autoseg.runs.protection import keep_replaced, protect_earlier_planning, refuse_data_as_workspace
from autoseg.runs.workspace import Workspace
from autoseg.storage import files
from autoseg.training.config import TrainConfig
from autoseg.training.run_state import RunState


def dataset(root: Path) -> Dataset:
    root.mkdir(exist_ok=True)
    cases = tuple(
        Case(id=name, images=(root / f"{name}.nii",), label=root / f"{name}_seg.nii", subject=name, subset="training")
        for name in "ab"
    )
    return Dataset(name="d", root=root, layout="ibsr18", channels=("T1",), classes=None, cases=cases)


@pytest.fixture
def planned(tmp_path: Path, tiny_plan: Any) -> tuple[Workspace, Dataset]:
    """A workspace as planning leaves it."""
    data, workspace = dataset(tmp_path / "data"), Workspace(tmp_path / "run")
    DATASET.write(workspace.dataset_file, data)
    SPLITS.write(workspace.splits_file, make_splits(data, classes_present={"a": {1}, "b": {1}}, folds=2, groups=None))
    write_plan(tiny_plan, workspace.plan_file)
    return workspace, data


def test_what_planning_left_may_be_replaced(planned: tuple[Workspace, Dataset]) -> None:
    protect_earlier_planning(*planned)
    refuse_data_as_workspace(*planned)


def test_nothing_is_in_the_way_where_nothing_is(tmp_path: Path) -> None:
    data, workspace = dataset(tmp_path / "data"), Workspace(tmp_path / "run")
    protect_earlier_planning(workspace, data)
    refuse_data_as_workspace(workspace, data)


def edit(path: Path) -> bytes:
    """Change a plan, or folds, by hand."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if "views" in document:
        document["views"][0]["batch_size"] += 1
    else:
        document["folds"].reverse()
    path.write_text(json.dumps(document), encoding="utf-8")
    return path.read_bytes()


def test_an_edited_plan_is_kept(planned: tuple[Workspace, Dataset]) -> None:
    workspace, data = planned
    edit(workspace.plan_file)
    with pytest.raises(WorkspaceError, match=r"the plan was edited by hand.*--force"):
        protect_earlier_planning(workspace, data)


@pytest.mark.parametrize("name", ["plan.json", "splits.json", "dataset.json"])
@pytest.mark.parametrize("content", ['{"version": 2, "na', "<<<<<<< HEAD\n{}\n", "[]"], ids=["cut", "conflict", "another"])
def test_what_cannot_be_read_is_not_called_edited_and_the_way_out_is_named(
    planned: tuple[Workspace, Dataset], name: str, content: str
) -> None:
    workspace, data = planned
    (workspace.root / name).write_text(content, encoding="utf-8")
    with pytest.raises(AutosegError, match="not a") as raised:
        protect_earlier_planning(workspace, data)
    assert raised.value.where == str(workspace.root / name)
    assert "Correct " in raised.value.remedy
    assert "autoseg plan DATASET --force" in raised.value.remedy
    read = {"plan.json": workspace.plan, "splits.json": workspace.splits, "dataset.json": workspace.dataset}[name]
    with pytest.raises(type(raised.value)) as elsewhere:  # training says the same
        read()
    assert str(elsewhere.value) == str(raised.value)


def test_edited_folds_are_kept(planned: tuple[Workspace, Dataset]) -> None:
    workspace, data = planned
    splits = workspace.stored_splits()
    SPLITS.write(workspace.splits_file, splits.model_copy(update={"folds": splits.folds[::-1]}))
    assert Splits.model_validate_json(workspace.splits_file.read_text(encoding="utf-8")).edited
    with pytest.raises(WorkspaceError, match=r"the folds were edited by hand.*--force"):
        protect_earlier_planning(workspace, data)


def test_the_workspace_of_another_data_set_is_kept(planned: tuple[Workspace, Dataset], tmp_path: Path) -> None:
    workspace, _ = planned
    with pytest.raises(WorkspaceError, match=r"belongs to another data set.*--name"):
        protect_earlier_planning(workspace, dataset(tmp_path / "other"))


def test_a_data_set_is_no_workspace(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    with pytest.raises(WorkspaceError, match=r"a data set, not a workspace"):
        refuse_data_as_workspace(Workspace(data.root), data)
    files.write_json(tmp_path / "other" / "dataset.json", {"name": "a Decathlon's"})
    with pytest.raises(WorkspaceError, match=r"a data set, not a workspace"):
        refuse_data_as_workspace(Workspace(tmp_path / "other"), data)


def test_a_folder_of_scans_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    data = dataset(root)
    moved = {"images": (root / "images" / "a" / "t1.nii",), "label": tmp_path / "labels" / "a.nii"}
    data = data.model_copy(update={"cases": (data.cases[0].model_copy(update=moved),)})
    monkeypatch.chdir(tmp_path)
    for place in (root / "images", root / "images" / "a", tmp_path / "labels", Path("labels")):
        with pytest.raises(WorkspaceError, match=r"a data set, not a workspace"):
            refuse_data_as_workspace(Workspace(place), data)
    for place in (root / "run", root / "images" / "run", tmp_path, Path("run")):
        refuse_data_as_workspace(Workspace(place), data)


def test_a_workspace_that_lies_among_scans_stays_one(planned: tuple[Workspace, Dataset]) -> None:
    workspace, data = planned
    among = data.cases[0].model_copy(update={"images": (workspace.root / "a.nii",)})
    refuse_data_as_workspace(workspace, data.model_copy(update={"cases": (among,)}))


def test_a_replaced_plan_is_kept_where_runs_were_begun_under_it(
    planned: tuple[Workspace, Dataset], make_plan: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = planned
    earlier, before = workspace.plan(), workspace.plan_file.read_bytes()
    new, events = make_plan(training={"learning_rate": 0.5}), Recorder()
    keep_replaced(workspace, new, workspace.stored_splits(), events)  # nothing was trained
    workspace.model(ModelId("unet", "0")).mkdir(parents=True)
    config = TrainConfig(architecture="unet", fold="0", precision="float32")
    for digest in ("that of a third plan", earlier.digest):
        assert events.warnings == []
        state = RunState(plan_digest=digest, data_key="", members=Fold(training=("a",), validation=()), config=config)
        monkeypatch.setattr(protection, "read_state", lambda _, state=state: state)
        keep_replaced(workspace, earlier, workspace.stored_splits(), events)  # nothing changes
        keep_replaced(workspace, new, workspace.stored_splits(), events)
    (told,) = events.warnings
    assert "differs from the one of 1 earlier run (training.learning_rate), which will take part in nothing" in told
    (kept,) = workspace.root.glob("plan-*.json")
    assert str(kept) in told
    assert kept.read_bytes() == before


def test_replaced_folds_are_kept_where_runs_were_begun(
    planned: tuple[Workspace, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, _ = planned
    plan, earlier, before = workspace.plan(), workspace.stored_splits(), workspace.splits_file.read_bytes()
    turned = earlier.model_copy(update={"folds": earlier.folds[::-1]})
    joined, _ = with_new_cases(earlier, ["c"], groups={case: case for case in "abc"})
    events = Recorder()
    keep_replaced(workspace, plan, turned, events)  # nothing was trained
    workspace.model(ModelId("unet", "0")).mkdir(parents=True)

    def run_of(fold: str) -> RunState:
        config = TrainConfig(architecture="unet", fold=fold, precision="float32")
        return RunState(plan_digest="any", data_key="", members=Fold(training=("a",), validation=()), config=config)

    monkeypatch.setattr(protection, "read_state", lambda _: run_of("full"))
    keep_replaced(workspace, plan, turned, events)  # no folds concern it
    monkeypatch.setattr(protection, "read_state", lambda _: run_of("0"))
    keep_replaced(workspace, plan, earlier, events)  # nothing changes
    assert not list(workspace.root.glob("splits-*.json"))
    keep_replaced(workspace, plan, joined, events)
    keep_replaced(workspace, plan, turned, events)
    (noted,), (warned,) = events.notes, events.warnings
    assert "cases joined the folds, in which all others stay where they are" in noted
    assert "the new folds differ from those before, which 1 earlier run may need" in warned
    (kept,) = workspace.root.glob("splits-*.json")
    assert all(f"{kept}, to put back in the place of splits.json" in told for told in (noted, warned))
    assert kept.read_bytes() == before


def test_an_unreadable_run_needs_no_plan(planned: tuple[Workspace, Dataset], make_plan: Callable[..., Plan]) -> None:
    workspace, _ = planned
    folder = workspace.model(ModelId("unet", "0"))
    folder.mkdir(parents=True)
    (folder / "checkpoint.json").write_text("{", encoding="utf-8")
    events = Recorder()
    keep_replaced(workspace, make_plan(training={"learning_rate": 0.5}), workspace.stored_splits(), events)
    assert events.warnings == []
    assert not list(workspace.root.glob("plan-*.json"))


@pytest.mark.parametrize("name", ["plan", "splits"])
@pytest.mark.parametrize("state", ["edited", "unreadable"])
def test_what_a_person_wrote_is_kept_where_it_is_replaced(
    planned: tuple[Workspace, Dataset], tiny_plan: Plan, name: str, state: str
) -> None:
    workspace, _ = planned
    splits, events, path = workspace.stored_splits(), Recorder(), workspace.root / f"{name}.json"
    keep_replaced(workspace, tiny_plan, splits, events)  # as planned
    assert events.notes == []
    if state == "unreadable":
        path.write_text('{"version": 2, "ha', encoding="utf-8")
    written = edit(path) if state == "edited" else path.read_bytes()
    keep_replaced(workspace, tiny_plan, splits, events)
    (kept,) = workspace.root.glob(f"{name}-*.json")
    assert kept.read_bytes() == written
    assert events.notes == [f"{name}.json as it was before is kept as {kept}"]
