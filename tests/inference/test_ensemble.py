from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from autoseg.errors import BundleError
from autoseg.inference.ensemble import load_ensemble
from autoseg.model.bundle import Provenance, save_bundle
from autoseg.model.compute import Compute
from autoseg.model.identity import ModelId
from autoseg.networks import build_network
from autoseg.planning.plan import Plan

CPU = Compute(torch.device("cpu"), bfloat16=False)


def save(folder: Path, plan: Plan, *, seed: int, model: ModelId | None = None) -> Path:
    torch.manual_seed(seed)
    network = build_network("unet", in_channels=1, classes=2, size=plan.network)
    provenance = Provenance(
        versions={}, seed=seed, precision="float32", training_cases=(), validation_cases=(), epochs=1, minutes=0.1
    )
    save_bundle(folder, network, model=model or ModelId("unet", str(seed)), plan=plan, provenance=provenance)
    return folder


def test_an_ensemble_is_the_mean_of_its_members(tiny_plan: Plan, tmp_path: Path) -> None:
    folders = [save(tmp_path / str(seed), tiny_plan, seed=seed) for seed in range(2)]
    array = np.random.default_rng(1).normal(size=(1, 3, 16, 12)).astype(np.float32)
    first, second, both = (
        load_ensemble(chosen, compute=CPU, mirror=False).passes[0].probabilities(array, darkest=())
        for chosen in ([folders[0]], [folders[1]], folders)
    )
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-6)
    assert not np.allclose(first, second)


def test_probabilities_are_divided_by_the_class_weights_to_the_power_of_the_plan(
    make_plan: Callable[..., Plan], tmp_path: Path
) -> None:
    array = np.random.default_rng(1).normal(size=(1, 3, 16, 12)).astype(np.float32)
    plain, shifted = (
        load_ensemble(
            [save(tmp_path / str(power), make_plan(prediction={"prior_power": power}), seed=0)], compute=CPU, mirror=False
        )
        .passes[0]
        .probabilities(array, darkest=())
        for power in (0.0, 0.5)
    )
    divided = plain / np.sqrt([1.0, 2.0])[:, None, None, None]
    np.testing.assert_allclose(shifted, divided / divided.sum(axis=0), atol=1e-6)
    assert not np.allclose(plain, shifted)


def test_each_fold_is_an_ensemble_of_its_own(tiny_plan: Plan, tmp_path: Path) -> None:
    folders = [save(tmp_path / str(seed), tiny_plan, seed=seed) for seed in (0, 1)]
    both = load_ensemble(folders, compute=CPU, mirror=False)
    first, second = both.by_fold()
    assert (first.names, second.names) == (("unet/fold_0",), ("unet/fold_1",))
    assert (*first.members, *second.members) == both.members


def test_several_seeds_of_a_network_on_a_fold_count_as_one(tiny_plan: Plan, tmp_path: Path) -> None:
    ids = [ModelId("unet", "0"), ModelId("unet", "0", seed=7), ModelId("unet", "1")]
    folders = [save(tmp_path / str(seed), tiny_plan, seed=seed, model=model) for seed, model in enumerate(ids)]
    array = np.random.default_rng(1).normal(size=(1, 3, 16, 12)).astype(np.float32)
    one, other, second, together = (
        load_ensemble(chosen, compute=CPU, mirror=False).passes[0].probabilities(array, darkest=())
        for chosen in ([folders[0]], [folders[1]], [folders[2]], folders)
    )
    np.testing.assert_allclose(together, ((one + other) / 2 + second) / 2, atol=1e-6)
    assert load_ensemble(folders, compute=CPU, mirror=False).names == ("unet/fold_0", "unet/fold_0/seed_7", "unet/fold_1")


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
