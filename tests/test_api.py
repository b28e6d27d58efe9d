"""The public API: the commands as functions, and models for arrays."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autoseg
from autoseg import commands
from autoseg.errors import AutosegError, ImageError, UsageError
from autoseg.images.geometry import Geometry
from autoseg.images.image import read_image, read_labels
from autoseg.inference.loaded import LoadedModel

FUNCTIONS = [getattr(autoseg, name) for name in commands.FUNCTIONS]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_function_explains_itself(function: Any) -> None:
    signature = inspect.signature(function)
    assert list(signature.parameters)[-1] == "events"
    for name in signature.parameters:
        assert re.search(rf"^    {name}: .", function.__doc__, flags=re.MULTILINE)
    assert function.__module__ == "autoseg"


def test_positions_are_for_what_comes_first_by_nature() -> None:
    by_position = {
        function.__name__: [
            name for name, each in inspect.signature(function).parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        for function in FUNCTIONS
    }
    assert by_position == {
        "adopt": ["results"],
        "queue": ["results"],
        "check": ["dataset"],
        "clean": ["workspace"],
        "compare": ["places"],
        "doctor": ["workspace"],
        "status": ["workspace"],
        "evaluate": ["predictions", "references"],
        "export": ["file"],
        "info": ["file"],
        "load_model": ["model"],
        "plan": ["dataset"],
        "predict": ["source", "target"],
        "report": ["workspace"],
        "select": ["workspace"],
        "train": ["architecture"],
    }


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (autoseg.check, {"dataset": "d", "jobs": 0}, "expected a whole number from 1 to 1,024 or auto; found 0"),
        (autoseg.check, {"dataset": "d", "not_finite": "keep"}, "expected refuse or zero; found keep"),
        (autoseg.check, {"dataset": 3}, "expected a path; found 3"),
        (autoseg.plan, {"dataset": "d", "plane": "oblique"}, "expected axial, coronal, sagittal or auto"),
        (autoseg.plan, {"dataset": "d", "memory_gb": 0}, "expected a number above 0 and at most 10,000; found 0"),
        (autoseg.plan, {"dataset": "d", "folds": 1}, "expected a whole number from 2 to 100,000; found 1"),
        (autoseg.plan, {"dataset": "d", "name": ""}, "expected a text that is not empty"),
        (autoseg.plan, {"dataset": "d", "force": 1}, "expected True or False; found 1"),
        (autoseg.train, {"architecture": "unett"}, "Did you mean unet?"),
        (autoseg.train, {"device": 0}, "found 0. Did you mean cuda:0?"),
        (autoseg.train, {"architecture": "vgg"}, "expected unet, sepres, attention or all; found vgg"),
        (autoseg.train, {"minutes": float("inf")}, "expected a number above 0 and at most 1,000,000; found inf"),
        (autoseg.train, {"minutes": 0}, "minutes: has an impossible value"),
        (autoseg.train, {"minutes": 1e300}, "minutes: has an impossible value"),
        (autoseg.train, {"epochs": 0}, "expected a whole number from 1 to 1,000,000; found 0"),
        (autoseg.train, {"seed": 2**64}, "expected a whole number from 0 to 18,446,744,073,709,551,615"),
        (
            autoseg.train,
            {"precision": "float16"},
            "float32 or bfloat16; found float16. Did you mean bfloat16?",
        ),
        (autoseg.train, {"workers": -1}, "expected a whole number from 0 to 1,024; found -1"),
        (autoseg.train, {"minute": 3}, "autoseg.train: there is no option minute. Did you mean minutes?"),
        (autoseg.train, {"flavour": 3}, "autoseg.train: there is no option flavour. Choose among architecture, fold, "),
        (
            autoseg.predict,
            {"source": "a"},
            "autoseg.predict: missing a required argument: 'target'. See help(",
        ),
        (
            autoseg.predict,
            {"source": "a", "target": "b", "device": "tpu"},
            "as in cuda:1 or cuda:0,1; found tpu. Choose another value, or leave it out.",
        ),
        (
            autoseg.predict,
            {"source": "a", "target": "b", "device": "gpu"},
            "as in cuda:1 or cuda:0,1; found gpu. Did you mean cuda?",
        ),
        (autoseg.load_model, {"folders": "a"}, "expected a list of paths; found a"),
    ],
)
def test_an_option_that_cannot_be_is_refused(function: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        function(**options)
    assert words in str(refused.value)
    assert any(name in str(refused.value) for name in [*options, "autoseg."])


def test_what_no_function_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        autoseg.paint  # type: ignore[attr-defined]  # noqa: B018
    assert set(autoseg.__all__) <= set(dir(autoseg))
    assert set(autoseg.__all__) == {*commands.FUNCTIONS, "silent"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("torch", "SimpleITK", "numpy", "pydantic", "click", "rich", "pandas")
    code = f"import sys, autoseg; autoseg.train; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def workspace(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planned, trained for an epoch, and used to segment the test scan, all through functions."""
    folder = tmp_path_factory.mktemp("python")
    planned = autoseg.plan(cohort, workspace=folder / "run")
    trained = autoseg.train("unet", fold=0, workspace=folder / "run", epochs=1, precision="float32")
    assert trained.models[0].summary is not None
    autoseg.predict(cohort / "Test_Set", folder / "out", workspace=folder / "run", precision="float32")
    assert planned.workspace.root == folder / "run"
    return folder


@pytest.fixture(scope="module")
def model(workspace: Path) -> LoadedModel:
    return autoseg.load_model(workspace / "run", precision="float32")


def scan_of(cohort: Path) -> tuple[Path, np.ndarray, Geometry]:
    (path,) = (cohort / "Test_Set").glob("*/*.nii.gz")
    image = read_image([path], channels=1)
    return path, image.array[0], image.geometry


def test_an_array_is_segmented_like_its_file(workspace: Path, cohort: Path, model: LoadedModel) -> None:
    path, volume, geometry = scan_of(cohort)
    prediction = model.predict(volume, spacing_mm=geometry.spacing_mm, direction=geometry.direction, with_probabilities=True)
    from_file = read_labels(workspace / "out" / path.name)
    np.testing.assert_array_equal(prediction.labels.array, from_file.array)
    assert prediction.probabilities is not None
    np.testing.assert_allclose(prediction.probabilities.sum(axis=0), 1, atol=1e-4)
    assert [label.name for label in model.classes] == ["background", "CSF", "GM", "WM"]


def test_models_can_be_chosen_by_their_folders(workspace: Path, cohort: Path, model: LoadedModel) -> None:
    _, volume, geometry = scan_of(cohort)
    folder = workspace / "run" / "models" / "unet" / "fold_0"
    chosen = autoseg.load_model(folders=[folder], precision="float32")
    one, other = (each.predict(volume, spacing_mm=geometry.spacing_mm).labels.array for each in (model, chosen))
    np.testing.assert_array_equal(one, other)


def test_the_direction_matters(cohort: Path, model: LoadedModel) -> None:
    _, volume, geometry = scan_of(cohort)
    turned = (-1, 0, 0, 0, 1, 0, 0, 0, -1)
    right, wrong = (
        model.predict(volume, spacing_mm=geometry.spacing_mm, direction=direction).labels.array
        for direction in (geometry.direction, turned)
    )
    assert not np.array_equal(right, wrong)


@pytest.mark.parametrize(
    ("volume", "spacing_mm", "words"),
    [
        (np.zeros((4, 5)), (1, 1, 1), "axes"),
        (np.zeros((0, 4, 5)), (1, 1, 1), "axes"),
        (np.zeros((2, 4, 5, 6)), (1, 1, 1), "channels"),
        (np.full((4, 5, 6), np.nan), (1, 1, 1), "intensities"),
        (np.zeros((4, 5, 6), dtype=complex), (1, 1, 1), "intensities"),
        (np.zeros((4, 5, 6)), (1, 1), "spacing"),
        (np.zeros((4, 5, 6)), (1, 0, 1), "spacing"),
        (np.zeros((4, 5, 6)), (1, float("nan"), 1), "spacing"),
    ],
)
def test_what_is_no_scan_is_refused(model: LoadedModel, volume: np.ndarray, spacing_mm: Any, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        model.predict(volume, spacing_mm=spacing_mm)


def test_a_skewed_direction_is_refused(model: LoadedModel) -> None:
    with pytest.raises(ImageError, match="direction"):
        model.predict(np.zeros((4, 5, 6)), spacing_mm=(1, 1, 1), direction=(1, 1, 0, 0, 1, 0, 0, 0, 1))


def test_errors_are_those_of_the_commands(tmp_path: Path, workspace: Path) -> None:
    with pytest.raises(AutosegError) as missing:
        autoseg.plan(tmp_path / "nowhere")
    assert missing.value.exit_code == 3
    with pytest.raises(AutosegError) as unknown:
        autoseg.train(fold=77, workspace=workspace / "run")
    assert unknown.value.exit_code == 2


def test_evaluate_and_report_return_what_they_wrote(workspace: Path) -> None:
    held_out = workspace / "run" / "models" / "unet" / "fold_0" / "validation"
    evaluated = autoseg.evaluate(held_out, held_out, output=workspace / "scores", workspace=workspace / "run")
    assert evaluated.summary.mean["dice"] == pytest.approx(1.0, nan_ok=True)
    reported = autoseg.report(workspace / "run", output=workspace / "report")
    assert all(path.exists() for path in reported.written)
    assert json.loads((workspace / "scores" / "summary.json").read_text(encoding="utf-8"))["cases"] == 1


def test_progress_is_shown_on_stderr_unless_it_is_silenced(
    workspace: Path, cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (cohort / "Test_Set", tmp_path / "out")
    autoseg.predict(*given, workspace=workspace / "run", precision="float32")
    shown = capsys.readouterr()
    assert "averaging" in shown.err
    assert re.search(r"1/1 scan, done in", shown.err)
    assert "\x1b" not in shown.err  # no terminal
    autoseg.predict(*given, workspace=workspace / "run", precision="float32", force=True, events=autoseg.silent)
    assert shown.out + "".join(capsys.readouterr()) == ""


def test_an_exported_model_is_loaded_like_a_workspace(
    workspace: Path, cohort: Path, model: LoadedModel, tmp_path: Path
) -> None:
    file = tmp_path / "brain.autoseg"
    exported = autoseg.export(file, workspace=workspace / "run")
    path, _, _ = scan_of(cohort)
    for given in ({"model": file}, {"model": [str(file)]}, {"workspace": file}):
        loaded = autoseg.load_model(**given, precision="float32")  # type: ignore[arg-type]
        np.testing.assert_array_equal(loaded.predict(path).labels.array, model.predict(path).labels.array)
    assert repr(exported).startswith(f"<ExportResult: {file}, 1 network, ")
    assert repr(autoseg.info(file)).startswith(f"<InfoResult: {file}, 1 network for scans like those of IBSR18")
    assert "Learnt from" in autoseg.info(file)._repr_html_()
    both = {"workspace": workspace / "run"}
    with pytest.raises(UsageError, match="an exported model, a workspace or folders are wanted"):
        autoseg.load_model(file, **both)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("run/models/unet/fold_0", 2, "one model's folder, not a workspace"),
        ("nowhere", 5, "no such workspace"),
        ("nowhere.autoseg", 6, "nowhere.autoseg"),
    ],
)
def test_what_is_no_model_is_told(workspace: Path, name: str, code: int, words: str) -> None:
    with pytest.raises(AutosegError, match=re.escape(words)) as refused:
        autoseg.load_model(workspace / name)
    assert refused.value.exit_code == code
    assert refused.value.remedy


def test_folders_are_no_exported_models(workspace: Path) -> None:
    with pytest.raises(UsageError, match="a folder, not an exported model"):
        autoseg.load_model([workspace / "run"])


def results(workspace: Path, cohort: Path, tmp_path: Path) -> dict[str, Any]:
    """What functions give back, of runs that were finished before."""
    run, quiet = workspace / "run", {"events": autoseg.silent}
    held_out = run / "models" / "unet" / "fold_0" / "validation"
    return {
        "check": autoseg.check(cohort, **quiet),
        "plan": autoseg.plan(cohort, workspace=tmp_path / "run", **quiet),
        "train": autoseg.train("unet", fold=0, workspace=run, epochs=1, precision="float32", **quiet),
        "evaluate": autoseg.evaluate(held_out, held_out, output=tmp_path / "scores", workspace=run, **quiet),
        "predict": autoseg.predict(cohort / "Test_Set", workspace / "out", workspace=run, precision="float32", **quiet),
        "select": autoseg.select(run, **quiet),
        "clean": autoseg.clean(run, dry_run=True, **quiet),
    }


def test_results_are_told_in_a_line_and_as_tables(workspace: Path, cohort: Path, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    found = results(workspace, cohort, tmp_path)
    for result in found.values():
        assert re.fullmatch(r"<\w+: [^\n]{1,300}>", repr(result))
    for name in ("check", "plan", "train", "evaluate", "predict", "select"):
        assert "<table>" in found[name]._repr_html_()
    classes = ["CSF", "GM", "WM"]
    frames = {name: result.to_pandas() for name, result in found.items()}
    trained, evaluated = frames["train"], frames["evaluate"]
    assert trained["class"].tolist() == evaluated["class"].tolist() == classes
    means = {label.name: label.metrics["dice"].mean for label in found["train"].models[0].summary.classes}
    assert trained["dice"].tolist() == pytest.approx([means[name] for name in classes], nan_ok=True)
    assert set(trained["network"]) == {"unet"}
    assert frames["predict"]["case"].tolist() == [row.case for row in found["predict"].rows]
    assert {f"{name}_ml" for name in classes} <= set(frames["predict"])
    assert len(frames["check"]) == len(found["check"].fingerprint.cases) == 6
    assert {"what", "value", "reason"} == set(frames["plan"])
    assert frames["select"]["networks"].tolist() == ["unet"]
    scored = found["select"].selection.candidates[0].score
    assert frames["select"]["nsd"].tolist() == [scored.nsd.mean]
    assert frames["select"]["dice_low"].isna().all()  # of two cases there is no interval
    assert repr(found["plan"].plan).startswith("<Plan: IBSR18, recipe auto, ")
    assert "unet, fold 0" in repr(found["train"].models[0])
