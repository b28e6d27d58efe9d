"""Networks that have learnt nothing."""

import torch

from autoseg.inference.ensemble import Ensemble, make_ensemble
from autoseg.model.bundle import Bundle
from autoseg.model.compute import Compute
from autoseg.model.description import BundleDocument, Provenance
from autoseg.networks import build_network
from autoseg.planning.plan import Plan

CPU = Compute(torch.device("cpu"), bfloat16=False)


def untrained_ensemble(
    plan: Plan, *, folds: tuple[str, ...], mirror: bool, seeds: tuple[int | None, ...] | None = None
) -> Ensemble:
    """U-Nets of a plan, each different; `seeds` are those that are part of their places."""
    bundles = []
    for seed, (fold, named) in enumerate(zip(folds, seeds or [None] * len(folds), strict=True)):
        torch.manual_seed(seed)
        provenance = Provenance(
            versions={}, seed=seed, precision="float32", training_cases=(), validation_cases=(), epochs=1, minutes=0.1
        )
        document = BundleDocument(
            architecture="unet", fold=fold, seed=named, plan_digest=plan.digest, plan=plan, provenance=provenance,
            weights_file="weights.safetensors", weights_sha256=str(seed),
        )  # fmt: skip
        network = build_network("unet", in_channels=plan.input_channels, classes=len(plan.data.classes), size=plan.network)
        bundles.append((fold, Bundle(document, network.eval())))
    return make_ensemble(bundles, compute=CPU, mirror=mirror)
