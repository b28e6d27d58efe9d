"""Held-out cases of one network whose probabilities are as undecided, and as biased, as a test asks for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from autoseg.data.dataset import LabelClass
from autoseg.images.geometry import Geometry
from autoseg.images.image import write_labels
from autoseg.inference.probabilities import encode
from autoseg.postprocessing.held_out import HeldOutCase
from autoseg.preprocessing.footprint import Footprint

SHAPE = (4, 24, 18)


def held_out_case(
    folder: Path,
    name: str,
    *,
    classes: int = 3,
    seed: int = 0,
    bias: Sequence[float] = (),
    fold: str = "0",
    sure: bool = False,
) -> HeldOutCase:
    """Bands of equal width, one per class, and logits of them with noise and a bias for each class."""
    labels = tuple(LabelClass(value=2 * value, name=f"class {value}") for value in range(classes))
    truth = np.broadcast_to(np.arange(SHAPE[1])[:, None] * classes // SHAPE[1], SHAPE)
    reference = folder / f"{name}_seg.nii.gz"
    write_labels(reference, (2 * truth).astype(np.uint16), Geometry(SHAPE, (1.0, 1.0, 1.0)))
    noise = np.random.default_rng(seed).normal(0, 0 if sure else 1.2, size=(classes, *SHAPE))
    logits = (20 if sure else 2) * (np.arange(classes)[:, None, None, None] == truth) + noise
    logits += np.array(bias or (0.0,) * classes)[:, None, None, None]
    np.save(folder / f"{name}.npy", encode(softmax(logits, axis=0).astype(np.float32)))
    footprint = Footprint(
        shape=SHAPE, axes=(0, 1, 2), flipped=(False, False, False), start=(0, 0, 0), stop=SHAPE,
        size_px=SHAPE[1:], spacing_mm=(1.0, 1.0, 1.0), pad_value=(0.0,),
    )  # fmt: skip
    probabilities = {"unet": ((folder / f"{name}.npy",),)}
    return HeldOutCase(name, reference, (footprint,), probabilities, {}, labels, scan=reference, fold=fold)


@pytest.fixture
def make_held_out() -> Callable[..., HeldOutCase]:
    return held_out_case
