"""Processor seconds that segmenting one scan takes, from its array to its label map, at the sizes of two data sets.

Run with `taskset -c 0 pytest -m benchmark -s tests/benchmarks/test_prediction_speed.py`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from autoseg.images.geometry import Geometry
from autoseg.images.image import Image
from autoseg.inference.ensemble import make_ensemble
from autoseg.inference.quality import ClassQuality, Quality
from autoseg.inference.segmenter import Segmenter
from autoseg.model.bundle import Bundle
from autoseg.model.compute import Compute
from autoseg.model.description import BundleDocument, Provenance
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.wording import counted

SIZES: dict[str, dict[str, Any]] = {
    "hippocampus": {"shape": (36, 50, 35), "features": [16, 32, 64, 128], "patch": [56, 40], "classes": 3, "repeats": 9},
    "ibsr18": {
        "shape": (256, 128, 256),
        "features": [16, 32, 64, 128, 256],
        "patch": [160, 128],
        "classes": 4,
        "repeats": 1,
    },
}


def segmenter(make_plan: Callable[..., Plan], size: dict[str, Any], *, folds: int) -> Segmenter:
    """Untrained networks under a plan of these sizes."""
    classes = [{"value": value, "name": f"class {value}"} for value in range(size["classes"])]
    plan = make_plan(
        data={"classes": classes},
        training={"class_weights": [1.0] * size["classes"]},
        network={"features": size["features"], "convolutions": 2, "skips": "add", "deep_supervision": True},
        view={"patch_px": size["patch"], "tta_axes": ["columns"]},
        preprocessing={"crop": "nonzero", "crop_margin_px": 2, "normalisation": [{"method": "quantile_zscore"}]},
        prediction={"batch_size": 16},
    )
    bundles = []
    for fold in range(folds):
        torch.manual_seed(fold)
        provenance = Provenance(
            versions={}, seed=0, precision="float32", training_cases=(), validation_cases=(), epochs=1, minutes=0.1
        )
        document = BundleDocument(
            architecture="unet", fold=str(fold), plan_digest=plan.digest, plan=plan, provenance=provenance,
            weights_file="weights.safetensors", weights_sha256=str(fold),
        )  # fmt: skip
        network = build_network("unet", in_channels=1, classes=size["classes"], size=plan.network)
        bundles.append((str(fold), Bundle(document, network.eval())))
    ensemble = make_ensemble(bundles, compute=Compute(torch.device("cpu"), bfloat16=False), mirror=True)
    calibration = ClassQuality(name="class 1", intercept=0.0, slope=1.0, error=0.01, lowest=0.0)
    return Segmenter(ensemble, steps=(), quality=Quality(classes=(calibration,), points=()), trained_on=())


@pytest.mark.benchmark
@pytest.mark.parametrize("folds", [1, 2])
@pytest.mark.parametrize("name", SIZES)
def test_segmenting_a_scan(
    make_plan: Callable[..., Plan], name: str, folds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    size = SIZES[name]
    model = segmenter(make_plan, size, folds=folds)
    values = np.zeros((1, *size["shape"]), dtype=np.float32)
    inner = tuple(slice(side // 6, side - side // 6) for side in size["shape"])
    values[(0, *inner)] = np.random.default_rng(0).normal(100, 20, size=values[(0, *inner)].shape)
    image = Image(values, Geometry(shape=size["shape"], spacing_mm=(1.0, 1.0, 1.0)))
    model.segment(Image(values[:, :8], Geometry(shape=(8, *size["shape"][1:]), spacing_mm=(1.0, 1.0, 1.0))))  # warm up
    seconds = []
    for _ in range(size["repeats"]):
        start = time.process_time()
        found = model.segment(image, with_uncertainty=True)
        seconds.append(time.process_time() - start)
    with capsys.disabled():
        print(f"\n{name}, {counted(folds, 'network')}: {statistics.median(seconds):.4f} s")
    assert found.labels.array.shape == size["shape"]
