from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autoseg.errors import BundleError
from autoseg.inference.ensemble import load_ensemble
from autoseg.model.bundle import save_bundle
from autoseg.model.compute import Compute
from autoseg.model.description import Provenance
from autoseg.model.identity import ModelId
from autoseg.networks import build_network
from autoseg.planning.plan import Plan

CPU = Compute(torch.device("cpu"), bfloat16=False)


def save(folder: Path, plan: Plan, *, seed: int, model: ModelId | None = None) -> Path:
    torch.manual_seed(seed)
    seen = plan if model is None else plan.of_view(model.view)
    network = build_network("unet", in_channels=seen.input_channels, classes=plan.data.encoding.logits, size=plan.network)
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


def test_seeds_that_other_folds_lack_do_not_judge(tiny_plan: Plan, tmp_path: Path) -> None:
    ids = [ModelId("unet", fold, seed) for fold, seed in (("1", 9), ("0", None), ("0", 7), ("0", 8), ("1", 7))]
    folders = [save(tmp_path / str(number), tiny_plan, seed=number, model=model) for number, model in enumerate(ids)]
    groups = load_ensemble(folders, compute=CPU, mirror=False).by_fold()
    assert [(group.names, group.judges) for group in groups] == [
        (("unet/fold_1/seed_9", "unet/fold_1/seed_7"), True),
        (("unet/fold_0", "unet/fold_0/seed_7"), True),
        (("unet/fold_0/seed_8",), False),
    ]
    assert sum(group.weight for group in groups) == pytest.approx(2.0)


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


def test_networks_of_several_plans_count_alike(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    views = ({"plane": "axial"}, {"plane": "coronal"}, {"plane": "sagittal"})
    several, one = make_plan(views=views), make_plan(view={"adjacent_slices": 1})
    folders = [save(tmp_path / str(seed), several, seed=seed) for seed in (0, 1)] + [save(tmp_path / "2", one, seed=2)]
    together = load_ensemble(folders, compute=CPU, mirror=False)
    passes = [(len(each.members), each.view.plane, each.weight) for each in together.passes]
    assert passes == [(2, plane, pytest.approx(2 / 9)) for plane in ("axial", "coronal", "sagittal")] + [
        (1, "axial", pytest.approx(1 / 3))
    ]
    assert [each.digest for each in together.plans] == [several.digest, one.digest]
    alone = [load_ensemble(chosen, compute=CPU, mirror=False) for chosen in (folders[:2], folders[2:])]
    assert len({each.digest for each in (together, *alone)}) == 3
    assert load_ensemble(folders[::-1], compute=CPU, mirror=False).digest == together.digest


def test_networks_of_one_view_each_count_as_one_network(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    views = ({"plane": "axial"}, {"plane": "coronal", "adjacent_slices": 1})
    plan = make_plan(views=views, network={"shared_by_views": False})
    ids = [ModelId("unet", "0", view="axial"), ModelId("unet", "0", view="coronal"), ModelId("unet", "0", 7, "axial")]
    folders = [save(tmp_path / str(seed), plan, seed=seed, model=model) for seed, model in enumerate(ids)]
    two = load_ensemble(folders[:2], compute=CPU, mirror=False)
    assert [(each.view.plane, each.weight) for each in two.passes] == [("axial", 0.5), ("coronal", 0.5)]
    assert [each.view.adjacent_slices for each in two.passes] == [0, 1]
    assert len(two.by_fold()) == 1


def test_scans_that_any_plan_refuses_are_refused(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plans = [make_plan(preprocessing={"not_finite": what}) for what in ("zero", "refuse")]
    folders = [save(tmp_path / str(seed), plan, seed=seed) for seed, plan in enumerate(plans)]
    found = [load_ensemble(chosen, compute=CPU, mirror=False).not_finite for chosen in (folders[:1], folders)]
    assert found == ["zero", "refuse"]


DISC_AS_REGION = {"value": 2, "name": "disc", "values": [2], "order": 0}


@pytest.mark.parametrize(
    ("changes", "what", "expected", "found"),
    [
        (
            {"data": {"classes": [{"value": 0, "name": "background"}, {"value": 2, "name": "ring"}]}},
            "segments other classes", "0 background, 2 disc", "0 background, 2 ring",
        ),
        (
            {"data": {"classes": [{"value": 0, "name": "background"}, {"value": 3, "name": "disc"}]}},
            "segments other classes", "0 background, 2 disc", "0 background, 3 disc",
        ),
        (
            {"data": {"classes": [{"value": 0, "name": "background"}, DISC_AS_REGION]}},
            "segments classes of another kind", "classes that exclude one another", "regions",
        ),
        ({"data": {"channels": ["T2"]}}, "reads other channels", "T1", "T2"),
        ({"view": {"plane": None}}, "was trained on other data", "volumes", "2D images"),
    ],
    ids=["names", "values", "regions", "channels", "images"],
)  # fmt: skip
def test_models_for_other_classes_or_channels_do_not_mix(
    make_plan: Callable[..., Plan], tmp_path: Path, changes: dict[str, Any], what: str, expected: str, found: str
) -> None:
    folders = [save(tmp_path / "a", make_plan(), seed=0), save(tmp_path / "b", make_plan(**changes), seed=1)]
    with pytest.raises(BundleError, match=f"b: {what} than the model .*a; ") as refused:
        load_ensemble(folders, compute=CPU, mirror=False)
    assert (refused.value.expected, refused.value.found) == (expected, found)


def test_people_tell_an_ensemble_by_its_networks(make_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plans = [make_plan(), make_plan(inputs={"name": "other"}, training={"learning_rate": 0.5})]
    ids = [(0, ModelId("unet", "0")), (0, ModelId("unet", "1", 7)), (1, ModelId("unet", "full"))]
    folders = [save(tmp_path / str(seed), plans[number], seed=seed, model=model) for seed, (number, model) in enumerate(ids)]
    assert load_ensemble(folders[:2], compute=CPU, mirror=False).title == "tiny: unet fold_0 fold_1/seed_7"
    assert load_ensemble(folders, compute=CPU, mirror=False).title == (
        "tiny: unet fold_0 fold_1/seed_7; other: unet fold_full"
    )


def test_no_model_is_an_error() -> None:
    with pytest.raises(BundleError, match="no model"):
        load_ensemble([], compute=CPU, mirror=False)
