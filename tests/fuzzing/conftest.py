"""Intact documents of a real run, to be corrupted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracles.exported_models import SCORE, estimate, selection_of

import autoseg
from autoseg.data.splits import Fold
from autoseg.networks import build_network
from autoseg.planning.plan import Plan, write_plan
from autoseg.postprocessing.held_out import Record
from autoseg.postprocessing.selection import Selection, write_selection
from autoseg.preprocessing.footprint import Footprint
from autoseg.preprocessing.stored import CaseFiles
from autoseg.storage import files
from autoseg.training.checkpoint import save_checkpoint
from autoseg.training.config import TrainConfig
from autoseg.training.history import EpochLog, EpochRecord
from autoseg.training.run_state import RunState


@pytest.fixture(scope="session")
def documents(cohort: Path, make_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder per kind of document, each with all that reading it needs."""
    folder = tmp_path_factory.mktemp("documents")
    for recipe, plane in (("auto", "auto"), ("paper", "sagittal")):
        workspace = folder / f"run_{recipe}"
        autoseg.plan(cohort, workspace=workspace, recipe=recipe, plane=plane)
        (folder / "plan").mkdir(exist_ok=True)
        shutil.copyfile(workspace / "plan.json", folder / "plan" / f"{recipe}.json")
    for kind in ("dataset", "fingerprint", "splits"):
        (folder / kind).mkdir()
        shutil.copyfile(folder / "run_auto" / f"{kind}.json", folder / kind / f"{kind}.json")
    plan = make_plan()
    write_plan(plan, folder / "plan" / "tiny.json")
    write_selection(full_selection(plan), folder / "selection" / "selection.json")
    write_checkpoint(folder / "checkpoint", plan)
    write_stored_case(folder / "case")
    record = Record(model_digest="0" * 64, probabilities_sha256={"case 1": "1" * 64, "case 2": "2" * 64})
    files.write_json(folder / "validation" / "record.json", record.model_dump(mode="json"))
    return folder


def full_selection(plan: Plan) -> Selection:
    """A selection with something in each of its lists."""
    step = {"type": "drop_small", "label": 2, "min_volume_ml": 0.05}
    quality = {
        "classes": [{"name": "disc", "intercept": 0.1, "slope": 0.9, "error": None, "lowest": 0.5}],
        "points": [{"case": "case 1", "name": "disc", "expected": 0.9, "reached": 0.8, "predicted": None}],
    }
    document: dict[str, Any] = {
        **selection_of(plan, "a" * 64),
        "postprocessing": [step],
        "reasons": ["It scored best."],
        "missing": ["unet: not trained on any fold"],
        "candidates": [
            {"networks": ["sepres"], "score": SCORE, "difference": None, "p": None},
            {"networks": ["unet", "attention"], "score": SCORE, "difference": estimate(-0.1), "p": 0.03},
        ],
        "tried": [{"step": step, "phrase": "x", "kept": True, "reason": "y", "before": SCORE, "after": SCORE}],
        "quality": quality,
    }
    return Selection.model_validate_json(json.dumps(document))


def write_checkpoint(folder: Path, plan: Plan) -> None:
    """A run after an epoch of one step, with an optimiser that has moved."""
    torch.manual_seed(0)
    network = build_network("unet", in_channels=1, classes=2, size=plan.network)
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.randn((2, 1, 16, 12))).sum().backward()
    optimiser.step()
    epoch = EpochRecord(
        epoch=1,
        seconds=2.5,
        learning_rate=0.01,
        slices_per_s=3,
        training_loss=1.25,
        training_dice=0.5,
        validation_loss=float("nan"),
        validation_dice=0.25,
        class_dice={"disc": float("nan"), "ring": 0.1},
    )
    state = RunState(
        plan_digest=plan.digest,
        data_key="0" * 64,
        members=Fold(training=("a", "b"), validation=("c",)),
        config=TrainConfig(architecture="unet", fold="0", seed=7, epochs=2, precision="float32"),
        elapsed_s=2.5,
        steps_taken=1,
    )
    save_checkpoint(folder, state, epochs=EpochLog(folder, [epoch]).stored, network=network, optimiser=optimiser)


def write_stored_case(folder: Path) -> None:
    """A preprocessed case of a few voxels."""
    footprint = Footprint(
        shape=(4, 6, 5),
        axes=(0, 1, 2),
        flipped=(True, False, False),
        start=(0, 1, 0),
        stop=(4, 6, 5),
        size_px=(5, 5),
        spacing_mm=(2.0, 1.0, 0.1),
        pad_value=(-1.5,),
    )
    image = np.random.default_rng(0).normal(size=(1, 4, 5, 5)).astype(np.float32)
    CaseFiles(folder, "case 1").write(image, (image[0] > 0).astype(np.uint8), footprint)
