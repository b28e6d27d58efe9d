"""What export writes of a workspace that version 0.1 stored, and which folders it refuses to write into."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from oracles.version_0_1 import copy_of_0_1
from oracles.watched_runs import Recorder

from autoseg.errors import BundleError, UsageError
from autoseg.events import Silent
from autoseg.exporting import contents, export
from autoseg.exporting.document import read_exported
from autoseg.exporting.onnx_model import OnnxModel
from autoseg.model.description import read_document
from autoseg.postprocessing.selection import read_selection
from autoseg.runs.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three networks, finished on fold 0, and a selection of one of them."""
    return Workspace(copy_of_0_1(tmp_path / "v0_1") / "workspace")


@pytest.fixture
def onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for ONNX models, which take long to make and are empty here."""

    def write(_: Any, path: Path, **__: Any) -> OnnxModel:
        path.parent.mkdir(exist_ok=True)
        path.touch()
        return OnnxModel(path, largest_difference=0.0, multiple_px=2, smallest_px=4)

    monkeypatch.setattr(export, "write_onnx", write)
    return tmp_path / "onnx"


def without(workspace: Workspace, case_id: str) -> None:
    """Have a case removed from the data set, which was then planned again."""
    for path in (workspace.root / "dataset.json", workspace.root / "fingerprint.json"):
        document = json.loads(path.read_text())
        kept = [case for case in document["cases"] if case["id"] != case_id]
        assert len(kept) == len(document["cases"]) - 1
        path.write_text(json.dumps({**document, "cases": kept}))


def write(workspace: Workspace, file: Path, *, onnx: Path | None = None, force: bool = False) -> None:
    export.write_export(workspace, file, onnx=onnx, force=force, events=Silent())


@pytest.mark.parametrize("of", ["training_cases", "validation_cases", "compared_cases"])
def test_cases_that_are_gone_from_the_data_have_numbers_too(workspace: Workspace, tmp_path: Path, of: str) -> None:
    (model,) = read_selection(workspace.selection_file).models
    learnt = read_document(workspace.model(model.id)).provenance
    selection = read_selection(workspace.selection_file)
    gone = selection.compared_cases[0] if of == "compared_cases" else getattr(learnt, of)[0]
    ids = [case.id for case in workspace.stored_dataset().cases]
    without(workspace, gone)
    write(workspace, tmp_path / "a.autoseg")
    found = read_exported(tmp_path / "a.autoseg").description
    (exported,) = found.bundles.values()
    assert found.selection is not None
    named = {
        *exported.provenance.training_cases,
        *exported.provenance.validation_cases,
        *found.selection.compared_cases,
        *(point.case for point in found.selection.quality.points),
    }
    assert len(exported.provenance.training_cases) == len(learnt.training_cases)
    assert all(name.startswith("case ") for name in named)
    assert not {case.id for case in found.fingerprint.cases}.intersection(ids)
    originals = {*learnt.training_cases, *learnt.validation_cases, *selection.compared_cases}
    assert len(named) == len(originals)


@pytest.mark.parametrize("force", [False, True])
def test_networks_of_another_export_are_not_joined_by_more(
    workspace: Workspace, tmp_path: Path, onnx: Path, force: bool
) -> None:
    onnx.mkdir()
    (onnx / "unet_fold_9.onnx").write_text("another's")
    with pytest.raises(UsageError, match=r"not of this export.*unet_fold_9\.onnx.*another folder") as refused:
        write(workspace, tmp_path / "a.autoseg", onnx=onnx, force=force)
    assert refused.value.where == str(onnx)
    assert [path.name for path in onnx.iterdir()] == ["unet_fold_9.onnx"]
    assert not (tmp_path / "a.autoseg").exists()


def test_a_smaller_selection_does_not_leave_networks_behind(workspace: Workspace, tmp_path: Path, onnx: Path) -> None:
    selection = workspace.selection_file.rename(tmp_path / "selection.json")
    write(workspace, tmp_path / "a.autoseg", onnx=onnx)
    everything = sorted(path.name for path in onnx.iterdir())
    assert len(everything) == 3
    write(workspace, tmp_path / "a.autoseg", onnx=onnx, force=True)  # the same networks again
    selection.rename(workspace.selection_file)
    with pytest.raises(UsageError, match="not of this export"):
        write(workspace, tmp_path / "a.autoseg", onnx=onnx, force=True)
    assert sorted(path.name for path in onnx.iterdir()) == everything
    write(workspace, tmp_path / "a.autoseg", onnx=tmp_path / "selected", force=True)
    assert [path.name for path in (tmp_path / "selected").iterdir()] == ["sepres_fold_0.onnx"]


def test_half_written_networks_of_a_killed_export_count_nowhere(workspace: Workspace, tmp_path: Path, onnx: Path) -> None:
    onnx.mkdir()
    (onnx / ".autoseg-0000-0000-0000-0000.unet_fold_9.onnx").touch()
    write(workspace, tmp_path / "a.autoseg", onnx=onnx)
    assert (onnx / "sepres_fold_0.onnx").exists()


def test_the_fingerprint_of_many_cases_lies_in_several_documents(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspace, tmp_path / "one.autoseg")
    whole = read_exported(tmp_path / "one.autoseg").description.fingerprint
    monkeypatch.setattr(contents, "CASES_EACH", 2)
    write(workspace, tmp_path / "several.autoseg")
    with zipfile.ZipFile(tmp_path / "several.autoseg") as archive:
        names = [name for name in archive.namelist() if name.startswith("fingerprint")]
    assert names == ["fingerprint.json", *(f"fingerprint_{part}.json" for part in range(2, -(-len(whole.cases) // 2) + 1))]
    assert len(names) > 1
    assert read_exported(tmp_path / "several.autoseg").description.fingerprint == whole


@pytest.mark.parametrize("name", [".", "..", "folder"])
def test_a_folder_is_no_file_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "here" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UsageError) as caught:
        export.check_request(Path(name), onnx=None, force=False)
    assert caught.value.remedy == f"Write {Path(name) / 'model.autoseg'}."


def test_a_file_that_is_there_is_refused_before_models_and_scans_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "model.autoseg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"the file is there already.*--force"):
        export.check_request(tmp_path / "model.autoseg", onnx=None, force=False)
    export.check_request(tmp_path / "model.autoseg", onnx=None, force=True)


def test_scores_of_a_case_that_two_folds_held_out_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    workspace.selection_file.unlink()
    first = workspace.models / "sepres" / "fold_0"
    shutil.copytree(first, first.with_name("fold_1"))
    bundle = first.with_name("fold_1") / "bundle.json"
    bundle.write_text(json.dumps(json.loads(bundle.read_text()) | {"fold": "1"}))
    with pytest.raises(BundleError, match="held out other cases than its fold does now"):
        export.write_export(workspace, tmp_path / "a.autoseg", onnx=None, force=False, events=Recorder())


@pytest.mark.parametrize("edited", [False, True])
def test_scores_of_an_edited_selection_are_said_to_be_of_before(workspace: Workspace, tmp_path: Path, edited: bool) -> None:
    if edited:
        document = json.loads(workspace.selection_file.read_text())
        document["postprocessing"] = [{"kind": "fill_holes", "label": None}]
        workspace.selection_file.write_text(json.dumps(document))
    events = Recorder()
    export.write_export(workspace, tmp_path / "a.autoseg", onnx=None, force=False, events=events)
    told = "the selection was edited by hand: the scores are those of what had been decided"
    assert events.warnings == ([told] if edited else [])
