"""The script for programs without autoseg gives what autoseg gives."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from autoseg.exporting.onnx_model import write_onnx
from autoseg.images.geometry import Geometry
from autoseg.images.image import Image, read_image, write_channels
from autoseg.inference.ensemble import make_ensemble, weights_of
from autoseg.inference.segmenter import Segmenter
from autoseg.model import slices
from autoseg.model.bundle import Bundle
from autoseg.model.compute import Compute
from autoseg.model.description import BundleDocument, Provenance
from autoseg.model.identity import ModelId
from autoseg.model.slices import tile_starts
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.preprocessing.case import canonical, cut_slices

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
        else {"planes": (), "mean_log_shift": ()}
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


def test_probabilities_lie_along_the_axes_of_the_scans_file(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that answers with what it is shown, and scans whose axes run in every order and direction."""
    voxels = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    shown: list[Any] = []

    def answer(scan: Any, spacing_mm: Any, models: Any) -> Any:
        shown.append((scan[0], spacing_mm))
        return np.stack([1 - scan[0], scan[0]])

    monkeypatch.setattr(script, "predict", answer)
    path, written = tmp_path / "scan.nii.gz", tmp_path / "probabilities.nii.gz"
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.eye(4)
        affine[:3, :3] = np.eye(3)[:, order] * (np.array(signs) * (1.5, 2.0, 3.0))
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
        found = script.predict_file(path, [])
        image = read_image([path], channels=1)
        np.testing.assert_array_equal(found, np.concatenate([1 - image.array, image.array]))
        expected, spacing_mm = canonical(image.array[0], image.geometry)
        np.testing.assert_array_equal(shown[-1][0], expected)
        assert shown[-1][1] == pytest.approx(spacing_mm)
        write_channels(written, np.concatenate([1 - image.array, image.array]), image.geometry)
        np.testing.assert_array_equal(found.T, nibabel.load(written).get_fdata(dtype=np.float32))


@pytest.mark.parametrize(
    ("size_px", "padding", "in_tiles"),
    [((27, 28), "darkest", True), ((24, 32), "darkest", False), ((27, 28), "replicated", False)],
)
def test_slices_are_refused_where_autoseg_predicts_tiles(
    script: ModuleType,
    make_plan: Callable[..., Plan],
    monkeypatch: pytest.MonkeyPatch,
    size_px: tuple[int, int],
    padding: str,
    in_tiles: bool,
) -> None:
    plan = make_plan(prediction={"padding": padding})
    tiles: list[int] = []

    def starts(length: int, tile: int) -> list[int]:
        tiles.append(length)
        return tile_starts(length, tile)

    monkeypatch.setattr(slices, "tile_starts", starts)
    compute = Compute(torch.device("cpu"), bfloat16=False)
    ensemble = make_ensemble([("0", bundle(plan, ModelId("unet", "0"), seed=0))], compute=compute, mirror=False)
    image = Image(
        np.random.default_rng(0).random((1, 1, *size_px), dtype=np.float32), Geometry((1, *size_px), (1.0, 1.0, 1.0))
    )
    Segmenter(ensemble=ensemble, steps=(), quality=None, trained_on=()).segment(image)
    assert bool(tiles) == in_tiles

    class Session:
        def run(self, _: Any, given: Any) -> list[Any]:
            batch, _channels, *shown = given["slices"].shape
            return [np.full((batch, 2, *shown), 0.5, np.float32)]

    divisor = plan.network.divisor
    described = {
        "autoseg.padding": padding, "autoseg.multiple_px": f"{divisor}", "autoseg.smallest_px": f"{2 * divisor}",
    }  # fmt: skip
    arguments = Session(), image.array, (1.0, 1.0, 1.0), plan.views[0].model_dump(mode="json"), described
    if in_tiles:
        with pytest.raises(SystemExit, match="predicted in tiles"):
            script.predict_view(*arguments)
    else:
        assert script.predict_view(*arguments).shape == (2, 1, *size_px)


@pytest.mark.parametrize("side_mm", [0.3, 0.6, 0.7, 0.9375])
def test_a_file_gets_as_many_pixels_as_in_autoseg(
    script: ModuleType, make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side_mm: float
) -> None:
    """Pixels of exactly twice the file's: every odd side makes a half, which float32 may have less or more of."""
    voxels = np.random.default_rng(0).random((255, 121, 2), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([side_mm, side_mm, 1, 1])), tmp_path / "scan.nii.gz")
    wanted_mm = float(np.float32(2 * side_mm))
    plan = make_plan(view={"spacing_mm": [wanted_mm, wanted_mm], "patch_px": [160, 160]})
    image = read_image([tmp_path / "scan.nii.gz"], channels=1)
    expected = cut_slices(image, plan.preprocessing, view=plan.views[0]).footprint.size_px
    shown: list[tuple[int, int]] = []

    def answer(session: Any, image: Any, *_: Any) -> Any:
        shown.append(image.shape[1:])
        return np.full((2, *image.shape[1:]), 0.5, np.float32)

    def predict(scan: Any, spacing_mm: Any, _: Any) -> Any:
        view = plan.views[0].model_dump(mode="json")
        return script.predict_view(None, scan, spacing_mm, view, {"autoseg.padding": "replicated"})

    monkeypatch.setattr(script, "predict_slice", answer)
    monkeypatch.setattr(script, "predict", predict)
    script.predict_file(tmp_path / "scan.nii.gz", [])
    assert set(shown) == {expected}


def test_networks_of_several_exports_are_refused(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"a": ([[[[1.0]]]], 1.0, [], False), "b": ([[[[1.0]]]], 1.0, [0.0, 0.5], False)}
    monkeypatch.setattr(script, "predict_one", lambda scan, spacing_mm, model: answers[model])
    assert script.predict(np.zeros((1, 1, 1, 1)), SPACING_MM, ["a", "a"]).shape == (1, 1, 1, 1)
    with pytest.raises(SystemExit, match="not exported together"):
        script.predict(np.zeros((1, 1, 1, 1)), SPACING_MM, ["a", "b"])
