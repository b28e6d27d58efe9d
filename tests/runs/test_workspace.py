import json
from pathlib import Path

import pytest

from autoseg.data import dataset, splits
from autoseg.data.dataset import Case, Dataset, Subset
from autoseg.data.splits import Fold, Splits
from autoseg.errors import UsageError, WorkspaceError
from autoseg.model.identity import ModelId
from autoseg.planning.plan import PLAN, Plan
from autoseg.runs.workspace import Workspace, find_workspace, fold_of


def case(name: str, subset: Subset, *, labelled: bool = True) -> Case:
    label = Path(f"/d/{name}_seg.nii") if labelled else None
    return Case(id=name, images=(Path(f"/d/{name}.nii"),), label=label, subject=name, subset=subset)


CASES = (case("a", "training"), case("b", "training"), case("t", "test", labelled=False), case("v", "validation"))
DATASET = Dataset(name="d", root=Path("/d"), layout="ibsr18", channels=("T1",), classes=None, cases=CASES)
FOLDS = (Fold(training=("b",), validation=("a",)), Fold(training=("a",), validation=("b",)))
OFFICIAL = Fold(training=("a", "b"), validation=("v",))
SPLITS = Splits(folds=FOLDS, official=OFFICIAL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(root: Path) -> Path:
    root.mkdir(parents=True)
    (root / "plan.json").touch()
    return root


# --- finding ---------------------------------------------------------------------------------------------------------


def test_the_only_workspace_is_meant(here: Path) -> None:
    planned(here / "runs/IBSR18")
    (here / "runs/unfinished").mkdir()
    assert find_workspace(None).root == Path("runs/IBSR18")


def test_a_chosen_workspace_wins(here: Path) -> None:
    planned(here / "runs/one")
    planned(here / "runs/two")
    assert find_workspace(Path("runs/two")).root == Path("runs/two")
    assert find_workspace(here / "runs/one").root == here / "runs/one"


def test_several_workspaces_are_listed(here: Path) -> None:
    planned(here / "runs/one")
    planned(here / "runs/two")
    with pytest.raises(WorkspaceError, match=r"runs/one, runs/two\. .*--workspace"):
        find_workspace(None)


def test_without_a_workspace_the_next_step_is_planning(here: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no workspace under runs/.*autoseg plan"):
        find_workspace(None)


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_a_chosen_workspace_that_is_no_folder(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=f"{kind}: no such workspace"):
        find_workspace(tmp_path / kind)


def test_a_document_is_parsed_once_and_again_when_it_was_replaced(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    dataset.DATASET.write(workspace.dataset_file, DATASET)
    first = workspace.stored_dataset()
    assert workspace.stored_dataset() is first
    fewer = DATASET.model_copy(update={"cases": CASES[:2]})
    dataset.DATASET.write(workspace.dataset_file, fewer)
    assert workspace.stored_dataset() == fewer
    workspace.dataset_file.unlink()
    with pytest.raises(WorkspaceError, match="does not exist"):
        workspace.stored_dataset()


# --- documents -------------------------------------------------------------------------------------------------------


def test_documents_survive_the_disk(tmp_path: Path, tiny_plan: Plan) -> None:
    workspace = Workspace(tmp_path)
    dataset.DATASET.write(workspace.dataset_file, DATASET)
    splits.SPLITS.write(workspace.splits_file, SPLITS)
    PLAN.write(workspace.plan_file, tiny_plan)
    assert (workspace.dataset(), workspace.splits(), workspace.plan()) == (DATASET, SPLITS, tiny_plan)


@pytest.mark.parametrize("name", ["dataset", "fingerprint", "splits", "plan"])
def test_missing_documents_ask_for_a_plan(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkspaceError, match="Run `autoseg plan DATASET` first") as caught:
        getattr(Workspace(tmp_path), name)()
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not a JSON document"),
        ("[]", "not a usable list of folds: expected an object"),
        (json.dumps({"folds": []}), "official: is missing"),
        (json.dumps({"folds": [{"training": [5], "validation": []}], "official": None}), "folds.0.training.0: "),
        (json.dumps({"folds": [], "official": None, "seed": 1}), "seed: "),
    ],
    ids=["cut", "list", "missing key", "wrong type", "unknown key"],
)
def test_corrupted_documents_name_file_and_key(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "splits.json").write_text(content, encoding="utf-8")
    with pytest.raises(WorkspaceError) as caught:
        Workspace(tmp_path).splits()
    assert f"{tmp_path / 'splits.json'}: " in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        (CASES[2:], "no training case has a label map"),
        ((*CASES, CASES[0]), "several cases have one id"),
    ],
)
def test_a_data_set_that_cannot_be_is_refused(tmp_path: Path, cases: tuple[Case, ...], problem: str) -> None:
    workspace = Workspace(tmp_path)
    dataset.DATASET.write(workspace.dataset_file, DATASET.model_copy(update={"cases": cases}))
    with pytest.raises(WorkspaceError, match=rf"dataset.json: {problem}\. Correct it, or rewrite it with .* --force"):
        workspace.dataset()


@pytest.mark.parametrize("name", ["../a", "/a", "a/b", "a\0b", ""])
def test_a_case_that_would_be_written_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    workspace = Workspace(tmp_path)
    document = DATASET.model_dump(mode="json")
    document["cases"][0]["id"] = name
    workspace.dataset_file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"cases\.0\.id: "):
        workspace.dataset()


def test_folds_that_do_not_fit_the_data_set_are_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    dataset.DATASET.write(workspace.dataset_file, DATASET)
    splits.SPLITS.write(workspace.splits_file, Splits(folds=(Fold(training=("a",), validation=("a",)),), official=None))
    with pytest.raises(WorkspaceError, match=r"splits.json: fold 0 has subjects in training and in validation: a\."):
        workspace.splits()


def test_models_have_a_folder_per_network_and_fold(tmp_path: Path) -> None:
    assert Workspace(tmp_path).model(ModelId("unet", "official")) == tmp_path / "models/unet/fold_official"


# --- folds -----------------------------------------------------------------------------------------------------------


def test_a_number_names_its_fold() -> None:
    assert fold_of(SPLITS, DATASET, "1") == FOLDS[1]


def test_full_trains_on_every_label_and_holds_nothing_out() -> None:
    assert fold_of(SPLITS, DATASET, "full") == Fold(training=("a", "b", "v"), validation=())


def test_official_is_the_data_sets_own_split() -> None:
    assert fold_of(SPLITS, DATASET, "official") == OFFICIAL


def test_without_a_labelled_validation_set_there_is_no_official_fold() -> None:
    with pytest.raises(WorkspaceError, match="no labelled validation set"):
        fold_of(Splits(folds=FOLDS, official=None), DATASET, "official")


def test_too_few_cases_for_folds_can_still_train_in_full() -> None:
    with pytest.raises(UsageError, match=r"2 training cases.*--fold full"):
        fold_of(Splits(folds=(), official=None), DATASET, "0")


@pytest.mark.parametrize("fold", ["2", "-1", "00", "01", "\u00b2", "\u0661", "", "first"])
def test_there_is_one_way_to_write_a_fold(fold: str) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        fold_of(SPLITS, DATASET, fold)
