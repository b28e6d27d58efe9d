"""The script for programs without autoseg gives what autoseg gives."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from autoseg.exporting.onnx_model import write_onnx
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference.ensemble import make_ensemble, weights_of
from autoseg.inference.segmenter import Segmenter
from autoseg.model.bundle import Bundle
from autoseg.model.compute import Compute
from autoseg.model.description import BundleDocument, Provenance
from autoseg.model.identity import ModelId
from autoseg.networks import build_network
from autoseg.planning.plan import Plan

SCRIPT = Path(__file__).parents[2] / "docs" / "how-to" / "onnx_predict.py"
SPACING_MM = (2.0, 1.0, 1.5)
GEOMETRY = Geometry(
    shape=(9, 11, 13), spacing_mm=SPACING_MM, direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0), dimensions=3
)
"""Indices grow towards inferior, posterior and left, as the script wants them."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("onnx_predict", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scan() -> Image:
    generator = np.random.default_rng(3)
    array = generator.gamma(4.0, 20.0, (1, *GEOMETRY.shape)).astype(np.float32)
    array[:, :2], array[:, :, :, -3:] = 0, 0
    return Image(array=array, geometry=GEOMETRY)


def bundle(plan: Plan, model: ModelId, *, seed: int) -> Bundle:
    torch.manual_seed(seed)
    channels = plan.of_view(model.view).input_channels
    network = build_network("unet", in_channels=channels, classes=plan.data.encoding.logits, size=plan.network)
    network(torch.randn((8, channels, 16, 12)))
    document = BundleDocument(
        architecture="unet",
        fold=model.fold,
        seed=model.seed,
        view=model.view,
        plan_digest=plan.digest,
        plan=plan,
        provenance=Provenance(
            versions={}, seed=seed, precision="float32", training_cases=(), validation_cases=(), epochs=1, minutes=1.0
        ),
        weights_file="weights.safetensors",
        weights_sha256=f"{seed}" * 64,
    )
    return Bundle(document, network.eval())


@pytest.mark.gate  # half a minute: every plan has a network of its own to export
@pytest.mark.parametrize(
    "changes",
    [
        {},
        pytest.param(
            {"view": {"adjacent_slices": 2, "tta_axes": ["rows", "columns"]}, "prediction": {"padding": "darkest"}},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "view": {"plane": "coronal", "spacing_mm": [1.2, 1.1], "tta_axes": ["columns"]},
                "preprocessing": {"normalisation": [{"method": "quantile_zscore", "clip": 2.0, "background": -1.5}]},
                "prediction": {"padding": "darkest"},
            },
            marks=pytest.mark.slow,
        ),
        {
            "views": [{"plane": "coronal"}, {"plane": "axial", "tta_axes": ["columns"]}, {"plane": "sagittal"}],
            "view": {"adjacent_slices": 1},
            "preprocessing": {"crop": "nonzero", "crop_margin_px": 1, "normalisation": [{"method": "zscore"}]},
            "prediction": {"padding": "darkest", "prior_power": 0.5},
        },
        {
            "data": {
                "classes": [
                    {"value": 0, "name": "background"},
                    {"value": 2, "name": "disc", "values": [2, 5], "order": 0},
                    {"value": 5, "name": "hole", "values": [5], "order": 1},
                ]
            },
            "views": [{"plane": "coronal"}, {"plane": "axial"}, {"plane": "sagittal"}],
            "training": {"class_weights": [1.0, 2.0, 5.0]},
            "prediction": {"prior_power": 0.5},
        },
        pytest.param(
            {
                "views": [{"plane": "sagittal"}, {"plane": "axial", "spacing_mm": [1.5, 1.5]}],
                "network": {"shared_by_views": False},
                "preprocessing": {
                    "normalisation": [{"method": "ct", "lower": 10.0, "upper": 150.0, "mean": 70.0, "std": 30.0}]
                },
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_it_gives_what_autoseg_gives(
    script: ModuleType, make_plan: Callable[..., Plan], tmp_path: Path, changes: dict[str, Any]
) -> None:
    plan = make_plan(**changes)
    ids = [ModelId("unet", "0", view=view) for view in plan.network_views]
    ids += [] if changes else [ModelId("unet", "0", seed=7), ModelId("unet", "1")]
    models = [bundle(plan, model, seed=seed) for seed, model in enumerate(ids)]
    weights = weights_of([model.document for model in models])
    # Where there are three views, a selection leaves one out and shifts the prior.
    selected: dict[str, Any] = (
        {"planes": ("coronal", "axial"), "mean_log_shift": (0.0, -0.4, 0.3)[: len(plan.data.classes)]}
        if len(plan.views) == 3
        else {}
    )
    files = [
        write_onnx(model, tmp_path / f"{number}.onnx", weight=weights[number], **selected).path
        for number, model in enumerate(models)
    ]
    compute = Compute(torch.device("cpu"), bfloat16=False)
    ensemble = make_ensemble([(str(number), model) for number, model in enumerate(models)], compute=compute, mirror=True)
    if selected:
        ensemble = replace(ensemble.through(selected["planes"]), log_shift=selected["mean_log_shift"])
    segmenter = Segmenter(ensemble=ensemble, steps=(), quality=None, trained_on=())
    segmented = segmenter.segment(scan(), with_probabilities=True)
    expected = segmented.probabilities
    found = script.predict(scan().array, SPACING_MM, files)
    assert expected is not None
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-4
    assert (script.labels(found, files[0]) == segmented.labels.array).mean() > 0.99
