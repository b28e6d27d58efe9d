"""The package's face: the commands as functions, and models for arrays."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autoseg
from autoseg.commands.check import CheckConfig
from autoseg.commands.evaluate import EvaluateConfig
from autoseg.commands.export import ExportConfig
from autoseg.commands.load_model import LoadConfig
from autoseg.commands.plan import PlanConfig
from autoseg.commands.predict import PredictConfig
from autoseg.commands.report import ReportConfig
from autoseg.commands.select import SelectConfig
from autoseg.commands.train import TrainCommand
from autoseg.data.geometry import Geometry
from autoseg.data.image import read_image, read_labels
from autoseg.errors import AutosegError, ImageError, UsageError
from autoseg.inference.loaded import LoadedModel


@pytest.mark.parametrize(
    ("function", "config"),
    [
        (autoseg.check, CheckConfig),
        (autoseg.plan, PlanConfig),
        (autoseg.train, TrainCommand),
        (autoseg.predict, PredictConfig),
        (autoseg.evaluate, EvaluateConfig),
        (autoseg.report, ReportConfig),
        (autoseg.select, SelectConfig),
        (autoseg.export, ExportConfig),
        (autoseg.load_model, LoadConfig),
    ],
)
def test_a_function_takes_what_its_command_takes_with_the_same_defaults(function: Any, config: Any) -> None:
    parameters = inspect.signature(function).parameters
    assert set(parameters) - {"events"} == set(config.model_fields)
    for name, field in config.model_fields.items():
        default = parameters[name].default
        if not field.is_required() and default is not inspect.Parameter.empty:
            assert str(default) == str(field.default)  # a fold may be the number 0 here, and is the text 0 there


@pytest.mark.parametrize(
    ("function", "choices", "words"),
    [
        (autoseg.check, {"dataset": "d", "jobs": 0}, "jobs: Input should be greater than or equal to 1 (found 0)"),
        (
            autoseg.check,
            {"dataset": "d", "not_finite": "keep"},
            "not_finite: Input should be 'refuse' or 'zero' (found 'keep')",
        ),
        (
            autoseg.plan,
            {"dataset": "d", "plane": "oblique"},
            "plane: Input should be 'axial', 'coronal', 'sagittal' or 'auto'",
        ),
        (autoseg.plan, {"dataset": "d", "memory_gb": 0}, "memory_gb: Input should be greater than 0 (found 0)"),
        (autoseg.plan, {"dataset": "d", "folds": 1}, "folds: Input should be greater than or equal to 2 (found 1)"),
        (autoseg.plan, {"dataset": "d", "name": ""}, "name: String should have at least 1 character"),
        (autoseg.train, {"architecture": "unett"}, "architecture: There is no network `unett`: did you mean `unet`?"),
        (autoseg.train, {"architecture": "vgg"}, "no network `vgg`; known: unet, sepres, attention, all"),
        (autoseg.train, {"minutes": float("inf")}, "minutes: Input should be a finite number (found inf)"),
        (autoseg.train, {"minutes": 0}, "minutes: Input should be greater than 0 (found 0)"),
        (autoseg.train, {"minutes": 1e300}, "minutes: Input should be less than or equal to 1000000"),
        (autoseg.train, {"epochs": 0}, "epochs: Input should be greater than or equal to 1 (found 0)"),
        (autoseg.train, {"seed": 2**64}, "seed: Input should be less than 18446744073709551616"),
        (autoseg.train, {"precision": "float16"}, "precision: Input should be 'auto', 'float32' or 'bfloat16'"),
        (autoseg.train, {"workers": -1}, "workers: Input should be greater than or equal to 0 (found -1)"),
        (
            autoseg.predict,
            {"source": "a", "target": "b", "device": "tpu"},
            "device: Input should be 'auto', 'cpu', 'cuda' or 'mps'",
        ),
        (autoseg.load_model, {"precision": "float16"}, "precision: Input should be 'auto', 'float32' or 'bfloat16'"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(function: Any, choices: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        function(**choices)
    assert words in str(refused.value)


def test_a_choice_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match=r"minute: Extra inputs are not permitted \(found 3\)"):
        TrainCommand(architecture="unet", minute=3)  # type: ignore[call-arg]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, autoseg; sys.exit(any(name in sys.modules for name in ('torch', 'SimpleITK', 'numpy', 'pydantic')))"
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
