"""`autoseg export` and `autoseg info`: networks trained for a moment, passed on, and used where nothing else is left."""

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from oracles.commands import autoseg as command
from oracles.processes import Answer
from oracles.watched_runs import Recorder

import autoseg
from autoseg.commands import export
from autoseg.errors import BundleError, UsageError
from autoseg.exporting import export as writing
from autoseg.exporting.document import ExportedModel, read_exported
from autoseg.images.image import read_labels
from autoseg.inference.steps import Step
from autoseg.model.bundle import load_bundle
from autoseg.postprocessing.selection import read_selection
from autoseg.runs.workspace import find_workspace

MODELS = (("unet", "0"), ("unet", "1"), ("sepres", "0"))
FOLDERS = {f"models/{architecture}/fold_{fold}" for architecture, fold in MODELS}


@pytest.fixture(scope="module")
def selected(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after `autoseg select`, which was then told to fill holes."""
    workspace = tmp_path_factory.mktemp("selected") / "run"
    shutil.copytree(trained, workspace)
    selection = autoseg.select(workspace).selection
    steps = (Step(type="fill_holes", label=3),)
    text = selection.model_copy(update={"postprocessing": steps}).model_dump_json()
    (workspace / "selection.json").write_text(text, encoding="utf-8")
    return workspace


class Elsewhere(NamedTuple):
    """A folder without a workspace."""

    model: Path
    predictions: dict[str, np.ndarray[Any, Any]]


def label_maps(scans: Path, out: Path, **choice: Path) -> dict[str, np.ndarray[Any, Any]]:
    autoseg.predict(scans, out, precision="float32", **choice)
    return {path.name: read_labels(path).array for path in sorted(out.glob("*.nii.gz"))}


@pytest.fixture(scope="module")
def elsewhere(selected: Path, cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """What a workspace predicts, and its export; then the workspace is gone."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(selected, folder / "run")
    autoseg.export(folder / "brain.autoseg", workspace=folder / "run")
    predictions = label_maps(cohort / "Test_Set", folder / "there", workspace=folder / "run")
    shutil.rmtree(folder / "run")
    return Elsewhere(folder / "brain.autoseg", predictions)


def weights(model: ExportedModel) -> dict[str, dict[str, torch.Tensor]]:
    networks = zip(model.description.bundles, model.bundles, strict=True)
    return {folder: bundle.network.state_dict() for folder, (_, bundle) in networks}


def test_the_networks_are_the_same_to_the_last_bit(trained: Path, tmp_path: Path) -> None:
    autoseg.export(tmp_path / "brain.autoseg", workspace=trained)
    model = read_exported(tmp_path / "brain.autoseg")
    found = weights(model)
    assert found.keys() == FOLDERS
    for folder, state in found.items():
        original = load_bundle(trained / folder).network.state_dict()
        assert state.keys() == original.keys()
        assert all(torch.equal(state[name], tensor) for name, tensor in original.items())
    assert all(not bundle.network.training for _, bundle in model.bundles)
    assert model.description.plan == find_workspace(trained).plan()
    assert model.description.selection is None


def test_predictions_elsewhere_are_those_of_the_workspace(elsewhere: Elsewhere, cohort: Path, tmp_path: Path) -> None:
    found = label_maps(cohort / "Test_Set", tmp_path / "here", model=elsewhere.model)
    assert found.keys() == elsewhere.predictions.keys()
    assert len(found) == 1
    for name, expected in elsewhere.predictions.items():
        np.testing.assert_array_equal(found[name], expected)
        assert len(np.unique(expected)) > 1


def test_what_was_selected_is_what_is_exported(selected: Path, elsewhere: Elsewhere) -> None:
    original = read_selection(selected / "selection.json")
    description = read_exported(elsewhere.model).description
    assert description.selection is not None
    assert description.selection.models == original.models
    assert description.selection.postprocessing == original.postprocessing
    assert description.bundles.keys() == {f"models/{m.architecture}/fold_{m.fold}" for m in original.models}
    assert description.document.scores == {"selection": original.score}
    assert description.document.scored_cases == {"selection": original.score.dice.cases}
    assert description.selection.edited == original.edited
    assert original.missing
    assert not description.selection.missing  # it may name folders


def test_without_a_selection_each_network_brings_its_own_scores(trained: Path, tmp_path: Path) -> None:
    document = autoseg.export(tmp_path / "brain.autoseg", workspace=trained).description.document
    assert document.scored_cases == {"unet": 4, "sepres": 2}
    for architecture, fold in MODELS[2:]:
        summary = trained / "models" / architecture / f"fold_{fold}" / "validation" / "summary.json"
        expected = json.loads(summary.read_text(encoding="utf-8"))["mean"]["dice"]
        assert document.scores[architecture].dice.mean == pytest.approx(expected)


def test_the_same_workspace_gives_the_same_bytes(selected: Path, elsewhere: Elsewhere, tmp_path: Path) -> None:
    copy = tmp_path / "moved"
    shutil.copytree(selected, copy)
    result = autoseg.export(tmp_path / "other name.autoseg", workspace=copy)
    content = (tmp_path / "other name.autoseg").read_bytes()
    assert content == elsewhere.model.read_bytes()
    assert result.bytes == len(content)
    assert result.description.path == tmp_path / "other name.autoseg"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved", "other name.autoseg"]


def test_names_of_cases_and_places_stay_at_home(selected: Path, trained: Path, tmp_path: Path) -> None:
    ids = {case.id for case in find_workspace(selected).dataset().cases}
    for workspace in (selected, trained):
        path = tmp_path / f"{workspace.parent.name}.autoseg"
        events = Recorder()
        export.run(export.ExportOptions(path, workspace=workspace), events)
        assert any("case names are replaced by numbers" in note for note in events.notes)
        texts = [text.decode() for name, text in members_of(path).items() if not name.endswith(".safetensors")]
        for secret in (*ids, str(workspace), "Training_Set", ".nii"):
            pattern = re.compile(rf"(?<![\w.]){re.escape(secret)}(?![\w.])")
            assert not [text[:80] for text in texts if pattern.search(text)], secret
        description = read_exported(path).description
        cases = {case for bundle in description.bundles.values() for case in bundle.provenance.training_cases}
        assert cases <= {case.id for case in description.fingerprint.cases}
        assert all(re.fullmatch(r"case \d+", case.id) for case in description.fingerprint.cases)


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.gate)])
def test_any_changed_byte_is_refused_or_harmless(elsewhere: Elsewhere, tmp_path: Path, every: int) -> None:
    content = elsewhere.model.read_bytes()
    original = read_exported(elsewhere.model)
    states = weights(original)
    dice = np.random.default_rng(0)
    path = tmp_path / "changed.autoseg"
    ends = np.concatenate([np.arange(40), len(content) - 1 - np.arange(60)])  # headers at both ends
    places = (*ends, *dice.integers(len(content), size=100))[::every]
    refused = 0
    for place in places:
        corrupted = bytearray(content)
        corrupted[place] ^= dice.integers(1, 256)
        path.write_bytes(corrupted)
        try:
            found = read_exported(path)
        except BundleError:
            refused += 1
            continue
        assert found.description.bundles == original.description.bundles
        assert found.description.digest == original.description.digest
        state = weights(found)
        assert all(torch.equal(state[folder][name], tensor) for folder in states for name, tensor in states[folder].items())
    assert refused > 0.75 * len(places)


def test_a_file_that_is_there_is_replaced_only_when_asked(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "brain.autoseg"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"brain\.autoseg.*there already.*--force"):
        autoseg.export(path, workspace=trained)
    assert path.read_text(encoding="utf-8") == "mine"
    autoseg.export(path, workspace=trained, force=True)
    assert len(read_exported(path).bundles) == 3


def test_another_ending_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"brain\.zip.*\.autoseg.*Write .*brain\.autoseg"):
        autoseg.export(tmp_path / "brain.zip", workspace=trained)
    assert not list(tmp_path.iterdir())


def test_damaged_weights_are_found_before_anything_is_replaced(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "brain.autoseg"
    autoseg.export(path, workspace=workspace)
    content = path.read_bytes()
    (damaged,) = (workspace / "models" / "sepres" / "fold_0").glob("weights-*.safetensors")
    corrupted = bytearray(damaged.read_bytes())
    corrupted[-1] ^= 1
    damaged.write_bytes(corrupted)
    with pytest.raises(BundleError, match=rf"^{re.escape(str(damaged))}: .*have changed"):
        autoseg.export(path, workspace=workspace, force=True)
    assert path.read_bytes() == content
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["brain.autoseg", "run"]


def test_an_export_that_cannot_be_read_back_replaces_nothing(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "brain.autoseg"
    path.write_text("the former one", encoding="utf-8")
    monkeypatch.setattr(writing, "_readme", lambda _: "")  # read back below as if it were lost
    monkeypatch.setattr(writing.exported, "README_FILE", "READ.me")
    real = writing.write_archive
    monkeypatch.setattr(
        writing, "write_archive", lambda draft, members: real(draft, {k: v for k, v in members.items() if k != "READ.me"})
    )
    with pytest.raises(BundleError, match=r"READ\.me"):
        autoseg.export(path, workspace=trained, force=True)
    assert path.read_text(encoding="utf-8") == "the former one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["brain.autoseg"]


def test_a_workspace_without_models_has_nothing_to_export(workspace: Path, tmp_path: Path) -> None:
    shutil.rmtree(workspace / "models")
    with pytest.raises(BundleError, match="autoseg train"):
        autoseg.export(tmp_path / "brain.autoseg", workspace=workspace)
    assert not (tmp_path / "brain.autoseg").exists()


@pytest.mark.slow  # the gate has twenty minutes for everything
def test_onnx_models_come_beside_it(workspace: Path, tmp_path: Path) -> None:
    for architecture, fold in MODELS[1:]:
        shutil.rmtree(workspace / "models" / architecture / f"fold_{fold}")
    result = autoseg.export(tmp_path / "brain.autoseg", workspace=workspace, onnx=tmp_path / "onnx")
    (model,) = result.onnx
    assert model.path == tmp_path / "onnx" / "unet_fold_0.onnx"
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["unet_fold_0.onnx"]
    assert model.largest_difference < 1e-5
    with pytest.raises(UsageError, match=r"unet_fold_0\.onnx.*there already"):
        autoseg.export(tmp_path / "second.autoseg", workspace=workspace, onnx=tmp_path / "onnx")
    assert not (tmp_path / "second.autoseg").exists()


def run(*arguments: object, expect: int = 0) -> Answer:
    return command(*(str(argument) for argument in arguments), expect=expect)


def test_the_command_says_what_went_in_and_what_to_do_next(trained: Path, tmp_path: Path) -> None:
    lines = run("export", tmp_path / "brain.autoseg", "--workspace", trained).told
    assert "3 networks: sepres/fold_0, unet/fold_0, unet/fold_1" in lines
    assert re.search(r"Wrote .*brain\.autoseg \(\d+\.\d MB\)", lines)
    assert "Elsewhere: autoseg predict IN OUT --model brain.autoseg" in lines
    run("export", tmp_path / "brain.autoseg", "--workspace", trained, expect=2)
    document = json.loads(run("export", tmp_path / "b.autoseg", "--workspace", trained, "--json").told)
    assert document["models"] == sorted(FOLDERS)
    assert document["bytes"] == (tmp_path / "b.autoseg").stat().st_size


def test_info_tells_what_a_file_is(elsewhere: Elsewhere) -> None:
    text = run("info", elsewhere.model).told
    assert "a model for scans like those of IBSR18" in text
    assert "label values 0 background, 1 CSF, 2 GM, 3 WM" in text
    assert "postprocessing: WM: holes filled" in text
    document = json.loads(run("info", elsewhere.model, "--json").told)
    assert document["sha256"] == autoseg.info(elsewhere.model).sha256
    assert document["plan"]["data"]["channels"] == ["T1"]
    assert document["selection"]["postprocessing"] == [{"type": "fill_holes", "label": 3, "min_volume_ml": None}]


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x80\x04K\x01."], ids=["empty", "ZIP", "pickle"])
def test_what_is_no_model_ends_every_command_with_code_6(cohort: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evil.autoseg"
    path.write_bytes(content)
    for arguments in (("info", path), ("predict", cohort / "Test_Set", tmp_path / "out", "--model", path)):
        assert "evil.autoseg" in run(*arguments, expect=6).said
    with pytest.raises(BundleError):
        autoseg.load_model(model=path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["evil.autoseg"]
