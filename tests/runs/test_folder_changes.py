"""What was added to the folder of a data set since it was planned, and what is gone: told by names alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from oracles.empty_files import touch

from autoseg.data import places
from autoseg.layouts import NO_CHOICE, find_dataset
from autoseg.layouts.common import Choice
from autoseg.runs import folder_changes as module
from autoseg.runs.folder_changes import FolderChanges, folder_changes, listed_names, others_digest
from autoseg.runs.workspace import Workspace

BIDS = "sub-{0}/anat/sub-{0}_T1w.nii"
DERIVED = "derivatives/manual/sub-{0}/anat/sub-{0}_dseg.nii"


def planned(root: Path, *, remembered: bool = True, choice: Choice = NO_CHOICE) -> Workspace:
    """A workspace whose plan knows what is in a folder now; without the digest of the rest as from an earlier version."""
    dataset = find_dataset(root, choice=choice)
    digest = others_digest(dataset, listed_names(dataset)) if remembered else None
    workspace = Workspace(root.parent / "run")
    workspace.write_dataset(dataset.model_copy(update={"others_sha256": digest}))
    return workspace


def told(changes: FolderChanges) -> tuple[bool, tuple[str, ...], tuple[str, ...], str]:
    return changes.there, changes.added, changes.gone, changes.problem


NOTHING = (True, (), (), "")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two labelled scans, one without a label map, and images of another kind that no case uses."""
    root = tmp_path / "data"
    touch(root, *(BIDS.format(name) for name in "abc"), *(DERIVED.format(name) for name in "ab"))
    touch(root, "sub-a/func/sub-a_bold.nii", "participants.tsv", "sub-a/.hidden.nii")
    return root


@pytest.mark.parametrize("remembered", [True, False])
def test_what_was_there_at_planning_is_nothing_new(root: Path, *, remembered: bool) -> None:
    workspace = planned(root, remembered=remembered)
    touch(root, "sub-a/anat/sub-a_T1w.json", "notes.txt", "run/plan.json", "run/models/x.nii")
    assert told(folder_changes(workspace)) == NOTHING
    assert folder_changes(workspace).sentences(workspace) == ()


@pytest.mark.parametrize("remembered", [True, False])
def test_labelled_cases_that_were_added_are_named_with_what_to_do(root: Path, *, remembered: bool) -> None:
    workspace = planned(root, remembered=remembered)
    touch(root, *(BIDS.format(name) for name in "de"), DERIVED.format("d"))  # e can only be predicted
    assert told(folder_changes(workspace)) == (True, ("sub-d",), (), "")
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert "1 labelled case that the plan does not know: sub-d." in sentence
    assert f"`autoseg plan {root} --workspace {workspace.root}`" in sentence
    assert "Models" not in sentence  # nothing is trained
    (workspace.models / "unet" / "fold_0").mkdir(parents=True)
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert "Models trained by then" in sentence
    assert told(folder_changes(planned(root))) == NOTHING


def test_a_label_map_of_a_scan_that_had_none_adds_a_case(root: Path) -> None:
    workspace = planned(root)
    touch(root, DERIVED.format("c"))
    assert folder_changes(workspace).added == ("sub-c",)


def test_a_label_map_in_which_nothing_was_labelled_adds_none(root: Path) -> None:
    workspace = planned(root)
    dataset = workspace.stored_dataset()
    cases = [case.model_copy(update={"label": None} if case.id == "sub-b" else {}) for case in dataset.cases]
    workspace.write_dataset(dataset.model_copy(update={"cases": tuple(cases)}))
    touch(root, BIDS.format("d"))
    assert told(folder_changes(workspace)) == NOTHING


def test_a_row_that_was_added_to_the_table_adds_a_case(tmp_path: Path) -> None:
    root = tmp_path / "data"
    touch(root, "a.nii", "a_l.nii", "b.nii", "b_l.nii")
    table = root / "cases.csv"
    table.write_text("id,image,label\na,a.nii,a_l.nii\n")
    workspace = planned(root)
    assert told(folder_changes(workspace)) == NOTHING
    table.write_text(table.read_text() + "b,b.nii,b_l.nii\n")
    assert folder_changes(workspace).added == ("b",)


def test_a_folder_with_the_names_of_before_is_only_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = planned(root)
    (dataset, *_) = places.candidates(workspace.stored_dataset(), workspace.root)

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("looked at more than names")

    monkeypatch.setattr(module, "find_dataset", refuse)
    monkeypatch.setattr(places, "is_there", refuse)
    changes = module._compared(dataset)
    assert changes is not None
    assert told(changes) == NOTHING


def test_a_folder_that_could_not_be_planned_as_it_is_says_so(tmp_path: Path) -> None:
    root = tmp_path / "data"
    touch(root, "images/a.nii", "labels/a.nii")
    workspace = planned(root)
    touch(root, "images/b.nii")
    assert told(folder_changes(workspace)) == (True, (), (), "images and labels do not belong together one by one")
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert f"`autoseg check {root}` says more" in sentence


def test_a_folder_that_cannot_be_planned_is_not_told_to_be_planned_before_that_is_put_right(tmp_path: Path) -> None:
    root = tmp_path / "data"
    touch(root, *(f"{kind}/{name}.nii" for kind in ("images", "labels") for name in "ab"))
    workspace = planned(root)
    (root / "labels" / "b.nii").unlink()
    touch(root, "labels/other.nii")
    gone, problem = folder_changes(workspace).sentences(workspace)
    left = root / "images" / "b.nii"
    assert f"Put them back, or move what is left of them out of the folder, too ({left}), and plan again" in gone
    assert "cannot be planned again as it is" in problem
    left.unlink()
    gone, problem = folder_changes(workspace).sentences(workspace)
    assert gone.endswith("Put them back")
    assert "cannot be planned again as it is" in problem


def test_what_was_chosen_of_the_folder_is_chosen_when_it_is_read_again(tmp_path: Path) -> None:
    """A value to be ignored was asked for; now the data set declares another one, and planning would fail."""
    root = tmp_path / "data"
    touch(root, "imagesTr/a_0000.nii", "labelsTr/a.nii")
    described = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii"}
    (root / "dataset.json").write_text(json.dumps(described))
    workspace = planned(root, choice=Choice(ignore=9))
    described["labels"] = {"background": 0, "x": 1, "ignore": 2}
    (root / "dataset.json").write_text(json.dumps(described))
    assert "is another value than the data set calls `ignore`" in folder_changes(workspace).problem
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert f"`autoseg check {root} --ignore 9` says more" in sentence


def test_single_cases_that_are_gone_are_put_back_or_left_out(root: Path) -> None:
    workspace = planned(root)
    shutil.rmtree(root / "sub-b")
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert f"move what is left of them out of the folder, too ({root / DERIVED.format('b')}), and plan again" in sentence
    (root / DERIVED.format("b")).unlink()
    assert told(folder_changes(workspace)) == (True, (), ("sub-b",), "")
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert f"files of sub-b are not in {root} any more. Put them back, or plan again without them: " in sentence
    assert "--data" not in sentence


def test_a_data_set_that_is_elsewhere_is_told_as_moved(root: Path) -> None:
    workspace = planned(root)
    root.rename(root.with_name("moved"))
    assert not folder_changes(workspace).there
    root.mkdir()
    touch(root, "other.nii")
    assert not folder_changes(workspace).there
    (sentence,) = folder_changes(workspace).sentences(workspace)
    assert "--data DIR" in sentence


def test_a_data_set_that_was_moved_with_its_workspace_is_compared_where_it_is(root: Path, tmp_path: Path) -> None:
    planned(root)
    after = tmp_path / "after"
    after.mkdir()
    for name in ("data", "run"):
        (tmp_path / name).rename(after / name)
    workspace = Workspace(after / "run")
    assert told(folder_changes(workspace)) == NOTHING
    touch(after / "data", BIDS.format("d"), DERIVED.format("d"))
    assert folder_changes(workspace).added == ("sub-d",)


def test_links_that_lead_in_circles_and_what_they_lead_to_are_listed(root: Path, tmp_path: Path) -> None:
    touch(tmp_path / "store", "anat/sub-d_T1w.nii")
    (root / "sub-a" / "again").symlink_to(root)
    workspace = planned(root)
    assert told(folder_changes(workspace)) == NOTHING
    (root / "sub-d").symlink_to(tmp_path / "store")
    touch(root, DERIVED.format("d"))
    assert folder_changes(workspace).added == ("sub-d",)


def test_what_earlier_versions_stored_has_no_digest(root: Path) -> None:
    workspace = planned(root)
    document = json.loads(workspace.dataset_file.read_text())
    del document["others_sha256"]
    workspace.dataset_file.write_text(json.dumps(document))
    assert workspace.stored_dataset().others_sha256 is None
