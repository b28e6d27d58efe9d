from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.data.geometry import Geometry
from autoseg.data.image import Image
from autoseg.errors import BundleError
from autoseg.inference.ensemble import load_ensemble
from autoseg.model.bundle import Provenance, save_bundle
from autoseg.model.compute import Compute
from autoseg.networks import build_network
from autoseg.planning.plan import Plan

CPU = Compute(torch.device("cpu"), bfloat16=False)
GEOMETRY = Geometry(
    shape=(4, 11, 13),
    spacing_mm=(2.0, 1.0, 1.0),
    origin_mm=(3.0, 4.0, 5.0),
    direction=(-1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
)


def save(folder: Path, plan: Plan, *, seed: int) -> Path:
    torch.manual_seed(seed)
    network = build_network("unet", in_channels=1, classes=2, size=plan.network)
    provenance = Provenance(
        versions={}, seed=seed, precision="float32", training_cases=(), validation_cases=(), epochs=1, minutes=0.1
    )
    save_bundle(folder, network, architecture="unet", fold=str(seed), plan=plan, provenance=provenance)
    return folder


def scan() -> Image:
    array = np.random.default_rng(0).normal(size=(1, *GEOMETRY.shape)).astype(np.float32)
    return Image(array, GEOMETRY)


def test_a_prediction_has_the_scans_grid_and_the_data_sets_values(tiny_plan: Plan, tmp_path: Path) -> None:
    prediction = load_ensemble([save(tmp_path / "a", tiny_plan, seed=0)], compute=CPU, mirror=False).predict(
        scan(), with_probabilities=True
    )
    assert prediction.labels.geometry == GEOMETRY
    assert prediction.labels.array.shape == GEOMETRY.shape
    assert set(np.unique(prediction.labels.array)) <= {0, 2}  # the plan's label values, not class indices
    assert prediction.probabilities is not None
    most_probable = np.where(prediction.probabilities.argmax(axis=0) == 1, 2, 0)
    np.testing.assert_array_equal(prediction.labels.array, most_probable)


def test_an_ensemble_is_the_mean_of_its_members(tiny_plan: Plan, tmp_path: Path) -> None:
    folders = [save(tmp_path / str(seed), tiny_plan, seed=seed) for seed in range(2)]
    array = np.random.default_rng(1).normal(size=(1, 3, 16, 12)).astype(np.float32)
    first, second, both = (
        load_ensemble(chosen, compute=CPU, mirror=False).probabilities(array)
        for chosen in ([folders[0]], [folders[1]], folders)
    )
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-6)
    assert not np.allclose(first, second)


def test_the_digest_tells_models_and_settings_apart(tiny_plan: Plan, tmp_path: Path) -> None:
    one, other = (save(tmp_path / str(seed), tiny_plan, seed=seed) for seed in range(2))
    digests = {
        load_ensemble(chosen, compute=CPU, mirror=mirror).digest
        for chosen in ([one], [other], [one, other])
        for mirror in (False, True)
    }
    assert len(digests) == 6
    assert (
        load_ensemble([one, other], compute=CPU, mirror=True).digest
        == load_ensemble([other, one], compute=CPU, mirror=True).digest
    )


def test_models_of_different_plans_do_not_mix(make_plan, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    first = save(tmp_path / "a", make_plan(), seed=0)
    second = save(tmp_path / "b", make_plan(training={"learning_rate": 0.5}), seed=1)
    with pytest.raises(BundleError, match="another plan"):
        load_ensemble([first, second], compute=CPU, mirror=False)


def test_no_model_is_an_error() -> None:
    with pytest.raises(BundleError, match="no model"):
        load_ensemble([], compute=CPU, mirror=False)
