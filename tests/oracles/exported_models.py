"""The parts of an exported model, made by hand in a moment: an untrained network and numbers that nobody measured."""

from pathlib import Path
from typing import Any, Final

import torch

from autoseg.model.bundle import load_bundle, save_bundle
from autoseg.model.description import BUNDLE_FILE, Provenance
from autoseg.model.identity import ModelId
from autoseg.networks import build_network
from autoseg.planning.plan import Plan
from autoseg.postprocessing.selection import Selection, decision_digest
from autoseg.storage import files

FOLDER: Final = "models/sepres/fold_0"
BUNDLE: Final = f"{FOLDER}/{BUNDLE_FILE}"
Members = dict[str, bytes]


def estimate(mean: float) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "cases": 2}


_SCORED: Final[dict[str, Any]] = {
    "dice": estimate(0.8),
    "hausdorff_mm": estimate(4.0),
    "nsd": None,
    "hausdorff95_mm": None,
    "assd_mm": None,
}
SCORE: Final[dict[str, Any]] = {**_SCORED, "classes": [{"name": "disc", **_SCORED}]}

STATISTICS: Final[dict[str, Any]] = {
    "voxels": 10, "mean": 5.0, "std": 1.0, "minimum": 1.0, "percentile_00_5": 1.0, "percentile_25": 3.0,
    "percentile_50": 5.0, "percentile_75": 7.0, "percentile_99_5": 9.0, "maximum": 9.0,
}  # fmt: skip

CASE: Final[dict[str, Any]] = {
    "id": "case 1",
    "image_sha256": ["0" * 64],
    "label_sha256": "0" * 64,
    "shape": [4, 16, 12],
    "spacing_mm": [2.0, 1.0, 1.0],
    "dimensions": 3,
    "axes": ["inferior-superior", "posterior-anterior", "left-right"],
    "channels": [{"positive": STATISTICS, "labelled": STATISTICS}],
    "class_voxels": {"0": 700, "2": 68},
    "nonzero_voxels": 768,
    "nonzero_box": [[0, 4], [0, 16], [0, 12]],
    "label_box": [[0, 4], [2, 8], [2, 8]],
    "label_margin_px": 0,
    "symmetry": [1.0, 0.9, 0.9],
}


def selection_of(plan: Plan, weights_sha256: str) -> dict[str, Any]:
    models = [{"architecture": "sepres", "fold": "0", "seed": None, "view": None, "weights_sha256": weights_sha256}]
    steps = [{"type": "largest_component", "label": 2, "min_volume_ml": None}]
    document = {
        "version": 3, "plan_digest": plan.digest, "data_key": "0" * 64, "models": models, "views": [],
        "log_shift": [],
        "postprocessing": steps,
        "decided_sha256": "0" * 64, "reasons": [], "missing": [], "compared_cases": ["case 1"], "candidates": [],
        "shift": None, "tried": [], "score": SCORE, "quality": {"classes": [], "points": [], "seeds": {}},
    }  # fmt: skip
    selection = Selection.model_validate(document)
    decided = decision_digest(selection.models, selection.postprocessing, log_shift=(), views=())
    return {**document, "decided_sha256": decided}


def exported_members(plan: Plan, folder: Path) -> Members:
    """All parts of an exported model of one network, under the plan of the shared fixtures.

    Args:
        plan: of one channel and the classes background, disc and any others.
        folder: where the model is stored, as training stores one.
    """
    torch.manual_seed(0)
    network = build_network("sepres", in_channels=1, classes=len(plan.data.classes), size=plan.network)
    provenance = Provenance(
        versions={"torch": "2.99"},
        seed=0,
        precision="float32",
        training_cases=("case 1",),
        validation_cases=("case 2",),
        epochs=3,
        minutes=0.5,
    )
    save_bundle(folder, network, model=ModelId("sepres", "0"), plan=plan, provenance=provenance)
    document = load_bundle(folder).document
    texts = {
        "model.json": {
            "version": 1, "name": "tiny", "bundles": [FOLDER], "scores": {"sepres": SCORE}, "scored_cases": {"sepres": 2},
        },
        "plan.json": plan.model_dump(mode="json"),
        "fingerprint.json": {"version": 2, "cases": [CASE]},
        "selection.json": selection_of(plan, document.weights_sha256),
        BUNDLE: document.model_dump(mode="json"),
    }  # fmt: skip
    weights = (folder / document.weights_file).read_bytes()
    return {
        "README.txt": b"Read me.\n",
        **{name: files.json_text(text).encode() for name, text in texts.items()},
        f"{FOLDER}/{document.weights_file}": weights,
    }
