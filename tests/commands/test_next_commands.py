"""The commands that are printed to be pasted: with the options that were given, and paths that a shell takes as one word."""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from oracles.commands import autoseg as command
from oracles.predicted_folder import write_results, write_scans
from oracles.tiny_cases import tiny_scans, write_nifti, write_tiny_cases
from oracles.watched_runs import Recorder

import autoseg
from autoseg.errors import DatasetError
from autoseg.runs.moved_data import with_data_in
from autoseg.runs.planned_before import warn_of_workspaces_left_behind
from autoseg.runs.workspace import Workspace


def following(told: str) -> list[str]:
    """The words of the command that comes next."""
    (line,) = (line for line in told.splitlines() if line.startswith("Next: "))
    name, *words = shlex.split(line.removeprefix("Next: "))
    assert name == "autoseg"
    return words


def write_two_channels(root: Path, values: Iterable[int]) -> None:
    """Write cases of two channels and a third scan, with label maps of unusual names, in which some voxels have a value."""
    for number, ((scan, label), value) in enumerate(zip(tiny_scans(2), values, strict=True)):
        folder = root / f"p{number}"
        folder.mkdir(parents=True)
        for name in ("T1", "T2", "other"):
            write_nifti(folder / f"{name}.nii", scan)
        label[0] = value
        write_nifti(folder / "my drawing.nii", label)


def test_what_was_chosen_for_a_check_is_chosen_for_the_plan(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    write_two_channels(data, [9, 9])
    chosen = ["--labels", "my drawing.nii", "--channel", "T1", "--channel", "T2", "--ignore", "9", "--not-finite", "zero"]
    words = following(command("check", str(data), *chosen).told)
    assert words == ["plan", str(data), *chosen]
    command(*words, "-w", str(tmp_path / "run"))
    workspace = Workspace(tmp_path / "run")
    assert (workspace.stored_dataset().channels, workspace.plan().data.ignore) == (("T1", "T2"), 9)


def test_a_value_to_be_ignored_is_asked_for_where_classes_are_declared(tmp_path: Path) -> None:
    write_tiny_cases(tmp_path, 2)
    (_, label), *_ = tiny_scans(2)
    label[0] = 9
    write_nifti(tmp_path / "labelsTr" / "case_00000.nii", label)
    assert following(command("check", str(tmp_path), "--ignore", "9").told) == ["plan", str(tmp_path), "--ignore", "9"]


def test_nothing_is_asked_for_that_a_data_set_declares(tmp_path: Path) -> None:
    write_tiny_cases(tmp_path, 2)
    description = json.loads((tmp_path / "dataset.json").read_text())
    description["labels"]["ignore"] = 2
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    assert following(command("check", str(tmp_path)).told) == ["plan", str(tmp_path)]


def test_a_plan_is_trained_in_its_workspace_on_a_fold_that_it_has(tmp_path: Path) -> None:
    write_tiny_cases(tmp_path / "data", 2)
    run = tmp_path / "my run"
    words = following(command("plan", str(tmp_path / "data"), "-w", str(run)).told)
    assert words == ["train", "--arch", "unet", "--fold", "0", "--workspace", str(run)]
    command(*words, "--dry-run")
    write_tiny_cases(tmp_path / "single", 1)
    words = following(command("plan", str(tmp_path / "single"), "-w", str(tmp_path / "one")).told)
    assert words[:5] == ["train", "--arch", "unet", "--fold", "full"]
    command(*words, "--dry-run")


@pytest.fixture
def corrected(tmp_path: Path) -> Path:
    """Results, one of which was corrected, beside a workspace."""
    scans = dict(zip(("a", "b"), tiny_scans(2), strict=True))
    write_scans(tmp_path / "scans", {name: scan for name, (scan, _) in scans.items()})
    write_results(tmp_path / "my results", tmp_path / "scans", {name: label for name, (_, label) in scans.items()})
    write_nifti(tmp_path / "my results" / "b.nii", np.roll(scans["b"][1], 1))
    write_tiny_cases(tmp_path / "data", 4, seed=5)
    autoseg.plan(tmp_path / "data", workspace=tmp_path / "my run", folds=2, events=autoseg.silent)
    return tmp_path


def test_corrections_are_adopted_by_the_workspace_that_was_named(corrected: Path) -> None:
    assert following(command("queue", "my results", cwd=corrected).told) == ["adopt", "my results"]
    words = following(command("queue", "my results", "-w", "my run", cwd=corrected).told)
    assert words == ["adopt", "my results", "--workspace", "my run"]
    first, again = (command(*words, "--json", cwd=corrected).document for _ in range(2))
    assert (first["revision"], again["revision"]) == (1, None)
    assert first.keys() == again.keys()
    assert again["behind"] == []


def test_data_that_were_moved_are_named_in_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_cases(tmp_path / "data", 2)
    workspace = Workspace(Path("runs") / "my run")
    autoseg.plan(tmp_path / "data", workspace=workspace.root, events=autoseg.silent)
    moved = tmp_path / "moved data"
    (tmp_path / "data").rename(moved)
    events = Recorder()
    dataset = with_data_in(workspace, moved, events, remember=False).dataset()
    warn_of_workspaces_left_behind(Workspace(Path("runs") / "new"), dataset, events)
    assert [said.endswith(f"autoseg train --workspace 'runs/my run' --data '{moved}'") for said in events.warnings] == [True]
    write_tiny_cases(moved, 2, seed=1)
    with pytest.raises(DatasetError) as refused:
        with_data_in(workspace, moved, events)
    assert refused.value.remedy.endswith(f"autoseg plan '{moved}' --workspace 'runs/my run'")
