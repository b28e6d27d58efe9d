"""Results of models on cases that they had learnt from are recognised by what version 0.1 stored."""

import csv
import json
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from oracles.heard import Heard

from autoseg.catalogue import NotFinite
from autoseg.commands import evaluate
from autoseg.commands.evaluate import EvaluateOptions
from autoseg.errors import CasesFailedError
from autoseg.inference.prediction_settings import PredictionSettings
from autoseg.postprocessing.learnt import learnt_cases, learnt_warnings
from autoseg.runs.workspace import Workspace
from autoseg.storage import files

STORED = Path(__file__).parents[1] / "fixtures" / "v0_1"
WORKSPACE = Workspace(STORED / "workspace")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of the workspace's selection, Sep-Res on fold 0, as if of a case of that fold's training side."""
    shutil.copytree(STORED / "results", tmp_path / "results")
    table = tmp_path / "results" / "predictions.csv"
    table.write_text(table.read_text().replace("IBSR_05", "IBSR_02"))
    return tmp_path / "results"


def test_models_that_learnt_from_a_case_are_known_by_their_digest(results: Path) -> None:
    assert learnt_cases(results, WORKSPACE) == ("IBSR_02",)
    assert learnt_cases(results / "evaluation" / "metrics.csv", WORKSPACE) == ("IBSR_02",)
    [warning] = learnt_warnings({"ours": results}, {WORKSPACE.root: WORKSPACE})
    assert warning.startswith(f"ours was segmented by models of {WORKSPACE.root} that had learnt from some of these cases")
    assert warning.endswith("IBSR_02")


def test_evaluate_says_so_where_it_knows_the_workspace(results: Path, tmp_path: Path) -> None:
    heard = Heard()
    shutil.copytree(results, tmp_path / "references", ignore=shutil.ignore_patterns("*.csv", "evaluation"))
    options = EvaluateOptions(results, tmp_path / "references", workspace=WORKSPACE.root, output=tmp_path / "scores")
    with suppress(CasesFailedError):  # label maps without a partner
        evaluate.run(options, heard)
    (warning,) = (warning for warning in heard.warnings if "learnt" in warning)
    assert warning.startswith(f"{results} was segmented by models of {WORKSPACE.root}")


def test_models_are_known_by_their_digest_whatever_was_done_with_nan(results: Path) -> None:
    table = results / "predictions.csv"
    [row] = csv.DictReader(table.read_text().splitlines())
    refused = row["model_digest"]
    zero = files.sha256_json([refused, {"not_finite": "zero"}])
    table.write_text(table.read_text().replace(refused, zero))
    assert learnt_cases(results, WORKSPACE) == ("IBSR_02",)
    table.write_text(table.read_text().replace(zero, files.sha256_json([refused])))
    assert learnt_cases(results, WORKSPACE) == ()


def test_the_digests_are_those_that_tables_name() -> None:
    segmenter: Any = SimpleNamespace(digest="a")
    assert [PredictionSettings(segmenter, way).digest for way in get_args(NotFinite)] == [
        "a", files.sha256_json(["a", {"not_finite": "zero"}])
    ]  # fmt: skip


def test_nothing_is_said_of_new_cases_other_models_or_unknown_origins(results: Path, tmp_path: Path) -> None:
    assert learnt_cases(STORED / "results", WORKSPACE) == ()  # a test case
    shutil.copytree(WORKSPACE.root, tmp_path / "run")
    (tmp_path / "run" / "selection.json").unlink()  # now all three networks predict
    assert learnt_cases(results, Workspace(tmp_path / "run")) == ()
    assert learnt_cases(results, Workspace(tmp_path)) == ()  # no workspace
    (results / "predictions.csv").unlink()
    assert learnt_cases(results, WORKSPACE) == ()


def test_what_a_model_was_started_from_counts(results: Path, tmp_path: Path) -> None:
    def changed(path: Path, change: Any) -> None:
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    root = tmp_path / "run"
    shutil.copytree(WORKSPACE.root, root)
    bundle = root / "models/sepres/fold_0/bundle.json"
    held_out = json.loads(bundle.read_text())["provenance"]["validation_cases"][0]
    table = results / "predictions.csv"
    table.write_text(table.read_text().replace("IBSR_02", held_out))
    changed(
        root / "fingerprint.json",
        lambda document: [case.update(voxels_sha256="a" * 64) for case in document["cases"] if case["id"] == held_out],
    )
    origin = {
        "weights_sha256": "b" * 64,
        "name": "m",
        "epochs": 1,
        "minutes": 1,
        "classes_kept": True,
        "channels_kept": True,
    }
    for scan, expected in (("c" * 64, ()), ("a" * 64, (held_out,))):
        learnt = {**origin, "learnt_from": [scan]}
        changed(bundle, lambda document, learnt=learnt: document["provenance"].update(origin=learnt))
        assert learnt_cases(results, Workspace(root)) == expected
