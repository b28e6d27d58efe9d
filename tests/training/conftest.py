"""A tiny plan and tiny preprocessed cases, made by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autoseg.planning.plan import Plan, assemble
from autoseg.preprocessing.case import Footprint
from autoseg.preprocessing.store import StoredCase
from autoseg.training.loop import FoldData

SECTIONS: dict[str, dict[str, Any]] = {
    "inputs": {
        "name": "tiny", "recipe": "auto", "plane": "auto", "device": "cpu", "memory_gb": 1.0, "folds": None,
    },
    "data": {
        "channels": ["T1"],
        "classes": [{"value": 0, "name": "background"}, {"value": 2, "name": "disc"}],
    },
    "preprocessing": {
        "plane": "axial",
        "spacing_mm": None,
        "crop": "none",
        "crop_margin_px": 0,
        "normalisation": [{"method": "none"}],
    },
    "network": {"features": [4, 8], "convolutions": 1, "expansion": 2.0, "skips": "concatenate"},
    "training": {
        "patch_px": [16, 12],
        "batch_size": 4,
        "steps_per_epoch": 3,
        "loss": "cross_entropy_dice",
        "class_weights": [1.0, 2.0],
        "optimiser": "adamw",
        "learning_rate": 1e-2,
        "weight_decay": 0.01,
        "gradient_limit": 12.0,
        "schedule": "cosine",
        "warmup": 0.1,
        "patience": None,
        "stop_after": None,
        "best_model": "last",
        "epochs": 2,
        "minutes": None,
    },
    "augmentation": {
        "mirror_axes": ["columns"],
        "spatial_probability": 0.7,
        "rotation_deg": 15.0,
        "scale": [0.85, 1.18],
        "shift": 0.06,
        "intensity_probability": 0.5,
        "contrast": [0.75, 1.3],
        "brightness": [0.85, 1.15],
        "gamma": [0.8, 1.25],
        "noise": 0.05,
        "blur_px": [0.5, 1.0],
    },
    "prediction": {"mirror_axes": [], "batch_size": 4},
}  # fmt: skip


def tiny_plan(**changes: dict[str, Any]) -> Plan:
    """The plan above, with sections changed key by key."""
    sections = {name: {**section, **changes.get(name, {})} for name, section in SECTIONS.items()}
    return assemble({**sections, "folds": 2}, {})


def disc_case(seed: int, *, slices: int = 7, shape: tuple[int, int] = (18, 11)) -> StoredCase:
    """Bright discs of changing size and place on a noisy background."""
    generator = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    label = np.stack(
        [
            np.hypot(rows - generator.uniform(5, 12), columns - generator.uniform(4, 7)) < generator.uniform(2, 5)
            for _ in range(slices)
        ]
    ).astype(np.uint8)
    image = (2.0 * label + generator.normal(0, 0.5, label.shape)).astype(np.float32)[np.newaxis]
    footprint = Footprint(
        shape=label.shape,
        axes=(0, 1, 2),
        flipped=(False, False, False),
        start=(0, 0, 0),
        stop=label.shape,
        size_px=shape,
        spacing_mm=(1.0, 1.0, 1.0),
        pad_value=(float(image.min()),),
    )
    return StoredCase(image, label, footprint)


@pytest.fixture
def make_plan() -> Callable[..., Plan]:
    return tiny_plan


@pytest.fixture
def make_case() -> Callable[..., StoredCase]:
    return disc_case


@pytest.fixture
def fold() -> FoldData:
    """Three cases to learn from, one to watch."""
    return FoldData(
        key="tiny",
        training=[(f"case{number}", disc_case(number)) for number in range(3)],
        validation=[("held-out", disc_case(9))],
    )
